// Offboarding: which keys a person may know, what is left to do about each, and what is never called done.
#include <catch2/catch.hpp>

#include "commands/campaign.h"
#include "commands/views/board.h"
#include "commands/views/rollback.h"
#include "tests/unit/commands/crew.h"
#include "tests/unit/commands/past.h"
#include "tests/unit/commands/slack_rules.h"

namespace keyturn::test {
namespace {

namespace views = commands::views;
using commands::BoardRow;
using commands::Campaign;
using commands::RowState;

// What the offboarding of U1, begun at `at`, says.
struct Leaving {
  explicit Leaving(const Past& told) : past(told) {
    const auto rotations = past.rotations();
    campaign.id = "off_1";
    campaign.person = "U1";
    campaign.by = "U2";
    campaign.channel = "C1";
    campaign.started_at = past.now;
    campaign.targets =
        commands::in_order("U1", {.rotations = rotations, .targets = past.targets, .seen = past.seen});
  }
  std::vector<BoardRow> rows() const {
    const auto rotations = past.rotations();
    return commands::rows_of(campaign, {.rotations = rotations, .targets = past.targets, .seen = past.seen});
  }
  BoardRow row(const std::string& target = "stripe prod") const {
    for (const BoardRow& row : rows()) {
      if (row.target == target) return row;
    }
    FAIL("no row for " << target);
    return {};
  }
  std::string board() const {
    const auto message = views::board(campaign, rows());
    CHECK(SlackRules::broken_by(message).empty());
    return message.blocks.dump();
  }
  const Past& past;
  Campaign campaign;
};

// A recovery by `person`, as far as the steps.
void recovery_begun(Past& past, const std::string& person) {
  past.begun(person);
  CurrentKeyRead current = current_key();
  current.fingerprint = "a-0";
  past.happens(current).happens(dead_at_first()).happens(FormIssued{"hash", past.now + 15min});
}
void fresh_key(Past& past, const std::string& fingerprint) {
  past.now += 1h;
  past.happens(KeyReceived{.fingerprint = fingerprint,
                           .grace_chosen = 0h,
                           .rotated_at = past.now,
                           .old_key_expires_at = past.now,
                           .peer = {}});
  past.happens(Completed{.context = nlohmann::json::object()}).proven();
}

struct Office : Crew {
  // U1's, closed and proven.
  void rotated_by_u1() {
    const auto id = start();
    happens(id, checks());
    happens(id, {OperatorConfirmed{{"ready"}, ""}, FormIssued{"hash", clock.time + 15min},
                 KeyReceived{.fingerprint = "new-1",
                             .grace_chosen = 24h,
                             .rotated_at = clock.time,
                             .old_key_expires_at = clock.time + 24h,
                             .peer = {}},
                 Completed{.context = nlohmann::json::object()}, ProvenDead{}, Closed{"rotated"}});
    clock.time += 24h;
  }
  const Campaign& campaign() const { return desk.campaigns.begin()->second; }
  std::string rotate_button() const { return campaign().id + "/stripe prod"; }
};

}  // namespace

TEST_CASE("a fresh key that they may have created in an outage is not ended by a later one") {
  Past past;
  recovery_begun(past, "U1");
  past.happens(Cancelled{}).happens(Closed{"cancelled"});
  past.now += 1h;
  recovery_begun(past, "U2");
  fresh_key(past, "a-2");
  // a-2 may be the one that U1 created, so it is to be rotated; and once it is, theirs may still be alive.
  CHECK(Leaving(past).row().state == RowState::to_do);
  past.rotated("U2", "a-2", "a-3");
  past.proven();
  const BoardRow row = Leaving(past).row();
  CHECK(row.state == RowState::unproven);
  CHECK(row.words.find("shown how to create a fresh key") != std::string::npos);
}

TEST_CASE("who handed an outage over may have created a key of their own") {
  Past past;
  recovery_begun(past, "U1");
  past.happens(HandedOver{.from = "U1", .to = "U2", .name = "Grace"})
      .happens(FormIssued{"hash-2", past.now + 15min});
  fresh_key(past, "a-2");
  CHECK(Leaving(past).row().state == RowState::to_do);
}

TEST_CASE(
    "a key in use that they brought is to be rotated, the oldest first; what they only approved comes "
    "after") {
  Past past;
  past.rotated("U1", "a-0", "a-1", "blue");
  past.proven().rotated("U1", "b-0", "b-1", "prod");
  past.proven().rotated("U2", "c-0", "c-1", "staging");
  past.happens(ApprovalRequested{.of = std::string(kOfRotation), .by = "U2"}).happens(ApprovalGiven{"U1"});
  past.proven();
  const Leaving leaving(past);
  CHECK(leaving.campaign.targets == std::vector<std::string>{"stripe blue", "stripe prod", "stripe staging"});
  for (const BoardRow& row : leaving.rows()) {
    CHECK(row.state == RowState::to_do);
    CHECK(row.startable);
  }
  CHECK(holds(leaving.row().words, "`b-1`, is one they handled"));
  CHECK_FALSE(commands::finished(leaving.rows()));
  CHECK(holds(leaving.board(), "off_1/stripe blue"));
}

TEST_CASE(
    "rotated later by somebody else, with its old key proven dead, needs nothing; in its grace it is not "
    "done") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.proven().rotated("U2", "a-1", "a-2");
  CHECK(Leaving(past).row().state == RowState::waiting);
  CHECK_FALSE(commands::finished(Leaving(past).rows()));
  past.proven();
  past.now += 1h;
  const Leaving later(past);
  CHECK(later.row().state == RowState::not_needed);
  CHECK(commands::proven(later.rows()));
}

