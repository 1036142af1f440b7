#include "commands/rotation/performer.h"

#include <algorithm>
#include <stdexcept>

#include "commands/rotation/rollout.h"
#include "commands/rotation/syncs.h"
#include "integrations/error.h"
#include "integrations/net/within.h"
#include "integrations/stripe/key_format.h"
#include "storage/base64url.h"
#include "storage/hpke.h"
#include "storage/ids.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;
using integrations::Answer;
using integrations::ApiError;
using integrations::Failure;
using integrations::System;

void fail(System system, const std::string& reason, bool can_retry, const std::string& request_id) {
  throw ApiError({.system = system,
                  .failure = can_retry ? Failure::busy : Failure::refused,
                  .operation = "",
                  .reason = reason,
                  .request_id = request_id});
}

Exchange exchange_of(const State& state) {
  const std::string& new_key = state.received->event.fingerprint;
  const std::string& old_key = state.current->event.fingerprint;
  if (state.way_back())
    return {.purpose = kOldKey,
            .wanted = old_key,
            .replaced = new_key,
            .wanted_name = "the old key",
            .replaced_name = "the new one"};
  return {.purpose = kNewKey,
          .wanted = new_key,
          .replaced = old_key,
          .wanted_name = "the new key",
          .replaced_name = "the old one"};
}

std::string variable_of(const State& state, const std::string& app) {
  const auto found = std::ranges::find(state.target.consumers, app, &ConsumerTarget::app);
  if (found == state.target.consumers.end()) throw std::logic_error("no consumer " + app);
  return found->variable;
}

asio::awaitable<Outcome> RealPerformer::perform(Action action, StatePointer state, Recorder record) {
  switch (action.kind) {
    case ActionKind::check_operator: {
      auto checked = co_await systems_.people.check(state->operator_id);
      co_return Outcome{.events = {std::move(checked)}, .boxes = {}};
    }
    case ActionKind::read_current_key:
      co_return co_await read_current_key(state);
    case ActionKind::inspect_consumer:
      co_return co_await inspect_consumer(state, action.subject);
    case ActionKind::probe_old_key:
    case ActionKind::probe_new_key:
    case ActionKind::probe_old_again:
    case ActionKind::probe_previous_key:
      co_return co_await probe_key(state, action.kind);
    case ActionKind::check_billing:
      co_return co_await check_billing(state);
    case ActionKind::issue_form:
      co_return co_await issue_form(state, record);
    case ActionKind::page_others:
      co_return co_await page_others(state);
    case ActionKind::find_superadmins:
      co_return co_await find_superadmins(state);
    case ActionKind::check_old_key:
      co_return Outcome{.events = {OldKeyChecked{co_await probe_old(state)}}, .boxes = {}};
    case ActionKind::check_expiry:
      co_return co_await check_expiry(state);
    case ActionKind::read_previous_key:
      co_return co_await read_previous_key(state);
    case ActionKind::store_key:
      co_return co_await store_key(state);
    case ActionKind::update_consumer:
      co_return co_await update_consumer(state, action.subject);
    case ActionKind::follow_sync:
      co_return co_await follow_sync(state, action.subject);
    case ActionKind::await_consumer:
      co_return co_await await_consumer(state, action.subject);
    case ActionKind::watch_consumer:
      co_return co_await watch_consumer(state, action.subject, record);
    case ActionKind::watch_billing:
      co_return co_await watch_billing(state);
    case ActionKind::take_proof:
      co_return co_await take_proof(state);
  }
  throw std::logic_error("an action that nobody performs");
}

asio::awaitable<Outcome> RealPerformer::read_current_key(StatePointer state) {
  const auto address = state->target.store;
  auto stored = co_await systems_.store.read(address, std::nullopt);
  CurrentKeyRead read{.secret_id = stored.id,
                      .version = stored.version,
                      .fingerprint = {},
                      .kind = {},
                      .hidden = stored.hidden,
                      .rotated_by_store = stored.rotated_by_store,
                      .is_reference = stored.is_reference,
                      .syncs = {},
                      .request_id = stored.request_id};
  read.syncs = syncs_of(state->target, co_await systems_.store.syncs(address.project));
  Outcome outcome;
  if (stored.value && !stored.hidden) {
    read.fingerprint = systems_.vault.fingerprint(*stored.value);
    read.kind = stripe::name_of(stripe::classify_paste(stored.value->expose(), state->target.mode));
    // A key that may not exist is not kept either, not even sealed.
    if (read.kind == "restricted_key")
      outcome.boxes = {systems_.vault.seal(state->id, kOldKey, *stored.value)};
  }
  outcome.events = {std::move(read)};
  co_return outcome;
}

