// Which of the store's syncs bar a rotation, which are followed, and what following one is.
#include "commands/rotation/syncs.h"

#include <catch2/catch.hpp>

#include "commands/views/messages.h"
#include "commands/views/progress.h"
#include "tests/unit/commands/workshop.h"

namespace keyturn::test {
namespace {

using Catch::Matchers::Contains;
using integrations::SecretSync;
using integrations::SyncStatus;

const std::string kVariable = "STRIPE_RESTRICTED_KEY";

SecretSync sync_to(const std::string& app, const std::string& run = "run-1") {
  SecretSync sync;
  sync.id = "sync-of-" + app;
  sync.destination = "heroku";
  sync.app = app;
  sync.app_id = "id-of-" + app;
  sync.environment = "prod";
  sync.path = "/";
  sync.automatic = true;
  sync.has_run = true;
  sync.status = SyncStatus::succeeded;
  sync.last_run = run;
  return sync;
}

std::string bar(const SecretSync& sync, bool compromise = false) {
  const auto target = sample_target();
  const auto barred = barred_by_syncs(target, syncs_of(target, {sync}), compromise);
  return barred ? barred->why : "";
}

// A rotation of which those apps are followed, up to the write into the store.
Story following(const std::vector<std::string>& apps, commands::Target target = sample_target()) {
  CurrentKeyRead read = current_key();
  for (const auto& app : apps) {
    for (const auto& seen : syncs_of(target, {sync_to(app)})) read.syncs.push_back(seen);
  }
  Story story(std::move(target));
  story.validated().happens(read);
  KeyStored stored{.version = 5, .previous_version = 4, .already_there = false, .request_id = "inf-1"};
  for (const auto& app : apps) stored.sync_runs["sync-of-" + app] = "run-1";
  story.happens(stored);
  return story;
}

ConsumerUpdated brought(const std::string& app) {
  return {.app = app, .already_there = false, .release = 11, .request_id = "her-1", .by_sync = true};
}

}  // namespace

TEST_CASE("a sync that brings a consumer its variable is followed, by the app's name or its id") {
  auto target = sample_target();
  CHECK(bar(sync_to("canary")).empty());
  CHECK(followed(target, syncs_of(target, {sync_to("canary")}), "canary"));
  CHECK_FALSE(followed(target, syncs_of(target, {sync_to("canary")}), "second"));
  target.consumers.front().app = "id-of-canary";
  CHECK(followed(target, syncs_of(target, {sync_to("canary")}), "id-of-canary"));
}

TEST_CASE("a key schema is followed only where it gives the consumer its variable") {
  SecretSync sync = sync_to("canary");
  sync.key_schema = "{{secretKey}}";
  CHECK(bar(sync).empty());
  sync.key_schema = "{{environment}}_{{secretKey}}";
  CHECK_THAT(bar(sync), Contains("brings this secret there as prod_STRIPE_RESTRICTED_KEY") &&
                            Contains("canary uses STRIPE_RESTRICTED_KEY") &&
                            Contains("may overwrite or delete what Keyturn sets"));
  sync.key_schema = "{{somethingNew}}_{{secretKey}}";
  CHECK_THAT(bar(sync), Contains("can't be followed"));
  auto target = sample_target();
  target.consumers.front().variable = "prod_STRIPE_RESTRICTED_KEY";
  sync.key_schema = "{{environment}}_{{secretKey}}";
  CHECK(followed(target, syncs_of(target, {sync}), "canary"));
}

TEST_CASE("a sync to where nobody verifies the key bars the rotation, and says what to do") {
  CHECK_THAT(bar(sync_to("stranger")), Contains("(heroku stranger)") && Contains("don't name that"));
  SecretSync github = sync_to("canary");
  github.destination = "github";
  CHECK_THAT(bar(github), Contains("copies this path onward"));
  const auto target = sample_target();
  const auto told = [&](const SecretSync& sync) {
    return barred_by_syncs(target, syncs_of(target, {sync}), false)->remedy;
  };
  CHECK_THAT(told(sync_to("stranger")), Contains("Add the app to the target's consumers, or switch"));
  CHECK_THAT(told(github), Contains("Switch that sync's auto-sync off until the rotation is done"));
}

TEST_CASE("a sync that isn't automatic, or is of another folder, is no business of the rotation") {
  SecretSync sync = sync_to("stranger");
  sync.automatic = false;
  CHECK(bar(sync).empty());
  sync = sync_to("stranger");
  sync.path = "/other";
  CHECK(bar(sync).empty());
  auto target = sample_target();
  target.store.path = "/payments/stripe";
  sync = sync_to("canary");
  CHECK(syncs_of(target, {sync}).empty());
  sync.recursive = true;  // one flat list: the folder is no part of the name
  CHECK(followed(target, syncs_of(target, {sync}), "canary"));
}

TEST_CASE("a sync that has never succeeded bars every rotation; one that failed, those that can wait") {
  SecretSync sync = sync_to("canary");
  sync.has_run = false;
  CHECK_THAT(bar(sync), Contains("has never succeeded"));
  CHECK_THAT(bar(sync, /*compromise=*/true), Contains("has never succeeded"));
  sync = sync_to("canary");
  sync.status = SyncStatus::failed;
  CHECK_THAT(bar(sync), Contains("failed the last time"));
  CHECK(bar(sync, /*compromise=*/true).empty());
}

TEST_CASE("a sync that an older journal holds in words still bars") {
  const Event event = read_event("secret.rotate.current_key.read",
                                 {{"version", 4}, {"kind", "restricted_key"}, {"syncs", {"heroku canary"}}});
  const auto& read = std::get<CurrentKeyRead>(event);
  REQUIRE(read.syncs.size() == 1);
  Story story;
  story.checked().happens(read);
  CHECK(objection(story.state)->code == "sync");
}

TEST_CASE("what is followed, what it deletes and that it failed is said before the click") {
  Story story;
  CurrentKeyRead read = current_key();
  SecretSync sync = sync_to("canary");
  sync.deletes = true;
  sync.status = SyncStatus::failed;
  read.syncs = syncs_of(story.state.target, {sync});
  story.checked();
  CHECK(sync_warnings(story.state).empty());
  story.happens(read);
  const auto said = warnings(story.state);
  REQUIRE(said.size() == 3);
  CHECK_THAT(said[0], Contains("brings the new key to canary: Keyturn writes only Infisical"));
  CHECK_THAT(said[0], !Contains("no app goes first"));
  CHECK_THAT(said[1], Contains("deletes the variables of canary that Infisical doesn't hold"));
  CHECK_THAT(said[2], Contains("failed the last time"));
}

TEST_CASE("that no app goes first is said where a sync changes more than the canary") {
  CHECK_THAT(sync_warnings(following({"second"}).state).at(0), Contains("no app goes first"));
  CHECK_THAT(sync_warnings(following({"canary", "second"}).state).at(0), Contains("no app goes first"));
}

TEST_CASE("followed apps are looked at all at once; what we change ourselves still waits for the canary") {
  Story all = following({"canary", "second"});
  CHECK(all.decision().act ==
        std::vector<Action>{{ActionKind::follow_sync, "canary"}, {ActionKind::follow_sync, "second"}});
  all.happens(brought("second"));
  CHECK(all.decision().act ==
        std::vector<Action>{{ActionKind::follow_sync, "canary"}, {ActionKind::await_consumer, "second"}});

  Story ours_first = following({"second"});
  CHECK(ours_first.decision().act ==
        std::vector<Action>{{ActionKind::update_consumer, "canary"}, {ActionKind::follow_sync, "second"}});
  Story ours_second = following({"canary"});
  CHECK(ours_second.decision().act == std::vector<Action>{{ActionKind::follow_sync, "canary"}});
  ours_second.happens(brought("canary"));
  CHECK(ours_second.decision().act == std::vector<Action>{{ActionKind::await_consumer, "canary"}});
  ours_second.happens(ConsumerRunning{.app = "canary", .release = 11, .dynos = 2, .request_id = {}});
  CHECK(ours_second.decision().act == std::vector<Action>{{ActionKind::update_consumer, "second"}});
}

TEST_CASE("the way back doesn't wait for a sync that is being followed, and follows it again") {
  Story story = following({"canary", "second"});
  story.happens(ActionStarted{{ActionKind::follow_sync, "canary"}}).happens(RollbackRequested{"U2"});
  REQUIRE(recorded<RollbackBegan>(story.decision()));
  story.conclude();
  story.happens(PreviousKeyRead{.version = 4, .found = "same", .request_id = {}});
  story.happens(healthy_probe(ActionKind::probe_previous_key));
  CHECK(story.decision().act == std::vector<Action>{{ActionKind::store_key, {}}});
  story.happens(KeyStored{.version = 6, .previous_version = 5, .already_there = false, .request_id = {}});
  CHECK(story.decision().act ==
        std::vector<Action>{{ActionKind::follow_sync, "canary"}, {ActionKind::follow_sync, "second"}});
  CHECK_THAT(commands::views::render(commands::views::progress(story.state, story.now)),
             Contains("Infisical's sync brings the old key back to canary"));
}

TEST_CASE("the progress and the evidence say that the sync brought the key") {
  Story story = following({"canary", "second"});
  const auto shown = [&] {
    return commands::views::render(commands::views::progress(story.state, story.now));
  };
  CHECK_THAT(shown(), Contains("Infisical's sync brings the new key to canary"));
  ConsumerUpdated updated = brought("canary");
  updated.released_by = "sync@raxx.example";
  story.happens(updated);
  CHECK_THAT(shown(), Contains("canary: the key came by Infisical's sync, release v11 made"));
  const auto context = completion_context(story.state, story.now).at("consumers").at(0);
  CHECK(context.at("by_sync") == true);
  CHECK(context.at("released_by") == "sync@raxx.example");
}

TEST_CASE("a stop while a sync is followed doesn't claim to know what the app holds by now") {
  Story story = following({"canary"});
  story.happens(Halted{.action = {ActionKind::follow_sync, "canary"}, .sentence = "because of the world"});
  CHECK_THAT(commands::views::billing_now(story.state),
             Contains("Billing runs on the old key") && Contains("unless Infisical's sync has brought"));
}

TEST_CASE("only a failure since the write is this rotation's, and a sync that is gone brings nothing") {
  const Story story = following({"canary"});
  SecretSync sync = sync_to("canary");
  sync.status = SyncStatus::failed;
  CHECK_FALSE(sync_trouble(story.state, "canary", {sync}));  // the run from before
  sync.last_run = "run-2";
  CHECK_THAT(sync_trouble(story.state, "canary", {sync}).value(),
             Contains("canary still holds the old key, and Infisical the new one") && Contains("has failed"));
  sync.status = SyncStatus::running;
  CHECK_FALSE(sync_trouble(story.state, "canary", {sync}));
  sync.automatic = false;
  CHECK_THAT(sync_trouble(story.state, "canary", {sync}).value(), Contains("switched off"));
  CHECK(sync_trouble(story.state, "canary", {}).has_value());
}

// ---- the performer

namespace {

struct FollowedWorkshop : Workshop {
  FollowedWorkshop() {
    infisical.list = {sync_to("canary")};
    story.state.current->event.syncs = syncs_of(story.state.target, infisical.list);
    story.state.stored->event.sync_runs = {{"sync-of-canary", "run-1"}};
    heroku.on_set = [] { FAIL("two writers would fight"); };
  }
};

}  // namespace

TEST_CASE("what a sync has brought is taken with the release that was made for it, and nothing is written") {
  FollowedWorkshop stage;
  int looks = 0;
  stage.infisical.on_list = [&] {  // the first look finds the old key
    if (++looks != 2) return;
    stage.heroku.held = secret('N');
    stage.heroku.list = {release(11), release(10)};
    stage.heroku.list.front().user = "sync@raxx.example";
  };
  const auto updated = stage.perform<ConsumerUpdated>(ActionKind::follow_sync);
  REQUIRE(updated);
  CHECK(updated->by_sync);
  CHECK_FALSE(updated->already_there);
  CHECK(updated->release == 11);
  CHECK(updated->released_by == "sync@raxx.example");
  // After a crash it only looks.
  const auto again = stage.perform<ConsumerUpdated>(ActionKind::follow_sync);
  REQUIRE(again);
  CHECK(again->already_there);
  CHECK(again->release == 11);
}

TEST_CASE("a sync that fails, or brings nothing in time, is told in words") {
  FollowedWorkshop stage;
  stage.infisical.list = {sync_to("canary", "run-2")};
  stage.infisical.list.front().status = SyncStatus::failed;
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure,
             Contains("canary still holds the old key, and Infisical the new one: the sync that "
                      "brings it there has failed") &&
                 Contains("Trigger Sync"));

