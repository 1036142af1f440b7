// Who may hand over to whom, and what a hand-over does to links, buttons and messages on their way.
#include <catch2/catch.hpp>

#include "commands/rotation_form.h"
#include "tests/unit/commands/crew.h"

namespace keyturn::test {

TEST_CASE("the operator hands over: the old link is dead, and the journal says who did it") {
  Crew crew;
  const auto id = crew.linked();
  CHECK(holds(crew.say("hand-over stripe prod <@U2|grace>"), "<@U2> has the rotation"));
  CHECK(crew.state(id)->operator_id == "U2");
  CHECK(crew.state(id)->operator_name() == "Grace");
  CHECK(crew.journal.count("secret.rotate.operator.handed_over") == 1);
  const auto entry =
      std::ranges::find(crew.journal.written, "secret.rotate.operator.handed_over", &storage::Entry::type);
  CHECK(entry->actor == "U1");
  commands::RotationForm form(crew.runner, *crew.vault, crew.clock, commands::FormProof::code);
  const auto look = crew.run(form.look("token-1", {.peer = "192.0.2.1", .signed_in_as = {}}));
  REQUIRE(std::holds_alternative<commands::FormClosed>(look));
  CHECK(std::get<commands::FormClosed>(look) == commands::FormClosed::unknown);
}

TEST_CASE("another superadmin may hand over too, also to themselves; nobody else may") {
  Crew crew;
  const auto id = crew.linked();
  CHECK(holds(crew.say("hand-over stripe prod <@U2>", "U9"), "Only a superadmin"));
  CHECK(holds(crew.take_over(id, "U9"), "Only a superadmin"));
  CHECK(crew.state(id)->operator_id == "U1");
  CHECK(holds(crew.say("hand-over stripe prod <@U2>", "U4"), "<@U2> has"));
  CHECK(crew.state(id)->operator_id == "U2");
  CHECK(holds(crew.take_over(id, "U4"), "You have the rotation"));
  CHECK(crew.state(id)->operator_id == "U4");
  CHECK(crew.state(id)->handovers.size() == 2);
  CHECK(holds(crew.take_over(id, "U4"), "already"));
  CHECK(crew.state(id)->handovers.size() == 2);
}

TEST_CASE("a receiver who is no superadmin, or not an active member, is refused, and that is journaled") {
  Crew crew;
  const auto id = crew.linked();
  CHECK(holds(crew.say("hand-over stripe prod <@U9|mel>"), "<@U9> is no superadmin"));
  CHECK(holds(crew.say("hand-over stripe prod <@U3>"), "deactivated"));
  CHECK(crew.state(id)->operator_id == "U1");
  CHECK(crew.journal.count("command.refused") == 2);
  CHECK(crew.state(id)->form_open(crew.clock.time));
}

TEST_CASE("help shows everybody what they may run, and no more") {
  Crew crew;
  CHECK(holds(crew.say("help"), "hand-over"));
  CHECK(holds(crew.say("help"), "--compromise"));
  CHECK(holds(crew.say("help", "U9"), "status"));
  CHECK_FALSE(holds(crew.say("help", "U9"), "hand-over"));
  CHECK_FALSE(holds(crew.say("help", "U9"), "cancel"));
  CHECK(holds(crew.say("help"), "offboard @person"));
  CHECK_FALSE(holds(crew.say("help", "U9"), "offboard"));
}

TEST_CASE("a rotation that is over can't be handed over") {
  Crew crew;
  CHECK(holds(crew.say("hand-over stripe prod <@U2>"), "No rotation"));
  const auto id = crew.linked();
  crew.happens(id, {Cancelled{}});
  CHECK(holds(crew.take_over(id, "U2"), "over"));
}

TEST_CASE("an early end is refused before the new key is in place, and taken in the grace") {
  Crew crew;
  CHECK(holds(crew.say("expire-now stripe prod"), "No rotation"));
  const auto id = crew.linked();
  CHECK(holds(crew.say("expire-now stripe prod"), "not in place"));
  CHECK(holds(crew.say("expire-now stripe prod", "U9"), "Only a superadmin"));
  crew.happens(id,
               {KeyReceived{.fingerprint = "new-1",
                            .grace_chosen = 24h,
                            .rotated_at = crew.clock.time,
                            .old_key_expires_at = crew.clock.time + 24h,
                            .peer = {}},
                healthy_probe(ActionKind::probe_new_key), healthy_probe(ActionKind::probe_old_again),
                KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = {}}});
  std::vector<Event> rest;
  for (const auto& consumer : sample_target().consumers) {
    rest.emplace_back(
        ConsumerUpdated{.app = consumer.app, .already_there = false, .release = 11, .request_id = {}});
    rest.emplace_back(ConsumerRunning{.app = consumer.app, .release = 11, .dynos = 2, .request_id = {}});
    rest.emplace_back(quiet_watch(consumer.app));
  }
  rest.emplace_back(healthy_billing());
  crew.happens(id, rest);
  REQUIRE(crew.state(id)->completed);
  CHECK(holds(crew.say("expire-now stripe prod"), "Checking"));
  CHECK(crew.state(id)->expiry_requested_at);
  crew.clock.time += 25h;
  CHECK(holds(crew.say("expire-now stripe prod"), "over already"));
}

}  // namespace keyturn::test
