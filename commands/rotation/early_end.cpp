#include "commands/rotation/early_end.h"

#include <algorithm>

#include "commands/rotation/attendance.h"

namespace keyturn::commands::rotation {
namespace {

// Somebody is about to click; after that, whenever a waiting operator's key would be looked at.
constexpr Duration kClickExpected = std::chrono::hours(1);

}  // namespace

bool may_end_early(const State& s) {
  if (!s.expiry_checked || !s.received) return false;
  const ExpiryChecked& checked = s.expiry_checked->event;
  return checked.strays.empty() && checked.stored_fingerprint == s.received->event.fingerprint;
}

bool ended_early(const State& s) {
  return s.expiry_requested_at && s.old_key_deleted() && !s.old_key_died_early();
}

Decision await_early_end(const State& s, TimePoint now) {
  if (!s.expiry_requested_at) return {};
  if (!s.expiry_checked) return keep_trying(s, now, ActionKind::check_expiry);
  // Also when the check advises against it: whoever clicks all the same is noticed.
  const Timing& timing = s.target.timing;
  const TimePoint since = s.expiry_checked->at;
  const Duration every = now < since + kClickExpected ? timing.proof_every
                                                      : std::max(timing.proof_every, timing.unattended_every);
  // `since` in the future: the clock has been set back since, and what was asked counts.
  const bool asked = s.old_key_checked && (s.old_key_checked->at >= since || since > now);
  const TimePoint next = asked ? due_again(s.old_key_checked->at, every, now) : std::min(since, now);
  if (now < next) return {.wake = next};
  return keep_trying(s, now, ActionKind::check_old_key);
}

}  // namespace keyturn::commands::rotation
