#include "commands/cadence.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "commands/json.h"
#include "commands/views/blocks.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using storage::Duration;
using storage::TimePoint;

namespace {

constexpr std::string_view kKeySeen = "key.seen";
constexpr std::string_view kIntended = "key.reminder.intended";
constexpr std::string_view kPosted = "key.reminder.posted";
constexpr std::string_view kOurselves = "keyturn";

constexpr Duration kShortestSleep = std::chrono::milliseconds(200);

// A bot that is started again and again must not try a wrong client secret each time: Infisical locks the
// identity after three. Nothing is lost by looking later.
Duration first_look_after(const Target& target) {
  return std::min<Duration>(std::chrono::minutes(10), target.cadence / 30);
}

storage::Batch entry(std::string_view type, json data, TimePoint at) {
  storage::Batch batch;
  batch.entries.push_back({.at = at,
                           .rotation = "",
                           .type = std::string(type),
                           .actor = std::string(kOurselves),
                           .data = std::move(data)});
  return batch;
}

}  // namespace

Cadence::Cadence(const asio::any_io_executor& io, Desk& desk, SlackDesk& slack,
                 integrations::SecretStore& store, const rotation::Vault& vault, Trouble trouble)
    : desk_(desk),
      slack_(slack),
      store_(store),
      vault_(vault),
      trouble_(std::move(trouble)),
      wake_(io, asio::steady_timer::time_point::max()) {}

void Cadence::changed() {
  dirty_ = true;
  wake_.cancel();
}

void Cadence::load(const std::vector<storage::Entry>& entries) {
  for (const auto& one : entries) {
    if (!one.rotation.empty() || !one.type.starts_with("key.")) continue;
    note(one.type, json::parse(one.data), one.at);
  }
}

// The fold of our own entries.
void Cadence::note(const std::string& type, const json& data, TimePoint at) {
  if (type == kKeySeen) {
    desk_.seen[data.at("target")].push_back({.at = at, .fingerprint = data.at("fingerprint")});
  } else if (type == kIntended) {
    const std::string name = data.at("name");
    sent_.insert(name);
    pending_[name] = {.target = data.at("target"),
                      .text = data.at("text"),
                      .channel = data.at("channel"),
                      .due = data.at("due").get<TimePoint>()};
  } else if (type == kPosted) {
    pending_.erase(data.at("name"));
  }
}

KeyAge Cadence::age(const Target& target) const {
  return age_of(target, desk_.runner.of(target.name()), desk_.seen);
}

