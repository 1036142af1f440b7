// When a key is due, from what it is counted, and who is reminded when.
#include "commands/due.h"

#include <catch2/catch.hpp>

#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

using commands::age_of;
using commands::KeysSeen;
using commands::KnownBy;
using commands::next_reminder;
using std::chrono::days;

std::shared_ptr<const State> rotated(TimePoint at, const std::string& fingerprint = "new-1") {
  Story story;
  story.now = at;
  story.completed();
  story.state.started_at = at;
  story.state.received->event.fingerprint = fingerprint;
  story.happens(ProvenDead{}).happens(Closed{"rotated"});
  return std::make_shared<const State>(story.state);
}

const commands::Target kTarget = sample_target();

// Every reminder between `from` and `to` of a bot that runs all the time, as "mark" or "mark!" when
// escalated.
std::vector<std::string> reminders(const commands::Target& target, const commands::KeyAge& age,
                                   TimePoint from, TimePoint to) {
  std::vector<std::string> marks;
  std::set<std::string> sent;
  for (TimePoint now = from; now <= to;) {
    const auto next = next_reminder(target, age, sent, now);
    if (next.remind) {
      marks.push_back(next.remind->mark + (next.remind->escalated ? "!" : ""));
      REQUIRE(sent.insert(name_of(target, *next.remind)).second);
      continue;
    }
    if (!next.wake) break;
    REQUIRE(*next.wake > now);
    now = *next.wake;
  }
  return marks;
}

}  // namespace

TEST_CASE("a key is due its cadence after the rotation that completed") {
  const auto age = age_of(kTarget, {rotated(kStart)}, {});
  CHECK(age.known_by == KnownBy::rotation);
  CHECK(age.due == kStart + days(90));
  CHECK(age.rotated_by == "U1");
  CHECK_FALSE(age.going_on);
}

TEST_CASE("reminders come 14, 7 and 1 days before, then every day, and name people after a week") {
  const auto age = age_of(kTarget, {rotated(kStart)}, {});
  CHECK(reminders(kTarget, age, kStart, kStart + days(98)) ==
        std::vector<std::string>{"ahead_1", "ahead_2", "ahead_3", "overdue_0", "overdue_1", "overdue_2",
                                 "overdue_3", "overdue_4", "overdue_5", "overdue_6", "overdue_7!",
                                 "overdue_8!"});
  CHECK_FALSE(next_reminder(kTarget, age, {}, kStart + days(76) - 1s).remind);
  CHECK(next_reminder(kTarget, age, {}, kStart + days(76)).remind);
}

TEST_CASE("a bot that was down says the newest thing once, and does not catch up on the rest") {
  const auto age = age_of(kTarget, {rotated(kStart)}, {});
  const auto late = next_reminder(kTarget, age, {}, kStart + days(95) + 1h);
  REQUIRE(late.remind);
  CHECK(late.remind->mark == "overdue_5");
  const auto after = next_reminder(kTarget, age, {name_of(kTarget, *late.remind)}, kStart + days(95) + 1h);
  CHECK_FALSE(after.remind);
  CHECK(after.wake == kStart + days(96));
  CHECK(next_reminder(kTarget, age, {}, kStart + days(84)).remind->mark == "ahead_2");
}

TEST_CASE("a rotation ends the reminders, and its own count begins anew") {
  const auto first = age_of(kTarget, {rotated(kStart)}, {});
  std::set<std::string> sent{name_of(kTarget, *next_reminder(kTarget, first, {}, kStart + days(76)).remind)};
  const auto second = age_of(kTarget, {rotated(kStart + days(77), "new-2"), rotated(kStart)}, {});
  CHECK_FALSE(next_reminder(kTarget, second, sent, kStart + days(100)).remind);
  CHECK(next_reminder(kTarget, second, sent, kStart + days(77 + 76)).remind->mark == "ahead_1");
}

TEST_CASE("nobody is reminded of a rotation that is going on") {
  Story going;
  going.state.id = "rot_2";
  going.checked();
  const auto age = age_of(kTarget, {std::make_shared<const State>(going.state), rotated(kStart)}, {});
  CHECK(age.going_on);
  CHECK_FALSE(next_reminder(kTarget, age, {}, kStart + days(100)).remind);
}

TEST_CASE("another key than the last one was rotated by hand, on or before the look that found it") {
  const KeysSeen seen{{"stripe prod", {{kStart + days(40), "new-1"}, {kStart + days(76), "hand-1"}}}};
  const auto age = age_of(kTarget, {rotated(kStart)}, seen);
  CHECK(age.known_by == KnownBy::by_hand);
  CHECK(age.since == kStart + days(76));
  CHECK(age.due == kStart + days(76 + 90));
  CHECK(age_in_words(age, kStart + days(77)).find("by hand on or before") != std::string::npos);
}

