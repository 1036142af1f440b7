// A second person: who may be one, what waits for them, and what doesn't.
#include "commands/rotation/approval.h"

#include <catch2/catch.hpp>

#include "commands/rotation/attendance.h"
#include "commands/views/approval.h"
#include "commands/views/rollback.h"
#include "tests/unit/commands/crew.h"
#include "tests/unit/commands/slack_rules.h"

namespace keyturn::test {
namespace {

namespace views = commands::views;

commands::Target guarded_target() {
  auto target = sample_target();
  target.second_approver = true;
  return target;
}

const Event kAskedRotation = ApprovalRequested{.of = std::string(kOfRotation), .by = "U1"};

std::string words_in(const Story& story, const std::string& slot) {
  for (const auto& message : views::messages_for(story.state, story.now)) {
    CHECK(SlackRules::broken_by(message).empty());
    if (message.slot == slot) return message.person + message.text + message.blocks.dump();
  }
  return "";
}

// U1's rotation with every check passed, and what `decide` makes of it.
Story guarded(bool compromise = false) {
  Story story(guarded_target(), compromise, "seen in a repository");
  return story.checked().conclude();
}

struct Guarded : Crew {
  std::string checked() {
    const auto id = start(guarded_target());
    happens(id, checks());
    settle();
    return id;
  }
  std::string approve(const std::string& id, const std::string& user, std::size_t number = 1) {
    return press(id + "/" + std::to_string(number), views::kApprove, user);
  }
  std::string decline(const std::string& id, const std::string& user) {
    return press(id + "/1", views::kDecline, user);
  }
};

}  // namespace

TEST_CASE("a target that asks for no second person has none") {
  Story story;
  story.checked().conclude();
  CHECK(story.state.approvals.empty());
  CHECK(stage_of(story.state, story.now) == Stage::awaiting_operator);
  CHECK(words_in(story, "channel_approval_1").empty());
}

TEST_CASE("once the checks have passed an approval is asked for, and no box and no link comes before it") {
  Story story(guarded_target());
  story.checked();
  CHECK(stage_of(story.state, story.now) == Stage::awaiting_approval);  // also before it is asked for
  CHECK(words_in(story, "dm_prerequisites").empty());
  story.conclude();
  REQUIRE(waiting_approval(story.state) != nullptr);
  CHECK(waiting_approval(story.state)->asked.event.by == "U1");
  CHECK(story.decision().act.empty());
  const auto request = words_in(story, "channel_approval_1");
  CHECK(holds(request, "What is to happen"));
  CHECK(holds(request, "Nothing has changed"));
  CHECK(holds(request, "rot_1/1"));

  story.happens(ApprovalGiven{"U2"}).conclude();
  CHECK(stage_of(story.state, story.now) == Stage::awaiting_operator);
  CHECK(holds(words_in(story, "channel_approval_1"), "*Approved* by <@U2>"));
  CHECK_FALSE(holds(words_in(story, "channel_approval_1"), "rotation_approve"));
  story.happens(OperatorConfirmed{{"ready"}, ""});
  CHECK(wants(story.decision(), ActionKind::issue_form));
}

TEST_CASE("in an outage nobody is asked to approve a rotation that isn't one") {
  Story story(guarded_target());
  story.checked().happens(dead_at_first()).conclude();
  const auto request = words_in(story, "channel_approval_1");
  CHECK(holds(request, "*Stripe refuses the current key*"));
  CHECK(holds(request, "creates a fresh key"));
  CHECK(holds(request, "--compromise"));
  for (const char* wrong : {"Stripe accepted it", "keeps 24 hours", "when its grace is over",
                            "Rotate API key", "Nothing has changed"}) {
    INFO(wrong);
    CHECK_FALSE(holds(request, wrong));
  }
  CHECK(holds(words_in(story, "channel_dead_at_first"), "another superadmin approves"));
}

TEST_CASE("boxes that were ticked send no link while nobody has approved") {
  Story story = guarded();
  story.happens(OperatorConfirmed{{"ready"}, ""}).conclude();
  CHECK_FALSE(wants(story.decision(), ActionKind::issue_form));
  CHECK(stage_of(story.state, story.now) == Stage::awaiting_approval);
}

TEST_CASE("nobody approves: the one who asked is told, then the others are paged, once each") {
  Story story = guarded();
  CHECK(story.decision().wake == story.now + 10min);
  story.later(10min).conclude();
  REQUIRE(story.state.nudges.size() == 1);
  CHECK(story.state.nudges.front().event.why == kNotApproved);
  CHECK(words_in(story, "approval_nudge_1").starts_with("U1"));
  CHECK_FALSE(wants(story.decision(), ActionKind::page_others));
  story.later(15min);
  CHECK(wants(story.decision(), ActionKind::page_others));
  story.happens(OthersPaged{
      .people = {"U2"}, .old_key = probe("GET /v1/customers", Answer::granted), .link = 0, .approval = 1});
  CHECK(holds(words_in(story, "channel_page_1"), "<@U2> "));
  CHECK(holds(words_in(story, "channel_page_1"), "rotation_approve"));
  CHECK_FALSE(holds(words_in(story, "channel_page_1"), "rotation_take_over"));
  story.later(1min);
  CHECK(story.decision().act.empty());

  // What was said about the approval says nothing about the boxes: those have a wait of their own.
  story.happens(ApprovalGiven{"U2"}).conclude();
  CHECK(story.state.nudges.size() == 1);
  CHECK(holds(words_in(story, "channel_page_1"), "*Approved*"));
  story.later(10min).conclude();
  CHECK(story.state.nudges.size() == 2);
  story.later(15min);
  CHECK(wants(story.decision(), ActionKind::page_others));
}

TEST_CASE("a leak waits for nobody: the journal says so, and every other superadmin is told") {
  Story leak = guarded(/*compromise=*/true);
  REQUIRE(leak.state.approval_bypassed);
  CHECK(leak.state.approval_bypassed->event.by == "U1");
  CHECK(leak.state.approvals.empty());
  CHECK(stage_of(leak.state, leak.now) == Stage::awaiting_operator);
  CHECK(wants(leak.decision(), ActionKind::find_superadmins));
  // Also when Slack doesn't say who they are: it is asked again, and nothing waits for it.
  leak.happens(failure({ActionKind::find_superadmins, {}}, true));
  leak.happens(OperatorConfirmed{{"ready"}, ""});
  CHECK(wants(leak.decision(), ActionKind::issue_form));
  leak.later(1min);
  CHECK(wants(leak.decision(), ActionKind::find_superadmins));
  // A rotation may wait for a person for months; nobody asks Slack for so long.
  Story forgotten = leak;
  forgotten.later(kLongestGrace);
  CHECK_FALSE(wants(forgotten.decision(), ActionKind::find_superadmins));
  leak.happens(BypassTold{{"U2", "U4"}});
  CHECK_FALSE(wants(leak.decision(), ActionKind::find_superadmins));
  for (const std::string person : {"U2", "U4"}) {
    const auto told = words_in(leak, "bypass_" + person);
    CHECK(told.starts_with(person));
    CHECK(holds(told, "went on without an approval"));
    CHECK(holds(told, "seen in a repository"));
  }
  CHECK(words_in(leak, "bypass_U1").empty());
}

TEST_CASE("the evidence says who approved, and of a leak that nobody did") {
  Story story = guarded();
  story.happens(ApprovalGiven{"U2"});
  story.completed();
  const auto& approval = story.state.completed->event.context.at("approval");
  CHECK(approval.at("asked_by") == "U1");
  CHECK(approval.at("approved_by") == "U2");
  CHECK(holds(words_in(story, "channel_summary"), "approved by <@U2>"));
  Story leak = guarded(/*compromise=*/true);
  leak.completed();
  CHECK(leak.state.completed->event.context.at("approval").at("bypassed_by") == "U1");
  CHECK(holds(words_in(leak, "channel_summary"), "without an approval"));
}

TEST_CASE("neither the operator, nor who was it before, nor a stranger or a deactivated account approves") {
  Guarded crew;
  const auto id = crew.checked();
  REQUIRE(crew.state(id)->approvals.size() == 1);
  CHECK(holds(crew.approve(id, "U1"), "You asked for it yourself"));
  CHECK(holds(crew.decline(id, "U1"), "You asked for it yourself"));
  CHECK(holds(crew.approve(id, "U9"), "Only a superadmin"));
  CHECK(holds(crew.approve(id, "U3"), "deactivated"));
  CHECK(holds(crew.take_over(id, "U2"), "You have the rotation"));
  CHECK(holds(crew.approve(id, "U2"), "are or were the operator"));
  CHECK(holds(crew.approve(id, "U1"), "You asked for it yourself"));
  CHECK(crew.state(id)->approvals.back().waits());
  CHECK(crew.journal.count("command.refused") == 6);
  CHECK(crew.approve(id, "U4").empty());
  CHECK(crew.state(id)->approvals.back().given->event.by == "U4");
  const auto entry =
      std::ranges::find(crew.journal.written, "secret.rotate.approval.given", &storage::Entry::type);
  CHECK(entry->actor == "U4");
  CHECK(holds(crew.approve(id, "U4"), "settled already"));
  CHECK(holds(crew.approve(id, "U4", 2), "settled already"));
}

TEST_CASE("declined, the rotation is cancelled and nothing has changed") {
  Guarded crew;
  const auto id = crew.checked();
  CHECK(crew.decline(id, "U2").empty());
  CHECK(crew.state(id)->cancelled_at);
  CHECK(crew.state(id)->closed->event.outcome == "cancelled");
  CHECK(holds(crew.approve(id, "U4"), "settled already"));
}

TEST_CASE("who approved can't take over before the new key is there, and not bring another one afterwards") {
  Guarded crew;
  const auto id = crew.checked();
  crew.approve(id, "U2");
  CHECK(holds(crew.take_over(id, "U2"), "must not do both"));
  CHECK(holds(crew.say("hand-over stripe prod <@U2>"), "must not do both"));
  CHECK(crew.state(id)->operator_id == "U1");
  crew.happens(id, {OperatorConfirmed{{"ready"}, ""}, KeyReceived{.fingerprint = "new-1",
                                                                  .grace_chosen = 24h,
                                                                  .rotated_at = crew.clock.time,
                                                                  .old_key_expires_at = crew.clock.time + 24h,
                                                                  .peer = {}}});
  CHECK(holds(crew.take_over(id, "U2"), "somebody else's approval"));
  CHECK(crew.state(id)->operator_id == "U2");
  CHECK(crew.state(id)->approvals.size() == 1);
  // The key turns out to be a wrong one: the next is U2's, so U2's own approval doesn't hold for it.
  crew.happens(id, {KeyRejected{"another_account", "It is another account's."}});
  crew.settle();
  const auto state = crew.state(id);
  CHECK(stage_of(*state, crew.clock.time) == Stage::awaiting_approval);
  REQUIRE(state->approvals.size() == 2);
  CHECK(state->approvals.back().asked.event.by == "U2");
  CHECK(holds(crew.approve(id, "U1", 2), "are or were the operator"));
  CHECK(holds(crew.approve(id, "U4", 1), "earlier approval"));
  CHECK(crew.approve(id, "U4", 2).empty());
  CHECK(stage_of(*crew.state(id), crew.clock.time) == Stage::awaiting_key);
}

TEST_CASE("a way back waits for another than the one who asked, and the rotation goes on meanwhile") {
  Story story = guarded();
  story.happens(ApprovalGiven{"U2"}).completed();
  story.happens(ApprovalRequested{.of = std::string(kOfRollback), .by = "U4"});
  CHECK(stage_of(story.state, story.now) == Stage::grace);
  CHECK_FALSE(story.state.rollback);
  CHECK(may_not_approve(story.state, "U4")->code == "own_request");
  CHECK_FALSE(may_not_approve(story.state, "U1"));  // the operator didn't ask for it
  CHECK(holds(words_in(story, "channel_approval_2"), "roll back stripe prod"));
  CHECK(holds(words_in(story, "channel_status"), "The way back, asked for by <@U4>, waits"));
  story.happens(ApprovalGiven{"U1"}).happens(RollbackRequested{"U4"});
  CHECK(recorded<RollbackBegan>(story.decision()) != nullptr);
  story.conclude();
  CHECK(holds(words_in(story, "channel_rollback_1"), "approved by <@U1>"));
}

TEST_CASE("an approval of a way back lapses when it is too late for one, at that moment") {
  Story story = guarded();
  story.happens(ApprovalGiven{"U2"}).completed();
  story.happens(ApprovalRequested{.of = std::string(kOfRollback), .by = "U1"}).later(10min).conclude();
  story.later(15min);
  story.happens(OthersPaged{.people = {"U2"}, .old_key = {}, .link = 1, .approval = 2});
  for (int i = 0; i < 10 && story.state.approvals.back().waits(); ++i) {
    REQUIRE(story.decision().wake);
    REQUIRE(*story.decision().wake > story.now);
    story.now = *story.decision().wake;
    story.conclude();
  }
  REQUIRE(story.state.approvals.back().lapsed);
  CHECK(no_way_back(story.state, story.now)->code == "too_late");
  CHECK(story.now < *story.state.old_key_deadline());
  CHECK(holds(words_in(story, "channel_approval_2"), "Not possible any more"));
}

TEST_CASE("the button Roll back asks for an approval, once, and only another person's click begins it") {
  Guarded crew;
  const auto id = crew.checked();
  crew.approve(id, "U2");
  crew.happens(id,
               {OperatorConfirmed{{"ready"}, ""},
                KeyReceived{.fingerprint = "new-1",
                            .grace_chosen = 24h,
                            .rotated_at = crew.clock.time,
                            .old_key_expires_at = crew.clock.time + 24h,
                            .peer = {}},
                KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = {}}});
  CHECK(crew.press(id, views::kRollBack, "U2").empty());
  CHECK_FALSE(crew.state(id)->rollback);
  REQUIRE(crew.state(id)->approvals.size() == 2);
  CHECK(holds(crew.press(id, views::kRollBack, "U1"), "asked for already"));
  CHECK(holds(crew.approve(id, "U2", 2), "You asked for it yourself"));
  CHECK(crew.approve(id, "U1", 2).empty());
  REQUIRE(crew.state(id)->rollback);
  CHECK(crew.state(id)->rollback->event.by == "U2");
}

