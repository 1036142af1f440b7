// What a consumer's endpoint says about itself, and what it can't say.
#include "integrations/probe/endpoint_probe.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/scripted_vendor.h"

using namespace keyturn;
using integrations::Health;
using integrations::HealthExpectation;
using probe::read_answer;

namespace {

const HealthExpectation kOk{.url = "http://x", .status = 200, .json_pointer = "/status", .json_equals = "ok"};
const HealthExpectation kStatusOnly{.url = "http://x", .status = 204, .json_pointer = "", .json_equals = ""};

}  // namespace

TEST_CASE("the status and the value both have to be as expected") {
  CHECK(read_answer(kOk, 200, R"({"status":"ok"})").health == Health::healthy);
  CHECK(read_answer(kOk, 200, R"({"status":"ok"})").detail == "answered 200");
  const auto degraded = read_answer(kOk, 200, R"({"status":"degraded"})");
  CHECK(degraded.health == Health::unhealthy);
  CHECK(degraded.detail == R"("/status" is "degraded", expected "ok")");
  CHECK(read_answer(kOk, 500, R"({"status":"ok"})").detail == "answered 500, expected 200");
  CHECK(read_answer(kOk, 401, "").health == Health::unhealthy);
  CHECK(read_answer(kStatusOnly, 204, "").health == Health::healthy);
}

TEST_CASE("a 200 with an error inside is not health") {
  CHECK(read_answer(kOk, 200, R"({"error":"unauthorized"})").detail == R"(the answer has no "/status")");
  CHECK(read_answer(kOk, 200, R"({"status":null})").health == Health::unhealthy);
  CHECK(read_answer(kOk, 200, R"({"status":)").health == Health::unhealthy);
  CHECK(read_answer(kOk, 200, "").health == Health::unhealthy);
}

TEST_CASE("a page or a redirect is never health") {
  HealthExpectation any = kStatusOnly;
  any.status = 200;
  CHECK(read_answer(any, 200, " \n<!doctype html>").health == Health::unhealthy);
  CHECK(read_answer(any, 302, "").detail == "answered 302 (a redirect, which isn't followed)");
}

TEST_CASE("a rate limit says nothing") { CHECK(read_answer(kOk, 429, "").health == Health::unknown); }

TEST_CASE("values that are no strings are compared as JSON") {
  HealthExpectation flag = kOk;
  flag.json_pointer = "/checks/0/up";
  flag.json_equals = "true";
  CHECK(read_answer(flag, 200, R"({"checks":[{"up":true}]})").health == Health::healthy);
  CHECK(read_answer(flag, 200, R"({"checks":[]})").health == Health::unhealthy);
  CHECK(read_answer(flag, 200, R"({"checks":{}})").health == Health::unhealthy);
  flag.json_pointer = "not a pointer";
  CHECK(read_answer(flag, 200, "{}").health == Health::unhealthy);
}

TEST_CASE("a key that the endpoint leaks is not passed on") {
  const std::string key = std::string("rk_") + "live_" + "51HxAbCdEf951HxAbCdEf9";
  const auto report = read_answer(kOk, 200, R"({"status":")" + key + R"("})");
  CHECK(report.detail == R"("/status" is "[redacted]", expected "ok")");
}

TEST_CASE("any bytes are unhealthy, and no crash") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    RC_ASSERT(read_answer(kOk, 200, std::string(bytes.begin(), bytes.end())).health == Health::unhealthy);
  }));
}

TEST_CASE("the endpoint is asked once, and no answer is unknown") {
  bool answers = true;
  test::ScriptedVendor vendor([&](const net::ServerRequest&) {
    return answers ? net::Response(200, {}, R"({"status":"ok"})") : net::Response(test::kReset, {}, "");
  });
  test::FakeClock clock;
  std::vector<std::string> observed;
  probe::EndpointProbe endpoint(vendor.client(), clock,
                                [&](const auto&, const auto& outcome) { observed.push_back(outcome); });
  HealthExpectation expectation = kOk;
  expectation.url = vendor.base() + "/api/billing/subscription";
  const auto healthy = vendor.run(endpoint.check(expectation));
  CHECK(healthy.health == Health::healthy);
  CHECK(healthy.at == clock.time);
  CHECK(vendor.lines() == std::vector<std::string>{"GET /api/billing/subscription"});
  answers = false;
  const auto silent = vendor.run(endpoint.check(expectation));
  CHECK(silent.health == Health::unknown);
  CHECK(silent.status == 0);
  CHECK(silent.detail.starts_with("no answer: "));
  CHECK(observed == std::vector<std::string>{"ok", "unreachable"});
}
