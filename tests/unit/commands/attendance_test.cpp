// The operator who doesn't come: nudges, pages, and the old key meanwhile.
#include "commands/rotation/attendance.h"

#include <catch2/catch.hpp>

#include "commands/views/attendance.h"
#include "tests/unit/commands/slack_rules.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

OthersPaged page(const Story& story, Answer old_key) {
  return {.people = {"U2", "U3"}, .old_key = probe("GET /v1/customers", old_key), .link = story.state.forms};
}
OldKeyChecked check(Answer old_key) { return {probe("GET /v1/customers", old_key)}; }

int count(const Story& story, std::string_view why) {
  int found = 0;
  for (const auto& nudge : story.state.nudges) found += nudge.event.why == why ? 1 : 0;
  return found;
}

std::string text_of(const Story& story, const std::string& slot) {
  for (const auto& message : commands::views::messages_for(story.state, story.now)) {
    if (message.slot == slot) return message.text + message.blocks.dump();
  }
  return {};
}
bool says(const Story& story, const std::string& slot, const std::string& words) {
  return text_of(story, slot).find(words) != std::string::npos;
}

// Goes from wake-up to wake-up until `until`, as the runner does; pages when it is asked to.
void wait(Story& story, Duration length, Answer old_key) {
  const TimePoint end = story.now + length;
  for (int turns = 0; turns < 5000; ++turns) {
    story.conclude();
    const Decision next = story.decision();
    if (wants(next, ActionKind::page_others)) {
      story.happens(page(story, old_key));
    } else if (wants(next, ActionKind::check_old_key)) {
      story.happens(check(old_key));
    } else if (next.wake && *next.wake <= end) {
      REQUIRE(*next.wake > story.now);
      story.now = *next.wake;
    } else {
      story.now = end;
      return;
    }
  }
  FAIL("no rest");
}

}  // namespace

TEST_CASE("whoever doesn't tick the boxes is nudged once, and then the others are paged once") {
  Story story;
  story.checked();
  story.later(10min).conclude();
  CHECK(count(story, kBoxesUnticked) == 1);
  CHECK(story.decision().act.empty());
  CHECK(story.decision().wake == story.now + 15min);
  story.later(15min);
  REQUIRE(wants(story.decision(), ActionKind::page_others));
  story.happens(page(story, Answer::granted));
  wait(story, 2h, Answer::granted);
  CHECK(count(story, kBoxesUnticked) == 1);
  CHECK(story.state.pages.size() == 1);
}

TEST_CASE("a link that nobody uses is told of before its end, at its end, and then to the others") {
  Story story;
  story.linked();
  const TimePoint expires = story.state.form->issued.expires_at;
  story.now = expires - 5min;
  story.conclude();
  CHECK(count(story, kLinkExpiring) == 1);
  CHECK(count(story, kLinkExpired) == 0);
  story.now = expires;
  story.conclude();
  CHECK(count(story, kLinkExpired) == 1);
  CHECK(story.decision().act.empty());
  story.now = expires + 15min;
  story.conclude();
  CHECK(wants(story.decision(), ActionKind::page_others));
  wait(story, 1h, Answer::granted);
  CHECK(count(story, kLinkExpiring) == 1);
  CHECK(count(story, kLinkExpired) == 1);
  CHECK(story.state.pages.size() == 1);
}

TEST_CASE("stopped before a link could be sent: the others are paged, and hear of it when the old key dies") {
  Story story;
  story.confirmed().happens(FormIssued{"hash-1", story.now + 15min});
  story.happens(Halted{.action = {ActionKind::issue_form, {}}, .sentence = "while sending the link: no"});
  CHECK(story.decision().act.empty());
  CHECK(story.decision().wake == story.now + 15min);
  story.later(15min);
  REQUIRE(wants(story.decision(), ActionKind::page_others));
  OthersPaged stopped = page(story, Answer::granted);
  stopped.stopped = true;
  story.happens(stopped);
  CHECK(says(story, "channel_page_1", "who has not mended what stopped it"));
  CHECK(says(story, "channel_page_1", "still works"));
  wait(story, 2h, Answer::granted);
  CHECK(story.state.pages.size() == 1);
  wait(story, 6h, Answer::expired);
  CHECK(story.state.pages.size() == 2);
  CHECK(says(story, "channel_page_2", "is dead"));
}

TEST_CASE("a bot that was down at the time says what is still true, and only that") {
  Story story;
  story.linked().later(3h).conclude();
  CHECK(count(story, kLinkExpiring) == 0);
  CHECK(count(story, kLinkExpired) == 1);
  CHECK(wants(story.decision(), ActionKind::page_others));
}

TEST_CASE("each link has nudges of its own") {
  Story story;
  story.linked();
  wait(story, 1h, Answer::granted);
  story.happens(LinkRequested{});
  story.happens(FormIssued{"hash-2", story.now + 15min}).happens(FormSent{"D1", "1.2"});
  CHECK_FALSE(wants(story.decision(), ActionKind::page_others));
  wait(story, 1h, Answer::granted);
  CHECK(count(story, kLinkExpired) == 2);
  CHECK(story.state.pages.size() == 2);
}