TEST_CASE("an approval that is needed no more lapses, settles nothing, and is in no way back's way") {
  Guarded crew;
  const auto id = crew.checked();
  crew.approve(id, "U2");
  const auto bring = [&](const std::string& fingerprint) {
    crew.happens(id, {KeyReceived{.fingerprint = fingerprint,
                                  .grace_chosen = 24h,
                                  .rotated_at = crew.clock.time,
                                  .old_key_expires_at = crew.clock.time + 24h,
                                  .peer = {}}});
  };
  crew.happens(id, {OperatorConfirmed{{"ready"}, ""}});
  bring("new-1");
  crew.take_over(id, "U2");
  crew.happens(id, {KeyRejected{"another_account", "It is another account's."}});
  crew.settle();
  REQUIRE(crew.state(id)->approvals.size() == 2);
  CHECK(holds(crew.say("hand-over stripe prod <@U1>", "U2"), "has the rotation"));
  crew.settle();
  REQUIRE(crew.state(id)->approvals.back().lapsed);  // U2's approval holds for U1 again
  CHECK_FALSE(needs_approval(*crew.state(id)));
  bring("new-2");
  crew.happens(id,
               {KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = {}}});
  CHECK(holds(crew.press(id + "/2", views::kDecline, "U4"), "no longer does anything"));
  CHECK(holds(crew.approve(id, "U4", 2), "no longer does anything"));
  CHECK_FALSE(crew.state(id)->cancelled_at);
  CHECK(crew.press(id, views::kRollBack, "U4").empty());
  REQUIRE(crew.state(id)->approvals.size() == 3);
  CHECK(crew.state(id)->approvals.back().asked.event.of == kOfRollback);
}

