#include "commands/rotation/decide.h"

#include <catch2/catch.hpp>

#include "commands/views/messages.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {

TEST_CASE("the checks of a new rotation start all at once") {
  const auto decision = Story().decision();
  CHECK(wants(decision, ActionKind::check_operator));
  CHECK(wants(decision, ActionKind::check_billing));
  CHECK(wants(decision, ActionKind::read_current_key));
  CHECK(wants(decision, ActionKind::inspect_consumer, "canary"));
  CHECK(wants(decision, ActionKind::inspect_consumer, "second"));
  CHECK_FALSE(wants(decision, ActionKind::probe_old_key));
  CHECK(wants(Story().happens(current_key()).decision(), ActionKind::probe_old_key));
}

TEST_CASE("nothing happens before the operator has ticked the boxes") {
  Story story;
  story.checked();
  CHECK(stage_of(story.state, story.now) == Stage::awaiting_operator);
  CHECK(story.decision().act.empty());
  CHECK(story.decision().record.empty());
  CHECK(story.decision().wake == story.now + story.state.target.timing.nudge_after);
}

TEST_CASE("a dead current key makes it a recovery, whether it is a leak or not") {
  for (const Answer answer : {Answer::expired, Answer::unknown_key}) {
    for (const bool compromise : {false, true}) {
      Story story(sample_target(), compromise);
      story.checked().later(30s).happens(dead_at_first(answer));
      CHECK(story.state.recovery());
      CHECK(story.decision().record.empty());
      CHECK(stage_of(story.state, story.now) == Stage::awaiting_operator);
    }
  }
}

TEST_CASE(
    "a recovery where nothing could show the fresh key's account is refused before anything is created") {
  auto nameless = sample_target(), without_denied = sample_target();
  nameless.account.clear();
  without_denied.denied.clear();
  for (const auto& target : {nameless, without_denied}) {
    Story story(target);
    story.checked().happens(dead_at_first());
    const auto decision = story.decision();
    REQUIRE(recorded<Refused>(decision));
    CHECK(recorded<Refused>(decision)->code == "account_unprovable");
    CHECK(recorded<Refused>(decision)->sentence.find("billing is likely down now") != std::string::npos);
  }
}

TEST_CASE("a recovery goes from the fresh key to the proof without a grace, and there is no way back") {
  Story story;
  story.checked().happens(dead_at_first()).happens(OperatorConfirmed{{"ready"}, ""});
  story.conclude().happens(FormIssued{"hash", story.now + 15min}).happens(FormSent{"D1", "1"});
  story.happens(KeyReceived{.fingerprint = "new-1",
                            .grace_chosen = Duration::zero(),
                            .rotated_at = story.now,
                            .old_key_expires_at = story.now,
                            .peer = {}});
  story.happens(healthy_probe(ActionKind::probe_new_key)).happens(dead_at_first(Answer::expired, true));
  CHECK_FALSE(rejection(story.state));
  const auto next = story.decision();
  REQUIRE(next.act.size() == 1);
  CHECK(next.act.front().kind == ActionKind::store_key);
  story.happens(ActionStarted{{ActionKind::store_key, {}}});
  REQUIRE(no_way_back(story.state, story.now));
  CHECK(no_way_back(story.state, story.now)->code == "old_key_dead");
}

TEST_CASE(
    "a key that Stripe may only not know yet is asked about again before anybody is told of an outage") {
  Story story;
  story.checked().happens(dead_at_first(Answer::unknown_key));
  CHECK_FALSE(story.state.recovery());
  CHECK(stage_of(story.state, story.now) == Stage::checking);
  CHECK(story.decision().act.empty());
  REQUIRE(story.decision().wake);
  story.later(*story.decision().wake - story.now);
  const auto next = story.decision();
  REQUIRE(next.act.size() == 1);
  CHECK(next.act.front().kind == ActionKind::probe_old_key);
  story.happens(healthy_probe(ActionKind::probe_old_key));
  CHECK_FALSE(story.state.recovery());
  CHECK(story.decision().act.empty());
}

TEST_CASE("one odd answer among good ones is no recovery") {
  KeyProbed odd = healthy_probe(ActionKind::probe_old_key);
  odd.probes.back().answer = Answer::unknown_key;
  Story story;
  story.checked().later(1h).happens(odd);
  CHECK_FALSE(story.state.recovery());
}

