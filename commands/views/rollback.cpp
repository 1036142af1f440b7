#include "commands/views/rollback.h"

#include <spdlog/fmt/fmt.h>

#include "commands/rotation/way_back.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"
#include "commands/views/progress.h"

namespace keyturn::commands::views {

using namespace rotation;
using storage::in_words;

namespace {

Message to_channel(std::string slot, std::string text, const std::string& title, const std::string& words,
                   const State& s) {
  return once(std::move(slot), Place::team_channel, std::move(text),
              json::array({header(title), section(words), context("`" + s.id + "`")}));
}

std::string rotate_anew(const State& s) { return fmt::format("`/rotate {}`", s.target.name()); }

// The key with which a fresh one must agree; the dashboard shows no permissions of a dead key.
std::string fresh_key(const State& s) {
  std::string text =
      fmt::format(" If the new key is broken: dashboard → *Create restricted key*, named `{}`, that may call",
                  escape(s.target.dashboard_key_name));
  for (const auto& endpoint : s.target.permitted) text += fmt::format(" `{}`", escape(endpoint));
  if (!s.target.denied.empty()) {
    text += " and must not call";
    for (const auto& endpoint : s.target.denied) text += fmt::format(" `{}`", escape(endpoint));
  }
  if (const auto probed = s.probed.find(ActionKind::probe_old_key); probed != s.probed.end())
    text += ". The old one answered: " + endpoint_summary(probed->second.event);
  return text + fmt::format(
                    ". Put it into Infisical (`{}`) and every app. If all of them hold one key, and Stripe "
                    "refuses it, "
                    "Keyturn does this with you: {}{}.",
                    escape(s.target.store.name),
                    s.live() ? fmt::format("`/rotate cancel {} --give-up`, then ", s.target.name()) : "",
                    rotate_anew(s));
}

std::string apps_of(const Leg& leg) {
  std::string text;
  for (const auto& [app, updated] : leg.updated)
    text += fmt::format("{}{} release v{}", text.empty() ? "" : ", ", escape(app), updated.event.release);
  return text.empty() ? "no app" : text;
}

// Where Slack shows no dates.
std::string utc(TimePoint time) { return storage::to_iso8601(time).substr(11, 5) + " UTC"; }

std::string approval_after(const State& s) {
  const std::string approved = approved_in_words(s, kOfRollback);
  return approved.empty() ? "" : ", " + approved;
}

Message begun(const State& s) {
  return to_channel(
      fmt::format("channel_rollback_{}", s.leg), "The rotation of " + s.target.name() + " is rolled back",
      "Rolling back: " + s.target.name(),
      fmt::format("{} asked for the way back{}. The old key `{}` goes into Infisical and every app that has "
                  "the new one, and is watched there. {}",
                  mention(s.rollback->event.by), approval_after(s), s.current->event.fingerprint,
                  billing_now(s)),
      s);
}

Message barred(const State& s) {
  return to_channel(
      fmt::format("channel_rollback_barred_{}", s.rollbacks_barred), "No way back for " + s.target.name(),
      "No way back: " + s.target.name(),
      fmt::format("*Nothing was put back*: {}. The rotation goes on with the new key `{}`. {}{}",
                  escape(s.rollback_barred->event.sentence), s.received->event.fingerprint, billing_now(s),
                  fresh_key(s)),
      s);
}

Message done(const State& s) {
  std::string text = fmt::format(
      "*{} is rolled back.* Billing runs on the old key `{}` again: Infisical version {}; {}. The log and "
      "the "
      "billing endpoint were watched for {}.\n*That key still expires {}*: nothing puts this off. *What to "
      "do*: find out what was wrong with the new key, then {} before that time.\nThe new key `{}` is "
      "abandoned, and *still works*: rotating it replaces it; if nobody does, <{}|dashboard> → *{}*, of the "
      "two "
      "the one without a remaining time → ⋯ → *Expire key*. Keyturn does not look whether it is dead.\n"
      "Operator: {}{}",
      escape(s.target.store.name), s.current->event.fingerprint, s.stored->event.version, apps_of(s),
      in_words(s.target.watch), date(*s.old_key_deadline()), rotate_anew(s), s.received->event.fingerprint,
      s.target.dashboard_url, escape(s.target.dashboard_key_name), mention(s.operator_id), approval_after(s));
  return to_channel("channel_rolled_back", s.target.name() + " is rolled back",
                    "Rolled back: " + s.target.name(), text, s);
}

// Only when this one closed by itself: a new rotation closes it earlier.
bool ended_with_its_key(const State& s) {
  return s.closed && s.closed->event.outcome == "rolled_back" && s.old_key_checked &&
         s.old_key_checked->at >= *s.old_key_deadline();
}

Message over(const State& s) {
  return to_channel(
      "channel_rollback_over", "The key that billing of " + s.target.name() + " ran on is dead",
      "The key in use is dead: " + s.target.name(),
      fmt::format("*Stripe refuses the old key `{}`*, to which this rotation was rolled back, and no new "
                  "rotation was begun. *Billing fails now* unless somebody put another key in place.{}",
                  s.current->event.fingerprint, fresh_key(s)),
      s);
}

}  // namespace

std::string rollback_answer(const State& s, storage::TimePoint now) {
  if (const auto obstacle = no_way_back(s, now)) {
    const bool needs_another = s.received && !s.rollback && (s.store_begun || s.stored);
    return escape(obstacle->sentence) + (needs_another ? fresh_key(s) : "");
  }
  return fmt::format(
      "The old key `{}` works until {} ({} left); the way back takes about {}. Keyturn would put it into "
      "Infisical (now version {}) and back into what has the new key ({}), canary first, and watch billing "
      "with "
      "it. The new key `{}` would be abandoned, and *a new rotation must follow before that time*.{}",
      s.current->event.fingerprint, date(*s.old_key_deadline()), in_words(*s.old_key_deadline() - now),
      in_words(way_back_takes(s)), s.stored ? s.stored->event.version : s.current->event.version, apps_of(s),
      s.received->event.fingerprint,
      s.target.second_approver ? " Another superadmin has to approve it first, in the channel." : "");
}

Button rollback_button(const State& s) {
  return {std::string(kRollBack), "Roll back", s.id, "danger",
          fmt::format(
              "The old key {} goes back into Infisical and every app. It still expires at {}. The new key "
              "{} is abandoned.{}",
              s.current->event.fingerprint, utc(*s.old_key_deadline()), s.received->event.fingerprint,
              s.target.second_approver ? " Another superadmin approves first." : "")};
}

std::vector<Message> rollback_messages(const State& s, storage::TimePoint) {
  std::vector<Message> messages;
  if (s.rollback_barred) messages.push_back(barred(s));
  if (s.way_back()) messages.push_back(begun(s));
  if (s.rolled_back) messages.push_back(done(s));
  if (ended_with_its_key(s)) messages.push_back(over(s));
  return messages;
}

Message reminder_after_rollback(const State& s) {
  return to_channel(
      "channel_reminder_rolled_back", "The key that billing of " + s.target.name() + " runs on expires soon",
      "Expires soon: the key in use",
      fmt::format("*Billing of {} runs on a key that expires {}*: its rotation was rolled back, and no new "
                  "one was begun. *What to do*: {} now.\nOperator: {}",
                  escape(s.target.name()), date(*s.old_key_deadline()), rotate_anew(s),
                  mention(s.operator_id)),
      s);
}

}  // namespace keyturn::commands::views