// Approved by U2, who took over with the key there; that key was rejected.
Story asked_again() {
  Story story = guarded();
  story.happens(ApprovalGiven{"U2"}).received();
  story.happens(HandedOver{.from = "U1", .to = "U2", .name = "Grace"});
  return story.happens(KeyRejected{"another_account", "It is another account's."}).conclude();
}

TEST_CASE("before it has lapsed, too, an approval that is needed no more can't be declined") {
  Story story = asked_again();
  REQUIRE(waiting_approval(story.state) != nullptr);
  CHECK_FALSE(may_not_approve(story.state, "U4"));
  story.happens(HandedOver{.from = "U2", .to = "U1", .name = "Ada"});
  REQUIRE(may_not_approve(story.state, "U4"));
  CHECK(may_not_approve(story.state, "U4")->code == "nothing_to_approve");
  CHECK(recorded<ApprovalLapsed>(story.decision()) != nullptr);
  story.conclude();
  CHECK(holds(words_in(story, "channel_approval_2"), "no approval is needed any more"));
}

TEST_CASE("declined after the steps were shown: nobody says that nothing has changed") {
  Story story = asked_again();
  const auto request = words_in(story, "channel_approval_2");
  CHECK_FALSE(holds(request, "othing has changed"));
  CHECK(holds(request, "the key in use is expiring"));
  CHECK_FALSE(holds(request, "Stripe accepts it"));
  CHECK(holds(request, "Stripe accepted it when asked, <!date"));
  story.happens(ApprovalDeclined{"U4"}).happens(Cancelled{});
  CHECK_FALSE(holds(words_in(story, "channel_approval_2"), "othing has changed"));
  CHECK(holds(words_in(story, "channel_approval_2"), "the key in use is expiring"));
  Story early = guarded();
  early.happens(ApprovalDeclined{"U4"}).happens(Cancelled{});
  CHECK(holds(words_in(early, "channel_approval_1"), "nothing has changed by it"));
}

