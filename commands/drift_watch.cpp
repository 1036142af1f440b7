#include "commands/drift_watch.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "commands/json.h"
#include "commands/rotation/performer.h"
#include "commands/views/blocks.h"
#include "commands/views/drift.h"
#include "integrations/error.h"
#include "integrations/stripe/key_format.h"
#include "storage/ids.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using integrations::System;
using nlohmann::json;
using storage::Duration;
using storage::TimePoint;

namespace {

constexpr Duration kSecondLook = std::chrono::minutes(1);  // after one that saw something new
constexpr Duration kAfterTrouble = std::chrono::seconds(5);
constexpr Duration kShortestPause = std::chrono::milliseconds(100);
constexpr std::size_t kReleaseWords = 120;

}  // namespace

DriftWatch::DriftWatch(const asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Cadence& cadence,
                       DriftSystems systems, Trouble trouble)
    : desk_(desk),
      slack_(slack),
      cadence_(cadence),
      systems_(systems),
      trouble_(std::move(trouble)),
      wake_(io, asio::steady_timer::time_point::max()) {}

void DriftWatch::load(const std::vector<storage::Entry>& entries) {
  for (const auto& entry : entries) {
    if (entry.rotation.empty() && entry.type.starts_with("drift."))
      note(desk_.drifts, entry.type, json::parse(entry.data), entry.at);
  }
}

void DriftWatch::changed() {
  dirty_ = true;
  wake_.cancel();
}

KeyAtRest DriftWatch::at_rest(const Target& target) const {
  return key_at_rest(target, desk_.runner.of(target.name()), desk_.seen);
}

// What the settings no longer have nobody looks at any more.
asio::awaitable<void> DriftWatch::drop_what_is_gone() {
  const Drifts drifts = desk_.drifts;
  for (const auto& [id, drift] : drifts) {
    if (drift.ended) continue;
    const auto target = std::ranges::find(desk_.targets, drift.target, &Target::name);
    const bool there =
        target != desk_.targets.end() &&
        (drift.app.empty() ||
         std::ranges::find(target->consumers, drift.app, &ConsumerTarget::app) != target->consumers.end());
    if (!there) co_await end(id);
  }
}

// A click may have come while the disk was waited for.
asio::awaitable<void> DriftWatch::end(std::string id) {
  const Drift& drift = desk_.drifts.at(id);
  if (drift.ended || drift.repairing) co_return;
  co_await record_drift(desk_, std::string(kDriftEnded), {{"id", id}, {"how", kGone}});
}

