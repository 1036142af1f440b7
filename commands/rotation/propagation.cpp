// The writing actions: the secret store, then the consumers. Each compares, writes, and reads back.
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/rotation/performer.h"
#include "commands/rotation/rollout.h"
#include "commands/rotation/syncs.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;
using integrations::ReleaseStatus;
using integrations::System;

asio::awaitable<Outcome> RealPerformer::store_key(StatePointer state) {
  const auto& address = state->target.store;
  const Exchange exchange = exchange_of(*state);
  // What the store held before, as far as this rotation knows.
  const bool put_back = state->way_back() && state->forth.stored;
  const int version_before = put_back ? state->forth.stored->event.version : state->current->event.version;
  const auto key = co_await systems_.vault.open(state->id, std::string(exchange.purpose));

  const auto syncs = co_await systems_.store.syncs(address.project);
  auto runs = runs_of(*state, syncs);
  const auto before = co_await systems_.store.read(address, std::nullopt);
  if (!before.value)
    fail(System::infisical, "Infisical hides the value of " + address.name, /*can_retry=*/false);
  if (before.value->equals(*key)) {  // written by an earlier attempt whose answer was lost, or never replaced
    co_return Outcome{.events = {KeyStored{.version = before.version,
                                           .previous_version = version_before,
                                           .already_there = true,
                                           .request_id = before.request_id,
                                           .sync_runs = std::move(runs)}},
                      .boxes = {}};
  }
  // Another version of the same value (a comment, or somebody who put it back) is no conflict.
  if (systems_.vault.fingerprint(*before.value) != exchange.replaced) {
    fail(System::infisical,
         fmt::format(
             "somebody else changed {} meanwhile (version {} was expected, {} is there); look who, and why, "
             "and put the value of before back, so that nobody's key is written over",
             address.name, version_before, before.version),
         /*can_retry=*/false, before.request_id);
  }
  // Hours may have passed since they were looked at, waiting for people.
  if (const auto changed = syncs_changed(*state, syncs))
    fail(System::infisical, *changed, /*can_retry=*/false);
  const std::string comment = state->way_back() ? "put back by Keyturn for " + state->rollback->event.by
                                                : "rotated by Keyturn for " + state->operator_id;
  const auto answer = co_await systems_.store.write(address, key, comment, state->id);
  if (const auto* pending = std::get_if<integrations::ApprovalPending>(&answer)) {
    fail(System::infisical,
         fmt::format("the change waits for approval in Infisical ({}); approve it there, then try again",
                     pending->slug),
         /*can_retry=*/false);
  }
  const auto& written = std::get<integrations::SecretWritten>(answer);
  const auto after = co_await systems_.store.read(address, std::nullopt);
  if (!after.value || !after.value->equals(*key) || after.version != written.version) {
    fail(System::infisical,
         "what Infisical holds now is not what was written; somebody else may be writing too: look who, and "
         "why, and put the value of before back, then try again",
         /*can_retry=*/false, after.request_id);
  }
  co_return Outcome{.events = {KeyStored{.version = after.version,
                                         .previous_version = before.version,
                                         .already_there = false,
                                         .request_id = written.request_id,
                                         .sync_runs = std::move(runs)}},
                    .boxes = {}};
}

// The version that was pinned at the start, as evidence. A version number alone proves nothing: after delete
// and re-create it can belong to another secret.
asio::awaitable<Outcome> RealPerformer::read_previous_key(StatePointer state) {
  const auto& pinned = state->current->event;
  PreviousKeyRead read{.version = pinned.version, .found = "missing", .request_id = {}};
  try {
    const auto stored = co_await systems_.store.read(state->target.store, pinned.version);
    read.request_id = stored.request_id;
    if (stored.hidden || !stored.value) {
      read.found = stored.hidden ? "hidden" : "redacted";
    } else if (stored.id != pinned.secret_id || stored.version != pinned.version) {
      read.found = "another_secret";
    } else {
      const bool same = systems_.vault.fingerprint(*stored.value) == pinned.fingerprint;
      read.found = same ? "same" : "another_value";
    }
  } catch (const integrations::ApiError& error) {
    if (error.failure() != integrations::Failure::not_found) throw;
    read.request_id = error.details().request_id;
  }
  co_return Outcome{.events = {std::move(read)}, .boxes = {}};
}

// Fails unless the app's configuration holds the key of this leg. Somebody may have set another one, or
// rolled a release back: that brings the configuration of that release back, in a release with a newer number
// (devcenter.heroku.com/articles/releases#rollback).
asio::awaitable<void> RealPerformer::require_key(StatePointer state, std::string app) {
  const std::string variable = variable_of(*state, app);
  const auto config = co_await systems_.consumer.config(app, variable);
  const std::string found = config.value ? systems_.vault.fingerprint(*config.value) : "none";
  const Exchange exchange = exchange_of(*state);
  if (found == exchange.wanted) co_return;
  fail(System::heroku,
       fmt::format("{} no longer holds {} but {}: somebody set it, or rolled a release back", app,
                   exchange.wanted_name, found == exchange.replaced ? exchange.replaced_name : found),
       /*can_retry=*/false, config.request_id);
}