  stage.infisical.list.front().status = SyncStatus::pending;
  stage.story.state.stored->at = kStart - stage.story.state.target.timing.release_limit - 1s;
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure,
             Contains("does not hold the new key 15 minutes after Infisical does; Infisical says "
                      "that its sync is waiting to run"));
  // What it says of the run before says nothing of the key.
  stage.infisical.list.front() = sync_to("canary", "run-1");
  stage.infisical.list.front().status = SyncStatus::succeeded;
  stage.story.state.stored->event.sync_runs = {{stage.infisical.list.front().id, "run-1"}};
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure, Contains("Infisical's sync has not run since"));
}

TEST_CASE("a third key in a followed app is somebody's doing, not the sync's") {
  FollowedWorkshop stage;
  stage.heroku.held = secret('X');
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure, Contains("holds another key now") && Contains("by hand"));
}

TEST_CASE("a failed release of the sync's is made again once a person asks for it") {
  FollowedWorkshop stage;
  stage.heroku.held = secret('N');
  stage.heroku.list = {release(11, ReleaseStatus::failed), release(10)};
  const auto updated = stage.perform<ConsumerUpdated>(ActionKind::follow_sync);
  REQUIRE(updated);
  CHECK(updated->release == 11);
  stage.story.state.retried_at = stage.story.state.stored->at + 1s;
  const auto mended = stage.perform<ConsumerUpdated>(ActionKind::follow_sync);
  REQUIRE(mended);
  CHECK(mended->release == 12);
  CHECK(stage.heroku.released_again == "code-1");
}

