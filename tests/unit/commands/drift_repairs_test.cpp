// One repair at a time, however often somebody is told of a change, and whatever the disk does.
#include <catch2/catch.hpp>

#include "commands/drift_repairs.h"
#include "tests/unit/commands/crew.h"
#include "tests/unit/commands/workshop.h"

namespace keyturn::test {
namespace {

struct Repairs : Crew {
  Repairs() {
    heroku.held = secret('N');  // an earlier try has written it
    heroku.list = {release(11), release(10)};
    heroku.dyno_lists = {{Workshop::dyno(11)}};
    commands::Drift drift{.id = "drift_1",
                          .target = "stripe prod",
                          .app = "canary",
                          .stored = vault->fingerprint(*secret('N')),
                          .held = vault->fingerprint(*secret('O')),
                          .release = {},
                          .newest_release = 10,
                          .offered = true,
                          .channel = "C1",
                          .found_at = clock.time};
    commands::note(desk.drifts, commands::kDriftFound, commands::found_data(drift), clock.time);
    commands::note(desk.drifts, commands::kRepairRequested, {{"id", "drift_1"}, {"by", "U2"}}, clock.time);
    desk.drifts_changed = [this] { repairs.start(); };
  }
  const commands::Drift& drift() const { return desk.drifts.at("drift_1"); }

  FakeHeroku heroku;
  FakeStripe stripe;
  FakeInfisical infisical;
  commands::DriftRepairs repairs{
      io.get_executor(),
      desk,
      {.store = infisical, .consumer = heroku, .provider = stripe, .vault = *vault},
      {}};
};

}  // namespace

TEST_CASE("a repair ends with the release that runs, and is journaled") {
  Repairs office;
  office.repairs.start();
  office.settle();
  REQUIRE(office.drift().ended);
  CHECK(office.drift().ended->how == commands::kRepaired);
  CHECK(office.drift().ended->release == 11);
  CHECK(office.stripe.asked.size() == 1);
}

TEST_CASE("while the disk refuses what came of a repair, nobody begins a second one") {
  Repairs office;
  office.journal.refuse_next = 1;
  office.repairs.start();
  office.settle();
  REQUIRE_FALSE(office.drift().ended);
  office.repairs.start();
  office.settle();
  CHECK(office.stripe.asked.size() == 1);
}

TEST_CASE("a repair is not proven by the release that brought the other key") {
  Repairs office;
  office.heroku.list = {release(10)};
  office.heroku.dyno_lists = {{Workshop::dyno(10)}};
  office.repairs.start();
  office.settle();
  CHECK_FALSE(office.drift().ended);
  CHECK(office.drift().repairing);  // asked again in a while: Heroku may list it later
}

}  // namespace keyturn::test
