#include "deploy/sandbox/stripe_world.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "tests/unit/sandbox/fixture.h"

using namespace keyturn::sandbox;
using namespace std::chrono_literals;
using keyturn::net::Headers;

namespace {

constexpr const char* kAccount = "acct_1Test";

struct StripeFixture {
  FakeClock clock;
  StripeWorld stripe{clock, SandboxTiming{}};
  const StripeKey& key = stripe.create({.kind = StripeKeyKind::restricted,
                                        .live = true,
                                        .account = kAccount,
                                        .name = "raxx-billing",
                                        .permissions = {"customer_read", "invoice_write"}});

  Answer get(const std::string& path, const std::string& with) {
    return ask(stripe, request("GET", path, {{"Authorization", "Bearer " + with}}));
  }
};

std::string message(const Answer& answer) { return answer.body.at("error").at("message"); }
std::string code(const Answer& answer) { return answer.body.at("error").value("code", ""); }

}  // namespace

TEST_CASE_METHOD(StripeFixture,
                 "a new key has 107 characters, its mode in the prefix, and never the same twice") {
  CHECK(key.value.size() == 107);
  CHECK(key.value.starts_with("rk_live_"));
  CHECK(stripe.create({.live = false}).value.starts_with("rk_test_"));
  CHECK(stripe.create({.live = true}).value != key.value);
}

TEST_CASE_METHOD(StripeFixture, "a permitted list is a list, with a request id and the version asked for") {
  stripe.add_object(kAccount, true, "customers", {{"id", "cus_1"}, {"object", "customer"}});
  stripe.add_object(kAccount, false, "customers", {{"id", "cus_2"}, {"object", "customer"}});
  const Answer answer = ask(
      stripe, request("GET", "/v1/customers",
                      {{"Authorization", "Bearer " + key.value}, {"Stripe-Version", "2026-10-28.endive"}}));
  CHECK(answer.status == 200);
  CHECK(answer.body.at("object") == "list");
  CHECK(answer.body.at("url") == "/v1/customers");
  REQUIRE(answer.body.at("data").size() == 1);  // the other mode's customer isn't there
  CHECK(answer.body.at("data").at(0).at("livemode") == true);
  CHECK(answer.header("Request-Id").starts_with("req_"));
  CHECK(answer.header("Stripe-Version") == "2026-10-28.endive");
}

TEST_CASE_METHOD(StripeFixture,
                 "Basic authentication with the key as the user works, whatever the password") {
  // base64("user:password") with a key that is short enough to encode by hand is no use: encode the real one.
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string plain = key.value + ":x";  // 109 bytes: one is left over
  std::string encoded;
  for (std::size_t i = 0; i + 2 < plain.size(); i += 3) {
    const auto byte = [&](std::size_t at) {
      return static_cast<unsigned>(static_cast<unsigned char>(plain[at]));
    };
    const unsigned group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (const unsigned shift : {18U, 12U, 6U, 0U}) encoded += kDigits[group >> shift & 0x3FU];
  }
  CHECK(ask(stripe, request("GET", "/v1/customers", {{"Authorization", "Basic " + encoded}})).status == 200);
}

TEST_CASE_METHOD(StripeFixture, "a missing permission is 403 and names the account, in the words of 2026") {
  const Answer answer = get("/v1/balance", key.value);
  CHECK(answer.status == 403);
  CHECK(code(answer) == "more_permissions_required");
  CHECK(answer.body.at("error").at("type") == "invalid_request_error");
  CHECK_THAT(message(answer), Catch::Contains("on account 'acct_1Test'") &&
                                  Catch::Contains("\"Balance Read\"") &&
                                  Catch::Contains("('balance_read')") && !Catch::Contains(key.value));
  CHECK_FALSE(answer.header("Request-Id").empty());
}

TEST_CASE_METHOD(StripeFixture, "a missing permission has no code in the words of 2025, and may name two") {
  stripe.fault({{"kind", "wording"}, {"generation", 2025}});
  const Answer answer = get("/v1/subscriptions", key.value);
  CHECK(answer.status == 403);
  CHECK(code(answer).empty());
  CHECK_THAT(message(answer),
             Catch::Contains("'rak_billing_cadence_read', 'rak_subscription_read' permissions") &&
                 !Catch::Contains(key.value));
}

