// Consumers that the secret store's own sync changes: nothing is written here, only looked at, so that it may
// be done again at any time.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "commands/rotation/performer.h"
#include "commands/rotation/syncs.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;
using integrations::System;

namespace {

constexpr int kLooksAtRest = 3;  // in a row, until a sync that is done is believed to bring nothing more
constexpr const char* kTriggerSync =
    "Press Trigger Sync (in Infisical, Integrations -> Secret Syncs), then try again";

// A release up to this one is not the sync's.
int release_before(const State& state, const std::string& app) {
  int release = state.inspected.at(app).event.release;
  if (!state.way_back()) return release;
  if (const auto found = state.forth.updated.find(app); found != state.forth.updated.end())
    release = std::max(release, found->second.event.release);
  if (const auto found = state.forth.running.find(app); found != state.forth.running.end())
    release = std::max(release, found->second.event.release);
  return release;
}

// The run that was to bring the new key there may still be out, and would bring it after we have looked away.
bool may_still_change(const State& state, const std::string& app,
                      const std::vector<integrations::SecretSync>& syncs) {
  const bool never_came = !state.forth.updated.contains(app);
  return state.way_back() && never_came && !state.stored->event.already_there &&
         !syncs_at_rest(state, app, syncs);
}

}  // namespace

asio::awaitable<Outcome> RealPerformer::follow_sync(StatePointer state, std::string app) {
  const std::string variable = variable_of(*state, app);
  const Exchange exchange = exchange_of(*state);
  const TimePoint stored = state->stored->at;
  const bool asked_again = state->retried_at && *state->retried_at >= stored;
  const TimePoint limit = (asked_again ? *state->retried_at : stored) + state->target.timing.release_limit;
  const std::string took = storage::in_words(state->target.timing.release_limit);
  int before = release_before(*state, app);
  int looks_at_rest = 0;
  bool already_there = true;
  for (;;) {
    // In this order: what is read later is newer, and a key that is seen was brought by a release that is
    // seen.
    const auto syncs = co_await systems_.store.syncs(state->target.store.project);
    const int newest = co_await newest_release(app);
    const auto config = co_await systems_.consumer.config(app, variable);
    const std::string found = config.value ? systems_.vault.fingerprint(*config.value) : "none";
    const bool late = systems_.clock.now() > limit;
    if (found == exchange.wanted && !may_still_change(*state, app, syncs)) {
      ConsumerUpdated updated{
          .app = app, .already_there = already_there, .request_id = config.request_id, .by_sync = true};
      co_return co_await released(state, std::move(updated), before, /*mend=*/asked_again);
    }
    if (found == exchange.wanted) {
      if (late) {
        fail(System::infisical,
             fmt::format("{} holds {}, but {} after Infisical does its sync has not come to rest, and may "
                         "still change "
                         "it; {}. {}",
                         app, exchange.wanted_name, took, sync_in_words(*state, app, syncs), kTriggerSync),
             /*can_retry=*/false);
      }
      co_await net::sleep_for(state->target.timing.poll_every);
      continue;
    }
    already_there = false;
    before = std::max(before, newest);
    if (found != exchange.replaced) {
      fail(System::heroku,
           fmt::format("{} holds another key now ({}) than at the start; somebody changed it by hand", app,
                       found),
           /*can_retry=*/false, config.request_id);
    }
    if (const auto trouble = sync_trouble(*state, app, syncs))
      fail(System::infisical, *trouble, /*can_retry=*/false);
    looks_at_rest = syncs_at_rest(*state, app, syncs) ? looks_at_rest + 1 : 0;
    if (looks_at_rest >= kLooksAtRest) {
      fail(System::infisical,
           fmt::format(
               "Infisical's sync has run since {} was stored, and {} holds {}: somebody put it back. {}",
               exchange.wanted_name, app, exchange.replaced_name, kTriggerSync),
           /*can_retry=*/false);
    }
    if (late) {
      fail(System::infisical,
           fmt::format("{} does not hold {} {} after Infisical does; {}. {}", app, exchange.wanted_name, took,
                       sync_in_words(*state, app, syncs), kTriggerSync),
           /*can_retry=*/false);
    }
    co_await net::sleep_for(state->target.timing.poll_every);
  }
}

}  // namespace keyturn::commands::rotation
