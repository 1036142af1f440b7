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

asio::awaitable<bool> is_cancelled() {
  co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

}  // namespace

DriftWatch::DriftWatch(const asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Cadence& cadence,
                       Systems systems, Trouble trouble)
    : desk_(desk),
      slack_(slack),
      cadence_(cadence),
      systems_(systems),
      trouble_(std::move(trouble)),
      wake_(io, asio::steady_timer::time_point::max()),
      repairs_(io, [this](const std::string& task, std::exception_ptr failure) {
        try {
          std::rethrow_exception(failure);
        } catch (const std::exception& error) {
          if (trouble_) trouble_(task, error.what());
        }
      }) {}

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

const Target* DriftWatch::target_named(const std::string& name) const {
  const auto found =
      std::ranges::find_if(desk_.targets, [&](const Target& target) { return target.name() == name; });
  return found == desk_.targets.end() ? nullptr : &*found;
}

std::string DriftWatch::at_rest(const Target& target) const {
  return key_at_rest(target, desk_.runner.of(target.name()), desk_.seen);
}

asio::awaitable<void> DriftWatch::run() {
  std::size_t consumers = 0;
  for (const Target& target : desk_.targets) consumers += target.consumers.size();
  // A bot that is started again and again must not try a wrong client secret each time: Infisical locks the
  // identity after three.
  for (const Target& target : desk_.targets)
    due_[target.name()] = desk_.clock.now() + drift_interval(target, consumers);
  for (;;) {
    dirty_ = false;
    co_await attend_all();
    TimePoint wake = desk_.clock.now() + storage::kLongestSleep;
    for (const Target& target : desk_.targets) {
      const Duration pause = drift_interval(target, consumers);
      TimePoint& due = due_[target.name()];
      due = std::min(due, desk_.clock.now() + pause);  // the clock may have been set back
      if (desk_.clock.now() < due) {
        wake = std::min(wake, due);
        continue;
      }
      due = desk_.clock.now() + pause;
      std::string why;
      try {
        due = std::min(due, co_await watch(target));
      } catch (const std::exception& error) {
        why = error.what();
        before_.erase(target.name());
      }
      if (co_await is_cancelled()) co_return;
      if (std::exchange(blind_[target.name()], why) != why && !why.empty() && trouble_)
        trouble_("whether every app of " + target.name() + " holds the stored key can't be seen", why);
      wake = std::min(wake, due);
    }
    if (!dirty_) {
      wake_.expires_after(
          std::clamp<Duration>(wake - desk_.clock.now(), kShortestPause, storage::kLongestSleep));
      boost::system::error_code ignored;
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (co_await is_cancelled()) co_return;
  }
}

asio::awaitable<std::string> DriftWatch::stored_key(Target target) {
  const auto stored = co_await systems_.store.read(target.store, std::nullopt);
  if (!stored.value || stored.hidden)
    rotation::fail(System::infisical, "Infisical hides the secret's value", /*can_retry=*/false);
  co_return systems_.vault.fingerprint(*stored.value);
}

asio::awaitable<TimePoint> DriftWatch::watch(Target target) {
  const TimePoint later = desk_.clock.now() + storage::kLongestSleep + target.timing.drift_every;
  std::string stored;
  const bool live = desk_.runner.live(target.provider, target.environment) != nullptr;
  if (live && at_rest(target).empty()) {
    before_.erase(target.name());
    co_return later;
  }
  stored = co_await stored_key(target);
  co_await cadence_.saw(target, stored);
  DriftLook seen = co_await look(target, std::move(stored));
  // A rotation that began meanwhile changes what was being looked at.
  if (seen.expected.empty() || at_rest(target) != seen.expected) {
    before_.erase(target.name());
    co_return later;
  }
  const auto last = before_.find(target.name());
  const auto before = last == before_.end() ? std::nullopt : std::optional(last->second);
  const DriftChanges news = changes(target, desk_.drifts, desk_.runner.of(target.name()), seen, before);
  before_[target.name()] = std::move(seen);
  for (const std::string& id : news.ended)
    co_await write(std::string(kDriftEnded), {{"id", id}, {"how", kGone}});
  for (const Drift& drift : news.found) co_await tell_of(drift);
  co_return news.suspicious ? desk_.clock.now() + std::min(kSecondLook, target.timing.drift_every) : later;
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
    if (config.value) held = systems_.vault.fingerprint(*config.value);
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
        drift.release = fmt::format("v{} ({})", releases.front().version,
                                    views::cut(stripe::redact(releases.front().description), kReleaseWords));
      }
    } catch (const integrations::ApiError&) {
      drift.release.clear();  // told without it
    }
  }
  co_await write(std::string(kDriftFound), found_data(drift));
}

