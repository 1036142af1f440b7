// The progress of a rotation for the page that handed the key over, so that the operator can follow it there,
// also while Slack is down. Pure.
#pragma once

#include "commands/form_desk.h"
#include "commands/rotation/state.h"

namespace keyturn::commands::views {

FormProgress form_progress(const rotation::State& state, storage::TimePoint now);

}  // namespace keyturn::commands::views