asio::awaitable<Outcome> RealPerformer::inspect_consumer(StatePointer state, std::string app) {
  const auto info = co_await systems_.consumer.info(app);
  const std::string variable = variable_of(*state, app);
  const auto config = co_await systems_.consumer.config(app, variable);
  const auto releases = co_await systems_.consumer.releases(app, kReleasesLookedAt);
  const auto dynos = co_await systems_.consumer.dynos(app);
  ConsumerInspected inspected{.app = app, .fingerprint = {}, .request_id = config.request_id};
  inspected.maintenance = info.maintenance;
  inspected.calls_left = info.quota_remaining;
  if (config.value) {
    inspected.fingerprint = systems_.vault.fingerprint(*config.value);
    inspected.holds_master_key =
        stripe::classify_paste(config.value->expose(), state->target.mode) == stripe::Pasted::master_key;
  }
  if (!releases.empty()) {
    inspected.release = releases.front().version;
    inspected.release_pending = releases.front().status == integrations::ReleaseStatus::pending;
  }
  for (const auto& release : releases)
    inspected.release_takes = std::max(inspected.release_takes, release.took.value_or(Duration::zero()));
  for (const auto& dyno : dynos) {
    if (dyno.type == "release" || dyno.type == "run") continue;
    ++inspected.dynos;
    if (dyno.state == "up") ++inspected.dynos_up;
  }
  co_return Outcome{.events = {std::move(inspected)}, .boxes = {}};
}

// Every call of the permitted and denied sets. An answer that says nothing makes the whole attempt say
// nothing.
asio::awaitable<Outcome> RealPerformer::probe_key(StatePointer state, ActionKind purpose) {
  const bool fresh = purpose == ActionKind::probe_new_key;
  const auto key = co_await systems_.vault.open(state->id, std::string(fresh ? kNewKey : kOldKey));
  std::vector<std::string> endpoints = state->target.permitted;
  // Whether the old key still lives is one question, so one call answers it.
  if (purpose == ActionKind::probe_old_again) {
    endpoints.resize(1);
  } else {
    endpoints.insert(endpoints.end(), state->target.denied.begin(), state->target.denied.end());
  }
  KeyProbed probed{.purpose = purpose, .probes = {}, .fingerprint = systems_.vault.fingerprint(*key)};
  for (const auto& endpoint : endpoints) {
    auto probe = co_await systems_.provider.probe(key, endpoint);
    if (probe.answer == Answer::address) {
      fail(System::stripe,
           "the key is limited to other IP addresses than this bot's, so Stripe won't tell us anything "
           "about it (dashboard: Manage IP restrictions)",
           /*can_retry=*/false, probe.request_id);
    }
    if (probe.answer == Answer::inconclusive) {
      fail(System::stripe,
           "no usable answer for " + endpoint + (probe.note.empty() ? "" : " (" + probe.note + ")"),
           /*can_retry=*/true, probe.request_id);
    }
    probed.probes.push_back(std::move(probe));
  }
  // A key that died between two calls is dead to all of them the next time.
  const auto refused = std::ranges::count_if(probed.probes, dead);
  const bool at_odds = refused > 0 && refused < std::ssize(probed.probes);
  if (!fresh && at_odds) {
    fail(System::stripe, "Stripe takes the key for some calls and refuses it for others, as if it were dead",
         /*can_retry=*/true, probed.probes.front().request_id);
  }
  co_return Outcome{.events = {std::move(probed)}, .boxes = {}};
}

asio::awaitable<Outcome> RealPerformer::check_billing(StatePointer state) {
  const auto report = co_await systems_.health.check(state->target.billing);
  // Neither a leak nor an outage waits for an endpoint that can't be reached; a routine rotation does.
  const bool waits = !state->compromise && !state->recovery();
  if (report.health == integrations::Health::unknown && waits) {
    fail(System::billing, report.detail, /*can_retry=*/true);
  }
  co_return Outcome{
      .events = {BillingChecked{.health = report.health, .status = report.status, .detail = report.detail}},
      .boxes = {}};
}

