// A recovery in words: the key in use is dead, and a fresh one takes its place.
#pragma once

#include <string>

#include "commands/rotation/state.h"
#include "commands/views/messages.h"

namespace keyturn::commands::views {

// What a fresh key has to be, step by step.
std::string steps_of_recovery(const rotation::State& state);

// The team hears at once why this is no rotation like the others.
Message dead_at_first(const rotation::State& state);

// Stripe takes the old key again.
Message works_again(const rotation::State& state);

}  // namespace keyturn::commands::views
