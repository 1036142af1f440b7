// How old each key is, when its next rotation is due, and whom to remind of it when. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands/rotation/state.h"
#include "commands/target.h"

namespace keyturn::commands {

// What a look into the secret store found, outside of any rotation; journaled when it is news.
struct KeySeen {
  storage::TimePoint at;
  std::string fingerprint;
};
using KeysSeen = std::map<std::string, std::vector<KeySeen>>;  // by target's name, oldest first

using Rotations = std::vector<std::shared_ptr<const rotation::State>>;  // newest first

enum class KnownBy {
  nothing,      // never rotated by Keyturn, and not looked at yet
  rotation,     // the last rotation that completed
  first_look,   // never rotated by Keyturn: in use when it was first looked at, and perhaps long before
  by_hand,      // another key than the last known one: somebody rotated it on or before that look
  set_back,     // the key from before the last rotation: due at once
  rolled_back,  // the last rotation was undone, and none that followed was completed: the key in use dies
};

struct KeyAge {
  KnownBy known_by = KnownBy::nothing;
  storage::TimePoint since;  // what is counted from
  std::string fingerprint;   // of the key that should be in the store
  std::string rotated_by;    // a user id
  bool going_on = false;     // a rotation isn't over
  std::optional<storage::TimePoint> due;
  std::optional<storage::TimePoint> dies;  // the grace that was chosen for it goes on
  // A later rotation ended in the middle of bringing another one, and nobody has looked since which it is.
  bool unsure = false;
};

KeyAge age_of(const Target& target, const Rotations& rotations, const KeysSeen& seen);

// "rotated 11 days ago by <@U1>; due ...": for a person.
std::string age_in_words(const KeyAge& age, storage::TimePoint now);

// What it means for billing, and what to do about it: for a person.
std::string advice(const Target& target, const KeyAge& age, storage::TimePoint now);

// Between two reminders once it is overdue, and between two looks: a day, or less with a short cadence.
storage::Duration reminder_interval(const Target& target);

struct Reminder {
  std::string mark;  // "ahead_1" to "ahead_3", "dying_1", "dying_2", "overdue_0", "overdue_1", ...: once for
                     // each due date
  storage::TimePoint due;
  bool escalated = false;  // overdue for long: people are named
};

struct Next {
  std::optional<Reminder> remind;          // now
  std::optional<storage::TimePoint> wake;  // when to ask again
};

// `sent`: names of reminders that went out (see name_of).
Next next_reminder(const Target& target, const KeyAge& age, const std::set<std::string>& sent,
                   storage::TimePoint now);

// Names a reminder for ever: after a rotation the due date, and so the name, is another one.
std::string name_of(const Target& target, const Reminder& reminder);

}  // namespace keyturn::commands