// The hash and the key are on disk before the link exists outside, so that whoever opens it finds it known.
asio::awaitable<Outcome> RealPerformer::issue_form(StatePointer state, Recorder record) {
  const storage::Secret token = storage::new_token();
  const std::string token_hash = storage::sha256_hex(token.expose());
  const auto key = storage::hpke::generate();
  Outcome issued;
  issued.events.emplace_back(FormIssued{.token_hash = token_hash,
                                        .expires_at = systems_.clock.now() + state->target.timing.form_life,
                                        .public_key = storage::to_base64url(key.public_key),
                                        .operator_id = state->operator_id});
  issued.boxes.push_back(systems_.vault.seal(state->id, kFormKey, key.private_key));
  co_await record(std::move(issued));
  Invitation invitation{.link = systems_.form_url + "#" + std::string(token.expose()), .code = {}};
  if (systems_.form_proof == FormProof::code) invitation.code = systems_.vault.form_code(token_hash);
  auto sent = co_await systems_.people.send_form(state, std::move(invitation));
  co_return Outcome{.events = {std::move(sent)}, .boxes = {}};
}

namespace {

// A call that the new key may make: with one that it may not, nothing would ever be granted. (A suspected
// leak is rotated also when the key lacks something that the settings list as permitted.)
std::string endpoint_for_proof(const State& state) {
  const auto& permitted = state.target.permitted;
  if (const auto probed = state.probed.find(ActionKind::probe_new_key); probed != state.probed.end()) {
    for (const auto& probe : probed->second.event.probes) {
      const bool known = std::ranges::find(permitted, probe.endpoint) != permitted.end();
      if (known && probe.answer == Answer::granted) return probe.endpoint;
    }
  }
  return permitted.front();
}

}  // namespace

asio::awaitable<Outcome> RealPerformer::take_proof(StatePointer state) {
  const std::string endpoint = endpoint_for_proof(*state);
  const auto old_key = co_await systems_.vault.open(state->id, std::string(kOldKey));
  ProofTaken proof;
  proof.old_key = co_await systems_.provider.probe(old_key, endpoint);
  // The new key as it is stored now, and as every app holds it: that is what billing depends on. Not being
  // able to read it is no verdict.
  std::string unreadable;
  try {
    const auto stored = co_await systems_.store.read(state->target.store, std::nullopt);
    if (stored.value) {
      proof.new_key = co_await systems_.provider.probe(stored.value, endpoint);
      const std::string fingerprint = systems_.vault.fingerprint(*stored.value);
      if (fingerprint != state->received->event.fingerprint && proof.new_key.note.empty())
        proof.new_key.note = "Infisical holds another key by now, " + fingerprint;
      proof.strays = co_await strays(state, stored.value);
    } else {
      unreadable = "Infisical hides the new key";
    }
  } catch (const ApiError& error) {
    unreadable = error.what();
  }
  if (!unreadable.empty()) {
    proof.new_key = {
        .endpoint = endpoint, .answer = Answer::inconclusive, .at = systems_.clock.now(), .note = unreadable};
  }
  co_return Outcome{.events = {std::move(proof)}, .boxes = {}};
}

// All apps at once: one after the other, a hundred of them would make every proof a hundred round trips long.
asio::awaitable<std::vector<std::string>> RealPerformer::strays(StatePointer state,
                                                                storage::SharedSecret key) {
  const auto& consumers = state->target.consumers;
  std::vector<char> astray(consumers.size(), 0);
  std::vector<asio::awaitable<void>> looks;
  looks.reserve(consumers.size());
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    looks.push_back(look_for_stray(consumers[i], key, astray[i]));
  }
  co_await net::all(std::move(looks));
  std::vector<std::string> found;
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    if (astray[i] != 0) found.push_back(consumers[i].app);
  }
  co_return found;
}

// The caller waits for it, so `astray` lives.
asio::awaitable<void> RealPerformer::look_for_stray(ConsumerTarget consumer, storage::SharedSecret key,
                                                    char& astray) {
  const auto config = co_await systems_.consumer.config(consumer.app, consumer.variable);
  astray = !config.value || !config.value->equals(*key) ? 1 : 0;
}

}  // namespace keyturn::commands::rotation