TEST_CASE("a key that was set back to the one before the rotation is due at once") {
  const KeysSeen seen{{"stripe prod", {{kStart + days(2), "old-1"}}}};
  const auto age = age_of(kTarget, {rotated(kStart)}, seen);
  CHECK(age.known_by == KnownBy::set_back);
  CHECK(next_reminder(kTarget, age, {}, kStart + days(2)).remind->mark == "overdue_0");
  const KeysSeen mended{{"stripe prod", {{kStart + days(2), "old-1"}, {kStart + days(3), "hand-1"}}}};
  CHECK(age_of(kTarget, {rotated(kStart)}, mended).known_by == KnownBy::by_hand);
}

TEST_CASE(
    "after a rollback that no rotation followed, people are told before the key in use dies and when it "
    "has") {
  Story story;
  story.completed();
  story.state.started_at = kStart;
  story.state.completed.reset();
  const TimePoint dies = *story.state.old_key_deadline();
  const TimePoint back = dies - 10h;
  story.state.rolled_back = Happened<RolledBack>{.event = {}, .at = back};
  story.state.closed = Happened<Closed>{.event = {"rolled_back"}, .at = back + 1min};
  const auto state = std::make_shared<const State>(story.state);
  Story next;
  next.state.id = "rot_2";
  next.state.cancelled_at = back + 2min;
  next.happens(Closed{"cancelled"});
  const commands::Rotations rotations{std::make_shared<const State>(next.state), state,
                                      rotated(kStart - days(80), "older")};

  const auto age = age_of(kTarget, rotations, {});
  CHECK(age.known_by == KnownBy::rolled_back);
  CHECK(age.fingerprint == story.state.current->event.fingerprint);
  CHECK(age.dies == dies);
  CHECK(reminders(kTarget, age, back + 3min, dies + days(2)) ==
        std::vector<std::string>{"dying_0", "dying_1!", "dying_2!", "overdue_1!", "overdue_2!"});
  CHECK(advice(kTarget, age, dies - 1s).find("works until then") != std::string::npos);
  CHECK(advice(kTarget, age, dies).find("likely down") != std::string::npos);
  CHECK(age_in_words(age, dies).find("should be dead since") != std::string::npos);

  SECTION("the one that waited for its key's death has told of it, and is not repeated at once") {
    story.state.closed->at = dies + 1min;
    const auto told = age_of(kTarget, {std::make_shared<const State>(story.state)}, {});
    CHECK(reminders(kTarget, told, dies + 1min, dies + 25h) == std::vector<std::string>{"overdue_0!"});
  }
  SECTION("a rotation that was completed since, or a key that was set by hand, ends it") {
    CHECK(age_of(kTarget, {rotated(dies), state}, {}).known_by == KnownBy::rotation);
    CHECK(age_of(kTarget, rotations, {{"stripe prod", {{back + 1h, "hand-1"}}}}).known_by ==
          KnownBy::by_hand);
  }
}

TEST_CASE("a look from before the rotation says nothing about its key") {
  const KeysSeen seen{{"stripe prod", {{kStart - days(2), "old-1"}}}};
  CHECK(age_of(kTarget, {rotated(kStart)}, seen).known_by == KnownBy::rotation);
}

TEST_CASE("a key that Keyturn never rotated counts from when it was first seen") {
  CHECK_FALSE(age_of(kTarget, {}, {}).due);
  CHECK_FALSE(next_reminder(kTarget, age_of(kTarget, {}, {}), {}, kStart).remind);
  const KeysSeen seen{{"stripe prod", {{kStart, "old-1"}}}, {"stripe staging", {{kStart - days(9), "x"}}}};
  const auto age = age_of(kTarget, {}, seen);
  CHECK(age.known_by == KnownBy::first_look);
  CHECK(age.due == kStart + days(90));
}

TEST_CASE("a cadence of minutes is reminded of within minutes, in the same order") {
  auto quick = sample_target();
  quick.cadence = 5min;
  const auto age = age_of(quick, {rotated(kStart)}, {});
  const auto marks = reminders(quick, age, kStart, kStart + 7min);
  REQUIRE(marks.size() > 6);
  CHECK(std::vector<std::string>(marks.begin(), marks.begin() + 5) ==
        std::vector<std::string>{"ahead_1", "ahead_2", "ahead_3", "overdue_0", "overdue_1"});
  CHECK(marks.back().ends_with("!"));
  CHECK(commands::reminder_interval(quick) == 20s);
  CHECK(commands::reminder_interval(kTarget) == 24h);
  auto yearly = sample_target();
  yearly.cadence = days(360);
  CHECK(next_reminder(yearly, age_of(yearly, {rotated(kStart)}, {}), {}, kStart + days(345)).wake ==
        kStart + days(346));
}

}  // namespace keyturn::test