TEST_CASE("a row goes from to do over running and waiting to done, and only then all are rotated") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.proven();
  Leaving leaving(past);
  CHECK(leaving.row().state == RowState::to_do);
  past.begun("U2");
  CHECK(leaving.row().state == RowState::running);
  CHECK_FALSE(leaving.row().startable);
  CHECK(holds(leaving.row().words, "<@U2>"));
  past.happens(Cancelled{}).happens(Closed{"cancelled"});
  CHECK(leaving.row().state == RowState::failed);
  CHECK(leaving.row().startable);
  past.rotated("U2", "a-1", "a-2");
  CHECK(leaving.row().state == RowState::waiting);
  CHECK_FALSE(commands::finished(leaving.rows()));
  past.happens(Halted{.action = {ActionKind::take_proof, {}}, .sentence = "because nothing proves it"});
  CHECK(leaving.row().state == RowState::failed);
  CHECK_FALSE(leaving.row().startable);
  past.happens(RetryRequested{}).proven();
  CHECK(leaving.row().state == RowState::done);
  REQUIRE(commands::proven(leaving.rows()));
  CHECK_FALSE(holds(leaving.board(), "knows no live key"));  // only once it is in the journal
  leaving.campaign.finished_at = past.now;
  CHECK(holds(leaving.board(), "*All 1 rotated*: every key is proven dead, and <@U1> knows no live key"));
  CHECK_FALSE(holds(leaving.board(), "offboard_end"));
}

TEST_CASE("a key that was abandoned by a rollback is never called dead") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.happens(RollbackRequested{"U2"}).happens(RollbackBegan{});
  past.happens(RolledBack{.context = {}}).happens(Closed{"rolled_back"});
  past.rotated("U2", "a-0", "a-2");
  past.proven();
  Leaving leaving(past);
  CHECK(leaving.row().state == RowState::unproven);
  CHECK(holds(leaving.row().words, "`a-1`"));
  CHECK(commands::finished(leaving.rows()));
  CHECK_FALSE(commands::proven(leaving.rows()));
  leaving.campaign.finished_at = past.now;
  CHECK(holds(leaving.board(), "Not everything is proven"));
  CHECK_FALSE(holds(leaving.board(), "knows no live key"));
}

TEST_CASE("a key that was replaced by hand is not in use, and nothing proves it dead") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.proven();
  past.seen["stripe prod"].push_back({.at = past.now + 1h, .fingerprint = "by-hand"});
  CHECK(Leaving(past).row().state == RowState::unproven);
}

TEST_CASE("steps that were shown without a key coming: nobody knows whether one was made") {
  Past past;
  past.begun("U1");
  past.happens(FormIssued{"hash", past.now + 15min}).happens(Cancelled{}).happens(Closed{"cancelled"});
  past.now += 1h;
  CHECK(Leaving(past).row().state == RowState::to_do);
  past.rotated("U2", "a-0", "a-1");
  CHECK(Leaving(past).row().state == RowState::waiting);
  past.proven();
  CHECK(Leaving(past).row().state == RowState::not_needed);
}

TEST_CASE("a key that was made before their last look was over counts as theirs, whoever brings it") {
  Past past;
  past.begun("U1");
  past.happens(FormIssued{"hash", past.now + 15min});
  past.now += 10min;
  past.happens(Cancelled{}).happens(Closed{"cancelled"});
  const auto made = past.now - 5min;
  past.now += 1h;
  past.begun("U2");
  CurrentKeyRead current = current_key();
  current.fingerprint = "a-0";
  past.happens(current).happens(FormIssued{"hash", past.now + 15min});
  past.happens(KeyReceived{.fingerprint = "a-1",
                           .grace_chosen = 24h,
                           .rotated_at = made,
                           .old_key_expires_at = made + 24h,
                           .peer = {}});
  past.happens(Completed{.context = nlohmann::json::object()}).proven();
  const Leaving leaving(past);
  CHECK(leaving.row().state == RowState::to_do);
  CHECK(holds(leaving.row().words, "`a-1`, is one they handled"));
  CHECK_FALSE(commands::finished(leaving.rows()));
  past.rotated("U2", "a-1", "a-2");
  past.proven();
  CHECK(leaving.row().state == RowState::done);
}