TEST_CASE("a leak that meets a rotation which waits for an approval is told both commands") {
  const std::string both = "`/rotate cancel stripe prod`, then `/rotate stripe prod --compromise`";
  Guarded crew;
  crew.checked();
  CHECK(holds(crew.say("stripe prod --compromise seen in a gist", "U4"), both));
  CHECK_FALSE(holds(crew.say("stripe prod", "U4"), "--compromise"));
  Story story = guarded();
  story.happens(OthersPaged{.people = {}, .old_key = {}, .link = 0, .approval = 1});
  CHECK(holds(words_in(story, "channel_page_1"), both));
}

TEST_CASE("an old key that a way back may need is not ended early") {
  Guarded crew;
  const auto id = crew.checked();
  crew.approve(id, "U2");
  crew.happens(id, {OperatorConfirmed{{"ready"}, ""},
                    KeyReceived{.fingerprint = "new-1",
                                .grace_chosen = 24h,
                                .rotated_at = crew.clock.time,
                                .old_key_expires_at = crew.clock.time + 24h,
                                .peer = {}},
                    KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = {}},
                    Completed{.context = nlohmann::json::object()}});
  CHECK(crew.press(id, views::kRollBack, "U2").empty());
  CHECK(holds(crew.say("expire-now stripe prod"), "waits for an approval"));
  CHECK_FALSE(crew.state(id)->expiry_requested_at);
  CHECK(crew.press(id + "/2", views::kDecline, "U4").empty());
  CHECK(holds(crew.say("expire-now stripe prod"), "Checking"));

  Story story = guarded();
  story.happens(ApprovalGiven{"U2"}).completed().happens(ExpiryRequested{});
  story.happens(ExpiryChecked{.stored_fingerprint = "new-1", .strays = {}, .request_id = "inf-9"});
  CHECK(holds(words_in(story, "dm_expiry_1"), "and confirm"));
  story.happens(ApprovalRequested{.of = std::string(kOfRollback), .by = "U4"});
  CHECK(holds(words_in(story, "dm_expiry_1"), "Don't expire"));
  CHECK_FALSE(holds(words_in(story, "dm_expiry_1"), "and confirm"));
  story.happens(ApprovalDeclined{"U2"});
  CHECK(holds(words_in(story, "dm_expiry_1"), "and confirm"));
}

TEST_CASE("an older journal, whose target knows of no second person, folds as it did") {
  auto data = data_of(Started{.target = sample_target(), .operator_id = "U1", .channel = "C1", .reason = {}});
  data["target"].erase("second_approver");
  const auto started = std::get<Started>(read_event("secret.rotate.started", data));
  CHECK_FALSE(started.target.second_approver);
  Story story(started.target);
  story.due();
  CHECK(story.state.approvals.empty());
  CHECK_FALSE(story.state.completed->event.context.contains("approval"));
}

}  // namespace keyturn::test
