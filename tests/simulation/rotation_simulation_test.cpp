// Thousands of rotations, each with a seed. KEYTURN_SEEDS=100000 plays more of them; KEYTURN_SEED=42 plays
// that one alone.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "tests/simulation/rotation_simulation.h"

namespace keyturn::test {
namespace {

std::optional<std::uint64_t> from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever the world does, a rotation keeps its promises and ends or waits for a person") {
  const auto only = from_environment("KEYTURN_SEED");
  const std::uint64_t first = only.value_or(1);
  const std::uint64_t last = only ? *only : from_environment("KEYTURN_SEEDS").value_or(2000);
  std::map<std::string, int> endings;
  int crashes = 0, halts = 0, rejections = 0, barred = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    RotationSimulation simulation(seed);
    try {
      simulation.run();
    } catch (const std::exception& violation) {
      FAIL("KEYTURN_SEED=" << seed << ": " << violation.what());
    }
    ++endings[simulation.ending()];
    crashes += simulation.crashes;
    halts += simulation.halts;
    rejections += simulation.rejections;
    barred += simulation.barred;
  }
  std::string counted;
  for (const auto& [ending, count] : endings) counted += ending + " " + std::to_string(count) + ", ";
  WARN("ended: " << counted << "crashes " << crashes << ", halts " << halts << ", rejections " << rejections
                 << ", rollbacks barred " << barred);
  if (only || last < 1000) return;
  // A simulation that never gets into trouble would prove nothing.
  for (const char* ending : {"rotated", "rolled_back", "refused", "cancelled"}) CHECK(endings[ending] > 0);
  CHECK(crashes > 0);
  CHECK(halts > 0);
  CHECK(rejections > 0);
}

TEST_CASE("in a calm world every rotation closes with the old key proven dead") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RotationSimulation simulation(seed, /*calm=*/true);
    simulation.run();
    INFO("seed " << seed);
    CHECK(simulation.ending() == "rotated");
    CHECK(simulation.halts == 0);
    CHECK(simulation.state().proven_dead_at);
  }
}

}  // namespace keyturn::test
