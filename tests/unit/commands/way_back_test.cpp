// The way back: when there is one, in which order it goes, and what stays to be done after it.
#include <catch2/catch.hpp>

#include "commands/rotation/way_back.h"
#include "commands/views/messages.h"
#include "commands/views/rollback.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

namespace views = commands::views;

const Action kStore{ActionKind::store_key, {}};

std::string reason(const Story& story) {
  const auto obstacle = no_way_back(story.state, story.now);
  return obstacle ? obstacle->sentence : "";
}

Story& turn_back(Story& story) {
  story.happens(RollbackRequested{"U2"});
  REQUIRE(recorded<RollbackBegan>(story.decision()));
  return story.conclude();
}

Story& looked_back(Story& story) {
  turn_back(story).happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = "inf-9"});
  return story.happens(healthy_probe(ActionKind::probe_previous_key));
}

// Every app watched with the old key: only the last look is missing.
Story& watched(Story& story) {
  looked_back(story).happens(
      KeyStored{.version = 6, .previous_version = 5, .already_there = false, .request_id = {}});
  for (const auto& consumer : story.state.target.consumers) story.runs_on(consumer.app);
  for (const auto& consumer : story.state.target.consumers) story.happens(quiet_watch(consumer.app));
  return story.happens(healthy_billing()).conclude();
}

Story& held(Story& story, std::string stored = "old-1", std::vector<std::string> strays = {}) {
  REQUIRE(wants(story.decision(), ActionKind::check_expiry));
  return story.happens(ExpiryChecked{
      .stored_fingerprint = std::move(stored), .strays = std::move(strays), .request_id = "inf-9"});
}

Story& asked(Story& story, Answer answer) {
  REQUIRE(wants(story.decision(), ActionKind::check_old_key));
  return story.happens(OldKeyChecked{probe("GET /v1/customers", answer)});
}

Story& rolled_back(Story& story) {
  held(watched(story));
  return asked(story, Answer::granted).conclude();
}

std::string said(const Story& story, const std::string& slot) {
  for (const auto& message : views::messages_for(story.state, story.now)) {
    if (message.slot == slot) return message.text + message.blocks.dump();
  }
  return {};
}

}  // namespace

TEST_CASE("there is a way back once the new key is somewhere, and as long as the old one lives") {
  Story early;
  early.validated();
  CHECK(reason(early).find("put nowhere") != std::string::npos);
  Story stored;
  stored.stored();
  CHECK(reason(stored).empty());
  Story complete;
  complete.completed();
  CHECK(reason(complete).empty());
  complete.later(24h);
  CHECK(reason(complete).find("dead") != std::string::npos);
  Story now_clicked;
  now_clicked.stored(0h);
  CHECK(reason(now_clicked).find("dead") != std::string::npos);
}

TEST_CASE("a leak bars the way back, whatever else is true") {
  Story leak(sample_target(), /*compromise=*/true, "gist");
  leak.completed(1h);
  CHECK(reason(leak).find("barred") != std::string::npos);
  CHECK(views::rollback_answer(leak.state, leak.now).find("Create restricted key") != std::string::npos);
}

TEST_CASE("with too little time left nothing is begun that can't be finished") {
  Story story;
  story.completed(1h);
  story.later(1h - way_back_takes(story.state) - 1s);
  CHECK(reason(story).empty());
  story.later(2s);
  CHECK(reason(story).find("takes about") != std::string::npos);
}

TEST_CASE("a way back is gone once, and the second wish is told so") {
  Story story;
  story.completed();
  story.happens(RollbackRequested{"U2"});
  CHECK(reason(story).find("already") != std::string::npos);
  Story done;
  done.completed();
  rolled_back(done);
  CHECK(reason(done).find("rolled back already") != std::string::npos);
}

TEST_CASE("a write that is under way is brought to its end before anything is put back") {
  Story story;
  story.stored()
      .happens(ActionStarted{{ActionKind::update_consumer, "canary"}})
      .happens(RollbackRequested{"U2"});
  const auto decision = story.decision();
  CHECK_FALSE(recorded<RollbackBegan>(decision));
  CHECK(wants(decision, ActionKind::update_consumer, "canary"));
  CHECK(decision.act.size() == 1);
  story.happens(failure({ActionKind::update_consumer, "canary"}, true));
  CHECK(recorded<RollbackBegan>(story.decision()));
}

TEST_CASE("a watch that is under way holds nobody up, and what it finds is not about the old key") {
  Story story;
  story.propagated().happens(ActionStarted{{ActionKind::watch_consumer, "canary"}});
  const int leg = story.state.leg;
  turn_back(story);
  CHECK(story.state.leg == leg + 1);
  CHECK(story.state.in_flight.empty());
}

