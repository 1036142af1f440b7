#include "storage/clock.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

using namespace keyturn::storage;
using namespace std::chrono_literals;

TEST_CASE("a time is written in UTC with milliseconds, and read back the same") {
  const TimePoint time = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 19h + 16min + 5s + 123ms;
  CHECK(to_iso8601(time) == "2026-11-23T19:16:05.123Z");
  CHECK(from_iso8601("2026-11-23T19:16:05.123Z") == time);
  CHECK(to_iso8601(TimePoint{}) == "1970-01-01T00:00:00.000Z");
}

TEST_CASE("every millisecond between 1970 and 2200 survives writing and reading") {
  CHECK(rc::check([] {
    const auto milliseconds = *rc::gen::inRange<std::int64_t>(0, 7'258'118'400'000);
    const TimePoint time{Duration(milliseconds)};
    RC_ASSERT(from_iso8601(to_iso8601(time)) == time);
  }));
}

TEST_CASE("a fraction of a second may be missing, short or finer than we keep") {
  const auto whole = from_iso8601("2026-11-23T19:16:05Z");
  REQUIRE(whole);
  CHECK(from_iso8601("2026-11-23T19:16:05.1Z") == *whole + 100ms);
  CHECK(from_iso8601("2026-11-23T19:16:05.123456789Z") == *whole + 123ms);
}

TEST_CASE("what is not a UTC time in this form is not read as one") {
  for (const char* text :
       {"", "2026-11-23", "2026-11-23T19:16:05", "2026-11-23T19:16:05+00:00", "2026-11-23 19:16:05Z",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-11-23T24:00:00Z",
        "2026-11-23T19:60:05Z", "2026-11-23T19:16:60Z", "2026-11-23T19:16:05.Z",
        "2026-11-23T19:16:05.1234567890Z", "2026-11-23T19:16:05.123Z ", "-026-11-23T19:16:05Z",
        "2026-11-23T19:16:05.123ZZ"}) {
    CAPTURE(text);
    CHECK_FALSE(from_iso8601(text));
  }
  CHECK(from_iso8601("2028-02-29T00:00:00Z"));
}

TEST_CASE("durations are said the way people say them") {
  CHECK(in_words(24h) == "24 hours");
  CHECK(in_words(1h) == "1 hour");
  CHECK(in_words(90s) == "90 seconds");
  CHECK(in_words(5min) == "5 minutes");
  CHECK(in_words(1h + 30min) == "1 hour 30 minutes");
  CHECK(in_words(60s) == "1 minute");
  CHECK(in_words(1s) == "1 second");
  CHECK(in_words(150s) == "2 minutes 30 seconds");
  CHECK(in_words(24h * 90) == "90 days");
  CHECK(in_words(36h) == "36 hours");
  CHECK(in_words(51h) == "2 days 3 hours");
  CHECK(in_words(0s) == "0 seconds");
  CHECK(in_words(1600ms) == "2 seconds");
  CHECK(in_words(-5min) == "minus 5 minutes");
}

TEST_CASE("the system's clock tells the time since 1970") {
  const auto before = std::chrono::floor<Duration>(std::chrono::system_clock::now());
  const auto now = SystemClock().now();
  CHECK(now >= before);
  CHECK(now - before < 1min);
}
