// The board of an offboarding: one message with a line for each target, edited as the rotations go. Pure.
#pragma once

#include <string>
#include <vector>

#include "commands/campaign.h"
#include "commands/views/messages.h"

namespace keyturn::commands::views {

Message board(const Campaign& campaign, const std::vector<BoardRow>& rows);

// How it ended; empty while it is open.
std::string conclusion(const Campaign& campaign, const std::vector<BoardRow>& rows);
// "done", "to do", ...
std::string_view in_words(RowState state);

inline constexpr std::string_view kOffboardRotate = "offboard_rotate";  // value: "ID/stripe prod"
inline constexpr std::string_view kOffboardEnd = "offboard_end";        // value: "ID"

}  // namespace keyturn::commands::views
