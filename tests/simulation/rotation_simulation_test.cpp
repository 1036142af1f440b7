// Thousands of rotations, each with a seed: of the pure procedure, and of the real runner on a machine that
// dies. KEYTURN_SEEDS=100000 plays more of them; KEYTURN_SEED=42 plays that one alone.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <map>

#include "tests/simulation/machine_simulation.h"
#include "tests/simulation/rotation_simulation.h"

namespace keyturn::test {
namespace {

std::optional<std::uint64_t> from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

struct Seeds {
  explicit Seeds(std::uint64_t usual)
      : only(from_environment("KEYTURN_SEED")),
        first(only.value_or(1)),
        last(only ? *only : from_environment("KEYTURN_SEEDS").value_or(usual)) {}
  std::optional<std::uint64_t> only;
  std::uint64_t first, last;
};

class Stopwatch {
 public:
  // "1234 a second"
  std::string rate(std::uint64_t count) const {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    return std::to_string(static_cast<std::uint64_t>(static_cast<double>(count) / took.count())) +
           " a second";
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string told(const std::map<std::string, int>& counts) {
  std::string text;
  for (const auto& [what, count] : counts) text += ", " + what + " " + std::to_string(count);
  return text;
}

}  // namespace

TEST_CASE("whatever the world does, a rotation keeps its promises and ends or waits for a person") {
  const Seeds seeds(2000);
  const Stopwatch watch;
  std::map<std::string, int> endings;
  int crashes = 0, halts = 0, rejections = 0, barred = 0;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    RotationSimulation simulation(seed);
    try {
      simulation.run();
    } catch (const std::exception& violation) {
      FAIL("KEYTURN_SEED=" << seed << ": " << violation.what());
    }
    ++endings[simulation.state().recovery() && simulation.ending() == "rotated" ? "recovered"
                                                                                : simulation.ending()];
    crashes += simulation.crashes;
    halts += simulation.halts;
    rejections += simulation.rejections;
    barred += simulation.barred;
  }
  WARN("seeds " << seeds.last - seeds.first + 1 << ", " << watch.rate(seeds.last - seeds.first + 1)
                << told(endings) << ", crashes " << crashes << ", halts " << halts << ", rejections "
                << rejections << ", rollbacks barred " << barred);
  if (seeds.only || seeds.last < 300) return;
  // A simulation that never gets into trouble would prove nothing.
  for (const char* ending : {"rotated", "recovered", "rolled_back", "refused", "cancelled"})
    CHECK(endings[ending] > 0);
  CHECK(crashes > 0);
  CHECK(halts > 0);
  CHECK(rejections > 0);
  CHECK(barred > 0);
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

TEST_CASE("whatever the machine does, nothing is lost and nothing is green that isn't") {
  const Seeds seeds(1000);
  const Stopwatch watch;
  std::map<std::string, int> endings;
  int deaths = 0, refusals = 0, duplicates = 0, effects = 0, by_hand = 0;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    MachineSimulation machine(seed);
    try {
      machine.run();
    } catch (const std::exception& violation) {
      FAIL("KEYTURN_SEED=" << seed << ": " << violation.what());
    }
    ++endings[machine.ending()];
    deaths += machine.deaths;
    refusals += machine.refusals;
    duplicates += machine.duplicates;
    effects += machine.effects;
    by_hand += machine.by_hand;
  }
  WARN("seeds " << seeds.last - seeds.first + 1 << ", " << watch.rate(seeds.last - seeds.first + 1)
                << told(endings) << ", crashes " << deaths << ", refused commits " << refusals
                << ", duplicates " << duplicates << ", effects " << effects << ", apps set by hand "
                << by_hand);
  if (seeds.only || seeds.last < 300) return;
  for (const char* ending : {"rotated", "rolled_back", "refused", "cancelled"}) CHECK(endings[ending] > 0);
  for (const int trouble : {deaths, refusals, duplicates, by_hand}) CHECK(trouble > 0);
}

TEST_CASE(
    "server errors everywhere for an hour inside a grace of one hour: the team is told, and no key is lost") {
  int rotated = 0, heard = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    MachineSimulation machine(seed, /*outage=*/1h);
    try {
      machine.run();
    } catch (const std::exception& violation) {
      FAIL("seed " << seed << ": " << violation.what());
    }
    const State& s = machine.state();
    if (!s.received) continue;
    REQUIRE(s.compromise);
    heard += s.halts > 0 || s.reminded ? 1 : 0;
    rotated += machine.ending() == "rotated" ? 1 : 0;
    // A machine that was down may have slept through the outage.
    if (machine.ending() == "rotated" && machine.deaths == 0)
      CHECK((s.halts > 0 || s.reminded || s.received->event.grace_chosen < 1h));
  }
  CHECK(rotated > 100);
  CHECK(heard > 100);
}

}  // namespace keyturn::test