TEST_CASE("the way back looks first, then goes as the way forth does") {
  Story story;
  story.completed();
  turn_back(story);
  CHECK(wants(story.decision(), ActionKind::read_previous_key));
  CHECK(wants(story.decision(), ActionKind::probe_previous_key));
  story.happens(PreviousKeyRead{.version = 4, .found = "missing", .request_id = {}});
  CHECK_FALSE(wants(story.decision(), ActionKind::store_key));
  story.happens(healthy_probe(ActionKind::probe_previous_key));
  CHECK(story.decision().act == std::vector<Action>{kStore});
  story.happens(KeyStored{.version = 6, .previous_version = 5, .already_there = false, .request_id = {}});
  CHECK(story.decision().act == std::vector<Action>{{ActionKind::update_consumer, "canary"}});
  story.runs_on("canary").runs_on("second");
  CHECK(wants(story.decision(), ActionKind::watch_consumer, "second"));
  CHECK_FALSE(story.state.rolled_back);
  story.happens(quiet_watch("canary")).happens(quiet_watch("second")).happens(healthy_billing()).conclude();
  CHECK_FALSE(story.state.rolled_back);
  held(story);
  asked(story, Answer::granted).conclude();
  REQUIRE(story.state.rolled_back);
  const auto& context = story.state.rolled_back->event.context;
  CHECK(context.at("requested_by") == "U2");
  CHECK(context.at("key_in_use_fingerprint") == "old-1");
  CHECK(context.at("abandoned_key_fingerprint") == "new-1");
  CHECK(context.at("infisical").at("version") == 6);
  CHECK(stage_of(story.state, story.now) == Stage::rolled_back);
}

TEST_CASE("an old key that is dead, or lost a permission, bars the way back, and the way forth goes on") {
  for (const Answer answer : {Answer::expired, Answer::unknown_key, Answer::denied}) {
    Story story;
    story.propagated();
    turn_back(story).happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = {}});
    story.happens(
        KeyProbed{.purpose = ActionKind::probe_previous_key,
                  .probes = {probe("GET /v1/customers", answer), probe("GET /v1/balance", Answer::denied)},
                  .fingerprint = "old-1"});
    REQUIRE(recorded<RollbackBarred>(story.decision()));
    story.conclude();
    CHECK_FALSE(story.state.way_back());
    CHECK(story.state.stored->event.version == 5);
    CHECK(wants(story.decision(), ActionKind::watch_consumer, "canary"));
    CHECK(said(story, "channel_rollback_barred_1").find("Nothing was put back") != std::string::npos);
    // Stripe's answer is known from here on, and nobody is told that both keys work.
    const bool died = answer != Answer::denied;
    CHECK(story.state.old_key_deleted() == died);
    CHECK((reason(story).find("dead") != std::string::npos) == died);
  }
}

TEST_CASE("a dead old key is not said to work, where some apps may still run on it") {
  Story story;
  story.stored().happens(
      ConsumerUpdated{.app = "canary", .already_there = false, .release = 11, .request_id = {}});
  turn_back(story).happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = {}});
  story.happens(KeyProbed{.purpose = ActionKind::probe_previous_key,
                          .probes = {probe("GET /v1/customers", Answer::expired)},
                          .fingerprint = "old-1"});
  story.conclude();
  CHECK(views::billing_now(story.state).find("which is dead") != std::string::npos);
  CHECK(no_way_back(story.state, story.now)->code == "old_key_dead");
}

TEST_CASE("once the old key may be in the store again, its death stops the way back and bars nothing") {
  Story story;
  story.completed();
  looked_back(story).happens(ActionStarted{kStore}).happens(failure(kStore, /*can_retry=*/false)).conclude();
  REQUIRE(story.state.halted);
  story.happens(RetryRequested{});
  story.happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = {}});
  story.happens(KeyProbed{.purpose = ActionKind::probe_previous_key,
                          .probes = {probe("GET /v1/customers", Answer::expired)},
                          .fingerprint = "old-1"});
  CHECK_FALSE(recorded<RollbackBarred>(story.decision()));
  CHECK(recorded<Halted>(story.decision()));
}

TEST_CASE("an old key that died during the watch is no rollback, however quiet the logs were") {
  for (const Answer answer : {Answer::expired, Answer::unknown_key}) {
    Story story;
    story.completed();
    held(watched(story));
    asked(story, answer).conclude();
    CHECK_FALSE(story.state.rolled_back);
    REQUIRE(story.state.halted);
    CHECK(views::billing_now(story.state).find("refuses the old key") != std::string::npos);
    story.later(1s).happens(RetryRequested{});
    CHECK(wants(story.decision(), ActionKind::check_expiry));
  }
}

TEST_CASE("an old key whose time was over before the watch was is no rollback, although it still answers") {
  Story story;
  story.completed();
  watched(story).later(24h);
  held(story);
  asked(story, Answer::granted).conclude();
  CHECK_FALSE(story.state.rolled_back);
  CHECK(story.state.halted);
}

