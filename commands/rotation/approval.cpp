#include "commands/rotation/approval.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "commands/json.h"
#include "commands/rotation/attendance.h"

namespace keyturn::commands::rotation {
namespace {

bool of_rotation(const Approval& approval) { return approval.asked.event.of == kOfRotation; }

bool was_operator(const State& s, const std::string& user) {
  return s.operator_id == user || std::ranges::any_of(s.handovers, [&](const auto& handover) {
           return handover.event.from == user || handover.event.to == user;
         });
}

Decision await_way_back(const State& s, TimePoint now) {
  if (const auto obstacle = no_way_back(s, now)) return record({ApprovalLapsed{obstacle->sentence}});
  Decision waits = await_approver(s, now);
  // The first moment at which it is too late; sooner or later with every app that is done.
  const TimePoint too_late = *s.old_key_deadline() - way_back_takes(s) + Duration(1);
  waits.wake = std::min(waits.wake.value_or(too_late), too_late);
  return waits;
}

}  // namespace

const Approval* waiting_approval(const State& s) {
  const bool over = !s.live() || s.cancelled_at || s.refused;
  return over || s.approvals.empty() || !s.approvals.back().waits() ? nullptr : &s.approvals.back();
}

const Approval* given_approval(const State& s, std::string_view of) {
  const auto given = std::ranges::find_if(s.approvals.rbegin(), s.approvals.rend(), [of](const auto& one) {
    return one.given && one.asked.event.of == of;
  });
  return given == s.approvals.rend() ? nullptr : &*given;
}

nlohmann::json approval_context(const Approval& given) {
  return {{"asked_by", given.asked.event.by},
          {"asked_at", given.asked.at},
          {"approved_by", given.given->event.by},
          {"approved_at", given.given->at}};
}

bool needs_approval(const State& s) {
  if (!s.target.second_approver || s.compromise || s.received) return false;
  const Approval* given = given_approval(s, kOfRotation);
  return given == nullptr || given->given->event.by == s.operator_id;
}

std::optional<Obstacle> may_not_approve(const State& s, const std::string& user) {
  const Approval* waiting = waiting_approval(s);
  if (waiting == nullptr)
    return Obstacle{"nothing_to_approve",
                    "This approval is settled already; the button no longer does anything."};
  if (of_rotation(*waiting) && !needs_approval(s))
    return Obstacle{"nothing_to_approve",
                    "No approval is needed any more; the button no longer does anything."};
  if (waiting->asked.event.by == user)
    return Obstacle{"own_request",
                    "You asked for it yourself: another superadmin has to approve or decline."};
  if (of_rotation(*waiting) && was_operator(s, user)) {
    return Obstacle{"was_operator",
                    "You are or were the operator of this rotation: the second person has to be another "
                    "superadmin."};
  }
  return std::nullopt;
}

std::optional<Obstacle> may_not_take_over(const State& s, const std::string& user) {
  const Approval* given = given_approval(s, kOfRotation);
  if (s.received || given == nullptr || given->given->event.by != user) return std::nullopt;
  return Obstacle{
      "approver",
      fmt::format(
          "Whoever approved a rotation can't become its operator, because one person must not do both: "
          "another superadmin can. If there is nobody and the key is dying: `/rotate cancel {}`, then "
          "`/rotate {} --compromise`, which waits for no approval and tells every superadmin.",
          s.target.name(), s.target.name())};
}

Step second_person(const State& s, TimePoint now) {
  if (!s.target.second_approver || s.received) return std::nullopt;
  if (s.compromise) {
    if (s.approval_bypassed) return std::nullopt;
    return record({ApprovalBypassed{s.operator_id}});
  }
  if (!needs_approval(s)) return std::nullopt;
  if (waiting_approval(s) == nullptr)
    return record({ApprovalRequested{.of = std::string(kOfRotation), .by = s.operator_id}});
  return await_approver(s, now);
}

Decision approvals_beside(const State& s, TimePoint now) {
  // A rotation that waits for a person may wait for months; the key that leaked does not.
  const bool untold = s.approval_bypassed && !s.bypass_told;
  if (untold && now <= s.approval_bypassed->at + kLongestGrace)
    return keep_trying(s, now, ActionKind::find_superadmins);
  const Approval* waiting = waiting_approval(s);
  if (waiting == nullptr) return {};
  if (!of_rotation(*waiting)) return await_way_back(s, now);
  if (needs_approval(s)) return {};  // a step of its own
  return record({ApprovalLapsed{std::string(kNotNeeded)}});
}

}  // namespace keyturn::commands::rotation
