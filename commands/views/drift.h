// A drift's one message: what was found, what it means for billing, the button that puts it right, and how it
// ended. Pure.
#pragma once

#include <string>
#include <vector>

#include "commands/drift.h"
#include "commands/views/messages.h"

namespace keyturn::commands::views {

// `people` are named where billing is likely down.
Message drift_message(const Drift& drift, const HeldKey& held, const std::vector<std::string>& people,
                      storage::TimePoint now);

inline constexpr std::string_view kRepair = "drift_repair";  // value: the drift's id

}  // namespace keyturn::commands::views
