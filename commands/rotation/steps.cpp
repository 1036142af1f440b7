#include "commands/rotation/steps.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "commands/rotation/attendance.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/syncs.h"

namespace keyturn::commands::rotation {

Decision record(std::vector<Event> events) { return {.record = std::move(events)}; }
Decision wait() { return {}; }
Decision wait_until(TimePoint time) { return {.wake = time}; }
Decision end(const std::string& outcome) { return record({Closed{.outcome = outcome}}); }

namespace {

// Before the new key exists nothing has changed, so giving up is safe; afterwards a person must decide.
Decision give_up(const State& s, const Action& action, const std::string& reason) {
  if (!s.received && s.forms == 0) {
    return record({Refused{.code = "check_failed",
                           .sentence = fmt::format("While {}: {}.", in_words(action), reason)}});
  }
  return record(
      {Halted{.action = action, .sentence = fmt::format("while {}: {}", in_words(action), reason)}});
}

}  // namespace

Decision attempt(const State& s, TimePoint now, const Action& action) {
  const auto tries = s.tries.find(action);
  if (tries == s.tries.end()) return {.act = {action}};
  const Tries& failed = tries->second;
  if (!failed.failure.can_retry || failed.last - failed.first > s.target.timing.retry_limit) {
    return give_up(s, action, failed.failure.reason);
  }
  const TimePoint again = due_again(failed.last, s.target.timing.retry_every, now);
  if (now < again) return wait_until(again);
  return {.act = {action}};
}

Decision attempt_all(const State& s, TimePoint now, const std::vector<Action>& actions) {
  Decision all;
  for (const Action& action : actions) {
    Decision one = attempt(s, now, action);
    if (!one.record.empty()) return one;
    all.act.insert(all.act.end(), one.act.begin(), one.act.end());
    if (one.wake) all.wake = std::min(all.wake.value_or(*one.wake), *one.wake);
  }
  return all;
}

Action plain(ActionKind kind) { return {kind, {}}; }

Step finish(const State& s, TimePoint) {
  if (s.closed) return Decision{.done = true};
  if (s.refused) return end("refused");
  if (s.cancelled_at) return end(s.received ? "given_up" : "cancelled");
  return std::nullopt;
}

// One message may be overlooked, and the old key dies all the same: the team hears of it again before it
// does.
Step wait_for_a_person(const State& s, TimePoint now) {
  if (!s.halted) return std::nullopt;
  if (!s.received) return await_rescue(s, now);
  if (s.reminded || now >= *s.old_key_deadline()) return wait();
  const TimePoint reminder = reminder_at(s);
  if (now < reminder) return wait_until(reminder);
  return record({Reminded{}});
}

std::string to_a_fresh_key(const State& s) {
  return fmt::format(
      "give this rotation up with `/rotate cancel {} --give-up`, then `/rotate {}` walks you "
      "through a fresh key",
      s.target.name(), s.target.name());
}

TimePoint reminder_at(const State& s) {
  const Duration grace = s.received->event.grace_chosen;
  return *s.old_key_deadline() - std::min(s.target.timing.reminder_before, grace / 4);
}

Step store(const State& s, TimePoint now) {
  if (s.stored) return std::nullopt;
  return attempt(s, now, plain(ActionKind::store_key));
}

Step propagate(const State& s, TimePoint now) {
  const std::string& canary = s.target.consumers.front().app;
  std::vector<Action> missing;
  for (const auto& consumer : s.target.consumers) {
    // What a sync changes doesn't wait for the canary, whatever we would like.
    const bool follows = followed(s, consumer.app);
    if (!follows && consumer.app != canary && !s.running.contains(canary)) continue;
    if (!s.updated.contains(consumer.app)) {
      missing.push_back({follows ? ActionKind::follow_sync : ActionKind::update_consumer, consumer.app});
    } else if (!s.running.contains(consumer.app)) {
      missing.push_back({ActionKind::await_consumer, consumer.app});
    }
  }
  if (missing.empty()) return std::nullopt;
  return attempt_all(s, now, missing);
}

Step verify(const State& s, TimePoint now) {
  if (s.completed) return std::nullopt;
  if (auto failed = verification_failure(s)) return record({*failed});
  std::vector<Action> missing;
  for (const auto& consumer : s.target.consumers) {
    if (!s.watched.contains(consumer.app)) missing.push_back({ActionKind::watch_consumer, consumer.app});
  }
  if (!s.billing_watched) missing.push_back(plain(ActionKind::watch_billing));
  if (missing.empty()) return std::nullopt;
  return attempt_all(s, now, missing);
}

}  // namespace keyturn::commands::rotation
