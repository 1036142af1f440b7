// The old key's end before its deadline (/rotate expire-now): first a check that nothing holds it any more,
// then looking until a person's click in the dashboard has ended it. The proof begins as soon as it is dead.
// Pure.
#pragma once

#include "commands/rotation/decide.h"

namespace keyturn::commands::rotation {

// What to do about it now; nothing while nobody asked for it.
Decision await_early_end(const State& state, TimePoint now);

// A person wanted it ended, and since then it was found dead.
bool ended_early(const State& state);

// Whether the check found that the old key is in nobody's hands: the secret store and every app hold the new
// one.
bool may_end_early(const State& state);

}  // namespace keyturn::commands::rotation
