// The old key between the paste and the proof: billing may depend on it, so it is looked at now and then. It
// may die before its time (another expiration was chosen than said, or somebody expired it), or a rotation
// may have stopped until after its time. Pure.
#pragma once

#include "commands/rotation/decide.h"

namespace keyturn::commands::rotation {

// What to ask, beside whatever else goes on; nothing where nobody needs to know.
Decision watch_old_key(const State& state, TimePoint now);

}  // namespace keyturn::commands::rotation
