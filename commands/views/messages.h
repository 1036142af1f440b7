// What people see of a rotation, as a pure function of its state: which messages there should be, where, and
// what they say. A live message is edited in place as the rotation goes; the others are posted once.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "commands/form_desk.h"
#include "commands/rotation/state.h"

namespace keyturn::commands::views {

enum class Place { operator_dm, team_channel, person };

struct Message {
  std::string slot;  // names it in the journal: "dm_status", "channel_summary"
  Place place{};
  bool live = false;
  std::string text;  // for notifications and screen readers
  nlohmann::json blocks;
  std::string person = {};  // whose direct message, with Place::person
};

// A message that is posted once and stays as it is.
Message once(std::string slot, Place place, std::string text, nlohmann::json blocks);

// The alarm about a master key that was seen outside of any rotation. `where`: "found in Infisical", as
// mrkdwn.
Message master_key_seen(const std::string& where);

// In the order in which they belong into the channel and the DM.
std::vector<Message> messages_for(const rotation::State& state, storage::TimePoint now);

// When a live message will look different although nothing happened (a progress bar).
std::optional<storage::TimePoint> next_change(const rotation::State& state, storage::TimePoint now);

// The DM with the dashboard steps, the link and its code. Not among messages_for, because the link exists
// only once.
Message instructions(const rotation::State& state, const Invitation& invitation);
// The same message once the link in it leads nowhere any more.
Message instructions_done(const rotation::State& state);

// Where it stands, in a few words, and what that means for billing right now.
std::string headline(const rotation::State& state, storage::TimePoint now);
std::string billing_now(const rotation::State& state);

// The words of the boxes that the operator ticks.
std::vector<std::string> confirmations(const rotation::State& state);

inline constexpr std::string_view kReady = "rotation_ready";
inline constexpr std::string_view kNewLink = "rotation_new_link";
inline constexpr std::string_view kRetry = "rotation_retry";
inline constexpr std::string_view kCancel = "rotation_cancel";
inline constexpr std::string_view kPrerequisites = "prerequisites";
inline constexpr std::string_view kConfirmations = "confirmations";
inline constexpr std::string_view kReason = "reason";

}  // namespace keyturn::commands::views