TEST_CASE("a recovery whose old key lives again stops before anything is put anywhere") {
  Story story;
  story.checked().happens(dead_at_first()).happens(OperatorConfirmed{{"ready"}, ""});
  story.happens(FormIssued{"hash", story.now + 15min}).happens(FormSent{"D1", "1"});
  story.happens(KeyReceived{
      .fingerprint = "new-1", .rotated_at = story.now, .old_key_expires_at = story.now, .peer = {}});
  story.happens(healthy_probe(ActionKind::probe_new_key)).happens(healthy_probe(ActionKind::probe_old_again));
  const auto decision = story.decision();
  REQUIRE(recorded<Halted>(decision));
  CHECK(recorded<Halted>(decision)->sentence.find("takes the old key again") != std::string::npos);
  CHECK(recorded<Halted>(decision)->sentence.find("nothing was put anywhere") != std::string::npos);
}

TEST_CASE("neither an outage nor a leak waits for a sync that has failed") {
  CurrentKeyRead key = current_key();
  key.syncs = {SyncSeen{.id = "s1",
                        .destination = "heroku",
                        .app = "canary",
                        .app_id = {},
                        .variable = "STRIPE_RESTRICTED_KEY",
                        .has_run = true,
                        .failed = true}};
  Story routine;
  routine.checked().happens(key);
  REQUIRE(objection(routine.state));
  CHECK(objection(routine.state)->code == "sync");
  routine.happens(dead_at_first());
  CHECK_FALSE(objection(routine.state));
}

TEST_CASE("a refused rotation closes and asks for nothing more") {
  Story story;
  story.happens(OperatorChecked{false, "A guest can't rotate a key."}).conclude();
  REQUIRE(story.state.closed);
  CHECK(story.state.closed->event.outcome == "refused");
  CHECK(story.decision().done);
}

TEST_CASE("billing that is down before the rotation stops a routine one, and no compromise") {
  const BillingChecked down{.health = Health::unhealthy, .status = 500, .detail = "answered 500"};
  CHECK(recorded<Refused>(Story().checked().happens(down).decision()));
  Story leak(sample_target(), /*compromise=*/true);
  leak.checked().happens(down);
  CHECK_FALSE(recorded<Refused>(leak.decision()));
  CHECK(stage_of(leak.state, leak.now) == Stage::awaiting_operator);
}

// Found in a drill: the two questions are asked at once, and billing's answer used to come first.
TEST_CASE("billing that is down because the key is dead is recovered") {
  Story story;
  story.happens(BillingChecked{.health = Health::unhealthy, .status = 500, .detail = "answered 500"});
  CHECK(story.decision().record.empty());
  story.happens(OperatorChecked{true, ""}).happens(current_key());
  CHECK(story.decision().record.empty());
  story.happens(dead_at_first());
  CHECK_FALSE(recorded<Refused>(story.decision()));
  CHECK(story.state.recovery());
}

TEST_CASE("a consumer that holds another key than Infisical stops the rotation") {
  ConsumerInspected other = inspected("second");
  other.fingerprint = "else-1";
  const auto decision = Story().checked().happens(other).decision();
  REQUIRE(recorded<Refused>(decision));
  CHECK(recorded<Refused>(decision)->code == "drift");
}

TEST_CASE("a master key found anywhere is refused with an alarm") {
  CurrentKeyRead master = current_key();
  master.kind = "master_key";
  const auto stored = Story().happens(master).decision();
  REQUIRE(recorded<Refused>(stored));
  CHECK(recorded<Refused>(stored)->alarm);
  ConsumerInspected holder = inspected("canary");
  holder.holds_master_key = true;
  const auto held = Story().happens(holder).decision();
  REQUIRE(recorded<Refused>(held));
  CHECK(recorded<Refused>(held)->alarm);
}

TEST_CASE("once the boxes are ticked the link is sent, and then there is waiting until it expires") {
  CHECK(wants(Story().confirmed().decision(), ActionKind::issue_form));
  Story story;
  story.linked();
  CHECK(story.decision().act.empty());
  CHECK(story.decision().wake ==
        story.state.form->issued.expires_at - story.state.target.timing.nudge_before);
  story.later(16min).conclude();
  CHECK(story.decision().act.empty());  // for the button
  CHECK(wants(story.happens(LinkRequested{}).decision(), ActionKind::issue_form));
}

