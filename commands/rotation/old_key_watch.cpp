#include "commands/rotation/old_key_watch.h"

#include <algorithm>

#include "commands/rotation/attendance.h"

namespace keyturn::commands::rotation {
namespace {

// Looks in a whole grace, once every app runs on the new key: then it is news, and no outage.
constexpr int kLooksInGrace = 12;

bool concerns_somebody(const State& s, TimePoint now) {
  if (!s.received || !s.live() || s.cancelled_at || s.recovery()) return false;
  // Each of these asks for itself: the way back, an early end, the proof.
  if (s.rollback || s.expiry_requested_at || !s.proofs.empty()) return false;
  if (s.old_key_found_dead() || s.old_key_died_early()) return false;
  return s.completed ? now < *s.old_key_deadline() : now < *s.old_key_deadline() + kLongestGrace;
}

// The validation asks as well, but it may stop before it gets an answer.
TimePoint last_look(const State& s) {
  const auto validated = s.probed.find(ActionKind::probe_old_again);
  const TimePoint first = validated == s.probed.end() ? s.received->at : validated->second.at;
  return s.old_key_checked ? std::max(first, s.old_key_checked->at) : first;
}

TimePoint next_look(const State& s, TimePoint now) {
  const Timing& timing = s.target.timing;
  const TimePoint last = last_look(s);
  if (s.old_key_refusals > 0) return due_again(last, timing.retry_every, now);  // one answer may be a slip
  const Duration pause =
      s.completed ? std::max(timing.unattended_every, s.received->event.grace_chosen / kLooksInGrace)
                  : timing.unattended_every;
  const TimePoint next = due_again(last, pause, now);
  const TimePoint end = *s.old_key_deadline() + timing.proof_after;
  return !s.completed && last < end ? std::min(next, std::max(end, now)) : next;
}

}  // namespace

Decision watch_old_key(const State& s, TimePoint now) {
  if (!concerns_somebody(s, now)) return {};
  const TimePoint next = next_look(s, now);
  if (now < next) return {.wake = next};
  return keep_trying(s, now, ActionKind::check_old_key);
}

}  // namespace keyturn::commands::rotation
