#include "commands/drift_repairs.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <optional>

#include "commands/json.h"
#include "commands/rotation/performer.h"
#include "integrations/error.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using integrations::ApiError;
using integrations::System;
using nlohmann::json;
using storage::Duration;
using storage::TimePoint;

namespace {

constexpr Duration kDiskPause = std::chrono::seconds(5);
constexpr const char* kOurMistake = "something unexpected happened inside Keyturn; its log says what";

int running(const std::vector<integrations::Dyno>& dynos) {
  return static_cast<int>(std::ranges::count_if(
      dynos, [](const integrations::Dyno& dyno) { return dyno.type != "release" && dyno.type != "run"; }));
}

}  // namespace

DriftRepairs::DriftRepairs(const asio::any_io_executor& io, Desk& desk, DriftSystems systems, Trouble trouble)
    : desk_(desk),
      systems_(systems),
      trouble_(std::move(trouble)),
      tasks_(io, [this](const std::string& task, std::exception_ptr failure) {
        if (trouble_) trouble_(task, net::what_of(failure));
      }) {}

void DriftRepairs::start() {
  for (const auto& [id, drift] : desk_.drifts) {
    if (drift.repairing && going_on_.insert(id).second) tasks_.spawn("repair of " + id, carry_out(id));
  }
}

// Cut off by the end of this process nothing is written, and the next one goes on with it.
asio::awaitable<void> DriftRepairs::carry_out(std::string id) {
  json found = co_await outcome(desk_.drifts.at(id));
  const std::string type(found.contains("how") ? kDriftEnded : kRepairFailed);
  found["id"] = id;
  for (;;) {
    std::string refused;
    try {
      co_await record_drift(desk_, type, found);
      going_on_.erase(id);  // not before: until then it is still asked for
      co_return;
    } catch (const std::exception& error) {
      refused = error.what();
    }
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    if (trouble_) trouble_("journal", refused);
    co_await net::sleep_for(kDiskPause);
  }
}

// What the journal says of it: {how, release, dynos}, or {reason, wrote}.
asio::awaitable<json> DriftRepairs::outcome(Drift drift) {
  const auto target = std::ranges::find(desk_.targets, drift.target, &Target::name);
  const auto consumer = target == desk_.targets.end() ? std::vector<ConsumerTarget>::const_iterator{}
                                                      : std::ranges::find(std::as_const(target->consumers),
                                                                          drift.app, &ConsumerTarget::app);
  if (target == desk_.targets.end() || consumer == target->consumers.cend())
    co_return json{{"reason", "the settings no longer have " + drift.app}, {"wrote", false}};
  Attempt attempt{.drift = drift, .target = *target, .variable = consumer->variable};
  const TimePoint until = desk_.clock.now() + target->timing.retry_limit;
  for (;;) {
    std::string reason;
    bool may_pass = false;
    std::exception_ptr unexpected;
    try {
      const auto done = co_await repair(attempt);
      co_return json{{"how", kRepaired}, {"release", done.release}, {"dynos", done.dynos}};
    } catch (const ApiError& error) {
      reason = error.what();
      may_pass = error.can_retry() || error.failure() == integrations::Failure::ambiguous;
    } catch (...) {
      unexpected = std::current_exception();
    }
    if (unexpected) {
      if (net::cancelled(co_await asio::this_coro::cancellation_state)) std::rethrow_exception(unexpected);
      if (trouble_) trouble_("repair of " + drift.id, net::what_of(unexpected));
      reason = kOurMistake;
    }
    if (!may_pass || desk_.clock.now() > until) co_return json{{"reason", reason}, {"wrote", attempt.wrote}};
    co_await net::sleep_for(attempt.target.timing.retry_every);
  }
}