TEST_CASE("the runs of a followed sync are noted before the store is written") {
  FollowedWorkshop stage;
  stage.infisical.held = secret('N');
  const auto stored = stage.perform<KeyStored>(ActionKind::store_key);
  REQUIRE(stored);
  CHECK(stored->sync_runs == std::map<std::string, std::string>{{"sync-of-canary", "run-1"}});
}

TEST_CASE("syncs that were changed while people were waited for stop the write, and nothing is written") {
  FollowedWorkshop stage;
  const auto refused = [&stage] { return !stage.perform<KeyStored>(ActionKind::store_key).has_value(); };
  stage.infisical.held = secret('O');
  const auto as_it_was = stage.infisical.list;
  stage.infisical.list.clear();
  CHECK(refused());
  CHECK_THAT(stage.failure,
             Contains("one no longer brings this secret to canary") && Contains("Nothing was written"));
  stage.infisical.list = as_it_was;
  stage.infisical.list.front().status = SyncStatus::failed;
  CHECK(refused());
  CHECK_THAT(stage.failure, Contains("failed the last time"));
  // One that came: whatever was to be written by us is the sync's by now.
  stage.infisical.list = as_it_was;
  stage.story.state.current->event.syncs.clear();
  CHECK(refused());
  CHECK_THAT(stage.failure, Contains("one now brings this secret to canary"));
  // What stands there already needs no write, whatever the syncs are.
  stage.infisical.held = secret('N');
  CHECK_FALSE(refused());
}

TEST_CASE(
    "a sync that has run, and an app that holds the old key all the same, is told without waiting for long") {
  FollowedWorkshop stage;
  stage.infisical.list = {sync_to("canary", "run-2")};
  stage.story.state.target.timing.poll_every = 1ms;
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure,
             Contains("has run since the new key was stored") && Contains("somebody put it back"));
}

TEST_CASE("a release from before the sync brought the key is not taken for the sync's") {
  FollowedWorkshop stage;
  stage.story.state.target.timing.poll_every = 1ms;
  stage.heroku.list = {release(11), release(10)};  // somebody's deploy, after the inspection
  int looks = 0;
  stage.infisical.on_list = [&] {
    if (++looks == 2) stage.heroku.held = secret('N');  // and Heroku doesn't list its release yet
  };
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::follow_sync));
  CHECK_THAT(stage.failure, Contains("has made no release for the change yet"));
}

}  // namespace keyturn::test
