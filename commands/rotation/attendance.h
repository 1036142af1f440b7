// The operator who doesn't come: when to remind, when to page the other superadmins, and how often the old
// key is asked meanwhile. It may be dying: nobody knows whether "Rotate API key" was clicked. Pure.
#pragma once

#include "commands/rotation/decide.h"

namespace keyturn::commands::rotation {

// Why the operator was nudged.
inline constexpr std::string_view kBoxesUnticked = "boxes_unticked";
inline constexpr std::string_view kLinkExpiring = "link_expiring";
inline constexpr std::string_view kLinkExpired = "link_expired";
inline constexpr std::string_view kNotApproved = "not_approved";

// A grace ends at the latest so long after the click; an old key that lives then is not asked any more.
inline constexpr Duration kLongestGrace = std::chrono::days(7);

// What to do while the rotation waits for its operator: boxes, or the new key.
Decision await_operator(const State& state, TimePoint now);

// What to do while it is stopped, and no key has come: the operator may have clicked in the dashboard all the
// same.
Decision await_rescue(const State& state, TimePoint now);

// What to do while an approval is waited for; there is one.
Decision await_approver(const State& state, TimePoint now);

// Unlike a step of the procedure, an action beside it never gives up and never halts: it is asked for again.
Decision keep_trying(const State& state, TimePoint now, ActionKind kind);

// The current key was found dead while nobody brought a new one: billing fails.
bool died_unattended(const State& state);

}  // namespace keyturn::commands::rotation
