// The fold of the journal at the start, entry by entry.
#include "commands/rotation/replay.h"

#include <catch2/catch.hpp>

#include "tests/unit/commands/desk_fixture.h"

namespace keyturn::test {
namespace {

// Two rotations whose entries alternate: the first is over, the second goes on.
struct TwoRotations : DeskFixture {
  TwoRotations() {
    auto other = sample_target();
    other.environment = "staging";
    first = start();
    second = start(other);
    for (const auto& event : checks()) {
      happens(first, {event});
      happens(second, {event});
    }
    happens(first, {ActionStarted{{ActionKind::store_key, ""}}});
    happens(second, {ActionStarted{{ActionKind::store_key, ""}}});
    happens(first, {Closed{.outcome = "rotated"}});
  }

  std::string first, second;
};

const State& with_id(const std::vector<std::shared_ptr<State>>& states, const std::string& id) {
  for (const auto& state : states) {
    if (state->id == id) return *state;
  }
  throw std::runtime_error("no rotation " + id);
}

}  // namespace

TEST_CASE("rotations whose entries alternate are told apart, oldest first") {
  const TwoRotations past;
  const auto states = past.journal.replayed(past.clock.time);
  REQUIRE(states.size() == 2);
  CHECK(states[0]->id < states[1]->id);
  const State& first = with_id(states, past.first);
  CHECK(first.closed->event.outcome == "rotated");
  CHECK(first.target.environment == "prod");
  const State& second = with_id(states, past.second);
  CHECK_FALSE(second.closed);
  CHECK(second.target.environment == "staging");
  CHECK(second.in_flight.contains({ActionKind::store_key, {}}));
}

TEST_CASE("what was under way is folded for a day after the end, then no longer; the outcome is always") {
  TwoRotations past;
  const auto soon = past.journal.replayed(past.clock.time + kUntoldFor);
  CHECK(with_id(soon, past.first).in_flight.contains({ActionKind::store_key, {}}));
  const auto later = past.journal.replayed(past.clock.time + kUntoldFor + 1ms);
  CHECK_FALSE(with_id(later, past.first).in_flight.contains({ActionKind::store_key, {}}));
  CHECK(with_id(later, past.first).closed->event.outcome == "rotated");
  CHECK(with_id(later, past.second).in_flight.contains({ActionKind::store_key, {}}));
}

TEST_CASE("entries that come after the end are folded too, and its messages only while they may matter") {
  TwoRotations past;
  past.happens(past.first, {MessagePosted{.slot = "late", .ts = "1.0"}, ProvenDead{}});
  const auto soon = past.journal.replayed(past.clock.time);
  CHECK(with_id(soon, past.first).messages.contains("late"));
  CHECK(with_id(soon, past.first).proven_dead_at);
  const auto later = past.journal.replayed(past.clock.time + kUntoldFor + 1ms);
  CHECK_FALSE(with_id(later, past.first).messages.contains("late"));
  CHECK(with_id(later, past.first).proven_dead_at);
}

TEST_CASE("an event that this program doesn't know stops the replay") {
  const TwoRotations past;
  Replay replay(past.clock.time);
  auto entry = past.journal.written.back();
  entry.type = "secret.rotate.of.tomorrow";
  REQUIRE(entry.rotation == past.first);
  for (const auto& each : past.journal.written) replay.add(each);
  CHECK_THROWS_WITH(replay.add(entry), Catch::Contains("secret.rotate.of.tomorrow"));
}

}  // namespace keyturn::test
