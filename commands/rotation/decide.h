// The procedure, as one pure function: from what has happened and what time it is, to what comes next. No
// clock, no I/O, no coroutine. Read `kProcedure` in decide.cpp from top to bottom: it is the operators'
// written procedure.
#pragma once

#include <optional>
#include <vector>

#include "commands/rotation/state.h"

namespace keyturn::commands::rotation {

struct Decision {
  // Conclusions to put into the journal before anything else is decided.
  std::vector<Event> record;
  // What should be going on now; what is already running is left running.
  std::vector<Action> act;
  // When to ask again if nothing happens before.
  std::optional<TimePoint> wake;
  // Nothing is left to do, ever.
  bool done = false;
};

Decision decide(const State& state, TimePoint now);

// When what last happened at `last` is due again. A `last` in the future was written by a clock that has been
// set back since: waiting for it could take days, so it is due now.
TimePoint due_again(TimePoint last, Duration pause, TimePoint now);

// What a person would call the stage that the rotation is in.
enum class Stage {
  checking,
  awaiting_approval,
  awaiting_operator,
  awaiting_key,
  validating,
  storing,
  propagating,
  verifying,
  grace,
  proving,
  rolling_back,
  rolled_back,
  halted,
  closed
};
Stage stage_of(const State& state, TimePoint now);
std::string_view name_of(Stage stage);

}  // namespace keyturn::commands::rotation
