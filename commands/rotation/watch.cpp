// The watching actions: the consumers' logs and the billing endpoint, for as long as the procedure asks.
#include <spdlog/fmt/fmt.h>

#include "commands/rotation/log_watch.h"
#include "commands/rotation/performer.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;
using integrations::LogEnded;
using integrations::LogLine;

namespace {
constexpr int kHistoryLines = 100;  // what a new log session brings back: the time since the last one
constexpr int kProgressSteps = 10;
constexpr Duration kQuietLimit = std::chrono::seconds(1);
}  // namespace

// Time counts only while the log is seen: a gap makes the watch longer, not weaker.
asio::awaitable<Outcome> RealPerformer::watch_consumer(StatePointer state, std::string app, Recorder record) {
  const Target& target = state->target;
  const auto earlier = state->watching.find(app);
  // What made the procedure stop before a person asked to try again is old news.
  const TimePoint running = state->running.at(app).at;
  LogWatch watch(app, std::max(running, state->retried_at.value_or(running)), target.log_failures);
  if (earlier != state->watching.end()) watch.resume(earlier->second.event, earlier->second.at);
  Duration recorded = watch.totals().watched;
  const TimePoint limit = systems_.clock.now() + target.watch * 3 + target.timing.retry_limit;

  std::unique_ptr<integrations::LogStream> log;
  while (watch.totals().watched < target.watch && !watch.failed()) {
    if (!log) {
      log = co_await systems_.consumer.follow_log(app, kHistoryLines);
      watch.connected(systems_.clock.now());
    }
    auto next = co_await log->next(std::min(kQuietLimit, target.watch / kProgressSteps));
    const TimePoint now = systems_.clock.now();
    if (const auto* line = std::get_if<LogLine>(&next)) watch.line(*line);
    if (std::holds_alternative<LogEnded>(next)) {
      watch.disconnected(now);
      log.reset();
      if (now > limit)
        fail(integrations::System::heroku, "the log of " + app + " keeps breaking off", /*can_retry=*/false);
      co_await net::sleep_for(std::min<Duration>(target.timing.poll_every, std::chrono::seconds(1)));
      continue;
    }
    watch.looked(now);
    if (watch.totals().watched - recorded >= target.watch / kProgressSteps) {
      recorded = watch.totals().watched;
      Outcome progress;
      progress.events.emplace_back(watch.totals());
      co_await record(std::move(progress));
    }
  }
  // A quiet log proves something only if it was the right key that ran.
  if (!watch.failed()) co_await require_key(state, app);
  co_return Outcome{.events = {WatchFinished{.totals = watch.totals()}}, .boxes = {}};
}

asio::awaitable<Outcome> RealPerformer::watch_billing(StatePointer state) {
  const Target& target = state->target;
  Duration watched_for{};  // as slept, so that a clock that is set doesn't end the watch
  BillingWatched watched;
  bool unhealthy_before = false;
  const Duration limit = target.watch + target.timing.retry_limit;
  for (;;) {
    const auto report = co_await systems_.health.check(target.billing);
    const bool unhealthy = report.health == integrations::Health::unhealthy;
    switch (report.health) {
      case integrations::Health::healthy:
        ++watched.healthy;
        break;
      case integrations::Health::unhealthy:
        ++watched.unhealthy;
        break;
      case integrations::Health::unknown:
        ++watched.unknown;
        break;
    }
    if (report.health != integrations::Health::healthy) watched.last_problem = report.detail;
    // One bad answer may be the restart; a second one in a row is a finding, whatever silence lies between.
    // The watch never ends on a doubt: only on health, or, when that doesn't come back, as failed.
    const bool healthy = report.health == integrations::Health::healthy;
    watched.failed = (unhealthy && unhealthy_before) || (!healthy && watched_for >= limit);
    unhealthy_before = unhealthy || (unhealthy_before && !healthy);
    if (watched.failed || (healthy && watched_for >= target.watch)) break;
    const Duration left = std::max(target.watch - watched_for, target.timing.poll_every);
    const Duration pause = std::min(target.timing.health_every, left);
    co_await net::sleep_for(pause);
    watched_for += pause;
  }
  co_return Outcome{.events = {std::move(watched)}, .boxes = {}};
}

}  // namespace keyturn::commands::rotation
