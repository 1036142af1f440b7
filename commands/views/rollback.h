// The way back, in words: by hand today, barred under compromise, gone with the old key.
#pragma once

#include <string>

#include "commands/rotation/state.h"

namespace keyturn::commands::views {

// Whether the old key may be put back, and how; mrkdwn.
std::string rollback_guide(const rotation::State& state, storage::TimePoint now);

}  // namespace keyturn::commands::views
