#include "commands/rotation/judge.h"

#include <catch2/catch.hpp>

#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

// The verdict on a new key that answered as `fresh`, where the old one answered as usual.
std::string rejection_code(const KeyProbed& fresh) {
  Story story;
  story.received().happens(fresh).happens(healthy_probe(ActionKind::probe_old_again));
  const auto rejected = rejection(story.state);
  return rejected ? rejected->code : "";
}

KeyProbed fresh() { return healthy_probe(ActionKind::probe_new_key); }

std::string objection_code(Story& story) {
  const auto refused = objection(story.state);
  return refused ? refused->code : "";
}

}  // namespace

TEST_CASE("a key of the same account, mode and permissions is accepted") {
  CHECK(rejection_code(fresh()).empty());
}

TEST_CASE("a key of another account is rejected") {
  KeyProbed other = fresh();
  other.probes.back().account = "acct_2";
  CHECK(rejection_code(other) == "account");
}

TEST_CASE("a key that nothing ties to the old one's account is rejected") {
  KeyProbed nameless = fresh();
  nameless.probes.front().newest_object = "cus_other";
  nameless.probes.back().account.clear();
  CHECK(rejection_code(nameless) == "account_unproven");
  nameless.probes.front().newest_object = "cus_1";
  CHECK(rejection_code(nameless).empty());
}

TEST_CASE("a key that lost or gained a permission is another key") {
  KeyProbed lost = fresh();
  lost.probes.front().answer = Answer::denied;
  CHECK(rejection_code(lost) == "lost_permission");
  KeyProbed gained = fresh();
  gained.probes.back().answer = Answer::granted;
  CHECK(rejection_code(gained) == "gained_permission");
}

TEST_CASE("a fresh key in a dead one's place has to be what the settings say") {
  const auto code = [](const KeyProbed& fresh) {
    Story story;
    story.checked().happens(dead_at_first()).happens(KeyReceived{.fingerprint = "new-1", .peer = {}});
    story.happens(fresh).happens(dead_at_first(Answer::expired, /*again=*/true));
    const auto rejected = rejection(story.state);
    if (rejected) CHECK(rejected->sentence.find("key in use has not been touched") == std::string::npos);
    return rejected ? rejected->code : "";
  };
  CHECK(code(fresh()).empty());
  const auto with = [](auto change) {
    KeyProbed changed = fresh();
    change(changed);
    return changed;
  };
  CHECK(code(with([](auto& key) { key.probes.front().answer = Answer::denied; })) == "lost_permission");
  CHECK(code(with([](auto& key) { key.probes.back().answer = Answer::granted; })) == "gained_permission");
  CHECK(code(with([](auto& key) { key.probes.back().account = "acct_2"; })) == "account");
  CHECK(code(with([](auto& key) { key.probes.back().account.clear(); })) == "account_unproven");
  CHECK(code(with([](auto& key) { key.probes.front().livemode = false; })) == "mode");
  CHECK(code(with([](auto& key) { key.probes.back().answer = Answer::unknown_key; })) == "dead");
}

TEST_CASE("a recovery says what it is before the click, also when billing calls itself healthy") {
  Story story;
  story.checked().happens(dead_at_first());
  const auto said = warnings(story.state);
  REQUIRE(said.size() == 2);
  CHECK(said[0].find("Stripe refuses the current key") != std::string::npos);
  CHECK(said[1].find("calls itself healthy all the same") != std::string::npos);
}

TEST_CASE("a key that answers with the other mode's data is rejected") {
  KeyProbed wrong = fresh();
  wrong.probes.front().livemode = false;
  CHECK(rejection_code(wrong) == "mode");
}

TEST_CASE("a key that Stripe refuses anywhere is rejected, and so is one that was asked nothing") {
  KeyProbed dead = fresh();
  dead.probes.back().answer = Answer::expired;
  CHECK(rejection_code(dead) == "dead");
  CHECK(rejection_code({.purpose = ActionKind::probe_new_key, .probes = {}, .fingerprint = "new-1"}) ==
        "dead");
}

