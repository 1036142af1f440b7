// What the steps of the way forth (decide.cpp) and of the way back (way_back.cpp) share. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands/rotation/decide.h"

namespace keyturn::commands::rotation {

using Step = std::optional<Decision>;  // nothing: this step is done, go on to the next
using StepFunction = Step (*)(const State&, TimePoint);

// The first step of the procedure that isn't done says what is to be done.
template <typename Procedure>
Decision first_of(const Procedure& procedure, const State& state, TimePoint now) {
  for (const StepFunction step : procedure) {
    if (auto decision = step(state, now)) return *std::move(decision);
  }
  return {.done = true};
}

Decision record(std::vector<Event> events);
Decision wait();
Decision wait_until(TimePoint time);
Decision end(const std::string& outcome);
Action plain(ActionKind kind);

// Asks for `action`, again after failures that may pass, until the time for retries is over.
Decision attempt(const State& state, TimePoint now, const Action& action);
// Several at once: conclusions of any come first, then everything that can run, then the earliest wake-up.
Decision attempt_all(const State& state, TimePoint now, const std::vector<Action>& actions);

// What to do when the key that is everywhere is dead and nothing leads back.
std::string to_a_fresh_key(const State& state);
// A reminder before the deadline: an hour for the usual day, a quarter of a short grace.
TimePoint reminder_at(const State& state);

// Over already, or given up before anything changed.
Step finish(const State& state, TimePoint now);
// Something went wrong after the new key existed.
Step wait_for_a_person(const State& state, TimePoint now);
// The secret store holds the key of this leg.
Step store(const State& state, TimePoint now);
// Every consumer runs with it: the canary first; the others, together, only once every dyno of the canary
// does. Those that the store's own sync changes are followed from the start.
Step propagate(const State& state, TimePoint now);
// Logs and the billing endpoint, for the watch time.
Step verify(const State& state, TimePoint now);

}  // namespace keyturn::commands::rotation
