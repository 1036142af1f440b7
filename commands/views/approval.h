// What is said about a second person: what is to be approved, who did it, that nobody comes, and to everybody
// that a leak went on without. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/views/messages.h"

namespace keyturn::commands::views {

std::vector<Message> approval_messages(const rotation::State& state, storage::TimePoint now);

// Number `number` of the pages, when it is about an approval.
Message approval_page(const rotation::State& state, const rotation::OthersPaged& page, storage::TimePoint at,
                      std::size_t number);

// "approved by @grace at ...", "without an approval, because of the suspected leak"; empty: none was asked
// for.
std::string approved_in_words(const rotation::State& state, std::string_view of);

inline constexpr std::string_view kApprove = "rotation_approve";
inline constexpr std::string_view kDecline = "rotation_decline";

// The buttons' value: which rotation, and which of its approvals; an older message must not approve what
// stands in a newer one.
std::string approval_value(const rotation::State& state, std::size_t number);
std::optional<std::pair<std::string, std::size_t>> read_approval_value(const std::string& value);

}  // namespace keyturn::commands::views
