#include "bot/intake/rate_limit.h"

#include <catch2/catch.hpp>

namespace keyturn::bot {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const storage::TimePoint kStart{std::chrono::hours(500'000)};

int allowed(RateLimit& limit, const std::string& peer, storage::TimePoint at, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limit.allow(peer, at) ? 1 : 0;
  return count;
}

TEST_CASE("a peer gets its count at once, and then one each share of the period") {
  RateLimit limit(30, minutes(1));
  CHECK(allowed(limit, "a", kStart, 100) == 30);
  CHECK(allowed(limit, "a", kStart + seconds(1), 10) == 0);
  CHECK(allowed(limit, "a", kStart + seconds(2), 10) == 1);
  CHECK(allowed(limit, "a", kStart + minutes(2), 100) == 30);
}

TEST_CASE("one peer's tries cost another nothing") {
  RateLimit limit(3, minutes(1));
  CHECK(allowed(limit, "a", kStart, 10) == 3);
  CHECK(allowed(limit, "b", kStart, 10) == 3);
}

TEST_CASE("a clock that is set back neither fills nor empties") {
  RateLimit limit(3, minutes(1));
  CHECK(allowed(limit, "a", kStart, 10) == 3);
  CHECK(allowed(limit, "a", kStart - seconds(10), 10) == 0);
  CHECK(allowed(limit, "a", kStart + seconds(20), 10) == 1);
}

TEST_CASE("a clock that was a year ahead and is set back shuts nobody out for that year") {
  RateLimit limit(3, minutes(1));
  CHECK(allowed(limit, "a", kStart + std::chrono::hours(24 * 365), 10) == 3);
  CHECK(allowed(limit, "a", kStart, 10) == 0);
  CHECK(allowed(limit, "a", kStart + minutes(2), 10) == 3);
}

TEST_CASE("memory stays bounded: the full are forgotten, and beyond the bound strangers share one bucket") {
  RateLimit limit(3, minutes(1), /*most_peers=*/100);
  for (int i = 0; i < 1000; ++i) limit.allow("flood " + std::to_string(i), kStart);
  CHECK(limit.remembered() <= 101);
  CHECK(allowed(limit, "stranger", kStart, 10) == 0);
  CHECK(allowed(limit, "flood 1", kStart, 10) == 2);
  CHECK(allowed(limit, "stranger", kStart + minutes(1), 10) == 3);
  CHECK(limit.remembered() <= 2);
}

}  // namespace
}  // namespace keyturn::bot