asio::awaitable<void> DriftWatch::run() {
  std::size_t consumers = 0;
  for (const Target& target : desk_.targets) consumers += target.consumers.size();
  // A bot that is started again and again must not try a wrong client secret each time: Infisical locks the
  // identity after three. And a thousand targets don't all have to be looked at in the same second.
  const auto count = static_cast<Duration::rep>(std::max<std::size_t>(desk_.targets.size(), 1));
  for (const Target& target : desk_.targets) {
    const Duration pause = drift_interval(target, consumers);
    due_[target.name()] = desk_.clock.now() + pause + pause * static_cast<Duration::rep>(due_.size()) / count;
  }
  co_await drop_what_is_gone();
  for (;;) {
    dirty_ = false;
    TimePoint wake = desk_.clock.now() + storage::kLongestSleep;
    if (const auto again = co_await attend_all()) wake = std::min(wake, *again);
    for (const Target& target : desk_.targets) {
      wake = std::min(wake, co_await watch_if_due(target, drift_interval(target, consumers)));
      if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
      if (dirty_) break;  // somebody pressed a button: the others are still due
    }
    if (!dirty_) {
      wake_.expires_after(
          std::clamp<Duration>(wake - desk_.clock.now(), kShortestPause, storage::kLongestSleep));
      boost::system::error_code ignored;
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

// When it is due again.
asio::awaitable<TimePoint> DriftWatch::watch_if_due(Target target, Duration pause) {
  TimePoint& due = due_[target.name()];
  due = std::min(due, desk_.clock.now() + 2 * pause);  // the clock may have been set back
  if (desk_.clock.now() < due) co_return due;
  due = desk_.clock.now() + pause;
  std::string why;
  try {
    if (const auto sooner = co_await watch(target)) due = std::min(due, *sooner);
  } catch (const std::exception& error) {
    why = error.what();
    before_.erase(target.name());
  }
  if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return due;
  if (std::exchange(blind_[target.name()], why) != why && !why.empty() && trouble_)
    trouble_("whether every app of " + target.name() + " holds the stored key can't be seen", why);
  co_return due;
}

void DriftWatch::look_for_master_key(const storage::Secret& value, const std::string& where) {
  const bool master =
      stripe::classify_paste(value.expose(), integrations::Mode::live) == stripe::Pasted::master_key;
  if (master && desk_.master_key_seen)
    desk_.master_key_seen(views::escape(where), where + " " + systems_.vault.fingerprint(value));
}

asio::awaitable<std::string> DriftWatch::stored_key(Target target) {
  const auto stored = co_await systems_.store.read(target.store, std::nullopt);
  if (!stored.value || stored.hidden)
    rotation::fail(System::infisical, "Infisical hides the secret's value", /*can_retry=*/false);
  look_for_master_key(*stored.value, fmt::format("found in Infisical, under {} ({})", target.store.name,
                                                 target.store.environment));
  co_return systems_.vault.fingerprint(*stored.value);
}

// When to look again sooner than usual, if so.
asio::awaitable<std::optional<TimePoint>> DriftWatch::watch(Target target) {
  const bool live = desk_.runner.live(target.provider, target.environment) != nullptr;
  if (live && at_rest(target).fingerprint.empty()) {
    before_.erase(target.name());
    co_return std::nullopt;
  }
  std::string stored = co_await stored_key(target);
  co_await cadence_.saw(target, stored);
  DriftLook seen = co_await look(target, std::move(stored));
  // A rotation that began meanwhile changes what was being looked at.
  if (seen.expected.fingerprint.empty() || at_rest(target) != seen.expected) {
    before_.erase(target.name());
    co_return std::nullopt;
  }
  const auto last = before_.find(target.name());
  const auto before = last == before_.end() ? std::nullopt : std::optional(last->second);
  const DriftChanges news = changes(target, desk_.drifts, desk_.runner.of(target.name()), seen, before);
  // What could not be looked at this time was not seen to be well either.
  if (before) seen.apps.insert(before->apps.begin(), before->apps.end());
  before_[target.name()] = std::move(seen);
  for (const std::string& id : news.ended) co_await end(id);
  for (const Drift& drift : news.found) co_await tell_of(drift);
  if (!news.suspicious) co_return std::nullopt;
  co_return desk_.clock.now() + std::min(kSecondLook, target.timing.drift_every);
}

// All apps at once: one after the other, a hundred of them would make every look a hundred round trips long.
asio::awaitable<DriftLook> DriftWatch::look(Target target, std::string stored) {
  DriftLook found{.expected = at_rest(target), .stored = std::move(stored), .apps = {}};
  const auto& consumers = target.consumers;
  std::vector<std::string> held(consumers.size());
  const auto seen = std::make_unique<bool[]>(consumers.size());
  std::vector<asio::awaitable<void>> looks;
  looks.reserve(consumers.size());
  for (std::size_t i = 0; i < consumers.size(); ++i)
    looks.push_back(look_at_app(consumers[i], held[i], seen[i]));
  co_await net::all(std::move(looks));
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    if (seen[i]) found.apps[consumers[i].app] = held[i];
  }
  co_return found;
}

// The caller waits for it, so `held` and `seen` live.
asio::awaitable<void> DriftWatch::look_at_app(ConsumerTarget consumer, std::string& held, bool& seen) {
  std::string why;
  try {
    const auto config = co_await systems_.consumer.config(consumer.app, consumer.variable);
    if (config.value) {
      held = systems_.vault.fingerprint(*config.value);
      look_for_master_key(*config.value, "found in the configuration of " + consumer.app);
    }
    seen = true;
  } catch (const integrations::ApiError& error) {
    why = error.what();
  }
  if (std::exchange(blind_[consumer.app], why) != why && !why.empty() && trouble_)
    trouble_("whether " + consumer.app + " holds the stored key can't be seen", why);
}

// What makes it findable for a person: the release that brought the other key.
asio::awaitable<void> DriftWatch::tell_of(Drift drift) {
  const TimePoint now = desk_.clock.now();
  drift.id = "drift" + storage::new_rotation_id(now).substr(3);
  drift.channel = desk_.channel;
  if (!drift.app.empty()) {
    try {
      const auto releases = co_await systems_.consumer.releases(drift.app, 1);
      if (!releases.empty()) {
        drift.newest_release = releases.front().version;
        drift.release = fmt::format("v{} ({})", releases.front().version,
                                    views::cut(stripe::redact(releases.front().description), kReleaseWords));
      }
    } catch (const integrations::ApiError&) {
      drift.release.clear();  // told without it
    }
  }
  co_await record_drift(desk_, std::string(kDriftFound), found_data(drift));
}

// When to try again, if something didn't get through.
asio::awaitable<std::optional<TimePoint>> DriftWatch::attend_all() {
  const Drifts drifts = desk_.drifts;  // clicks may change them meanwhile
  std::optional<TimePoint> again;
  for (const auto& [id, drift] : drifts) {
    if (drift.settled || given_up_.contains(id)) continue;
    std::string why;
    bool for_good = false;
    try {
      co_await attend(id);
    } catch (const integrations::ApiError& error) {
      why = error.what();
      for_good = !error.can_retry() && error.failure() != integrations::Failure::ambiguous;
    } catch (const std::exception& error) {
      why = error.what();
    }
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return again;
    if (why.empty()) continue;
    if (trouble_) trouble_("message of " + id, why);
    // A message that somebody deleted can't be edited any more, however often it is tried.
    if (for_good) given_up_.insert(id);
    again = desk_.clock.now() + kAfterTrouble;
  }
  co_return again;
}

// One drift's message, as it stands.
asio::awaitable<void> DriftWatch::attend(std::string id) {
  const Drift drift = desk_.drifts.at(id);
  // Named once: an edit pings nobody, and a list that changes would be an edit.
  if (!drift.ended && !named_.contains(id)) named_[id] = co_await desk_.authority.superadmins();
  auto message =
      views::drift_message(drift, held_key(drift.target, drift.held, desk_.runner.of(drift.target)),
                           named_[id], desk_.clock.now());
  const std::size_t content = std::hash<std::string>{}(message.blocks.dump());
  if (drift.ts.empty()) {
    auto ts = co_await slack_.find(drift.channel, id, "");  // it may be there, its answer lost
    const bool there = ts.has_value();
    if (!there) ts = co_await slack_.post(drift.channel, std::move(message), "");
    if (!there) sent_[id] = content;
    const json data = {{"id", id}, {"channel", drift.channel}, {"ts", *ts}};
    co_return co_await record_drift(desk_, std::string(kDriftPosted), data);
  }
  if (sent_[id] != content) {
    co_await slack_.update(drift.channel, drift.ts, std::move(message));
    sent_[id] = content;
  }
  if (drift.ended) co_await record_drift(desk_, std::string(kDriftSettled), {{"id", id}});
}

}  // namespace keyturn::commands