TEST_CASE("an operator who comes in time hears nothing, and nobody is paged") {
  Story story;
  story.linked().later(4min);
  story.pasted().conclude();
  CHECK(story.state.nudges.empty());
  story.later(2h).conclude();
  CHECK(story.state.nudges.empty());
  CHECK(story.state.pages.empty());
}

TEST_CASE("a leak waits a third as long") {
  Story story(sample_target(), /*compromise=*/true, "seen");
  story.checked().later(200s).conclude();
  CHECK(count(story, kBoxesUnticked) == 1);
  story.later(5min);
  CHECK(wants(story.decision(), ActionKind::page_others));
}

TEST_CASE("a page that failed is tried again, and stops nothing") {
  Story story;
  story.linked().later(31min).conclude();
  REQUIRE(wants(story.decision(), ActionKind::page_others));
  for (const Duration pause : {10s, 20s, 40s, 80s}) {
    story.happens(failure({ActionKind::page_others, {}}, /*can_retry=*/pause == 10s));
    CHECK(story.decision().record.empty());
    CHECK(story.decision().wake == story.now + pause);
    story.later(pause);
    CHECK(wants(story.decision(), ActionKind::page_others));
  }
}

TEST_CASE("while nobody comes the old key is asked again and again, and its death is paged once") {
  Story story;
  story.linked();
  wait(story, 6h, Answer::granted);
  REQUIRE(story.state.pages.size() == 1);
  REQUIRE(story.state.old_key_checked);
  CHECK_FALSE(died_unattended(story.state));
  story.happens(check(Answer::expired));
  REQUIRE(wants(story.decision(), ActionKind::page_others));
  wait(story, 12h, Answer::expired);
  CHECK(story.state.pages.size() == 2);
  CHECK(died_unattended(story.state));
  CHECK(says(story, "channel_page_1", "still works"));
  CHECK(says(story, "channel_page_2", "is dead"));
  CHECK(commands::views::billing_now(story.state).find("fails") != std::string::npos);
}

TEST_CASE("an answer that says nothing is paged as unknown, never as alive or dead") {
  Story story;
  story.linked().later(31min).conclude().happens(page(story, Answer::inconclusive));
  CHECK(says(story, "channel_page_1", "did not say whether"));
  CHECK_FALSE(says(story, "channel_page_1", "still works,"));
  CHECK_FALSE(says(story, "channel_page_1", "is dead"));
  CHECK_FALSE(died_unattended(story.state));
}

TEST_CASE("a week after the page nothing is asked any more: no grace is longer") {
  Story story;
  story.linked();
  wait(story, std::chrono::days(9), Answer::granted);
  CHECK_FALSE(story.decision().wake);
  CHECK(story.decision().act.empty());
  CHECK(story.now - story.state.old_key_checked->at > std::chrono::days(1));
}

TEST_CASE("a clock that is set back after the page leaves the pauses between two looks") {
  Story story;
  story.linked().later(24h * 400).conclude();
  story.happens(page(story, Answer::granted));
  story.now -= 24h * 400 - 3h;
  wait(story, 2h, Answer::granted);  // which fails when it finds no rest
  CHECK(story.state.old_key_checked);
}

TEST_CASE("a hand-over brings the new operator their own messages and a link, and tells the old one") {
  Story story;
  story.linked();
  for (const char* slot : {"dm_status", "dm_prerequisites"})
    story.happens(MessagePosted{.slot = slot, .channel = "D1", .ts = "1.0"});
  story.happens(MessagePosted{.slot = "channel_status", .channel = "C1", .ts = "2.0"});
  story.later(20min).conclude();
  REQUIRE(count(story, kLinkExpired) == 1);
  story.happens(HandedOver{.from = "U1", .to = "U2", .name = "Grace"});
  CHECK(story.state.operator_id == "U2");
  CHECK(story.state.operator_name() == "Grace");
  CHECK(story.state.started_by() == "U1");
  CHECK_FALSE(story.state.form);  // the old link is unknown from here on
  CHECK(wants(story.decision(), ActionKind::issue_form));
  CHECK_FALSE(story.state.messages.contains("dm_status"));
  CHECK(story.state.messages.at("channel_status").ts == "2.0");
  for (const char* slot : {"dm_status@1", "dm_prerequisites@1", "dm_link@1"}) {
    CHECK(says(story, slot, "<@U2>"));
    CHECK_FALSE(says(story, slot, "\"button\""));
  }
  CHECK(says(story, "dm_status", "handed over by <@U1>"));
  CHECK(text_of(story, "dm_nudge_1").empty());  // what was said to the one isn't said to the other
}

