// What Stripe's answers mean, with the bodies that it sends (docs.stripe.com/error-codes and recorded
// answers), and what a probe sends.
#include "integrations/stripe/stripe.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/scripted_vendor.h"

using namespace keyturn;
using integrations::Answer;
using integrations::Probe;

namespace {

const std::string kCustomers = "GET /v1/customers";

Probe read(int status, const std::string& body, const std::string& endpoint = kCustomers) {
  return stripe::read_answer(endpoint, status, "req_AbCdEf12345678", body);
}

std::string error(const std::string& fields) {
  return R"({"error":{)" + fields + R"("type":"invalid_request_error"}})";
}

const std::string kEmptyList = R"({"object":"list","data":[],"has_more":false,"url":"/v1/customers"})";
const std::string kExpired =
    error(R"("code":"api_key_expired","doc_url":"https://stripe.com/docs/error-codes/api-key-expired",)"
          R"("message":"Expired API Key provided: rk_test_*****6i1euf",)");
const std::string kInvalid = error(R"("message":"Invalid API Key provided: rk_test_*****6i1euf",)");

}  // namespace

TEST_CASE("a 200 with the list in it is granted, and names the newest object and its mode") {
  const Probe empty = read(200, kEmptyList);
  CHECK(empty.answer == Answer::granted);
  CHECK(empty.newest_object.empty());
  CHECK_FALSE(empty.livemode);
  CHECK(empty.request_id == "req_AbCdEf12345678");

  const Probe one =
      read(200, R"({"object":"list","data":[{"id":"cus_QXg1","object":"customer","livemode":false}]})");
  CHECK(one.answer == Answer::granted);
  CHECK(one.newest_object == "cus_QXg1");
  CHECK(one.livemode == false);
}

TEST_CASE("the balance and the account are objects and no lists") {
  const std::string balance = R"({"object":"balance","available":[],"livemode":true,"pending":[]})";
  CHECK(read(200, balance, "GET /v1/balance").answer == Answer::granted);
  CHECK(read(200, balance, "GET /v1/balance").livemode == true);
  CHECK(read(200, balance, kCustomers).answer == Answer::inconclusive);
  CHECK(read(200, kEmptyList, "GET /v1/balance").answer == Answer::inconclusive);
  CHECK(read(200, R"({"object":"account","id":"acct_1Ab"})", "GET /v1/account").account == "acct_1Ab");
}

TEST_CASE("a 200 without Stripe's object says nothing") {
  for (const std::string body :
       {"<html>welcome</html>", "", "[]", "null", "{}", R"({"object":"list"})",
        R"({"object":"list","data":{}})", R"({"object":5,"data":[]})", R"({"object":"list","data":[{"id":)",
        R"({"error":{"message":"x","type":"y"}})"}) {
    const Probe probe = read(200, body);
    CHECK(probe.answer == Answer::inconclusive);
    CHECK_FALSE(probe.note.empty());
  }
}

TEST_CASE("wrong types inside a list are no objects, and no crash") {
  const Probe probe = read(200, R"({"object":"list","data":["x",{"id":7,"livemode":"yes"}]})");
  CHECK(probe.answer == Answer::granted);
  CHECK(probe.newest_object.empty());
  CHECK_FALSE(probe.livemode);
}

TEST_CASE("today's 403 is life, and names the account and the permission") {
  const Probe probe = read(
      403,
      error(
          R"("code":"more_permissions_required","message":"Permission denied. The provided key 'rk_live_***j4va7j' )"
          R"(does not have the required permissions for this endpoint on account 'acct_123Ab'. Enabling )"
          R"(\"Prices Read\" ('plan_read') permissions on this key would allow this request to continue.",)"));
  CHECK(probe.answer == Answer::denied);
  CHECK(probe.account == "acct_123Ab");
  CHECK(probe.missing_permissions == std::vector<std::string>{"plan_read"});
  CHECK(probe.note.find("j4va7j") == std::string::npos);
}

TEST_CASE("the 403 of 2025 without a code is life as well, and may name several permissions") {
  const Probe probe = read(
      403,
      error(R"("message":"The provided key 'rk_test_****qs8Kgd' does not have the required permissions for )"
            R"(this endpoint on account 'acct_1PJB'. Having the 'rak_billing_cadence_read', )"
            R"('rak_subscription_read' permissions would allow this request to continue.",)"));
  CHECK(probe.answer == Answer::denied);
  CHECK(probe.account == "acct_1PJB");
  CHECK(probe.missing_permissions == std::vector<std::string>{"billing_cadence_read", "subscription_read"});
}