TEST_CASE("no answer about the old key is no rollback: it is asked for again, and then a person is") {
  Story story;
  story.completed();
  held(watched(story));
  asked(story, Answer::inconclusive).conclude();
  CHECK_FALSE(story.state.rolled_back);
  CHECK_FALSE(story.state.halted);
  CHECK(story.decision().wake == story.now + story.state.target.timing.retry_every);
  story.later(story.state.target.timing.retry_limit + 1s);
  asked(story, Answer::inconclusive).conclude();
  CHECK(story.state.halted);
}

TEST_CASE("what somebody set by hand during the watch stops the way back, and trying again puts it right") {
  Story app;
  app.completed();
  held(watched(app), "old-1", {"second"}).conclude();
  REQUIRE(app.state.halted);
  app.later(1s).happens(RetryRequested{});
  CHECK(app.decision().act == std::vector<Action>{{ActionKind::update_consumer, "second"}});
  Story store;
  store.completed();
  held(watched(store), "new-1").conclude();
  REQUIRE(store.state.halted);
  store.later(1s).happens(RetryRequested{});
  CHECK(wants(store.decision(), ActionKind::probe_previous_key));
  store.happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = {}});
  store.happens(healthy_probe(ActionKind::probe_previous_key));
  CHECK(store.decision().act == std::vector<Action>{kStore});
}

TEST_CASE("whoever was asked to expire the old key early is told not to, once it goes back into use") {
  Story story;
  story.completed().happens(ExpiryRequested{});
  story.happens(ExpiryChecked{.stored_fingerprint = "new-1", .strays = {}, .request_id = {}});
  CHECK(said(story, "dm_expiry_1").find("and confirm") != std::string::npos);
  turn_back(story);
  CHECK(said(story, "dm_expiry_1").find("and confirm") == std::string::npos);
  CHECK(said(story, "dm_expiry_1").find("Don't expire the old key") != std::string::npos);
}

TEST_CASE("what is left to click after a rollback is named by the dashboard's name and the fingerprint") {
  Story story;
  story.completed();
  rolled_back(story);
  const std::string summary = said(story, "channel_rolled_back");
  for (const char* part : {"new-1", "raxx billing", "Expire key", "does not look whether it is dead"})
    CHECK(summary.find(part) != std::string::npos);
  Story stopped;
  stopped.stored().happens(
      Halted{.action = {ActionKind::update_consumer, "canary"}, .sentence = "while giving the new key"});
  const std::string button = said(stopped, "dm_status");
  for (const char* part : {"old-1", "new-1", "UTC"}) CHECK(button.find(part) != std::string::npos);
}

TEST_CASE("a trouble on the way back stops it, and trying again goes on there") {
  Story story;
  story.propagated();
  looked_back(story).happens(failure(kStore, /*can_retry=*/false, "somebody else changed it")).conclude();
  REQUIRE(story.state.halted);
  CHECK(reason(story).find("already") != std::string::npos);
  CHECK_FALSE(story.state.may_set_key_aside());
  story.happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::read_previous_key));
}

TEST_CASE("a failure in the log with the old key is no rollback") {
  Story story;
  story.completed();
  looked_back(story).happens(
      KeyStored{.version = 6, .previous_version = 5, .already_there = false, .request_id = {}});
  for (const auto& consumer : story.state.target.consumers) story.runs_on(consumer.app);
  WatchFinished bad = quiet_watch("canary");
  bad.totals.failures = {"AuthenticationError"};
  story.happens(bad).happens(quiet_watch("second")).happens(healthy_billing()).conclude();
  CHECK_FALSE(story.state.rolled_back);
  CHECK(story.state.halted);
}

TEST_CASE(
    "after a rollback the deadline stands: a reminder, a look, and an alarm when billing's key is dead") {
  Story story;
  story.completed(24h);
  story.happens(Reminded{});  // of the grace's end: the one after a rollback is another
  rolled_back(story);
  CHECK(said(story, "channel_rolled_back").find("still expires") != std::string::npos);
  CHECK(*story.decision().wake == *story.state.old_key_deadline() - 1h);
  story.now = *story.decision().wake;
  REQUIRE(recorded<Reminded>(story.decision()));
  story.conclude();
  CHECK(said(story, "channel_reminder_rolled_back").find("runs on a key that expires") != std::string::npos);
  story.now = *story.decision().wake;
  CHECK(wants(story.decision(), ActionKind::check_old_key));
  story.happens(OldKeyChecked{probe("GET /v1/customers", Answer::granted)});
  CHECK_FALSE(recorded<Closed>(story.decision()));
  story.later(1min).happens(OldKeyChecked{probe("GET /v1/customers", Answer::expired)});
  REQUIRE(recorded<Closed>(story.decision()));
  CHECK(recorded<Closed>(story.decision())->outcome == "rolled_back");
  story.conclude();
  CHECK(said(story, "channel_rollback_over").find("Billing fails now") != std::string::npos);
}

TEST_CASE("a rollback that the next rotation ended raises no alarm") {
  Story story;
  story.completed();
  rolled_back(story).happens(Closed{"rolled_back"});
  CHECK(said(story, "channel_rollback_over").empty());
  CHECK(story.decision().done);
}

}  // namespace keyturn::test
