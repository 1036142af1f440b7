// The way back, for people: whether there is one, what it does, how it goes, and what is still to be done
// after it.
#pragma once

#include <string>
#include <vector>

#include "commands/views/blocks.h"
#include "commands/views/messages.h"

namespace keyturn::commands::views {

inline constexpr std::string_view kRollBack = "rotation_roll_back";

// What `/rotate rollback` answers: why there is no way back, and what helps instead; or what would be done.
std::string rollback_answer(const rotation::State& state, storage::TimePoint now);
// The button that begins it; only where there is a way back.
Button rollback_button(const rotation::State& state);

std::vector<Message> rollback_messages(const rotation::State& state, storage::TimePoint now);

// The old key dies at its deadline all the same: before it does, and when it has.
Message reminder_after_rollback(const rotation::State& state);

}  // namespace keyturn::commands::views
