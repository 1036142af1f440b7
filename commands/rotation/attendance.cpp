#include "commands/rotation/attendance.h"

#include <algorithm>

namespace keyturn::commands::rotation {
namespace {

// A leak waits for nobody, and an outage neither.
Duration patience(const State& s, Duration duration) {
  return s.compromise || s.recovery() ? duration / 3 : duration;
}

TimePoint checks_done(const State& s) {
  TimePoint done = s.started_at;
  const auto later = [&done](TimePoint at) { done = std::max(done, at); };
  if (s.operator_check) later(s.operator_check->at);
  if (s.billing_before) later(s.billing_before->at);
  for (const auto& [app, seen] : s.inspected) later(seen.at);
  for (const auto& [purpose, probed] : s.probed) later(probed.at);
  // Until then the operator could do nothing.
  for (const Approval& approval : s.approvals) {
    if (approval.given && approval.asked.event.of == kOfRotation) later(approval.given->at);
  }
  return std::max(done, s.operator_since());
}

// Each wait is one of a link, or of the boxes before any link, and of one operator.
bool nudged(const State& s, std::string_view why) {
  return std::ranges::any_of(s.nudges, [&](const auto& nudge) {
    return nudge.event.why == why && nudge.event.link == s.forms && nudge.at > s.operator_since();
  });
}

// The last page of this wait, or nothing.
const Happened<OthersPaged>* last_page(const State& s) {
  const auto about_operator = [](const auto& page) { return page.event.approval == 0; };
  const auto last = std::ranges::find_if(s.pages.rbegin(), s.pages.rend(), about_operator);
  if (last == s.pages.rend()) return nullptr;
  return last->event.link == s.forms && last->at > s.operator_since() ? &*last : nullptr;
}

struct Nudge {
  std::string_view why;
  TimePoint at, until;  // afterwards something else is worth saying
};

struct Plan {
  std::vector<Nudge> nudges;
  TimePoint page;
};

Plan plan(const State& s) {
  const Timing& timing = s.target.timing;
  const Duration page_after = patience(s, timing.page_after);
  if (!s.confirmed_at) {
    const TimePoint nudge = checks_done(s) + patience(s, timing.nudge_after);
    return {.nudges = {{kBoxesUnticked, nudge, TimePoint::max()}}, .page = nudge + page_after};
  }
  const TimePoint expires = s.form->issued.expires_at;
  const TimePoint before = expires - std::min(timing.nudge_before, timing.form_life / 3);
  Plan plan{.nudges = {{kLinkExpired, expires, TimePoint::max()}}, .page = expires + page_after};
  const bool locked = s.form->refused_pastes >= kPasteAttempts;
  if (!locked) plan.nudges.push_back({kLinkExpiring, before, expires});
  return plan;
}

Decision watch_unattended(const State& s, TimePoint now, const Happened<OthersPaged>& page) {
  if (dead(page.event.old_key)) return {};  // said, and it gets no better by itself
  const auto& checked = s.old_key_checked;
  // A page in the future was written by a clock that has been set back since: what was checked counts as
  // newer.
  const bool newer = checked && (checked->at > page.at || page.at > now);
  const bool news = newer && dead(checked->event.old_key);
  if (news) return keep_trying(s, now, ActionKind::page_others);
  const TimePoint last = newer ? checked->at : page.at;
  const TimePoint next = due_again(last, s.target.timing.unattended_every, now);
  if (std::max(next, now) > page.at + kLongestGrace) return {};
  if (now < next) return {.wake = next};
  return keep_trying(s, now, ActionKind::check_old_key);
}

}  // namespace

Decision keep_trying(const State& s, TimePoint now, ActionKind kind) {
  const Action action{kind, {}};
  const auto tries = s.tries.find(action);
  if (tries == s.tries.end()) return {.act = {action}};
  // Each time twice as patient as before.
  const Timing& timing = s.target.timing;
  const Duration pause = timing.retry_every * (1 << std::min(tries->second.count - 1, 10));
  const TimePoint again = due_again(
      tries->second.last, std::min(pause, std::max(timing.retry_every, timing.unattended_every)), now);
  if (now < again) return {.wake = again};
  return {.act = {action}};
}

bool died_unattended(const State& s) {
  if (s.received) return false;
  const bool paged = !s.pages.empty() && dead(s.pages.back().event.old_key);
  return paged || (s.old_key_checked && dead(s.old_key_checked->event.old_key));
}

Decision await_approver(const State& s, TimePoint now) {
  const int number = static_cast<int>(s.approvals.size());
  const auto& asked = s.approvals.back().asked;
  const auto about_it = [number](const auto& one) { return one.event.approval == number; };
  const TimePoint nudge = asked.at + patience(s, s.target.timing.nudge_after);
  const TimePoint page = nudge + patience(s, s.target.timing.page_after);
  if (std::ranges::none_of(s.nudges, about_it)) {
    if (now < nudge) return {.wake = nudge};
    return {.record = {OperatorNudged{std::string(kNotApproved), s.forms, number}}};
  }
  const auto paged = std::ranges::find_if(s.pages.rbegin(), s.pages.rend(), about_it);
  if (paged != s.pages.rend()) {
    // The old key of a way back has a deadline of its own, which everybody knows.
    return asked.event.of == kOfRollback ? Decision{} : watch_unattended(s, now, *paged);
  }
  if (now > page + kLongestGrace) return {};
  if (now < page) return {.wake = page};
  return keep_trying(s, now, ActionKind::page_others);
}

Decision await_rescue(const State& s, TimePoint now) {
  if (const auto* page = last_page(s)) return watch_unattended(s, now, *page);
  const TimePoint page = s.halted->at + patience(s, s.target.timing.page_after);
  if (now > page + kLongestGrace) return {};
  if (now < page) return {.wake = page};
  return keep_trying(s, now, ActionKind::page_others);
}

Decision await_operator(const State& s, TimePoint now) {
  const Plan planned = plan(s);
  std::optional<TimePoint> wake;
  const auto look_again = [&](TimePoint at) { wake = std::min(wake.value_or(at), at); };
  for (const Nudge& nudge : planned.nudges) {
    if (nudged(s, nudge.why) || now >= nudge.until) continue;
    if (now >= nudge.at) return {.record = {OperatorNudged{std::string(nudge.why), s.forms}}};
    look_again(nudge.at);
  }
  if (const auto* page = last_page(s)) return watch_unattended(s, now, *page);
  if (now > planned.page + kLongestGrace) return {.wake = wake};
  if (now >= planned.page) return keep_trying(s, now, ActionKind::page_others);
  look_again(planned.page);
  return {.wake = wake};
}

}  // namespace keyturn::commands::rotation
