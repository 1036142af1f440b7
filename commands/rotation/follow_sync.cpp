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

// Empty where no consumer is followed: then nobody needs to be asked.
asio::awaitable<std::map<std::string, std::string>> RealPerformer::sync_runs(StatePointer state) {
  std::map<std::string, std::string> runs;
  if (!follows_any(*state)) co_return runs;
  for (const auto& sync : co_await systems_.store.syncs(state->target.store.project)) {
    if (integrations::copies_onward(sync, state->target.store)) runs[sync.id] = sync.last_run;
  }
  co_return runs;
}

asio::awaitable<Outcome> RealPerformer::follow_sync(StatePointer state, std::string app) {
  const std::string variable = variable_of(*state, app);
  const Exchange exchange = exchange_of(*state);
  const TimePoint stored = state->stored->at;
  const bool asked_again = state->retried_at && *state->retried_at >= stored;
  const TimePoint limit = (asked_again ? *state->retried_at : stored) + state->target.timing.release_limit;
  for (bool first = true;; first = false) {
    const auto config = co_await systems_.consumer.config(app, variable);
    const std::string found = config.value ? systems_.vault.fingerprint(*config.value) : "none";
    if (found == exchange.wanted) {
      ConsumerUpdated updated{
          .app = app, .already_there = first, .request_id = config.request_id, .by_sync = true};
      co_return co_await released(state, std::move(updated), state->inspected.at(app).event.release,
                                  /*mend=*/asked_again);
    }
    if (found != exchange.replaced) {
      fail(System::heroku,
           fmt::format("{} holds another key now ({}) than at the start; somebody changed it by hand", app,
                       found),
           /*can_retry=*/false, config.request_id);
    }
    const auto syncs = co_await systems_.store.syncs(state->target.store.project);
    if (const auto trouble = sync_trouble(*state, app, syncs))
      fail(System::infisical, *trouble, /*can_retry=*/false);
    if (systems_.clock.now() > limit) {
      fail(System::infisical,
           fmt::format("{} does not hold {} {} after Infisical does; {}. Press Trigger Sync (in Infisical, "
                       "Integrations -> Secret Syncs), then try again",
                       app, exchange.wanted_name, storage::in_words(state->target.timing.release_limit),
                       sync_in_words(*state, app, syncs)),
           /*can_retry=*/false);
    }
    co_await net::sleep_for(state->target.timing.poll_every);
  }
}

}  // namespace keyturn::commands::rotation