TEST_CASE("five wrong pastes lock the link") {
  Story story;
  story.linked();
  for (int i = 0; i < 5; ++i) story.happens(PasteRefused{"not_a_key", 4 - i});
  CHECK_FALSE(story.state.form_open(story.now));
  CHECK(story.decision().act.empty());
}

TEST_CASE("a cancelled or refused rotation has no open form, even before it is closed") {
  CHECK_FALSE(Story().linked().happens(Cancelled{}).state.form_open(kStart));
  CHECK_FALSE(Story().linked().happens(Refused{}).state.form_open(kStart));
}

TEST_CASE("the new key is validated before it is stored") {
  Story story;
  story.received();
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
  CHECK(wants(story.decision(), ActionKind::probe_old_again));
  CHECK_FALSE(wants(story.decision(), ActionKind::store_key));
  story.happens(healthy_probe(ActionKind::probe_new_key));
  CHECK_FALSE(wants(story.decision(), ActionKind::store_key));
  story.happens(healthy_probe(ActionKind::probe_old_again));
  CHECK(wants(story.decision(), ActionKind::store_key));
}

TEST_CASE("a fresh key that Stripe does not know yet is asked about again before it is rejected") {
  Story story;
  story.received().happens(healthy_probe(ActionKind::probe_old_again));
  KeyProbed unknown = healthy_probe(ActionKind::probe_new_key);
  for (Probe& one : unknown.probes) one.answer = Answer::unknown_key;
  story.happens(unknown);
  CHECK(story.decision().record.empty());
  CHECK(story.decision().wake == story.now + 10s);
  story.later(10s);
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
  story.happens(unknown).later(31s);
  CHECK(wants(story.decision(), ActionKind::probe_new_key));  // the last refusal came too early to be final
  story.happens(unknown);
  REQUIRE(recorded<KeyRejected>(story.decision()));
  CHECK(recorded<KeyRejected>(story.decision())->code == "dead");
}

TEST_CASE("a fresh key that one call refuses and another answers is not good") {
  Story story;
  story.received().happens(healthy_probe(ActionKind::probe_old_again));
  KeyProbed half = healthy_probe(ActionKind::probe_new_key);
  half.probes.front().answer = Answer::unknown_key;
  story.happens(half);
  CHECK(story.decision().act.empty());
  CHECK(story.decision().wake);
  story.later(31s).happens(half);
  CHECK(recorded<KeyRejected>(story.decision()));
}

TEST_CASE("a key is not rejected while Stripe is being asked again") {
  Story story;
  story.received().happens(healthy_probe(ActionKind::probe_old_again));
  KeyProbed unknown = healthy_probe(ActionKind::probe_new_key);
  for (Probe& one : unknown.probes) one.answer = Answer::unknown_key;
  story.happens(unknown).later(29s).happens(ActionStarted{{ActionKind::probe_new_key, {}}}).later(5s);
  CHECK(story.decision().record.empty());
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
  story.happens(healthy_probe(ActionKind::probe_new_key));
  CHECK(wants(story.decision(), ActionKind::store_key));
}

TEST_CASE("an answer about a rejected key says nothing about the next one") {
  Story story;
  story.received().happens(KeyRejected{"account", "another account"});
  story.happens(FormIssued{"hash-2", story.now + 15min}).happens(FormSent{"D1", "2.2"});
  story.happens(healthy_probe(ActionKind::probe_new_key, "new-1"));
  story.happens(KeyReceived{.fingerprint = "new-2",
                            .grace_chosen = 24h,
                            .rotated_at = story.now,
                            .old_key_expires_at = story.now + 24h,
                            .peer = {}});
  story.happens(healthy_probe(ActionKind::probe_new_key, "new-1"));
  CHECK(wants(story.decision(), ActionKind::probe_new_key));
}

TEST_CASE("a rejected key leads to a new link, and nothing was stored") {
  Story story;
  story.received().happens(healthy_probe(ActionKind::probe_old_again));
  KeyProbed other = healthy_probe(ActionKind::probe_new_key);
  other.probes.back().account = "acct_2";
  story.happens(other).conclude();
  REQUIRE(story.state.rejected);
  CHECK_FALSE(story.state.received);
  CHECK(story.state.rejected_fingerprints.contains("new-1"));
  CHECK(wants(story.decision(), ActionKind::issue_form));
}

