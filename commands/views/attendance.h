// What is said when an operator doesn't come or hands over, and when an old key is to be ended early. Pure.
#pragma once

#include <vector>

#include "commands/views/messages.h"

namespace keyturn::commands::views {

// In the order in which they were due.
std::vector<Message> attendance_messages(const rotation::State& state, storage::TimePoint now);

inline constexpr std::string_view kTakeOver = "rotation_take_over";

}  // namespace keyturn::commands::views
