#include "deploy/sandbox/slack_capabilities.h"

#include <catch2/catch.hpp>

using keyturn::sandbox::ResponseUrls;
using keyturn::sandbox::Triggers;
using keyturn::storage::TimePoint;
using namespace std::chrono_literals;

namespace {

const TimePoint kNow{std::chrono::milliseconds(1'700'000'000'000)};

}  // namespace

TEST_CASE("a trigger opens one view") {
  Triggers triggers;
  const std::string trigger = triggers.mint(kNow);
  CHECK(triggers.spend(trigger, kNow + 2s).empty());
  CHECK(triggers.spend(trigger, kNow + 2s) == "exchanged_trigger_id");
}

TEST_CASE("a trigger is too old after three seconds") {
  Triggers triggers;
  const std::string trigger = triggers.mint(kNow);
  CHECK(triggers.spend(trigger, kNow + 3001ms) == "expired_trigger_id");
}

TEST_CASE("a trigger that was never handed out is invalid") {
  Triggers triggers;
  CHECK(triggers.spend("1.2.3", kNow) == "invalid_trigger_id");
}

TEST_CASE("a response URL works five times, for the place it was made for") {
  ResponseUrls urls;
  const std::string path = urls.mint("commands", {.channel = "C0OPS", .user = "U0ADMIN"}, kNow);
  for (int use = 0; use < 5; ++use) {
    const auto used = urls.use(path, kNow + 1min);
    REQUIRE(used.error.empty());
    CHECK(used.place.channel == "C0OPS");
    CHECK(used.place.user == "U0ADMIN");
  }
  CHECK(urls.use(path, kNow + 1min).error == "used_url");
}

TEST_CASE("a response URL is over after thirty minutes") {
  ResponseUrls urls;
  const std::string path = urls.mint("actions", {.channel = "C0OPS", .user = "U0ADMIN"}, kNow);
  CHECK(urls.use(path, kNow + 30min).error.empty());
  CHECK(urls.use(path, kNow + 30min + 1s).error == "expired_url");
  CHECK(urls.use("/actions/T0RAXX/9/guessed", kNow).error == "expired_url");
}

TEST_CASE("no two response URLs are the same") {
  ResponseUrls urls;
  CHECK(urls.mint("commands", {}, kNow) != urls.mint("commands", {}, kNow));
}