TEST_CASE("the canary runs before the others are touched") {
  Story story;
  story.stored();
  CHECK(wants(story.decision(), ActionKind::update_consumer, "canary"));
  CHECK_FALSE(wants(story.decision(), ActionKind::update_consumer, "second"));
  story.happens(ConsumerUpdated{.app = "canary", .already_there = false, .release = 11, .request_id = {}});
  CHECK(wants(story.decision(), ActionKind::await_consumer, "canary"));
  CHECK_FALSE(wants(story.decision(), ActionKind::update_consumer, "second"));
  story.happens(ConsumerRunning{.app = "canary", .release = 11, .dynos = 2, .request_id = {}});
  CHECK(wants(story.decision(), ActionKind::update_consumer, "second"));
}

TEST_CASE("logs and billing are watched before anything is called complete") {
  Story story;
  story.propagated();
  CHECK(wants(story.decision(), ActionKind::watch_consumer, "canary"));
  CHECK(wants(story.decision(), ActionKind::watch_consumer, "second"));
  CHECK(wants(story.decision(), ActionKind::watch_billing));
  story.happens(quiet_watch("canary")).happens(healthy_billing());
  CHECK_FALSE(recorded<Completed>(story.decision()));
  story.happens(quiet_watch("second"));
  CHECK(recorded<Completed>(story.decision()));
}

TEST_CASE("a failure in a log or at the billing endpoint stops the rotation") {
  WatchFinished bad = quiet_watch("canary");
  bad.totals.failures = {"app[web.1]: AuthenticationError"};
  CHECK(recorded<Halted>(Story().propagated().happens(bad).decision()));
  BillingWatched down;
  down.healthy = 4;
  down.failed = true;
  CHECK(recorded<Halted>(Story().propagated().happens(down).decision()));
  BillingWatched silent;
  silent.unknown = 10;
  CHECK(recorded<Halted>(Story().propagated().happens(silent).decision()));
}

TEST_CASE("a retry watches again what had failed, and only that") {
  WatchFinished bad = quiet_watch("second");
  bad.totals.failures = {"app[web.1]: AuthenticationError"};
  Story story;
  story.propagated().happens(quiet_watch("canary")).happens(healthy_billing()).happens(bad).conclude();
  REQUIRE(story.state.halted);
  CHECK(story.decision().act.empty());
  story.later(1h).happens(RetryRequested{});
  CHECK(wants(story.decision(), ActionKind::watch_consumer, "second"));
  CHECK_FALSE(wants(story.decision(), ActionKind::watch_consumer, "canary"));
  CHECK_FALSE(wants(story.decision(), ActionKind::watch_billing));
  CHECK(story.state.retried_at == story.now);
}

TEST_CASE("a retry after the key was stored keeps what Stripe said about it") {
  Story story;
  story.stored().happens(Halted{}).happens(RetryRequested{});
  CHECK(story.state.probed.contains(ActionKind::probe_new_key));
  Story before;
  before.validated().happens(Halted{}).happens(RetryRequested{});
  CHECK_FALSE(before.state.probed.contains(ActionKind::probe_new_key));
}

TEST_CASE("a failure that may pass is tried again after a while, until the time for that is over") {
  Story story;
  const Action action{ActionKind::read_current_key, {}};
  story.happens(failure(action, /*can_retry=*/true));
  CHECK_FALSE(wants(story.decision(), action.kind));
  CHECK(story.decision().wake == story.now + story.state.target.timing.retry_every);
  story.later(10s);
  CHECK(wants(story.decision(), action.kind));
  story.later(10min).happens(failure(action, true));
  const auto decision = story.decision();
  REQUIRE(recorded<Refused>(decision));
  CHECK(recorded<Refused>(decision)->sentence.find("Heroku answered 503") != std::string::npos);
}

TEST_CASE("a final failure before a link was issued refuses, and after it halts") {
  CHECK(recorded<Refused>(Story().happens(failure({ActionKind::check_operator, {}}, false)).decision()));
  CHECK(recorded<Refused>(
      Story().confirmed().happens(failure({ActionKind::issue_form, {}}, false)).decision()));
  Story issued;
  issued.confirmed()
      .happens(FormIssued{"hash-1", kStart + 15min})
      .happens(failure({ActionKind::issue_form, {}}, false));
  CHECK(recorded<Halted>(issued.decision()));
  CHECK(
      recorded<Halted>(Story().validated().happens(failure({ActionKind::store_key, {}}, false)).decision()));
}

