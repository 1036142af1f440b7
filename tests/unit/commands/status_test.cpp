// /rotate status over a journal of many rotations.
#include <catch2/catch.hpp>

#include "commands/authority.h"
#include "commands/commands.h"
#include "integrations/net/http_client.h"
#include "tests/unit/commands/desk_fixture.h"

namespace keyturn::test {
namespace {

struct StatusFixture : DeskFixture {
  std::string status(std::vector<commands::Target> targets) {
    commands::Desk desk{runner, journal, clock, authority, std::move(targets), "C1", "T1", "A1"};
    return commands::status(desk).at("text");
  }

  net::HttpClient http{io.get_executor(), {}};
  slack::WebApi api{http, "https://slack.com/api", nullptr, {}};
  commands::Authority authority{api, clock, {"U1"}, ""};
};

commands::Target target_in(const std::string& environment) {
  auto target = sample_target();
  target.environment = environment;
  return target;
}

}  // namespace

TEST_CASE("each target's line is about its own newest rotation and its own last completion") {
  StatusFixture desk;
  const std::string first = desk.start(target_in("prod"));
  desk.happens(first, {current_key(), KeyReceived{.fingerprint = "new-1"}, Completed{.context = {}},
                       Closed{.outcome = "rotated"}});
  desk.clock.time += std::chrono::hours(1);
  const std::string second = desk.start(target_in("prod"));
  desk.happens(second, {Refused{.code = "drift", .sentence = "They differ.", .alarm = false},
                        Closed{.outcome = "refused"}});
  desk.clock.time += std::chrono::hours(1);
  desk.start(target_in("staging"));

  const std::string text = desk.status({target_in("prod"), target_in("staging"), target_in("dev")});
  CHECK(text.find("*stripe prod*: rotated 2 hours ago") == 0);
  CHECK(text.find("\n*stripe staging*: checking") != std::string::npos);
  CHECK(text.find("\n*stripe dev*: never rotated") != std::string::npos);
}

TEST_CASE("a restart tells the same about rotations that were over long ago") {
  StatusFixture before;
  const std::string id = before.start(target_in("prod"));
  before.happens(id, {ActionStarted{{ActionKind::store_key, ""}}, Completed{.context = {}},
                      Closed{.outcome = "rotated"}});
  before.clock.time += std::chrono::hours(24 * 10);

  StatusFixture after;
  after.clock.time = before.clock.time;
  after.runner.load(before.journal.replayed(after.clock.time));
  const auto targets = std::vector{target_in("prod")};
  CHECK(after.status(targets) == before.status(targets));
  CHECK(after.state(id)->closed->event.outcome == "rotated");
}

TEST_CASE("more targets than an acknowledgement holds: what goes on comes first, and the rest is counted") {
  StatusFixture desk;
  std::vector<commands::Target> targets;
  for (int i = 0; i < 1000; ++i) targets.push_back(target_in("e" + std::to_string(i)));
  desk.start(targets.back());
  const std::string text = desk.status(targets);
  CHECK(text.size() < 12'500);
  CHECK(text.find("*stripe e999*: checking") == 0);
  CHECK(text.find("none of them going on or overdue") != std::string::npos);
}

}  // namespace keyturn::test