asio::awaitable<void> DriftWatch::attend_all() {
  const Drifts drifts = desk_.drifts;  // clicks may change them meanwhile
  for (const auto& [id, drift] : drifts) {
    if (drift.settled) continue;
    std::string why;
    try {
      co_await attend(id);
    } catch (const std::exception& error) {
      why = error.what();
    }
    if (co_await is_cancelled()) co_return;
    if (why.empty()) continue;
    if (trouble_) trouble_("message of " + id, why);
    co_await net::sleep_for(kAfterTrouble);
    changed();
  }
}

// One drift: its repair where one was asked for, and its message as it stands.
asio::awaitable<void> DriftWatch::attend(std::string id) {
  if (desk_.drifts.at(id).repairing && under_repair_.insert(id).second)
    repairs_.spawn("repair of " + id, carry_out(id));
  const Drift drift = desk_.drifts.at(id);
  const auto people = drift.ended ? std::vector<std::string>{} : co_await desk_.authority.superadmins();
  auto message = views::drift_message(
      drift, held_key(drift.target, drift.held, desk_.runner.of(drift.target)), people, desk_.clock.now());
  const std::size_t content = std::hash<std::string>{}(message.blocks.dump());
  if (drift.ts.empty()) {
    auto ts = co_await slack_.find(drift.channel, id, "");  // it may be there, its answer lost
    const bool there = ts.has_value();
    if (!there) ts = co_await slack_.post(drift.channel, std::move(message), "");
    if (!there) sent_[id] = content;
    co_await write(std::string(kDriftPosted), {{"id", id}, {"channel", drift.channel}, {"ts", *ts}});
    co_return;
  }
  if (sent_[id] != content) {
    co_await slack_.update(drift.channel, drift.ts, std::move(message));
    sent_[id] = content;
  }
  if (drift.ended) co_await write(std::string(kDriftSettled), {{"id", id}});
}