TEST_CASE("success forgets the failures before it") {
  Story story;
  story.happens(failure({ActionKind::check_operator, {}}, true)).happens(OperatorChecked{true, ""});
  CHECK(story.state.tries.empty());
}

TEST_CASE("the team is reminded before the old key expires, and once") {
  Story story;
  story.completed(24h);
  CHECK(story.decision().wake <= *story.state.old_key_deadline() - 1h);  // or a look at the old key before
  story.later(23h);
  CHECK(recorded<Reminded>(story.decision()));
  story.conclude();
  CHECK(story.decision().wake == *story.state.old_key_deadline() + 1min);
  Story short_grace;
  short_grace.completed(1h);
  CHECK(short_grace.decision().wake <= *short_grace.state.old_key_deadline() - 15min);
}

TEST_CASE("three refusals in a row make the proof, and an inconclusive answer neither counts nor resets") {
  Story story;
  story.due();
  CHECK(wants(story.decision(), ActionKind::take_proof));
  story.happens(taken_proof(Answer::expired))
      .later(1min)
      .happens(taken_proof(Answer::inconclusive))
      .later(1min);
  story.happens(taken_proof(Answer::expired));
  CHECK(proofs_in_a_row(story.state) == 2);
  CHECK_FALSE(recorded<ProvenDead>(story.decision()));
  CHECK(story.decision().wake == story.now + 1min);
  story.later(1min).happens(taken_proof(Answer::expired)).conclude();
  CHECK(story.state.proven_dead_at);
  REQUIRE(story.state.closed);
  CHECK(story.state.closed->event.outcome == "rotated");
}

TEST_CASE("a 403 from Stripe is not proof of death") {
  Story story;
  story.due().happens(taken_proof(Answer::expired)).happens(taken_proof(Answer::expired));
  story.happens(taken_proof(Answer::denied));
  CHECK(proofs_in_a_row(story.state) == 0);
}

TEST_CASE("an unknown key is no proof after a grace, and is one when Now was chosen") {
  Story graced;
  graced.due().happens(taken_proof(Answer::unknown_key));
  CHECK(proofs_in_a_row(graced.state) == 0);
  Story deleted;
  deleted.due(0h).happens(taken_proof(Answer::unknown_key));
  CHECK(proofs_in_a_row(deleted.state) == 1);
}

TEST_CASE("Now that was clicked but not told to the form does not leave the proof open for ever") {
  Story story;
  story.received(24h).happens(healthy_probe(ActionKind::probe_new_key));
  story.happens(KeyProbed{.purpose = ActionKind::probe_old_again,
                          .probes = {probe("GET /v1/customers", Answer::unknown_key)},
                          .fingerprint = "old-1"});
  CHECK(story.state.old_key_died_early());
  CHECK(wants(story.decision(), ActionKind::store_key));
  story.happens(taken_proof(Answer::unknown_key));
  CHECK(proofs_in_a_row(story.state) == 1);
}

TEST_CASE("an old key that is still alive late raises the alarm once, and the watching goes on") {
  Story story;
  story.due().happens(taken_proof(Answer::granted));
  CHECK_FALSE(recorded<StillAlive>(story.decision()));
  story.later(20min).happens(taken_proof(Answer::granted));
  CHECK(recorded<StillAlive>(story.decision()));
  story.conclude();
  CHECK(story.decision().record.empty());
  story.later(1min);
  CHECK(wants(story.decision(), ActionKind::take_proof));
}

TEST_CASE("a new key that Stripe refuses at the proof stops the rotation, whatever the old one does") {
  for (const Answer old_key : {Answer::expired, Answer::granted, Answer::inconclusive}) {
    Story story;
    story.due().happens(taken_proof(old_key, Answer::expired));
    CHECK(recorded<Halted>(story.decision()));
  }
}

TEST_CASE("trying again after a broken proof takes a new proof instead of stopping at the old one") {
  Story story;
  story.due().happens(taken_proof(Answer::expired, Answer::unknown_key)).conclude();
  REQUIRE(story.state.halted);
  story.later(1h).happens(RetryRequested{});
  CHECK(story.decision().record.empty());
  CHECK(wants(story.decision(), ActionKind::take_proof));
  story.happens(taken_proof(Answer::expired));
  CHECK(proofs_in_a_row(story.state) == 1);
}

