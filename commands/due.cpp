#include "commands/due.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "commands/views/blocks.h"

namespace keyturn::commands {

using storage::Duration;
using storage::in_words;
using storage::TimePoint;
using views::date;

namespace {

// For the usual 90 days; a shorter cadence shortens them alike.
constexpr auto kUsualCadence = std::chrono::days(90);
constexpr std::array kAhead{std::chrono::days(14), std::chrono::days(7), std::chrono::days(1)};

Duration scaled(Duration usual, Duration cadence) {
  return std::min(usual, Duration(usual / std::chrono::hours(1) * cadence.count() /
                                  (kUsualCadence / std::chrono::hours(1))));
}

// The one that gave the target the key that should be in use.
const rotation::State* last_settled(const std::string& target, const Rotations& rotations) {
  for (const auto& state : rotations) {
    if (state->target.name() != target || !state->received) continue;
    if (state->completed || (state->rolled_back && state->current)) return state.get();
  }
  return nullptr;
}

// Ended while its key was being put in place, or taken back: either may be in the store.
bool ended_midway(const rotation::State& state) {
  if (!state.closed || state.completed || state.rolled_back) return false;
  return state.store_begun || state.stored || state.way_back();
}

// Since the last one that settled which key is in use, one ended midway, and no look into the store followed.
bool unsure(const std::string& target, const Rotations& rotations, const KeysSeen& seen) {
  const auto looks = seen.find(target);
  for (const auto& state : rotations) {
    if (state->target.name() != target) continue;
    if (state->completed || state->rolled_back) return false;
    if (!ended_midway(*state)) continue;
    return looks == seen.end() || looks->second.empty() || looks->second.back().at < state->closed->at;
  }
  return false;
}

KeyAge after_rollback(const rotation::State& state) {
  return {.known_by = KnownBy::rolled_back,
          .since = state.rolled_back->at,
          .fingerprint = state.current->event.fingerprint,
          .rotated_by = state.rollback ? state.rollback->event.by : state.operator_id,
          .going_on = false,
          .due = {},
          .dies = state.old_key_deadline()};
}

KeyAge after_rotation(const rotation::State& state) {
  if (state.rolled_back) return after_rollback(state);
  return {.known_by = KnownBy::rotation,
          .since = state.completed->at,
          .fingerprint = state.received->event.fingerprint,
          .rotated_by = state.operator_id,
          .going_on = false,
          .due = {},
          .dies = {}};
}

}  // namespace

Duration reminder_interval(const Target& target) {
  return std::min(target.timing.overdue_every,
                  std::max<Duration>(target.cadence / 15, std::chrono::seconds(1)));
}

KeyAge age_of(const Target& target, const Rotations& rotations, const KeysSeen& seen) {
  const rotation::State* last = last_settled(target.name(), rotations);
  KeyAge age = last ? after_rotation(*last) : KeyAge{};
  const auto looks = seen.find(target.name());
  if (looks != seen.end()) {
    for (const KeySeen& look : looks->second) {
      if (age.known_by != KnownBy::nothing && (look.at < age.since || look.fingerprint == age.fingerprint))
        continue;
      const bool before = last && last->current && last->current->event.fingerprint == look.fingerprint;
      const KnownBy how = age.known_by == KnownBy::nothing ? KnownBy::first_look
                          : before                         ? KnownBy::set_back
                                                           : KnownBy::by_hand;
      age = {.known_by = how,
             .since = look.at,
             .fingerprint = look.fingerprint,
             .rotated_by = {},
             .going_on = false,
             .due = {},
             .dies = {}};
    }
  }
  if (age.known_by == KnownBy::set_back) {
    age.due = age.since;
  } else if (age.known_by == KnownBy::rolled_back) {
    // One that waited for its key's death has told of it.
    const bool told = last->closed && age.dies && last->closed->at >= *age.dies;
    age.due = told ? last->closed->at + reminder_interval(target) : age.since;
  } else if (age.known_by != KnownBy::nothing) {
    age.due = age.since + target.cadence;
  }
  age.unsure = unsure(target.name(), rotations, seen);
  age.going_on = std::ranges::any_of(
      rotations, [&](const auto& state) { return state->live() && state->target.name() == target.name(); });
  return age;
}

std::string age_in_words(const KeyAge& age, TimePoint now) {
  const std::string ago = in_words(std::max(now - age.since, Duration::zero()));
  std::string text;
  switch (age.known_by) {
    case KnownBy::nothing:
      return "never rotated by Keyturn";
    case KnownBy::rotation:
      text = fmt::format("rotated {} ago by {}", ago, views::mention(age.rotated_by));
      break;
    case KnownBy::first_look:
      text = fmt::format("never rotated by Keyturn, in use for {} at least", ago);
      break;
    case KnownBy::by_hand:
      text = fmt::format("rotated by hand on or before {}", date(age.since));
      break;
    case KnownBy::set_back:
      text = fmt::format("set back to the key from before its last rotation (seen {})", date(age.since));
      break;
    case KnownBy::rolled_back: {
      text = "rolled back to the key from before its last rotation";
      if (!age.dies) return text;
      return fmt::format("{}, which *{} {}*", text, now < *age.dies ? "dies" : "should be dead since",
                         date(*age.dies));
    }
  }
  if (*age.due < now) return fmt::format("{}; *overdue since {}*", text, date(*age.due));
  return fmt::format("{}; due {}", text, date(*age.due));
}

std::string advice(const Target& target, const KeyAge& age, TimePoint now) {
  const std::string rotate = fmt::format("*What to do*: `/rotate {}`, about ten minutes.", target.name());
  if (age.known_by == KnownBy::set_back)
    return "Billing stops when that key is dead, or when an app takes it up. " + rotate;
  if (age.known_by != KnownBy::rolled_back || !age.dies) return "Billing is not affected. " + rotate;
  if (now < *age.dies) {
    return "No rotation that followed has finished. Billing works until then, and stops if nothing is "
           "done. " +
           rotate;
  }
  return fmt::format(
      "No rotation that followed has finished, so billing is likely down now. *What to do*: `/rotate "
      "{}`, which asks Stripe, and walks you through a fresh key if that one is dead.",
      target.name());
}

namespace {

// Before the key in use dies, and when it has: people are named, for nobody else watches any more.
Next next_of_dying(const Target& target, const KeyAge& age, const std::set<std::string>& sent,
                   TimePoint now) {
  const TimePoint dies = *age.dies;
  const TimePoint soon =
      std::max(age.since, dies - std::min(target.timing.reminder_before, (dies - age.since) / 4));
  Reminder reminder{.mark = now < soon   ? "dying_0"
                            : now < dies ? "dying_1"
                                         : "dying_2",
                    .due = *age.due,
                    .escalated = now >= soon};
  if (!sent.contains(name_of(target, reminder))) return {.remind = std::move(reminder), .wake = {}};
  return {.remind = {}, .wake = now < soon ? soon : now < dies ? dies : dies + reminder_interval(target)};
}

}  // namespace

Next next_reminder(const Target& target, const KeyAge& age, const std::set<std::string>& sent,
                   TimePoint now) {
  if (!age.due || age.going_on) return {};  // a rotation has reminders of its own
  const TimePoint due = *age.due;
  const Duration every = reminder_interval(target);
  TimePoint late_from = due;
  if (age.known_by == KnownBy::rolled_back) {
    if (now < due) return {.remind = {}, .wake = due};
    if (age.dies && due < *age.dies) {
      if (now < *age.dies + every) return next_of_dying(target, age, sent, now);
      late_from = *age.dies;
    }
  }
  if (now >= late_from) {
    const auto number = (now - late_from) / every;
    const bool escalated = age.known_by == KnownBy::rolled_back ||
                           now >= due + std::min(target.timing.escalate_after, Duration(target.cadence / 6));
    Reminder reminder{.mark = fmt::format("overdue_{}", number), .due = due, .escalated = escalated};
    if (sent.contains(name_of(target, reminder)))
      return {.remind = {}, .wake = late_from + (number + 1) * every};
    return {.remind = std::move(reminder), .wake = {}};
  }
  // Of several that have passed, the last one says it all.
  for (std::size_t i = kAhead.size(); i > 0; --i) {
    const TimePoint at = due - scaled(kAhead[i - 1], target.cadence);
    if (now < at) continue;
    Reminder reminder{.mark = fmt::format("ahead_{}", i), .due = due};
    if (!sent.contains(name_of(target, reminder))) return {.remind = std::move(reminder), .wake = {}};
    return {.remind = {}, .wake = i == kAhead.size() ? due : due - scaled(kAhead[i], target.cadence)};
  }
  return {.remind = {}, .wake = due - scaled(kAhead.front(), target.cadence)};
}

std::string name_of(const Target& target, const Reminder& reminder) {
  return fmt::format("reminder {} {} {}", target.name(), storage::to_iso8601(reminder.due), reminder.mark);
}

}  // namespace keyturn::commands