asio::awaitable<int> RealPerformer::newest_release(std::string app) {
  const auto releases = co_await systems_.consumer.releases(app, 1);
  co_return releases.empty() ? 0 : releases.front().version;
}

namespace {

// Somebody else may have made a release since ours. Heroku's wording is not ours to rely on: where none names
// the variable, it is the newest.
const integrations::Release& the_one_of(const std::vector<integrations::Release>& releases,
                                        const std::string& variable, int release_before) {
  const auto found = std::ranges::find_if(releases, [&](const integrations::Release& release) {
    return release.version > release_before && release.description.contains(variable);
  });
  return found == releases.end() ? releases.front() : *found;
}

// What the dynos run, when the newest release failed.
int newest_good(const std::vector<integrations::Release>& releases) {
  const auto good = std::ranges::find(releases, ReleaseStatus::succeeded, &integrations::Release::status);
  return good == releases.end() ? releases.front().version : good->version;
}

}  // namespace

asio::awaitable<Outcome> RealPerformer::update_consumer(StatePointer state, std::string app) {
  const std::string variable = variable_of(*state, app);
  const Exchange exchange = exchange_of(*state);
  const auto key = co_await systems_.vault.open(state->id, std::string(exchange.purpose));
  int release_before = state->inspected.at(app).event.release;

  const auto before = co_await systems_.consumer.config(app, variable);
  bool already_there = before.value && before.value->equals(*key);
  std::string request_id = before.request_id;
  if (!already_there) {
    const std::string found = before.value ? systems_.vault.fingerprint(*before.value) : "none";
    if (found != exchange.replaced) {
      fail(System::heroku,
           fmt::format("{} holds another key now ({}) than at the start; somebody changed it by hand", app,
                       found),
           /*can_retry=*/false, before.request_id);
    }
    // A release that somebody made since the inspection is not the one of our change.
    release_before = std::max(release_before, co_await newest_release(app));
    request_id = co_await systems_.consumer.set_config(app, variable, key);
    const auto after = co_await systems_.consumer.config(app, variable);
    if (!after.value || !after.value->equals(*key)) {
      fail(System::heroku, app + " does not hold the key that was just written", /*can_retry=*/true,
           after.request_id);
    }
  }
  ConsumerUpdated updated{.app = app, .already_there = already_there, .request_id = request_id};
  co_return co_await released(state, std::move(updated), release_before, /*mend=*/already_there);
}

asio::awaitable<Outcome> RealPerformer::released(StatePointer state, ConsumerUpdated updated,
                                                 int release_before, bool mend) {
  const auto releases = co_await systems_.consumer.releases(updated.app, kReleasesLookedAt);
  const bool fresh = !releases.empty() && releases.front().version > release_before;
  // On the way back an app may never have had the new key: then no release is wanted, nor mended.
  if (state->way_back() && updated.already_there && !releases.empty() && !fresh) {
    updated.release = newest_good(releases);
    co_return Outcome{.events = {std::move(updated)}, .boxes = {}};
  }
  if (!fresh) {
    fail(System::heroku, updated.app + " has made no release for the change yet", /*can_retry=*/true,
         updated.request_id);
  }
  const auto& made = the_one_of(releases, variable_of(*state, updated.app), release_before);
  updated.release = made.version;
  if (updated.by_sync) updated.released_by = made.user;
  // A change whose release failed stays in the configuration, and nothing runs it.
  if (mend && has_failed(releases, updated.release)) {
    const std::string code = released_code(updated.app, releases);
    updated.release = (co_await systems_.consumer.release_again(updated.app, code)).version;
  }
  co_return Outcome{.events = {std::move(updated)}, .boxes = {}};
}

asio::awaitable<Outcome> RealPerformer::await_consumer(StatePointer state, std::string app) {
  const auto& updated = state->updated.at(app);
  const TimePoint began = std::max(updated.at, state->retried_at.value_or(updated.at));
  Rollout rollout{.app = app,
                  .release = updated.event.release,
                  .dynos_before = state->inspected.at(app).event.dynos,
                  .began = began,
                  .allowed = state->target.timing.release_limit,
                  .poll_every = state->target.timing.poll_every,
                  .runs_otherwise = std::string(exchange_of(*state).replaced_name),
                  .request_id = updated.event.request_id};
  const RolledOut done = co_await await_rollout(systems_.consumer, systems_.clock, std::move(rollout));
  co_await require_key(state, app);
  co_return Outcome{
      .events = {ConsumerRunning{
          .app = app, .release = done.release, .dynos = done.dynos, .request_id = done.request_id}},
      .boxes = {}};
}

}  // namespace keyturn::commands::rotation
