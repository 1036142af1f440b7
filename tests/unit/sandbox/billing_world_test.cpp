#include "deploy/sandbox/billing_world.h"

#include <catch2/catch.hpp>

#include "tests/unit/sandbox/fixture.h"

using namespace keyturn::sandbox;
using namespace std::chrono_literals;

TEST_CASE("the application is healthy only when Stripe answered a list") {
  CHECK(read_stripe_answer("GET /x", 200, R"({"object":"list","data":[]})").healthy);
  CHECK_FALSE(read_stripe_answer("GET /x", 200, R"({"object":"customer"})").healthy);
  CHECK_FALSE(read_stripe_answer("GET /x", 200, "<html>").healthy);
  CHECK_FALSE(read_stripe_answer("GET /x", 0, "").healthy);
}

TEST_CASE("the application logs Stripe's refusal as stripe-node words it") {
  const std::string body =
      R"({"error":{"code":"api_key_expired","message":"Expired API Key provided: rk_live_***abc"}})";
  CHECK_THAT(read_stripe_answer("GET /x", 401, body).log_line,
             Catch::StartsWith("StripeAuthenticationError: Expired API Key provided: rk_live_***abc"));
  CHECK_THAT(read_stripe_answer("GET /x", 403, body).log_line, Catch::StartsWith("StripePermissionError: "));
  CHECK_THAT(read_stripe_answer("GET /x", 429, body).log_line, Catch::StartsWith("StripeRateLimitError: "));
  CHECK_THAT(read_stripe_answer("GET /x", 502, "<html>").log_line, Catch::StartsWith("StripeAPIError: "));
}

TEST_CASE("while no dyno is up, Heroku answers its own page, and the router says why") {
  FakeClock clock;
  HerokuWorld heroku(clock, SandboxTiming{});
  heroku.add_app("raxx", {}, {"web.1"});
  BillingWorld billing(clock, SandboxTiming{}, heroku, "raxx", "KEY");
  heroku.fault({{"kind", "dyno_crashes"}});
  heroku.restart("raxx");
  clock.pass(1min);
  const auto answer = billing.answer(request("GET", "/api/billing/subscription"));
  CHECK(answer.status == 503);
  CHECK_THAT(answer.body, Catch::Contains("Application Error"));
  CHECK_THAT(heroku.find("raxx")->log.back().line,
             Catch::Contains("heroku[router]: at=error code=H10 desc=\"App crashed\""));
}