TEST_CASE("a rotation that was cancelled before the key came closes as cancelled") {
  Story story;
  story.linked().happens(Cancelled{}).conclude();
  REQUIRE(story.state.closed);
  CHECK(story.state.closed->event.outcome == "cancelled");
}

TEST_CASE("a verification that outlasts the grace goes straight to the proof") {
  Story story;
  story.propagated(1h).later(2h);
  for (const auto& consumer : story.state.target.consumers) story.happens(quiet_watch(consumer.app));
  story.happens(healthy_billing()).conclude();
  CHECK_FALSE(story.state.reminded);
  CHECK(wants(story.decision(), ActionKind::take_proof));
}

TEST_CASE("a clock that was wrong for a while and is set back holds up neither proofs nor retries") {
  Story story;
  story.due(1h);
  const TimePoint right = story.now;
  story.later(24h * 400).happens(taken_proof(Answer::granted)).conclude();
  story.now = right;
  CHECK(wants(story.decision(), ActionKind::take_proof));
  // And not without a pause from then on.
  story.happens(taken_proof(Answer::granted)).conclude();
  CHECK_FALSE(wants(story.decision(), ActionKind::take_proof));
  REQUIRE(story.decision().wake);
  CHECK(*story.decision().wake == right + story.state.target.timing.proof_every);

  Story failing;
  failing.validated().later(24h * 400).happens(failure({ActionKind::store_key, {}}, true));
  failing.now -= 24h * 400;
  CHECK(wants(failing.decision(), ActionKind::store_key));
  failing.happens(failure({ActionKind::store_key, {}}, true));
  CHECK_FALSE(wants(failing.decision(), ActionKind::store_key));
}

// ---- the old key between the paste and the proof

namespace {
OldKeyChecked looked(Answer answer) { return {probe("GET /v1/customers", answer)}; }

// The decision's look at the old key, if it asks for one.
bool looks_at_old_key(const Decision& decision) {
  return std::ranges::any_of(decision.act,
                             [](const Action& action) { return action.kind == ActionKind::check_old_key; });
}
}  // namespace

TEST_CASE("an old key that dies in the grace is noticed by two looks in a row, told, and proven at once") {
  Story story;
  story.completed();
  story.later(2h);
  REQUIRE(looks_at_old_key(story.decision()));
  story.happens(looked(Answer::granted));
  CHECK_FALSE(looks_at_old_key(story.decision()));
  story.later(2h);
  REQUIRE(looks_at_old_key(story.decision()));
  story.happens(looked(Answer::expired));
  CHECK_FALSE(story.state.old_key_died_early());  // one answer may be a slip
  story.later(story.state.target.timing.retry_every);
  REQUIRE(looks_at_old_key(story.decision()));
  story.happens(looked(Answer::expired));
  CHECK(story.state.old_key_died_early());
  const auto next = story.decision();
  REQUIRE(next.act.size() == 1);
  CHECK(next.act.front().kind == ActionKind::take_proof);
}

TEST_CASE("one refusal among answers is no death") {
  Story story;
  story.completed()
      .later(2h)
      .happens(looked(Answer::unknown_key))
      .later(1min)
      .happens(looked(Answer::granted));
  CHECK_FALSE(story.state.old_key_died_early());
  CHECK_FALSE(no_way_back(story.state, story.now));
}

TEST_CASE("a rotation that stopped until after the old key's time says that billing fails") {
  Story story;
  story.received(1h)
      .happens(healthy_probe(ActionKind::probe_new_key))
      .happens(healthy_probe(ActionKind::probe_old_again));
  story.happens(Halted{.action = {ActionKind::store_key, {}}, .sentence = "while storing: no"});
  story.later(1h + story.state.target.timing.proof_after);
  REQUIRE(looks_at_old_key(story.decision()));
  story.happens(looked(Answer::expired))
      .later(story.state.target.timing.retry_every)
      .happens(looked(Answer::expired));
  CHECK_FALSE(story.state.old_key_died_early());
  CHECK(story.state.old_key_deleted());
  CHECK(commands::views::billing_now(story.state).find("*The old key is dead*") != std::string::npos);
  CHECK_FALSE(looks_at_old_key(story.later(1h).decision()));
}

}  // namespace keyturn::test