TEST_CASE_METHOD(StripeFixture, "a write permission includes the read, and no other") {
  CHECK(get("/v1/invoices", key.value).status == 200);
  CHECK(get("/v1/charges", key.value).status == 403);
}

TEST_CASE_METHOD(StripeFixture, "the three ways to be refused with 401 can be told apart") {
  const Answer none = ask(stripe, request("GET", "/v1/customers"));
  CHECK(none.status == 401);
  CHECK(none.header("WWW-Authenticate") == "Basic realm=\"Stripe\"");
  CHECK_THAT(message(none), Catch::StartsWith("You did not provide an API key."));

  const std::string typo = key.value.substr(0, 106) + "_";
  const Answer unknown = get("/v1/customers", typo);
  CHECK(unknown.status == 401);
  CHECK(unknown.header("WWW-Authenticate") == "Bearer realm=\"Stripe\"");
  CHECK(unknown.header("Request-Id").empty());
  CHECK(code(unknown).empty());
  CHECK_FALSE(unknown.body.at("error").contains("doc_url"));
  CHECK_THAT(message(unknown),
             Catch::StartsWith("Invalid API Key provided: rk_live_****") && !Catch::Contains(typo));

  stripe.expire(key.id);
  const Answer expired = get("/v1/customers", key.value);
  CHECK(expired.status == 401);
  CHECK(code(expired) == "api_key_expired");
  CHECK(message(expired).size() == std::string("Expired API Key provided: ").size() + 107);
  CHECK(message(expired).ends_with(key.value.substr(101)));
}

TEST_CASE_METHOD(StripeFixture, "an address list refuses with 401 although the key lives") {
  stripe.fault({{"kind", "ip_denied"}, {"key", key.id}});
  const Answer answer = get("/v1/customers", key.value);
  CHECK(answer.status == 401);
  CHECK(code(answer).empty());
  CHECK_THAT(message(answer), Catch::Contains("does not allow requests from your IP address"));
}

TEST_CASE_METHOD(
    StripeFixture,
    "rotation keeps name, mode, account and permissions, and lets the old key live until its deadline") {
  const StripeKey& next = stripe.rotate("raxx-billing", 1h);
  CHECK(next.value != key.value);
  CHECK(next.permissions == key.permissions);
  CHECK(next.account == key.account);
  CHECK(next.live);
  CHECK(stripe.find("raxx-billing") == &next);
  clock.pass(1h - 1ms);
  CHECK(get("/v1/customers", key.value).status == 200);
  clock.pass(1ms);
  CHECK(code(get("/v1/customers", key.value)) == "api_key_expired");
  CHECK(get("/v1/customers", next.value).status == 200);
}

TEST_CASE_METHOD(StripeFixture, "a key outlives its deadline by the lag") {
  stripe.fault({{"kind", "expiry_lag"}, {"seconds", 9}});
  stripe.rotate(key.id, 1h);
  clock.pass(1h + 8s);
  CHECK(get("/v1/customers", key.value).status == 200);
  clock.pass(1s);
  CHECK(get("/v1/customers", key.value).status == 401);
}

TEST_CASE_METHOD(StripeFixture, "a key rotated with Now is dead at once, in either of two ways") {
  stripe.fault({{"kind", "expiry_lag"}, {"seconds", 9}});  // doesn't help a deleted key
  stripe.rotate(key.id, 0ms);
  CHECK(code(get("/v1/customers", key.value)) == "api_key_expired");
  stripe.fault({{"kind", "deleted_answers"}, {"as", "invalid"}});
  CHECK_THAT(message(get("/v1/customers", key.value)), Catch::StartsWith("Invalid API Key provided: "));
}

TEST_CASE_METHOD(StripeFixture, "an expired key can't be rotated, and an unknown one is an error") {
  stripe.expire(key.id);
  CHECK_THROWS_AS(stripe.rotate(key.id, 1h), std::invalid_argument);
  CHECK_THROWS_AS(stripe.rotate("nobody", 1h), std::invalid_argument);
}

