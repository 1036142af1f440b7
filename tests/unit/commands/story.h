// Rotations told as their events, for the tests of the commands floor and for the simulation.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "commands/rotation/decide.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/state.h"

namespace keyturn::test {

using namespace commands::rotation;
using namespace std::chrono_literals;
using integrations::Answer;

inline const TimePoint kStart{std::chrono::hours(500'000)};

// Fake keys are put together here, so that no scanner finds one in the tree.
inline std::string fake_key(const std::string& prefix, char filler = 'A') {
  return prefix + std::string(24, filler);
}
inline std::string restricted_key(char filler = 'A') {
  return fake_key(std::string("rk_") + "live_", filler);
}

inline commands::Target sample_target() {
  commands::Target target;
  target.provider = "stripe";
  target.environment = "prod";
  target.account = "acct_1";
  target.dashboard_key_name = "raxx billing";
  target.dashboard_url = "https://dashboard.stripe.com/apikeys";
  target.store = {.project = "p1", .environment = "prod", .path = "/", .name = "STRIPE_RESTRICTED_KEY"};
  target.consumers = {{"canary", "STRIPE_RESTRICTED_KEY"}, {"second", "STRIPE_RESTRICTED_KEY"}};
  target.permitted = {"GET /v1/customers"};
  target.denied = {"GET /v1/balance"};
  target.billing = {.url = "https://billing.example.com/healthz", .json_pointer = {}, .json_equals = {}};
  target.log_failures = {"AuthenticationError", "api_key_expired"};
  return target;
}

inline Probe probe(const std::string& endpoint, Answer answer) {
  Probe result;
  result.endpoint = endpoint;
  result.answer = answer;
  result.status = answer == Answer::granted ? 200 : answer == Answer::denied ? 403 : 401;
  result.request_id = "req_1";
  result.at = kStart;
  if (answer == Answer::granted) {
    result.newest_object = "cus_1";
    result.livemode = true;
  }
  if (answer == Answer::denied) result.account = "acct_1";
  return result;
}

inline KeyProbed healthy_probe(ActionKind purpose, const std::string& fingerprint = "new-1") {
  KeyProbed probed{
      .purpose = purpose, .probes = {probe("GET /v1/customers", Answer::granted)}, .fingerprint = {}};
  if (purpose != ActionKind::probe_old_again)
    probed.probes.push_back(probe("GET /v1/balance", Answer::denied));
  probed.fingerprint = purpose == ActionKind::probe_new_key ? fingerprint : "old-1";
  return probed;
}

// What Stripe says of the key in use when somebody has expired it.
inline KeyProbed dead_at_first(Answer answer = Answer::expired, bool again = false) {
  return {.purpose = again ? ActionKind::probe_old_again : ActionKind::probe_old_key,
          .probes = {probe("GET /v1/customers", answer), probe("GET /v1/balance", answer)},
          .fingerprint = "old-1"};
}

inline CurrentKeyRead current_key() {
  CurrentKeyRead read;
  read.secret_id = "secret-1";
  read.version = 4;
  read.fingerprint = "old-1";
  read.kind = "restricted_key";
  return read;
}

inline ConsumerInspected inspected(const std::string& app) {
  ConsumerInspected seen;
  seen.app = app;
  seen.fingerprint = "old-1";
  seen.release = 10;
  seen.dynos = seen.dynos_up = 2;
  return seen;
}

inline ProofTaken taken_proof(Answer old_key, Answer new_key = Answer::granted) {
  return {.old_key = probe("GET /v1/customers", old_key), .new_key = probe("GET /v1/customers", new_key)};
}

inline WatchFinished quiet_watch(const std::string& app) {
  WatchProgressed totals;
  totals.app = app;
  totals.watched = 5min;
  totals.lines = 12;
  return {totals};
}

inline BillingWatched healthy_billing() {
  BillingWatched watched;
  watched.healthy = 10;
  return watched;
}

inline ActionFailed failure(Action action, bool can_retry,
                            const std::string& reason = "Heroku answered 503") {
  return {.action = std::move(action), .can_retry = can_retry, .reason = reason, .request_id = {}};
}

// Tells a rotation event by event. Each of the named stretches begins where the one before it ends.
class Story {
 public:
  explicit Story(commands::Target target = sample_target(), bool compromise = false,
                 std::string reason = {}) {
    state.id = "rot_1";
    happens(Started{.target = std::move(target),
                    .operator_id = "U1",
                    .channel = "C1",
                    .compromise = compromise,
                    .reason = std::move(reason)});
  }

  Story& happens(const Event& event) {
    apply(state, event, now);
    return *this;
  }
  Story& later(Duration duration) {
    now += duration;
    return *this;
  }
  Decision decision() const { return decide(state, now); }

  // What `decide` concludes by itself is recorded, as the runner does.
  Story& conclude() {
    for (Decision next = decision(); !next.record.empty(); next = decision()) {
      for (const Event& event : next.record) happens(event);
    }
    return *this;
  }

  Story& checked() {
    happens(OperatorChecked{true, ""}).happens(current_key());
    happens(BillingChecked{.health = Health::healthy, .status = 200, .detail = {}});
    for (const auto& consumer : state.target.consumers) happens(inspected(consumer.app));
    return happens(healthy_probe(ActionKind::probe_old_key));
  }
  Story& confirmed() { return checked().happens(OperatorConfirmed{{"ready"}, ""}); }
  Story& linked() {
    confirmed().happens(FormIssued{"hash-1", now + state.target.timing.form_life});
    return happens(FormSent{"D1", "1.1"});
  }
  Story& pasted(Duration grace = 24h) {
    return happens(KeyReceived{.fingerprint = "new-1",
                               .grace_chosen = grace,
                               .rotated_at = now,
                               .old_key_expires_at = now + grace,
                               .peer = "192.0.2.1"});
  }
  Story& received(Duration grace = 24h) { return linked().pasted(grace); }
  Story& validated(Duration grace = 24h) {
    return received(grace)
        .happens(healthy_probe(ActionKind::probe_new_key))
        .happens(healthy_probe(ActionKind::probe_old_again));
  }
  Story& stored(Duration grace = 24h) {
    return validated(grace).happens(
        KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = "inf-1"});
  }
  Story& runs_on(const std::string& app) {
    happens(ConsumerUpdated{.app = app, .already_there = false, .release = 11, .request_id = "her-1"});
    return happens(ConsumerRunning{.app = app, .release = 11, .dynos = 2, .request_id = "her-2"});
  }
  Story& propagated(Duration grace = 24h) {
    stored(grace);
    for (const auto& consumer : state.target.consumers) runs_on(consumer.app);
    return *this;
  }
  Story& verified(Duration grace = 24h) {
    propagated(grace);
    for (const auto& consumer : state.target.consumers) happens(quiet_watch(consumer.app));
    return happens(healthy_billing());
  }
  Story& completed(Duration grace = 24h) { return verified(grace).conclude(); }
  // At the first moment at which a proof is due.
  Story& due(Duration grace = 24h) {
    completed(grace);
    now = *state.old_key_deadline() + state.target.timing.proof_after;
    return conclude();
  }

  State state;
  TimePoint now = kStart;
};

inline bool wants(const Decision& decision, ActionKind kind, const std::string& subject = {}) {
  for (const Action& action : decision.act) {
    if (action == Action{kind, subject}) return true;
  }
  return false;
}

// The event of that type which `decision` records, or nothing.
template <typename T>
const T* recorded(const Decision& decision) {
  for (const Event& event : decision.record) {
    if (const T* found = std::get_if<T>(&event)) return found;
  }
  return nullptr;
}

}  // namespace keyturn::test