asio::awaitable<void> Cadence::run() {
  began_ = desk_.clock.now();
  for (;;) {
    dirty_ = false;
    TimePoint wake = desk_.clock.now() + storage::kLongestSleep;
    for (const Target& target : desk_.targets) {
      std::string why;
      try {
        co_await deliver();
        if (const auto next = co_await attend(target)) wake = std::min(wake, *next);
      } catch (const std::exception& error) {
        why = error.what();
      }
      if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
      if (!why.empty() && trouble_) trouble_("reminders of " + target.name(), why);
    }
    wake_.expires_after(
        std::clamp<Duration>(wake - desk_.clock.now(), kShortestSleep, storage::kLongestSleep));
    boost::system::error_code ignored;
    if (!dirty_) co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

// When to come back, if not with the next round; at once after something was done.
asio::awaitable<std::optional<TimePoint>> Cadence::attend(Target target) {
  const TimePoint now = desk_.clock.now();
  KeyAge known = age(target);
  if (known.going_on) {
    looked_.erase(target.name());  // what it saw may be another key by now
    co_return std::nullopt;
  }
  const auto last = looked_.find(target.name());
  const TimePoint next_look = last == looked_.end() ? now : last->second + reminder_interval(target);
  if (known.known_by == KnownBy::nothing || known.unsure) {
    const TimePoint first = std::max(began_ + first_look_after(target), next_look);
    if (now < first) co_return first;
    const std::string why = co_await look(target);
    if (!why.empty() && trouble_) trouble_("a look at the key of " + target.name(), why);
    co_return now;
  }
  Next next = next_reminder(target, known, sent_, now);
  if (!next.remind) co_return next.wake;
  std::string not_looked;
  if (now >= next_look) {
    not_looked = co_await look(target);
    const KeyAge found = age(target);
    if (found.fingerprint != known.fingerprint || found.going_on) co_return desk_.clock.now();
  }
  auto text = co_await reminder_text(target, known, *next.remind, std::move(not_looked));
  co_await announce(target, known, name_of(target, *next.remind), std::move(text));
  co_return now;
}

// Reads the key in use. Why it could not be read, or nothing.
asio::awaitable<std::string> Cadence::look(Target target) {
  looked_[target.name()] = desk_.clock.now();
  std::string fingerprint;
  try {
    const auto stored = co_await store_.read(target.store, std::nullopt);
    if (!stored.value || stored.hidden) co_return "Infisical hides the secret's value";
    fingerprint = vault_.fingerprint(*stored.value);
  } catch (const integrations::ApiError& error) {
    co_return error.what();
  }
  co_await saw(target, std::move(fingerprint));
  co_return "";
}

asio::awaitable<void> Cadence::saw(Target target, std::string fingerprint) {
  const KeyAge before = age(target);
  if (before.going_on || (before.fingerprint == fingerprint && !before.unsure)) co_return;
  const TimePoint now = desk_.clock.now();
  const json data = {{"target", target.name()}, {"fingerprint", fingerprint}};
  storage::Batch batch = entry(kKeySeen, data, now);
  // Two who look at the same time see the same news.
  batch.once = fmt::format("seen {} {} {}", target.name(), fingerprint, desk_.seen[target.name()].size());
  const auto committed = co_await desk_.journal.commit(std::move(batch));
  if (committed.duplicate) co_return;
  note(std::string(kKeySeen), data, now);
  const KeyAge found = age(target);
  if (found.known_by == KnownBy::first_look || found.fingerprint == before.fingerprint) co_return;
  const std::string text =
      found.known_by == KnownBy::set_back
          ? fmt::format(
                "*The key of {} was set back*: Infisical holds `{}`, the key from before the last rotation. "
                "It is dead, or dies when its grace is over. *What to do*: `/rotate {}`, or put the new key "
                "back.",
                target.name(), fingerprint, target.name())
          : fmt::format(
                "The key of {} was rotated by hand on or before {}: Infisical holds `{}`, which Keyturn has "
                "not seen before. Nothing is proven about it or about the old one. Counted from now, the "
                "next "
                "rotation is due {}.",
                target.name(), views::date(now), fingerprint, views::date(*found.due));
  co_await announce(target, found, "seen " + target.name() + " " + storage::to_iso8601(now), text);
}

asio::awaitable<std::string> Cadence::reminder_text(Target target, KeyAge known, Reminder reminder,
                                                    std::string not_looked) {
  const TimePoint now = desk_.clock.now();
  std::string people;
  if (reminder.escalated) {
    for (const std::string& person : co_await desk_.authority.superadmins())
      people += views::mention(person) + " ";
  }
  const bool overdue = reminder.due <= now;
  std::string text = fmt::format("{}*The rotation of {} is {}* ({}): {}. {}", people, target.name(),
                                 overdue ? "overdue" : "due soon", views::date(reminder.due),
                                 age_in_words(known, now), advice(target, known, now));
  if (!not_looked.empty()) {
    text += fmt::format("\nWhether somebody rotated it by hand could not be looked up: {}.",
                        views::escape(not_looked));
  }
  co_return text;
}

// On disk first, with its words, so that it goes out once and whole, whatever happens to this process.
asio::awaitable<void> Cadence::announce(Target target, KeyAge known, std::string name, std::string text) {
  const TimePoint now = desk_.clock.now();
  const json data = {{"name", name},
                     {"target", target.name()},
                     {"due", known.due.value_or(now)},
                     {"channel", desk_.channel},
                     {"text", text}};
  storage::Batch batch = entry(kIntended, data, now);
  batch.once = name;
  const auto committed = co_await desk_.journal.commit(std::move(batch));
  sent_.insert(name);
  if (committed.duplicate) co_return;
  note(std::string(kIntended), data, now);
}

// Somebody rotated while Slack was away: the old date is nobody's business any more.
bool Cadence::overtaken(const Pending& pending) const {
  return std::ranges::none_of(desk_.targets, [&](const Target& target) {
    return target.name() == pending.target && age(target).due == pending.due;
  });
}

// What is on disk and not known to be in Slack: it may be there, its answer lost.
asio::awaitable<void> Cadence::deliver() {
  const auto waiting = pending_;
  for (const auto& [name, pending] : waiting) {
    if (overtaken(pending)) {
      pending_.erase(name);
      continue;
    }
    auto ts = co_await slack_.find(pending.channel, name, "");
    if (!ts) {
      ts = co_await slack_.post(pending.channel,
                                {.slot = name,
                                 .place = views::Place::team_channel,
                                 .live = false,
                                 .text = "Rotation of " + pending.target,
                                 .blocks = json::array({views::section(pending.text)})},
                                "");
    }
    const TimePoint now = desk_.clock.now();
    const json data = {{"name", name}, {"target", pending.target}, {"channel", pending.channel}, {"ts", *ts}};
    co_await desk_.journal.commit(entry(kPosted, data, now));
    note(std::string(kPosted), data, now);
  }
}

}  // namespace keyturn::commands
