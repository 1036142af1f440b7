#include "tests/simulation/world.h"

#include "commands/rotation/approval.h"

namespace keyturn::test {

StripeKey World::rotate_in_dashboard(Duration grace, TimePoint now, bool wrong_key) {
  StripeKey shown{.fingerprint = "new-" + std::to_string(keys_.size() + 1), .known_from = now};
  if (dice_.chance(0.3)) shown.known_from = now + dice_.between(1s, 25s);
  if (wrong_key) {
    shown.same_account = dice_.chance(0.5);
    shown.same_permissions = shown.same_account ? false : dice_.chance(0.5);
    if (dice_.chance(0.2)) shown.exists = false;
  } else if (!old_key_dies_) {
    old_key_deleted_ = grace == Duration::zero();
    old_key_dies_ = old_key_deleted_ ? now : now + grace + expiry_is_late_by;
  }
  keys_[shown.fingerprint] = shown;
  return shown;
}

Probe World::ask_old(const std::string& endpoint, TimePoint now) {
  const bool permitted = endpoint == "GET /v1/customers";
  Probe answer = test::probe(endpoint, permitted ? Answer::granted : Answer::denied);
  if (!old_key_alive(now)) {
    answer =
        test::probe(endpoint, old_key_deleted_ && deleted_is_unknown ? Answer::unknown_key : Answer::expired);
  }
  answer.at = now;
  return answer;
}

Probe World::ask_new(const std::string& fingerprint, const std::string& endpoint, TimePoint now) {
  const StripeKey* known = key(fingerprint);
  const bool permitted = endpoint == "GET /v1/customers";
  if (!known || !known->exists || now < *known->known_from) return test::probe(endpoint, Answer::unknown_key);
  Answer verdict = permitted ? Answer::granted : Answer::denied;
  if (!known->same_permissions && !permitted) verdict = Answer::granted;
  Probe answer = test::probe(endpoint, verdict);
  if (!known->same_account) {
    answer.account = answer.account.empty() ? "" : "acct_2";
    answer.newest_object = answer.newest_object.empty() ? "" : "cus_2";
  }
  answer.at = now;
  return answer;
}

std::vector<Event> World::probe(ActionKind purpose, const State& state, TimePoint now) {
  const bool fresh = purpose == ActionKind::probe_new_key;
  KeyProbed probed{.purpose = purpose, .probes = {}, .fingerprint = "old-1"};
  if (fresh) {
    if (!state.received) return {failure({purpose, {}}, true, "no sealed key")};
    probed.fingerprint = state.received->event.fingerprint;
  }
  for (const std::string endpoint : {"GET /v1/customers", "GET /v1/balance"}) {
    if (purpose == ActionKind::probe_old_again && !probed.probes.empty()) break;
    probed.probes.push_back(fresh ? ask_new(probed.fingerprint, endpoint, now) : ask_old(endpoint, now));
  }
  // Somebody took a permission from it meanwhile: it can't take over again.
  if (purpose == ActionKind::probe_previous_key && dice_.chance(5 * final_trouble_))
    probed.probes.front() = test::probe(probed.probes.front().endpoint, Answer::denied);
  return {probed};
}

ProofTaken World::prove(TimePoint now) {
  ProofTaken proof{.old_key = ask_old("GET /v1/customers", now),
                   .new_key = ask_new(stored_, "GET /v1/customers", now)};
  for (const auto& [app, held] : held_) {
    if (held != stored_) proof.strays.push_back(app);
  }
  if (dice_.chance(trouble_)) proof.old_key = test::probe("GET /v1/customers", Answer::inconclusive);
  if (dice_.chance(trouble_)) proof.new_key = test::probe("GET /v1/customers", Answer::inconclusive);
  if (dice_.chance(trouble_ / 4)) proof.new_key = test::probe("GET /v1/customers", Answer::unknown_key);
  return proof;
}

std::string World::wanted(const State& state) {
  return state.way_back() ? state.current->event.fingerprint : state.received->event.fingerprint;
}

std::vector<std::string> World::strays(const State& state) {
  std::vector<std::string> found;
  for (const auto& consumer : state.target.consumers) {
    if (held_by(consumer.app) != stored_) found.push_back(consumer.app);
  }
  return found;
}

void World::give(const std::string& app, const std::string& key) {
  if (held_by(app) != key) releases_[app] = std::max(releases_[app], 10) + 1;
  held_[app] = key;
}

// The sync copies what the store holds, when it comes to it; a look that finds nothing yet is looked again.
std::vector<Event> World::follow(const std::string& app, const State& state) {
  if (!dice_.chance(0.3)) give(app, stored_);
  if (held_by(app) != wanted(state))
    return {failure({ActionKind::follow_sync, app}, true, "nothing has come yet")};
  return {ConsumerUpdated{
      .app = app, .already_there = false, .release = releases_[app], .request_id = {}, .by_sync = true}};
}

std::vector<Event> World::perform(const Action& action, const State& state, TimePoint now) {
  if (now < down_until) return {failure(action, true, "it answered with a server error (503)")};
  if (broken_.contains(action)) return {failure(action, false, "still broken")};
  if (dice_.chance(final_trouble_)) {
    broken_.insert(action);
    return {failure(action, false, "broken for good")};
  }
  if (dice_.chance(trouble_)) return {failure(action, true, "Heroku answered 503")};
  const std::string& app = action.subject;
  switch (action.kind) {
    case ActionKind::check_operator:
      return {OperatorChecked{!dice_.chance(final_trouble_), "not allowed"}};
    case ActionKind::read_current_key: {
      CurrentKeyRead read = current_key();
      if (syncs) {
        const auto& first = state.target.consumers.front();
        read.syncs = {SyncSeen{.id = "sync-1",
                               .destination = "heroku",
                               .app = first.app,
                               .app_id = {},
                               .variable = first.variable,
                               .has_run = true}};
      }
      return {read};
    }
    case ActionKind::inspect_consumer: {
      ConsumerInspected seen = inspected(app);
      if (dice_.chance(final_trouble_)) seen.fingerprint = "drifted";
      return {seen};
    }
    case ActionKind::check_billing:
      return {BillingChecked{.health = Health::healthy, .status = 200, .detail = {}}};
    case ActionKind::probe_old_key:
    case ActionKind::probe_new_key:
    case ActionKind::probe_old_again:
    case ActionKind::probe_previous_key:
      return probe(action.kind, state, now);
    case ActionKind::page_others:
      return {
          OthersPaged{.people = {"U2"},
                      .old_key = ask_old("GET /v1/customers", now),
                      .link = state.forms,
                      .approval = waiting_approval(state) ? static_cast<int>(state.approvals.size()) : 0}};
    case ActionKind::find_superadmins:
      return {BypassTold{{"U2", "U3"}}};
    case ActionKind::check_old_key:
      return {OldKeyChecked{ask_old("GET /v1/customers", now)}};
    case ActionKind::check_expiry:
      return {ExpiryChecked{.stored_fingerprint = stored_, .strays = strays(state), .request_id = {}}};
    case ActionKind::issue_form:
      return {FormSent{"D1", "1.1"}};
    case ActionKind::read_previous_key:
      return {PreviousKeyRead{.version = 4, .found = "same", .request_id = {}}};
    case ActionKind::store_key: {
      const std::string fingerprint = wanted(state);
      const bool there = stored_ == fingerprint;
      if (!there) ++version_;
      stored_ = fingerprint;
      if (dice_.chance(trouble_)) return {failure(action, true, "the answer was lost")};
      return {
          KeyStored{.version = version_, .previous_version = 4, .already_there = there, .request_id = {}}};
    }
    case ActionKind::update_consumer: {
      const bool there = held_by(app) == wanted(state);
      give(app, wanted(state));
      if (dice_.chance(trouble_)) return {failure(action, true, "the answer was lost")};
      return {
          ConsumerUpdated{.app = app, .already_there = there, .release = releases_[app], .request_id = {}}};
    }
    case ActionKind::follow_sync:
      return follow(app, state);
    case ActionKind::await_consumer:
      return {ConsumerRunning{.app = app, .release = releases_[app], .dynos = 2, .request_id = {}}};
    case ActionKind::watch_consumer: {
      WatchFinished finished = quiet_watch(app);
      if (log_shows_failure || dice_.chance(trouble_ / 4)) {
        log_shows_failure = true;
        finished.totals.failures = {"app[web.1]: AuthenticationError"};
      }
      return {finished};
    }
    case ActionKind::watch_billing: {
      BillingWatched watched = healthy_billing();
      if (dice_.chance(trouble_ / 4)) watched.failed = true;
      return {watched};
    }
    case ActionKind::take_proof:
      return {prove(now)};
  }
  return {};
}

}  // namespace keyturn::test
