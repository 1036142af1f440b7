#include "commands/touched.h"

#include <algorithm>

namespace keyturn::commands {

using rotation::State;
using storage::TimePoint;

namespace {

bool was_operator_of(const State& s, const std::string& person) {
  return s.operator_id == person || std::ranges::any_of(s.handovers, [&](const auto& handover) {
           return handover.event.from == person || handover.event.to == person;
         });
}

// With the approvals and the ways back that they asked for.
bool had_a_say_in(const State& s, const std::string& person) {
  const bool approvals = std::ranges::any_of(s.approvals, [&](const rotation::Approval& approval) {
    return approval.asked.event.by == person || (approval.given && approval.given->event.by == person) ||
           (approval.declined && approval.declined->event.by == person);
  });
  return approvals || (s.rollback && s.rollback->event.by == person);
}

// The steps were shown, and the rotation ended without a key: it may have been made all the same. In a
// recovery each operator who saw them may have made one of their own, whatever key came in the end.
std::optional<TimePoint> unseen(const State& s, const std::string& person) {
  const bool passed_on = s.recovery() && s.forms > 0 && s.operator_id != person;
  if (!passed_on && (s.forms == 0 || !s.keys_seen.empty())) return std::nullopt;
  return s.closed ? s.closed->at : s.last_event_at;
}

// Brought later, and made before that was over: whoever saw the steps then may have made it.
bool may_be_of(const State& s, TimePoint unseen_since) {
  if (!s.received || s.received->at <= unseen_since) return false;
  return s.recovery() ||
         s.received->event.rotated_at <= unseen_since;  // when a fresh key was made, nobody says
}

}  // namespace

std::map<std::string, Touched> touched_by(const std::string& person, const Rotations& rotations) {
  std::map<std::string, Touched> found;
  std::map<std::string, std::vector<TimePoint>> unseen_at;
  for (const auto& state : rotations) {
    const bool was_operator = was_operator_of(*state, person);
    if (!was_operator && !had_a_say_in(*state, person)) continue;
    Touched& touched = found[state->target.name()];
    touched.provider = state->target.provider;
    touched.environment = state->target.environment;
    touched.how.insert(was_operator ? "operator" : "approver");
    (was_operator ? touched.handled : touched.approved)
        .insert(state->keys_seen.begin(), state->keys_seen.end());
    if (!was_operator) continue;
    touched.master_key = touched.master_key || state->master_keys_pasted > 0;
    if (const auto at = unseen(*state, person)) {
      touched.fresh_unseen = touched.fresh_unseen || state->recovery();
      touched.unseen_since = std::max(touched.unseen_since.value_or(*at), *at);
      unseen_at[state->target.name()].push_back(*at);
    }
  }
  for (const auto& state : rotations) {
    const auto times = unseen_at.find(state->target.name());
    if (times == unseen_at.end()) continue;
    if (std::ranges::any_of(times->second, [&](TimePoint at) { return may_be_of(*state, at); }))
      found[state->target.name()].handled.insert(state->received->event.fingerprint);
  }
  return found;
}

std::optional<TimePoint> proven_dead(const std::string& target, const std::string& fingerprint,
                                     const Rotations& rotations) {
  for (const auto& state : rotations) {
    const bool its_old_key = state->current && state->current->event.fingerprint == fingerprint;
    if (its_old_key && state->proven_dead_at && state->target.name() == target) return state->proven_dead_at;
  }
  return std::nullopt;
}

}  // namespace keyturn::commands