TEST_CASE("a link that was minted for the former operator leads nowhere") {
  Story story;
  story.confirmed().happens(HandedOver{.from = "U1", .to = "U2", .name = {}});
  story.happens(FormIssued{
      .token_hash = "hash-1", .expires_at = story.now + 15min, .public_key = {}, .operator_id = "U1"});
  story.happens(FormSent{"D1", "9.9"});
  CHECK_FALSE(story.state.form_open(story.now));
  CHECK(story.state.forms == 0);
  CHECK(story.state.messages.at("dm_link@1").ts == "9.9");
  CHECK(wants(story.decision(), ActionKind::issue_form));
}

TEST_CASE("after a hand-over the waiting begins anew, for the new operator") {
  Story story;
  story.checked();
  wait(story, 1h, Answer::granted);
  REQUIRE(story.state.pages.size() == 1);
  story.happens(HandedOver{.from = "U1", .to = "U2", .name = {}});
  CHECK(says(story, "channel_page_1", "has it now"));
  CHECK(story.decision().record.empty());
  CHECK(story.decision().wake == story.now + 10min);
  wait(story, 1h, Answer::granted);
  CHECK(count(story, kBoxesUnticked) == 2);
  CHECK(story.state.pages.size() == 2);
}

TEST_CASE("a key that is here already stays through a hand-over") {
  Story story;
  story.stored().happens(HandedOver{.from = "U1", .to = "U2", .name = {}});
  CHECK(story.state.received);
  CHECK(story.state.form);
  CHECK(wants(story.decision(), ActionKind::update_consumer, "canary"));
}

TEST_CASE("an old key is ended early: nothing holds it, somebody clicks, and the proof begins at once") {
  Story story;
  story.completed().happens(ExpiryRequested{});
  REQUIRE(wants(story.decision(), ActionKind::check_expiry));
  story.happens(ExpiryChecked{.stored_fingerprint = "new-1", .strays = {}, .request_id = "inf-2"});
  CHECK(says(story, "dm_expiry_1", "Expire key"));
  REQUIRE(wants(story.decision(), ActionKind::check_old_key));
  story.happens(check(Answer::granted));
  CHECK(story.decision().wake == story.now + 1min);
  story.later(1min).happens(check(Answer::unknown_key));
  CHECK(says(story, "dm_expiry_1", "the proof is being taken"));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(wants(story.decision(), ActionKind::take_proof));
    story.happens(taken_proof(Answer::unknown_key)).later(1min);
  }
  story.conclude();
  REQUIRE(story.state.closed);
  CHECK(story.state.closed->event.outcome == "rotated");
  CHECK(story.now < *story.state.old_key_deadline());
}

TEST_CASE("what still holds the old key is named, and nothing is said to click") {
  Story story;
  story.completed().happens(ExpiryRequested{});
  story.happens(failure({ActionKind::check_expiry, {}}, false, "Heroku answered 401"));
  CHECK(says(story, "dm_expiry_1", "Can't tell yet"));
  CHECK(story.decision().record.empty());
  story.happens(ExpiryChecked{.stored_fingerprint = "old-1", .strays = {"second"}, .request_id = {}});
  CHECK(says(story, "dm_expiry_1", "Don't end the old key yet"));
  CHECK(says(story, "dm_expiry_1", "second holds another key"));
  CHECK_FALSE(says(story, "dm_expiry_1", "*Expire key*"));
  story.happens(ExpiryRequested{});  // after mending
  CHECK(wants(story.decision(), ActionKind::check_expiry));
}

TEST_CASE("an early end that nobody clicks changes nothing about the usual one") {
  Story story;
  story.completed()
      .happens(ExpiryRequested{})
      .happens(ExpiryChecked{.stored_fingerprint = "new-1", .strays = {}, .request_id = {}});
  wait(story, 23h, Answer::granted);
  CHECK(story.state.reminded);
  CHECK(story.state.proofs.empty());
  story.now = *story.state.old_key_deadline() + 1min;
  CHECK(wants(story.conclude().decision(), ActionKind::take_proof));
}

TEST_CASE("a cancel after the steps were shown is said to the team, with what to look for") {
  Story before;
  before.checked().happens(Cancelled{});
  CHECK(text_of(before, "channel_cancelled").empty());
  Story after;
  after.linked().happens(Cancelled{});
  CHECK(says(after, "channel_cancelled", "remaining time below its name"));
}

TEST_CASE("messages about people keep Slack's rules") {
  Story story;
  story.linked();
  wait(story, 1h, Answer::granted);
  for (const char* slot : {"dm_status", "dm_prerequisites"})
    story.happens(MessagePosted{.slot = slot, .channel = "D1", .ts = "1.0"});
  story.happens(check(Answer::expired)).happens(page(story, Answer::expired));
  const auto keeps_rules = [&] {
    for (const auto& message : commands::views::messages_for(story.state, story.now)) {
      INFO(message.slot);
      CHECK(SlackRules::broken_by(message).empty());
    }
  };
  keeps_rules();
  story.happens(HandedOver{.from = "U1", .to = "U2", .name = {}});
  keeps_rules();
  story.happens(Cancelled{});
  keeps_rules();
}

}  // namespace keyturn::test