TEST_CASE("given up midway, nobody knows which key is in use, and the board waits for a look") {
  Past past;
  past.rotated("U2", "z", "a-0");
  past.proven().begun("U1");
  CurrentKeyRead current = current_key();
  current.fingerprint = "a-0";
  past.happens(current).happens(FormIssued{"hash", past.now + 15min});
  past.happens(KeyReceived{.fingerprint = "a-1",
                           .grace_chosen = 24h,
                           .rotated_at = past.now,
                           .old_key_expires_at = past.now + 24h,
                           .peer = {}});
  past.happens(ActionStarted{{ActionKind::store_key, {}}});
  past.happens(Halted{.action = {ActionKind::store_key, {}}, .sentence = "because Infisical is away"});
  past.happens(Cancelled{}).happens(Closed{"given_up"});
  past.now += 1h;
  const Leaving leaving(past);
  CHECK(leaving.row().state == RowState::failed);
  CHECK(leaving.row().startable);
  CHECK(holds(leaving.row().words, "not known which key is in use"));
  CHECK_FALSE(commands::finished(leaving.rows()));
  // Led to nothing, a later one settles nothing.
  past.begun("U2");
  past.happens(Cancelled{}).happens(Closed{"cancelled"});
  CHECK(leaving.row().state == RowState::failed);
  past.seen["stripe prod"] = {{.at = past.now, .fingerprint = "a-1"}};
  CHECK(leaving.row().state == RowState::failed);
  CHECK(holds(leaving.row().words, "`a-1`, is one they handled"));
  past.seen["stripe prod"] = {{.at = past.now, .fingerprint = "a-0"}};
  CHECK(leaving.row().state == RowState::unproven);
  past.seen.clear();
  past.rotated("U2", "a-0", "a-2");
  past.proven();
  CHECK(leaving.row().state == RowState::unproven);
}

TEST_CASE("who pasted a master key is never said to know no live key") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.happens(PasteRefused{.code = "master_key", .attempts_left = 4});
  past.proven().rotated("U2", "a-1", "a-2");
  CHECK(Leaving(past).row().state == RowState::waiting);
  past.proven();
  Leaving leaving(past);
  CHECK(leaving.row().state == RowState::unproven);
  CHECK(holds(leaving.row().words, "Roll the *secret key*"));
  CHECK_FALSE(commands::proven(leaving.rows()));
  leaving.campaign.finished_at = past.now;
  CHECK_FALSE(holds(leaving.board(), "knows no live key"));
}

TEST_CASE("a rotation that they have in hand now has to be handed over, and what it brings rotated again") {
  Past past;
  past.begun("U1");
  const Leaving leaving(past);
  CHECK(leaving.row().state == RowState::running);
  CHECK(holds(leaving.row().words, "/rotate hand-over stripe prod"));
  past.happens(HandedOver{.from = "U1", .to = "U2", .name = "Grace"});
  past.happens(KeyReceived{.fingerprint = "a-1",
                           .grace_chosen = 24h,
                           .rotated_at = past.now,
                           .old_key_expires_at = past.now + 24h,
                           .peer = {}});
  CHECK(holds(leaving.row().words, "has to be rotated again"));
  past.happens(Completed{.context = nlohmann::json::object()}).proven();
  CHECK(leaving.row().state == RowState::to_do);
}

TEST_CASE("a target that the settings no longer have can't be rotated, and that is said") {
  Past past;
  past.rotated("U1", "a-0", "a-1");
  past.proven();
  past.targets.clear();
  CHECK(Leaving(past).row().state == RowState::unproven);
  CHECK_FALSE(Leaving(past).row().startable);
}

TEST_CASE("a board with hundreds of targets keeps to Slack's limits") {
  Past past;
  past.targets.clear();
  for (int i = 0; i < 200; ++i) {
    const std::string name = "e" + std::to_string(i);
    past.targets.push_back(target_named(name));
    past.rotated(i % 3 == 0 ? "U1" : "U2", name + "-0", name + "-1", name);
    past.happens(ApprovalRequested{.of = std::string(kOfRotation), .by = "U2"}).happens(ApprovalGiven{"U1"});
    past.proven();
  }
  const Leaving leaving(past);
  CHECK(leaving.campaign.targets.size() == 200);
  CHECK(holds(leaving.board(), "and 170 more"));
}

