// One test for each way in which a verdict was once reached without proof, a key lost, or nobody told.
#include <catch2/catch.hpp>

#include "commands/rotation/decide.h"
#include "commands/rotation/judge.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

KeyProbed nameless(KeyProbed probed) {
  for (Probe& one : probed.probes) one.account.clear();
  return probed;
}

KeyProbed with_newest(KeyProbed probed, const std::string& id) {
  probed.probes.front().newest_object = id;
  return probed;
}

}  // namespace

TEST_CASE("an early answer about a fresh key does not reject it while Stripe's later ones say nothing") {
  Story story;
  story.received().happens(healthy_probe(ActionKind::probe_old_again));
  KeyProbed unknown = healthy_probe(ActionKind::probe_new_key);
  for (Probe& one : unknown.probes) one.answer = Answer::unknown_key;
  const Action ask{ActionKind::probe_new_key, {}};
  story.happens(unknown).later(10s).happens(ActionStarted{ask});
  story.later(10s).happens(failure(ask, /*can_retry=*/true, "Stripe has a server error")).later(15s);
  CHECK_FALSE(recorded<KeyRejected>(story.decision()));
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
  story.happens(healthy_probe(ActionKind::probe_new_key));
  CHECK(wants(story.decision(), ActionKind::store_key));
}

TEST_CASE("a key that Stripe did not know may be pasted again") {
  Story story;
  story.received().happens(KeyRejected{"dead", "Stripe does not accept it"});
  CHECK(story.state.rejected_fingerprints.empty());
}

TEST_CASE("a key whose account can't be shown stays sealed, and a person is asked") {
  Story story;
  story.received();
  story.happens(with_newest(nameless(healthy_probe(ActionKind::probe_new_key)), "cus_9"));
  story.happens(healthy_probe(ActionKind::probe_old_again)).conclude();
  CHECK_FALSE(story.state.rejected);
  REQUIRE(story.state.halted);
  CHECK(story.state.may_set_key_aside());
  story.happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
}

TEST_CASE("in a busy account the newest object is compared with the old key's answer of the same moment") {
  Story story;
  story.received().happens(with_newest(nameless(healthy_probe(ActionKind::probe_new_key)), "cus_9"));
  story.happens(with_newest(healthy_probe(ActionKind::probe_old_again), "cus_9"));
  CHECK_FALSE(rejection(story.state));
}

TEST_CASE("a current key whose account nothing shows is refused before the dashboard click") {
  Story story;
  story.happens(with_newest(nameless(healthy_probe(ActionKind::probe_old_key)), ""));
  REQUIRE(recorded<Refused>(story.decision()));
  CHECK(recorded<Refused>(story.decision())->code == "account_unprovable");
}

TEST_CASE("a key that was never offered to the store can be set aside, and one that was can't") {
  Story story;
  story.received().happens(Halted{.action = {ActionKind::probe_new_key, {}}, .sentence = "no answer"});
  CHECK(story.state.may_set_key_aside());
  story.happens(KeyRejected{std::string(kSetAside), ""}).happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::issue_form));
  CHECK(story.state.rejected_fingerprints.empty());

  Story later;
  later.validated().happens(ActionStarted{{ActionKind::store_key, {}}});
  later.happens(Halted{.action = {ActionKind::store_key, {}}, .sentence = "it waits for approval"});
  CHECK_FALSE(later.state.may_set_key_aside());
}

TEST_CASE("a stopped rotation reminds the team before the old key expires, and once") {
  Story story;
  story.stored().happens(Halted{.action = {ActionKind::update_consumer, "canary"}, .sentence = "no"});
  CHECK(story.decision().wake <= *story.state.old_key_deadline() - 1h);  // or a look at the old key before
  story.later(23h);
  CHECK(recorded<Reminded>(story.decision()));
  story.conclude();
  CHECK(story.decision().record.empty());
  CHECK_FALSE(story.decision().done);
}

TEST_CASE("proofs that say nothing for too long are put before a person") {
  Story story;
  story.due();
  for (int minute = 0; minute < 14; ++minute) {
    story.happens(taken_proof(Answer::expired, Answer::inconclusive)).later(1min);
    REQUIRE_FALSE(recorded<Halted>(story.decision()));
  }
  story.happens(taken_proof(Answer::expired, Answer::inconclusive)).conclude();
  REQUIRE(story.state.halted);
  CHECK(story.state.halted->event.sentence.find("inconclusive") != std::string::npos);
  story.later(1h).happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::take_proof));
  story.happens(taken_proof(Answer::expired, Answer::inconclusive));
  CHECK_FALSE(recorded<Halted>(story.decision()));
  story.later(1min).happens(taken_proof(Answer::expired));
  CHECK(proofs_in_a_row(story.state) == 1);
}

}  // namespace keyturn::test
