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

// For a list: "*raxx-api-prod does not hold the stored key* since ..."; empty where every app does, as far as
// is known.
std::string drift_in_words(const Drifts& drifts, const std::string& target);

inline constexpr std::string_view kRepair = "drift_repair";  // value: the drift's id

}  // namespace keyturn::commands::views