TEST_CASE("offboarding is for superadmins, for somebody else, and for whom the journal knows") {
  Office office;
  CHECK(holds(office.say("offboard <@U1>", "U9"), "Only a superadmin"));
  CHECK(holds(office.say("offboard <@U1>", "U1"), "can't offboard yourself"));
  CHECK(holds(office.say("offboard <@U1>", "U2"), "no key passed through"));
  CHECK(office.desk.campaigns.empty());
  CHECK(office.journal.count("command.refused") == 2);
  office.rotated_by_u1();
  CHECK(holds(office.say("offboard <@U1|ada>", "U2"), "is still a superadmin"));
  REQUIRE(office.desk.campaigns.size() == 1);
  CHECK(office.campaign().person == "U1");
  CHECK(holds(office.say("offboard <@U1>", "U4"), "open already, asked for by <@U2>"));
  CHECK(office.desk.campaigns.size() == 1);
  CHECK(office.journal.count("offboard.started") == 1);
  commands::Campaigns again;
  for (const auto& entry : office.journal.written)
    commands::note(again, entry.type, nlohmann::json::parse(entry.data), entry.at);
  CHECK(again.begin()->second.targets == std::vector<std::string>{"stripe prod"});
  CHECK(again.begin()->second.open());
}

TEST_CASE("who leaves can't be the operator: not by command, by button, by hand-over or by taking over") {
  Office office;
  office.rotated_by_u1();
  office.say("offboard <@U1>", "U2");
  CHECK(holds(office.say("stripe prod", "U1"), "is being offboarded"));
  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U1"), "is being offboarded"));
  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U9"), "Only a superadmin"));
  CHECK(holds(office.press(office.campaign().id, views::kOffboardEnd, "U1"), "the one who leaves"));
  CHECK_FALSE(office.runner.live("stripe", "prod"));

  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U2"), "started"));
  const auto live = office.runner.live("stripe", "prod");
  REQUIRE(live);
  CHECK(live->operator_id == "U2");
  CHECK_FALSE(live->compromise);
  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U4"), "not over yet"));
  CHECK(holds(office.take_over(live->id, "U1"), "is being offboarded"));
  CHECK(holds(office.say("hand-over stripe prod <@U1>", "U2"), "is being offboarded"));
  CHECK(office.state(live->id)->operator_id == "U2");

  CHECK(office.press(office.campaign().id, views::kOffboardEnd, "U4").empty());
  CHECK_FALSE(office.campaign().open());
  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U4"), "is over"));
  CHECK(holds(office.take_over(live->id, "U1"), "You have the rotation"));
}

TEST_CASE("who leaves is refused for every target, and may only cancel what they have in hand") {
  Office office;
  office.desk.targets.push_back(target_named("staging"));
  office.rotated_by_u1();
  office.say("offboard <@U1>", "U2");
  CHECK(holds(office.say("stripe staging", "U1"), "is being offboarded"));
  CHECK_FALSE(office.runner.live("stripe", "staging"));
  const auto id = office.start(target_named("staging"));
  for (const auto action : {views::kReady, views::kNewLink, views::kRetry, views::kRollBack})
    CHECK(holds(office.press(id, action, "U1"), "is being offboarded"));
  CHECK(office.journal.count("command.refused") == 5);
  CHECK(office.press(id, views::kCancel, "U1").empty());
  CHECK(office.state(id)->cancelled_at);
}

TEST_CASE("offboarding as a suspected leak starts its rotations so") {
  Office office;
  office.rotated_by_u1();
  office.say("offboard <@U1> --compromise", "U2");
  CHECK(holds(office.press(office.rotate_button(), views::kOffboardRotate, "U2"), "suspected leak"));
  CHECK(office.runner.live("stripe", "prod")->compromise);
  CHECK(office.runner.live("stripe", "prod")->reason == "offboarding of U1");
}

TEST_CASE("the words after offboard are one person and perhaps the flag") {
  const auto read = [](const std::string& text) { return commands::read_command_line(text); };
  CHECK(std::get<commands::OffboardCommand>(read("offboard <@U123|ada>")).person == "U123");
  CHECK_FALSE(std::get<commands::OffboardCommand>(read("offboard <@U123>")).compromise);
  CHECK(std::get<commands::OffboardCommand>(read("OFFBOARD <@U123> \u2014compromise")).compromise);
  for (const char* wrong :
       {"offboard", "offboard @ada", "offboard ada", "offboard <@U1X> <@U2X>", "offboard <@U1X> now"})
    CHECK(std::holds_alternative<commands::NotUnderstood>(read(wrong)));
}

}  // namespace keyturn::test
