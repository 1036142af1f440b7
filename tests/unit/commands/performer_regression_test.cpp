// The performer against a world that is changed behind its back: releases by others, configurations that come
// back, dynos that aren't there for a moment. One test for each way in which that once went green.
#include <catch2/catch.hpp>

#include "tests/unit/commands/workshop.h"

namespace keyturn::test {

TEST_CASE("somebody else's release before ours is not taken for ours") {
  Workshop stage;
  stage.heroku.list = {release(11), release(10)};  // made since the inspection, which saw v10
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::update_consumer));
  CHECK(stage.failure.find("no release") != std::string::npos);

  stage.heroku.held = secret('O');
  stage.heroku.on_set = [&] { stage.heroku.list.insert(stage.heroku.list.begin(), release(12)); };
  const auto updated = stage.perform<ConsumerUpdated>(ActionKind::update_consumer);
  REQUIRE(updated);
  CHECK(updated->release == 12);
}

TEST_CASE("somebody else's release right after ours is not taken for ours") {
  Workshop stage;
  stage.heroku.list = {release(10)};
  stage.heroku.on_set = [&] {
    Release ours = release(11), theirs = release(12, ReleaseStatus::failed);
    ours.description = "Set STRIPE_RESTRICTED_KEY config vars";
    theirs.description = "Deploy 1f0c2d3e";
    stage.heroku.list = {theirs, ours, release(10)};
  };
  const auto updated = stage.perform<ConsumerUpdated>(ActionKind::update_consumer);
  REQUIRE(updated);
  CHECK(updated->release == 11);
}

TEST_CASE("a living key that one call calls unknown is asked about again, and nothing is said of it") {
  Workshop stage;
  stage.put(kOldKey, 'L');
  stage.stripe.odd_one = "GET /v1/balance";
  CHECK_FALSE(stage.perform<KeyProbed>(ActionKind::probe_old_key));
  CHECK(stage.failure.find("takes the key for some calls and refuses it for others") != std::string::npos);
}

TEST_CASE("a release that was rolled back with its configuration is not running with the new key") {
  Workshop stage;
  stage.heroku.list = {release(12), release(11)};
  stage.heroku.dyno_lists = {{Workshop::dyno(12)}};
  stage.heroku.held = secret('O');
  CHECK_FALSE(stage.perform<ConsumerRunning>(ActionKind::await_consumer));
  CHECK(stage.failure.find("no longer holds the new key but the old one") != std::string::npos);
  CHECK_FALSE(stage.perform<WatchFinished>(ActionKind::watch_consumer));
  CHECK(stage.failure.find("no longer holds the new key") != std::string::npos);
}

TEST_CASE("a newer release has to run everywhere, and mends one that failed") {
  Workshop stage;
  stage.heroku.held = secret('N');
  stage.heroku.list = {release(12), release(11, ReleaseStatus::failed)};
  stage.heroku.dyno_lists = {{Workshop::dyno(11), Workshop::dyno(12)},
                             {Workshop::dyno(12), Workshop::dyno(12)}};
  const auto running = stage.perform<ConsumerRunning>(ActionKind::await_consumer);
  REQUIRE(running);
  CHECK(running->release == 12);
  stage.heroku.list = {release(11, ReleaseStatus::failed)};
  CHECK_FALSE(stage.perform<ConsumerRunning>(ActionKind::await_consumer));
  CHECK(stage.failure.find("failed") != std::string::npos);
}

// Found in a drill: "Try again" looked at the failed release for ever, since the value was there already.
TEST_CASE("a retry after a failed release makes another one") {
  Workshop stage;
  stage.heroku.held = secret('N');
  stage.heroku.list = {release(11, ReleaseStatus::failed), release(10)};
  const auto updated = stage.perform<ConsumerUpdated>(ActionKind::update_consumer);
  REQUIRE(updated);
  CHECK(updated->already_there);
  CHECK(updated->release == 12);
  CHECK(stage.heroku.released_again == "code-1");

  stage.heroku.released_again.clear();
  REQUIRE(stage.perform<ConsumerUpdated>(ActionKind::update_consumer));  // it is pending now
  CHECK(stage.heroku.released_again.empty());

  stage.heroku.list = {release(11, ReleaseStatus::failed), release(10)};
  stage.heroku.list.back().slug.clear();  // an image: nothing can be released again by its slug
  CHECK_FALSE(stage.perform<ConsumerUpdated>(ActionKind::update_consumer));
  CHECK(stage.failure.find("deploy the app once more") != std::string::npos);
}

TEST_CASE("a moment without dynos is not a running app") {
  Workshop stage;
  stage.heroku.held = secret('N');
  stage.heroku.list = {release(11)};
  stage.heroku.dyno_lists = {{}, {}, {Workshop::dyno(10)}, {Workshop::dyno(11)}};
  const auto running = stage.perform<ConsumerRunning>(ActionKind::await_consumer);
  REQUIRE(running);
  CHECK(running->dynos == 1);
  stage.heroku.dyno_lists = {{}};
  const auto scaled_down = stage.perform<ConsumerRunning>(ActionKind::await_consumer);
  REQUIRE(scaled_down);
  CHECK(scaled_down->dynos == 0);
}

TEST_CASE("a retry after a consumer lost the new key gives it the key again") {
  Story story;
  story.propagated();
  const Action watch{ActionKind::watch_consumer, "canary"};
  story.happens(healthy_billing()).happens(failure(watch, /*can_retry=*/false, "it holds the old key"));
  story.conclude();
  REQUIRE(story.state.halted);
  story.happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::update_consumer, "canary"));
  story.runs_on("canary");
  CHECK(wants(story.decision(), ActionKind::watch_consumer, "canary"));
  CHECK(wants(story.decision(), ActionKind::watch_billing));
}

TEST_CASE("the proof asks with a call that the new key may make") {
  Workshop stage;
  stage.heroku.held = secret('N');
  stage.story.state.target.permitted = {"GET /v1/subscriptions", "GET /v1/customers"};
  const auto proof = stage.perform<ProofTaken>(ActionKind::take_proof);
  REQUIRE(proof);
  CHECK(stage.stripe.asked == std::vector<std::string>{"GET /v1/customers", "GET /v1/customers"});
  CHECK(worth(*proof, false) == ProofWorth::dead);
  CHECK(proof->new_key.note.empty());
}

TEST_CASE("a proof while an app holds another key than Infisical is broken, and names the app") {
  Workshop stage;
  const auto proof = stage.perform<ProofTaken>(ActionKind::take_proof);
  REQUIRE(proof);
  CHECK(proof->strays == std::vector<std::string>{"canary", "second"});
  CHECK(worth(*proof, false) == ProofWorth::broken);
}

TEST_CASE("a proof says so when Infisical holds another key than the rotation stored") {
  Workshop stage;
  stage.infisical.held = secret('X');
  const auto proof = stage.perform<ProofTaken>(ActionKind::take_proof);
  REQUIRE(proof);
  CHECK(proof->new_key.note.find("another key") != std::string::npos);
}

}  // namespace keyturn::test
