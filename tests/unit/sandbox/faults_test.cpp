#include "deploy/sandbox/faults.h"

#include <catch2/catch.hpp>
#include <stdexcept>

using keyturn::sandbox::Faults;
using keyturn::sandbox::Verdict;

TEST_CASE("a fault takes part as often as it was told to") {
  Faults faults;
  REQUIRE(faults.add({{"kind", "status"}, {"status", 503}, {"times", 2}}));
  CHECK(faults.spend("GET", "/v1/customers").status == 503);
  CHECK(faults.spend("GET", "/v1/customers").status == 503);
  CHECK_FALSE(faults.spend("GET", "/v1/customers").status);
}

TEST_CASE("a fault without a number lasts until it is cleared") {
  Faults faults;
  REQUIRE(faults.add({{"kind", "close"}}));
  for (int i = 0; i < 10; ++i) CHECK(faults.spend("GET", "/").close_before);
  faults.clear();
  CHECK_FALSE(faults.spend("GET", "/").close_before);
}

TEST_CASE("a fault for one path and method leaves the others alone and unspent") {
  Faults faults;
  REQUIRE(faults.add(
      {{"kind", "status"}, {"status", 500}, {"path", "/apps"}, {"method", "PATCH"}, {"times", 1}}));
  CHECK_FALSE(faults.spend("GET", "/apps/a/config-vars").status);
  CHECK_FALSE(faults.spend("PATCH", "/account").status);
  CHECK(faults.spend("PATCH", "/apps/a/config-vars").status == 500);
}

TEST_CASE("delays add to whatever decides the answer, and only one fault decides it") {
  Faults faults;
  REQUIRE(faults.add({{"kind", "delay"}, {"milliseconds", 20}}));
  REQUIRE(faults.add({{"kind", "status"}, {"status", 429}, {"times", 1}}));
  REQUIRE(faults.add({{"kind", "close"}, {"after", true}, {"times", 1}}));
  const Verdict first = faults.spend("GET", "/");
  CHECK(first.delay.count() == 20);
  CHECK(first.status == 429);
  CHECK_FALSE(first.close_after);
  CHECK(faults.spend("GET", "/").close_after);
}

TEST_CASE("a fault that makes no sense is refused") {
  Faults faults;
  CHECK_FALSE(faults.add({{"kind", "earthquake"}}));
  CHECK_THROWS_AS(faults.add({{"kind", "status"}, {"status", 42}}), std::invalid_argument);
  CHECK_THROWS_AS(faults.add({{"kind", "delay"}, {"milliseconds", -1}}), std::invalid_argument);
  CHECK_THROWS_AS(faults.add({{"kind", "delay"}, {"milliseconds", "long"}}), std::invalid_argument);
  CHECK_THROWS_AS(faults.add({{"kind", "close"}, {"times", 0}}), std::invalid_argument);
}