// The key that the message is about, alive.
asio::awaitable<storage::SharedSecret> DriftRepairs::checked_key(const Attempt& attempt) {
  const auto stored = co_await systems_.store.read(attempt.target.store, std::nullopt);
  const bool the_same =
      stored.value && !stored.hidden && systems_.vault.fingerprint(*stored.value) == attempt.drift.stored;
  if (!the_same)
    rotation::fail(System::infisical, "Infisical does not show the key that this message is about",
                   /*can_retry=*/false);
  const auto probe = co_await systems_.provider.probe(stored.value, attempt.target.permitted.front());
  if (rotation::dead(probe)) {
    rotation::fail(System::stripe, "Stripe refuses the key that Infisical holds, so it would not help",
                   /*can_retry=*/false, probe.request_id);
  }
  if (probe.answer != integrations::Answer::granted && probe.answer != integrations::Answer::denied)
    rotation::fail(System::stripe, "Stripe gives no usable answer about the stored key", /*can_retry=*/true,
                   probe.request_id);
  co_return stored.value;
}

// Writes it where it isn't. The request's id.
asio::awaitable<std::string> DriftRepairs::give(Attempt& attempt, storage::SharedSecret key) {
  const Drift& drift = attempt.drift;
  const auto before = co_await systems_.consumer.config(drift.app, attempt.variable);
  if (before.value && before.value->equals(*key)) {
    attempt.wrote = true;  // by an earlier try, or by somebody else
    co_return before.request_id;
  }
  if ((before.value ? systems_.vault.fingerprint(*before.value) : "") != drift.held)
    rotation::fail(System::heroku, drift.app + " holds another key by now than when this was found",
                   /*can_retry=*/false);
  // A rotation that begins later finds the release that this makes, and waits for it.
  if (key_at_rest(attempt.target, desk_.runner.of(drift.target), desk_.seen).fingerprint != drift.stored)
    rotation::fail(System::heroku, "a rotation is changing this key right now", /*can_retry=*/false);
  attempt.wrote = true;
  const auto request_id = co_await systems_.consumer.set_config(drift.app, attempt.variable, key);
  const auto after = co_await systems_.consumer.config(drift.app, attempt.variable);
  if (!after.value || !after.value->equals(*key))
    rotation::fail(System::heroku, drift.app + " does not hold the key that was just written",
                   /*can_retry=*/true, after.request_id);
  co_return request_id;
}

// Looks before it writes, so that it can be done again, also after a crash.
asio::awaitable<rotation::RolledOut> DriftRepairs::repair(Attempt& attempt) {
  const std::string app = attempt.drift.app;
  if (!attempt.drift.offered)
    rotation::fail(System::infisical, "no rotation has checked the stored key", /*can_retry=*/false);
  const auto key = co_await checked_key(attempt);
  const int dynos_before = running(co_await systems_.consumer.dynos(app));
  const std::string request_id = co_await give(attempt, key);

  // The release that brought the other key is no proof that anything runs this one.
  const auto releases = co_await systems_.consumer.releases(app, rotation::kReleasesLookedAt);
  if (releases.empty() || releases.front().version <= attempt.drift.newest_release)
    rotation::fail(System::heroku, app + " has made no release for the change yet", /*can_retry=*/true,
                   request_id);
  int release = releases.front().version;
  // A change whose release failed stays in the configuration, and nothing runs it.
  if (attempt.drift.repairs > 1 && rotation::has_failed(releases, release))
    release = (co_await systems_.consumer.release_again(app, rotation::released_code(app, releases))).version;
  rotation::Rollout rollout{.app = app,
                            .release = release,
                            .dynos_before = dynos_before,
                            .began = desk_.clock.now(),
                            .allowed = attempt.target.timing.release_limit,
                            .poll_every = attempt.target.timing.poll_every,
                            .runs_otherwise = "what they ran before",
                            .request_id = request_id};
  const auto done = co_await rotation::await_rollout(systems_.consumer, desk_.clock, std::move(rollout));
  const auto now = co_await systems_.consumer.config(app, attempt.variable);
  if (!now.value || !now.value->equals(*key))
    rotation::fail(System::heroku, app + " was given another key again meanwhile", /*can_retry=*/false,
                   now.request_id);
  co_return done;
}

}  // namespace keyturn::commands