asio::awaitable<void> DriftWatch::carry_out(std::string id) {
  const Drift drift = desk_.drifts.at(id);
  const Target* target = target_named(drift.target);
  std::string failure;
  std::optional<rotation::RolledOut> done;
  try {
    if (target == nullptr) rotation::fail(System::heroku, "the settings no longer have this target", false);
    done = co_await repair(drift, *target);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  // Cut off by the end of this process: the next one goes on with it.
  if (co_await is_cancelled()) co_return;
  for (bool written = false; !written;) {
    std::string refused;
    try {
      if (done) {
        co_await write(std::string(kDriftEnded),
                       {{"id", id}, {"how", kRepaired}, {"release", done->release}, {"dynos", done->dynos}});
      } else {
        co_await write(std::string(kRepairFailed), {{"id", id}, {"reason", failure}});
      }
      written = true;
    } catch (const std::exception& error) {
      refused = error.what();
    }
    if (written) break;
    if (co_await is_cancelled()) co_return;
    if (trouble_) trouble_("journal", refused);
    co_await net::sleep_for(kAfterTrouble);
  }
  under_repair_.erase(id);
  changed();
}

// Looks before it writes, so that it can be asked for again, also after a crash.
asio::awaitable<rotation::RolledOut> DriftWatch::repair(Drift drift, Target target) {
  const auto consumer = std::ranges::find(target.consumers, drift.app, &ConsumerTarget::app);
  if (consumer == target.consumers.end())
    rotation::fail(System::heroku, "the settings no longer have " + drift.app, /*can_retry=*/false);
  const std::string variable = consumer->variable;
  const auto stored = co_await systems_.store.read(target.store, std::nullopt);
  if (!stored.value || stored.hidden || systems_.vault.fingerprint(*stored.value) != drift.stored)
    rotation::fail(System::infisical, "Infisical does not show the key that this message is about", false);
  const auto probe = co_await systems_.provider.probe(stored.value, target.permitted.front());
  if (rotation::dead(probe)) {
    rotation::fail(System::stripe, "Stripe refuses the key that Infisical holds, so it would not help", false,
                   probe.request_id);
  }
  if (probe.answer != integrations::Answer::granted && probe.answer != integrations::Answer::denied)
    rotation::fail(System::stripe, "Stripe gives no usable answer about the stored key", true,
                   probe.request_id);

  const auto before = co_await systems_.consumer.config(drift.app, variable);
  const bool already_there = before.value && before.value->equals(*stored.value);
  const auto dynos = co_await systems_.consumer.dynos(drift.app);
  const auto running = std::ranges::count_if(
      dynos, [](const integrations::Dyno& dyno) { return dyno.type != "release" && dyno.type != "run"; });
  rotation::Rollout rollout{.app = drift.app,
                            .release = 0,
                            .dynos_before = static_cast<int>(running),
                            .began = desk_.clock.now(),
                            .allowed = target.timing.release_limit,
                            .poll_every = target.timing.poll_every,
                            .runs_otherwise = "what they ran before",
                            .request_id = before.request_id};
  if (!already_there) {
    const std::string held = before.value ? systems_.vault.fingerprint(*before.value) : "";
    if (held != drift.held)
      rotation::fail(System::heroku, drift.app + " holds another key by now than when this was found", false);
    // Nothing is awaited between this and the write's own first step: a rotation that begins later sees the
    // release.
    if (at_rest(target) != drift.stored)
      rotation::fail(System::heroku, "a rotation is changing this key right now", /*can_retry=*/true);
    rollout.request_id = co_await systems_.consumer.set_config(drift.app, variable, stored.value);
    const auto after = co_await systems_.consumer.config(drift.app, variable);
    if (!after.value || !after.value->equals(*stored.value))
      rotation::fail(System::heroku, drift.app + " does not hold the key that was just written", true,
                     after.request_id);
  }
  const auto releases = co_await systems_.consumer.releases(drift.app, rotation::kReleasesLookedAt);
  if (releases.empty())
    rotation::fail(System::heroku, drift.app + " has made no release for the change yet", /*can_retry=*/true);
  rollout.release = releases.front().version;
  // A change whose release failed stays in the configuration, and nothing runs it.
  if (already_there && rotation::has_failed(releases, rollout.release)) {
    rollout.release =
        (co_await systems_.consumer.release_again(drift.app, rotation::released_code(drift.app, releases)))
            .version;
  }
  const auto done = co_await rotation::await_rollout(systems_.consumer, desk_.clock, std::move(rollout));
  const auto now = co_await systems_.consumer.config(drift.app, variable);
  if (!now.value || !now.value->equals(*stored.value))
    rotation::fail(System::heroku, drift.app + " was given another key again meanwhile", false,
                   now.request_id);
  co_return done;
}

asio::awaitable<void> DriftWatch::write(std::string type, json data) {
  const auto now = desk_.clock.now();
  storage::Batch batch;
  batch.entries.push_back({.at = now, .rotation = "", .type = type, .actor = "keyturn", .data = data});
  co_await desk_.journal.commit(std::move(batch));
  note(desk_.drifts, type, data, now);
  if (desk_.drifts_changed) desk_.drifts_changed();
}

}  // namespace keyturn::commands