TEST_CASE("a 403 that isn't Stripe's is no proof of life") {
  for (const std::string body :
       {"", "<html>Forbidden</html>", R"({"message":"blocked"})", R"({"error":"forbidden"})"}) {
    CHECK(read(403, body).answer == Answer::inconclusive);
  }
}

TEST_CASE("only a 401 with api_key_expired is death") {
  CHECK(read(401, kExpired).answer == Answer::expired);
  CHECK(read(401, error(R"("message":"Expired API Key provided: rk_test_*****6i1euf",)")).answer ==
        Answer::inconclusive);
  CHECK(read(403, kExpired).answer != Answer::expired);
  CHECK(read(500, kExpired).answer == Answer::inconclusive);
}

TEST_CASE("the other kinds of 401 are told apart") {
  CHECK(read(401, kInvalid).answer == Answer::unknown_key);
  CHECK(
      read(
          401,
          error(
              R"("message":"The API key provided does not allow requests from your IP address (1.2.3.4).",)"))
          .answer == Answer::address);
  CHECK(
      read(
          401,
          error(
              R"("message":"This API call cannot be made with a publishable API key. Please use a secret",)"))
          .answer == Answer::inconclusive);
  CHECK(read(401, error(R"("message":"You did not provide an API key. You need to",)")).answer ==
        Answer::inconclusive);
  CHECK(read(401, error(R"("message":7,)")).answer == Answer::inconclusive);
  CHECK(read(401, "<html>login</html>").answer == Answer::inconclusive);
}

TEST_CASE("rate limits and server errors say nothing about the key") {
  const Probe limited = read(429, error(R"("code":"rate_limit","message":"Request rate limit exceeded.",)"));
  CHECK(limited.answer == Answer::inconclusive);
  CHECK(limited.note == "rate limited (429)");
  for (const int status : {302, 400, 404, 409, 500, 502, 503})
    CHECK(read(status, "<html>").answer == Answer::inconclusive);
}

TEST_CASE("any bytes under any status are read without a throw, and none of them reaches the note") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    const int status = *rc::gen::element(200, 401, 403, 429, 500);
    const Probe probe = read(status, std::string(bytes.begin(), bytes.end()));
    RC_ASSERT(probe.answer == Answer::inconclusive);
  }));
}

TEST_CASE("a probe asks for one row with the key as bearer and the version pinned") {
  test::ScriptedVendor vendor(
      [](const net::ServerRequest&) { return net::Response(200, {{"Request-Id", "req_1"}}, kEmptyList); });
  test::FakeClock clock;
  std::vector<std::string> observed;
  stripe::Stripe provider(
      vendor.client(), clock, vendor.base(),
      [&](const auto& operation, const auto& outcome) { observed.push_back(operation + ": " + outcome); });
  const auto key = storage::share(storage::Secret::copy_of("rk_test_fake"));
  const Probe probe = vendor.run(provider.probe(key, kCustomers));
  CHECK(probe.answer == Answer::granted);
  CHECK(probe.endpoint == kCustomers);
  CHECK(probe.at == clock.time);
  vendor.run(provider.probe(key, "GET /v1/subscriptions?status=all"));
  vendor.run(provider.probe(key, "GET /v1/balance"));
  CHECK(vendor.lines() == std::vector<std::string>{"GET /v1/customers?limit=1",
                                                   "GET /v1/subscriptions?status=all&limit=1",
                                                   "GET /v1/balance"});
  CHECK(vendor.seen()[0].header("Authorization") == "Bearer rk_test_fake");
  CHECK(vendor.seen()[0].header("Stripe-Version") == "2026-10-28.endive");
  CHECK(observed == std::vector<std::string>{"GET /v1/customers: ok", "GET /v1/subscriptions?status=all: ok",
                                             "GET /v1/balance: not_understood"});
}

TEST_CASE("a probe that gets no answer is inconclusive, and no exception") {
  test::ScriptedVendor vendor([](const net::ServerRequest&) { return net::Response(test::kReset, {}, ""); });
  test::FakeClock clock;
  std::string outcome;
  stripe::Stripe provider(vendor.client(), clock, vendor.base(),
                          [&](const auto&, const auto& told) { outcome = told; });
  const auto key = storage::share(storage::Secret::copy_of("rk_test_fake"));
  const Probe probe = vendor.run(provider.probe(key, kCustomers));
  CHECK(probe.answer == Answer::inconclusive);
  CHECK(probe.status == 0);
  CHECK(probe.note.starts_with("no answer: "));
  CHECK(outcome == "unreachable");
  const Probe never_sent = vendor.run(provider.probe(key, "POST /v1/customers"));
  CHECK(never_sent.answer == Answer::inconclusive);
}