TEST_CASE_METHOD(StripeFixture, "the key is judged before the route, the route before the permission") {
  CHECK(get("/v1/nosuch", "rk_live_wrong").status == 401);
  const Answer nowhere = get("/v1/nosuch", key.value);
  CHECK(nowhere.status == 404);
  CHECK_THAT(message(nowhere), Catch::StartsWith("Unrecognized request URL (GET: /v1/nosuch)."));
}

TEST_CASE_METHOD(StripeFixture, "an object of the other mode is named as such") {
  stripe.add_object(kAccount, false, "customers", {{"id", "cus_2"}, {"object", "customer"}});
  const Answer answer = get("/v1/customers/cus_2", key.value);
  CHECK(answer.status == 404);
  CHECK(code(answer) == "resource_missing");
  CHECK_THAT(message(answer),
             Catch::Contains("a similar object exists in test mode, but a live mode key was used"));
}

TEST_CASE_METHOD(StripeFixture, "a limit out of bounds and a version out of shape are 400") {
  auto made = request("GET", "/v1/customers", {{"Authorization", "Bearer " + key.value}});
  made.query["limit"] = "101";
  CHECK(ask(stripe, made).status == 400);
  made.query["limit"] = "1";
  CHECK(ask(stripe, made).status == 200);
  made.headers.emplace_back("Stripe-Version", "yesterday");
  CHECK(message(ask(stripe, made)) == "Invalid Stripe API version: yesterday");
}

TEST_CASE_METHOD(StripeFixture, "a list is paged from its newest object to its oldest, and then ends") {
  for (const char* id : {"cus_1", "cus_2", "cus_3"})
    stripe.add_object(kAccount, true, "customers", {{"id", id}, {"object", "customer"}});
  auto made = request("GET", "/v1/customers", {{"Authorization", "Bearer " + key.value}});
  made.query["limit"] = "2";
  const Answer first = ask(stripe, made);
  REQUIRE(first.body.at("data").size() == 2);
  CHECK(first.body.at("has_more") == true);
  made.query["starting_after"] = first.body.at("data").at(1).at("id");
  const Answer second = ask(stripe, made);
  REQUIRE(second.body.at("data").size() == 1);
  CHECK(second.body.at("data").at(0).at("id") == "cus_1");
  CHECK(second.body.at("has_more") == false);
  made.query["starting_after"] = "cus_nobody";
  CHECK(ask(stripe, made).status == 400);
}

TEST_CASE_METHOD(StripeFixture, "a master key may do everything, a publishable key nothing") {
  const StripeKey& master = stripe.create({.kind = StripeKeyKind::secret, .live = true, .account = kAccount});
  const StripeKey& shown =
      stripe.create({.kind = StripeKeyKind::publishable, .live = true, .account = kAccount});
  const Answer balance = get("/v1/balance", master.value);
  CHECK(balance.status == 200);
  CHECK(balance.body.at("object") == "balance");
  CHECK(balance.body.at("available").at(0).at("currency") == "usd");
  CHECK(code(get("/v1/balance", shown.value)) == "secret_key_required");
}

TEST_CASE_METHOD(StripeFixture, "the page never sees a key's value") {
  stripe.rotate(key.id, 1h);
  const std::string page = stripe.state().dump();
  for (const StripeKey& each : stripe.keys()) CHECK_THAT(page, !Catch::Contains(each.value));
  CHECK(stripe.reveal(key.id) == key.value);
}

TEST_CASE_METHOD(StripeFixture, "an unknown knob is refused, and clear puts the known ones back") {
  CHECK_THROWS_AS(stripe.fault({{"kind", "nonsense"}}), std::invalid_argument);
  CHECK_THROWS_AS(stripe.fault({{"kind", "expiry_lag"}}), std::invalid_argument);
  CHECK_THROWS_AS(stripe.fault(nlohmann::json::array()), std::invalid_argument);
  stripe.fault({{"kind", "ip_denied"}, {"key", key.id}});
  stripe.fault({{"kind", "clear"}});
  CHECK(get("/v1/customers", key.value).status == 200);
}