TEST_CASE("an app that runs nothing, or is in maintenance, gives pause and stops nothing") {
  Story story;
  ConsumerInspected resting = inspected("canary");
  resting.dynos = resting.dynos_up = 0;
  resting.maintenance = true;
  story.checked().happens(resting);
  CHECK(objection_code(story).empty());
  const auto said = warnings(story.state);
  REQUIRE(said.size() == 2);
  CHECK(said[0].find("nothing there will exercise the new key") != std::string::npos);
  CHECK(said[1] == "canary is in maintenance mode.");
}

TEST_CASE("a grace that can't hold the propagation is warned of before anything is clicked") {
  Story story;
  story.checked();
  ConsumerInspected canary = inspected("canary"), second = inspected("second");
  canary.release_takes = 3min;
  second.release_takes = 2min;
  story.happens(canary).happens(second);
  CHECK(propagation_forecast(story.state) == 5min + story.state.target.watch);
  CHECK(warnings(story.state).empty());
  story.state.target.grace = 5min + story.state.target.watch - 1s;
  const auto said = warnings(story.state);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("takes about 10 minutes, and the grace to choose is 9 minutes 59 seconds") !=
        std::string::npos);
}

TEST_CASE("few calls left at the apps' host are told before anything is clicked") {
  Story story;
  ConsumerInspected canary = inspected("canary"), second = inspected("second");
  canary.calls_left = 99;
  second.calls_left = 100;
  story.checked().happens(canary).happens(second);
  CHECK(objection_code(story).empty());
  const auto said = warnings(story.state);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("only 99 more calls") != std::string::npos);
  canary.calls_left = 100;
  story.happens(canary);
  CHECK(warnings(story.state).empty());
}

TEST_CASE("each reason not to begin is named") {
  const auto with_key = [](auto change) {
    CurrentKeyRead key = current_key();
    change(key);
    Story story;
    story.checked().happens(key);
    return objection_code(story);
  };
  CHECK(with_key([](auto& key) { key.hidden = true; }) == "hidden");
  CHECK(with_key([](auto& key) { key.kind = "master_key"; }) == "master_key_stored");
  CHECK(with_key([](auto& key) { key.is_reference = true; }) == "reference");
  CHECK(with_key([](auto& key) { key.rotated_by_store = true; }) == "rotated_by_store");
  CHECK(with_key([](auto& key) { key.kind = "wrong_mode"; }) == "wrong_mode");
  CHECK(with_key([](auto& key) { key.kind = "publishable_key"; }) == "not_restricted");
  CHECK(with_key([](auto& key) { key.kind = ""; }) == "not_restricted");
  CHECK(with_key([](auto& key) {
          key.syncs = {SyncSeen{.id = {}, .destination = "github", .app = {}, .app_id = {}, .variable = {}}};
        }) == "sync");
  CHECK(with_key([](auto& key) { key.fingerprint = "else-1"; }) == "drift");
  CHECK(with_key([](auto&) {}).empty());
}

TEST_CASE("a current key of another account than the settings name is refused") {
  auto target = sample_target();
  target.account = "acct_settings";
  Story story(target);
  story.checked();
  CHECK(objection_code(story) == "account");
}

TEST_CASE(
    "a permission that the settings expect and the key lacks refuses a routine rotation and warns in a "
    "leak") {
  KeyProbed lacking = healthy_probe(ActionKind::probe_old_key);
  lacking.probes.front() = probe("GET /v1/customers", Answer::denied);
  Story routine;
  routine.checked().happens(lacking);
  CHECK(objection_code(routine) == "missing_permission");
  Story leak(sample_target(), /*compromise=*/true);
  leak.checked().happens(lacking);
  CHECK(objection_code(leak).empty());
  CHECK(warnings(leak.state).size() == 1);
}

TEST_CASE("the completion's context holds fingerprints, releases and request ids") {
  Story story;
  story.completed();
  const auto& context = story.state.completed->event.context;
  CHECK(context.at("new_key_fingerprint") == "new-1");
  CHECK(context.at("old_key_fingerprint") == "old-1");
  CHECK(context.at("infisical").at("version") == 5);
  CHECK(context.at("consumers").size() == 2);
  CHECK(context.at("consumers").at(0).at("log_watch").at("watched_ms") == 300'000);
  CHECK(context.at("scopes").size() == 2);
  CHECK(context.at("grace_period_hours") == 24.0);
}

}  // namespace keyturn::test
