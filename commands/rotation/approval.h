// A second person, where the target asks for one (second_approver): a routine rotation waits for another
// superadmin before any link is sent, a way back before anything is put back. A leak waits for nobody: it
// goes on without, and everybody hears of it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "commands/rotation/steps.h"
#include "commands/rotation/way_back.h"

namespace keyturn::commands::rotation {

// Why an approval of a rotation lapses: whoever approved before has given the rotation back since.
inline constexpr std::string_view kNotNeeded = "no approval is needed any more";

// The approval that is waited for, or null.
const Approval* waiting_approval(const State& state);
// The newest one that was given for that, or null.
const Approval* given_approval(const State& state, std::string_view of);

// What the audit entry says of one that was given.
nlohmann::json approval_context(const Approval& given);

// No link may be sent: nobody has approved, or who has is the operator by now and may not do both.
bool needs_approval(const State& state);

// Why that person can't give the approval that is waited for; nothing: they can.
std::optional<Obstacle> may_not_approve(const State& state, const std::string& user);
// Why that person can't become the operator; nothing: they can. Whoever approved must not bring the new key.
// With a key there the machine goes on, and for another key another approval is asked for.
std::optional<Obstacle> may_not_take_over(const State& state, const std::string& user);

// The step of the way forth.
Step second_person(const State& state, TimePoint now);
// What goes on beside the steps: an approval of the way back, which changes nothing before it is given, one
// of a rotation that needs it no more, and the news of a leak that went on without one.
Decision approvals_beside(const State& state, TimePoint now);

}  // namespace keyturn::commands::rotation
