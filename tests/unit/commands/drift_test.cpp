// Which apps are said not to hold the stored key, when, and in which words.
#include <catch2/catch.hpp>

#include "commands/drift.h"
#include "commands/views/drift.h"
#include "tests/unit/commands/crew.h"
#include "tests/unit/commands/past.h"
#include "tests/unit/commands/slack_rules.h"

namespace keyturn::test {
namespace {

namespace views = commands::views;
using commands::Drift;
using commands::DriftChanges;
using commands::DriftLook;
using commands::Drifts;

// A rotation from "old" to "new", closed or in its grace, and looks at its one app.
struct Watched {
  explicit Watched(bool closed = true) {
    past.rotated("U1", "old", "new");
    if (closed) past.proven();
  }
  DriftLook look(const std::string& app_holds, const std::string& stored = "new") const {
    return {.expected = commands::key_at_rest(target, past.rotations(), past.seen),
            .stored = stored,
            .apps = {{"raxx-api-prod", app_holds}}};
  }
  DriftChanges after(const DriftLook& now, const std::optional<DriftLook>& before) const {
    return commands::changes(target, drifts, past.rotations(), now, before);
  }
  Drift& told(const std::string& app_holds, const std::string& app = "raxx-api-prod") {
    Drift drift{.id = "drift_1",
                .target = "stripe prod",
                .app = app,
                .stored = "new",
                .held = app_holds,
                .release = "v43 (Rollback to v41)",
                .newest_release = 43,
                .offered = !app.empty(),
                .channel = "C1",
                .found_at = past.now};
    commands::note(drifts, commands::kDriftFound, commands::found_data(drift), past.now);
    return drifts.at("drift_1");
  }
  std::string words(const std::vector<std::string>& people = {"U1", "U2"}) const {
    const Drift& drift = drifts.at("drift_1");
    const auto message = views::drift_message(
        drift, commands::held_key("stripe prod", drift.held, past.rotations()), people, past.now);
    CHECK(SlackRules::broken_by(message).empty());
    return message.blocks.dump();
  }
  Past past;
  commands::Target target = target_named("prod");
  Drifts drifts;
};

}  // namespace

TEST_CASE("an app that does not hold the stored key is told of when two looks in a row saw it") {
  Watched watched;
  CHECK(watched.after(watched.look("new"), std::nullopt).found.empty());
  const DriftChanges first = watched.after(watched.look("old"), watched.look("new"));
  CHECK(first.found.empty());
  CHECK(first.suspicious);
  const DriftChanges second = watched.after(watched.look("old"), watched.look("old"));
  REQUIRE(second.found.size() == 1);
  CHECK(second.found.front().app == "raxx-api-prod");
  CHECK(second.found.front().stored == "new");
  CHECK(second.found.front().held == "old");
  CHECK_FALSE(second.suspicious);
  // Something else each time: somebody is at work.
  CHECK(watched.after(watched.look("other"), watched.look("old")).found.empty());
  // No key at all is another key.
  CHECK(watched.after(watched.look(""), watched.look("")).found.size() == 1);
}

TEST_CASE("a drift is told once, and ends when the app holds the key again, or another one") {
  Watched watched;
  watched.told("old");
  CHECK(watched.after(watched.look("old"), watched.look("old")).found.empty());
  CHECK(watched.after(watched.look("old"), watched.look("old")).ended.empty());
  CHECK(watched.after(watched.look("new"), watched.look("old")).ended == std::vector<std::string>{"drift_1"});
  const DriftChanges other = watched.after(watched.look("third"), watched.look("third"));
  CHECK(other.ended == std::vector<std::string>{"drift_1"});
  CHECK(other.found.size() == 1);
  // What could not be looked at is neither mended nor news.
  DriftLook blind = watched.look("new");
  blind.apps.clear();
  CHECK(watched.after(blind, watched.look("old")).ended.empty());
}

TEST_CASE(
    "while it is being repaired, and after a repair that wrote and failed, a drift is not called over") {
  Watched watched;
  watched.told("old");
  const auto happens = [&watched](std::string_view type, nlohmann::json data) {
    data["id"] = "drift_1";
    commands::note(watched.drifts, type, data, watched.past.now);
  };
  const auto over = [&watched](const std::string& app_holds) {
    return !watched.after(watched.look(app_holds), watched.look(app_holds)).ended.empty();
  };
  happens(commands::kRepairRequested, {{"by", "U2"}});
  CHECK_FALSE(over("new"));
  // Its configuration holds the key, and no dyno may run it.
  happens(commands::kRepairFailed, {{"reason", "the release failed"}, {"wrote", true}});
  CHECK_FALSE(watched.drifts.at("drift_1").repairing);
  CHECK_FALSE(over("new"));
  CHECK(over("third"));
  CHECK(holds(watched.words(), "not seen to its end"));
  // A later try that got nowhere takes nothing of that back.
  happens(commands::kRepairRequested, {{"by", "U2"}});
  happens(commands::kRepairFailed, {{"reason", "Stripe gives no usable answer"}, {"wrote", false}});
  CHECK_FALSE(over("new"));
}

TEST_CASE("after a repair that wrote nothing, whoever puts it right by hand ends the drift") {
  Watched watched;
  watched.told("old");
  for (const auto& [type, data] :
       {std::pair(commands::kRepairRequested, nlohmann::json{{"id", "drift_1"}, {"by", "U2"}}),
        std::pair(commands::kRepairFailed,
                  nlohmann::json{{"id", "drift_1"}, {"reason", "Stripe is away"}, {"wrote", false}})}) {
    commands::note(watched.drifts, type, data, watched.past.now);
  }
  CHECK(holds(watched.words(), "Nothing was written"));
  CHECK_FALSE(watched.after(watched.look("new"), watched.look("new")).ended.empty());
}

TEST_CASE("while a rotation changes the key nothing counts as drift") {
  Watched watched;
  watched.past.begun("U1");
  CHECK(
      commands::key_at_rest(watched.target, watched.past.rotations(), watched.past.seen).fingerprint.empty());
  CHECK(watched.after(watched.look("old"), watched.look("old")).found.empty());
}

TEST_CASE("in the grace the new key is the right one, and after a way back the old one") {
  Watched grace(/*closed=*/false);
  CHECK(commands::key_at_rest(grace.target, grace.past.rotations(), grace.past.seen).fingerprint == "new");
  CHECK(grace.after(grace.look("old"), grace.look("old")).found.size() == 1);
  grace.past.happens(RollbackRequested{"U2"});
  CHECK(commands::key_at_rest(grace.target, grace.past.rotations(), grace.past.seen).fingerprint.empty());
  grace.past.happens(RollbackBegan{}).happens(RolledBack{.context = nlohmann::json::object()});
  CHECK(commands::key_at_rest(grace.target, grace.past.rotations(), grace.past.seen).fingerprint == "old");
}

TEST_CASE(
    "a store that was set back in the grace is what is wrong, not the apps, and nobody is offered to spread "
    "it") {
  Watched grace(/*closed=*/false);
  const DriftLook back = grace.look("new", "old");
  const DriftChanges changed = grace.after(back, back);
  REQUIRE(changed.found.size() == 1);
  CHECK(changed.found.front().app.empty());
  CHECK(changed.found.front().held == "old");
  grace.told("old", "");
  const std::string words = grace.words();
  CHECK(holds(words, "Infisical no longer holds the new key"));
  CHECK(holds(words, "/rotate rollback stripe prod"));
  CHECK_FALSE(holds(words, "drift_repair"));
  // Another key altogether: somebody rotates by hand, and the proof will say what it can.
  CHECK(grace.after(grace.look("new", "third"), grace.look("new", "third")).found.empty());
}

TEST_CASE("a store that was set back after the close never makes a right app look wrong") {
  Watched closed;
  CHECK(closed.after(closed.look("new", "old"), closed.look("new", "old")).found.empty());
  // As the look itself notes it: what is in the store now, and is known to be the old key.
  closed.past.seen["stripe prod"].push_back({.at = closed.past.now, .fingerprint = "old"});
  const DriftLook back = closed.look("new", "old");
  CHECK(back.expected.fingerprint == "old");
  CHECK(closed.after(back, back).found.empty());
}

TEST_CASE("a key that somebody put into the store by hand is not offered to the apps") {
  Watched watched;
  watched.past.seen["stripe prod"].push_back({.at = watched.past.now, .fingerprint = "by hand"});
  const DriftLook look = watched.look("new", "by hand");
  const DriftChanges changed = watched.after(look, look);
  REQUIRE(changed.found.size() == 1);
  CHECK_FALSE(changed.found.front().offered);
  watched.told("new").offered = false;
  CHECK(holds(watched.words(), "settle which of the two is right"));
  CHECK_FALSE(holds(watched.words(), "drift_repair"));
  // What a rotation gave out is.
  CHECK(watched.after(Watched().look("old"), Watched().look("old")).found.front().offered);
}

TEST_CASE("what cannot be looked at for a moment is still told of") {
  Watched watched;
  DriftLook first = watched.look("old");
  DriftLook blind = watched.look("old");
  blind.apps.clear();
  CHECK(watched.after(blind, first).found.empty());
  CHECK(watched.after(watched.look("old"), first).found.size() == 1);
}

TEST_CASE("the key that a rollback gave up is called that") {
  Watched back(/*closed=*/false);
  back.past.happens(RollbackRequested{"U2"})
      .happens(RollbackBegan{})
      .happens(RolledBack{.context = nlohmann::json::object()});
  Drift& drift = back.told("new");
  drift.stored = "old";
  CHECK(holds(back.words(), "given up when its rotation was rolled back"));
}

TEST_CASE("a dead key in an app names people, and says that billing is likely down") {
  Watched watched;
  watched.told("old");
  const std::string words = watched.words();
  CHECK(holds(words, "*proven dead*"));
  CHECK(holds(words, "Billing is likely down in raxx-api-prod"));
  CHECK(holds(words, "<@U1> <@U2> "));
  CHECK(holds(words, "v43 (Rollback to v41)"));
  CHECK(holds(words, "Give it the stored key"));
}

TEST_CASE("a key that still lives in an app is said to die, without naming anybody") {
  Watched grace(/*closed=*/false);
  grace.told("old");
  CHECK(holds(grace.words(), "*dies "));
  CHECK(holds(grace.words(), "Billing works until then, and stops in raxx-api-prod"));
  CHECK_FALSE(holds(grace.words(), "<@U1>"));
  grace.past.now += 25h;
  CHECK(holds(grace.words(), "whose time is over"));
  CHECK(holds(grace.words(), "Billing may be down"));
}

TEST_CASE("a key that nobody knows is called unknown, and no key at all is called that") {
  Watched watched;
  watched.told("stranger");
  CHECK(holds(watched.words(), "which Keyturn does not know"));
  watched.told("");
  CHECK(holds(watched.words(), "no key at all"));
  CHECK(holds(watched.words(), "Billing is likely down"));
}

TEST_CASE("the message goes from the button over the repair to its end") {
  Watched watched;
  watched.told("old");
  const auto happens = [&watched](std::string_view type, nlohmann::json data) {
    data["id"] = "drift_1";
    commands::note(watched.drifts, type, data, watched.past.now);
  };
  happens(commands::kRepairRequested, {{"by", "U2"}});
  CHECK(holds(watched.words(), "<@U2> asked for the repair"));
  CHECK_FALSE(holds(watched.words(), "drift_repair"));
  happens(commands::kRepairFailed, {{"reason", "Heroku answered 503"}, {"wrote", false}});
  CHECK(holds(watched.words(), "*The repair came to nothing*: Heroku answered 503"));
  CHECK(holds(watched.words(), "Try again"));
  happens(commands::kRepairRequested, {{"by", "U1"}});
  CHECK_FALSE(holds(watched.words(), "Heroku answered 503"));
  happens(commands::kDriftEnded, {{"how", "repaired"}, {"release", 44}, {"dynos", 2}});
  CHECK(holds(watched.words(), "*Put right*"));
  CHECK(holds(watched.words(), "asked by <@U1>"));
  CHECK(holds(watched.words(), "release v44 runs on 2 dynos"));
  CHECK_FALSE(holds(watched.words(), "drift_repair"));
}

TEST_CASE("only a superadmin can ask for a repair, once, while there is something to repair") {
  Crew crew;
  Drift drift{.id = "drift_1",
              .target = "stripe prod",
              .app = "raxx-api-prod",
              .stored = "new",
              .held = "old",
              .release = {},
              .newest_release = 43,
              .offered = true,
              .channel = "C1",
              .found_at = crew.clock.time};
  commands::note(crew.desk.drifts, commands::kDriftFound, commands::found_data(drift), crew.clock.time);
  CHECK(holds(crew.press("drift_1", views::kRepair, "U9"), "Only a superadmin"));
  CHECK_FALSE(crew.desk.drifts.at("drift_1").repairing);
  CHECK(crew.press("drift_1", views::kRepair, "U2").empty());
  CHECK(crew.desk.drifts.at("drift_1").repairing);
  CHECK(crew.desk.drifts.at("drift_1").asked->by == "U2");
  CHECK(holds(crew.press("drift_1", views::kRepair, "U4"), "goes on already"));
  CHECK(crew.desk.drifts.at("drift_1").repairs == 1);
  commands::note(crew.desk.drifts, commands::kDriftEnded, {{"id", "drift_1"}, {"how", "gone"}},
                 crew.clock.time);
  CHECK(holds(crew.press("drift_1", views::kRepair, "U4"), "This is over"));
  CHECK(holds(crew.press("drift_2", views::kRepair, "U4"), "This is over"));
}

TEST_CASE("many apps are looked at less often, within a fifth of what Heroku allows") {
  commands::Target target = sample_target();
  CHECK(commands::drift_interval(target, 1) == target.timing.drift_every);
  CHECK(commands::drift_interval(target, 100) == 400s);
}

}  // namespace keyturn::test
