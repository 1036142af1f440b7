#include "commands/views/messages.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/rotation/attendance.h"
#include "commands/rotation/decide.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/syncs.h"
#include "commands/rotation/way_back.h"
#include "commands/views/approval.h"
#include "commands/views/attendance.h"
#include "commands/views/blocks.h"
#include "commands/views/progress.h"
#include "commands/views/recovery.h"
#include "commands/views/rollback.h"

namespace keyturn::commands::views {

using namespace rotation;
using integrations::Mode;
using storage::in_words;

namespace {

constexpr std::size_t kSectionLimit = 2600;

std::string title(const State& s) {
  return fmt::format("Rotation of {}{}{}", s.target.name(), s.recovery() ? " (recovery)" : "",
                     s.compromise ? " (suspected leak)" : "");
}

}  // namespace

Message once(std::string slot, Place place, std::string text, json blocks) {
  return {.slot = std::move(slot),
          .place = place,

          .live = false,
          .text = std::move(text),
          .blocks = std::move(blocks)};
}

std::string headline(const State& s, TimePoint now) {
  const bool down = s.recovery() || s.old_key_deleted();
  const char* meanwhile = down ? "billing is likely down" : "billing runs on the old one";
  switch (stage_of(s, now)) {
    case Stage::checking:
      return "checking prerequisites; nothing has changed";
    case Stage::awaiting_approval:
      if (s.recovery()) return "waiting for a second person's approval; billing is likely down";
      return s.forms == 0 ? "prerequisites met; waiting for a second person's approval; nothing has changed"
                          : "waiting for another approval; billing runs on the old key";
    case Stage::awaiting_operator:
      if (s.recovery()) return "the key is dead; waiting for the operator; billing is likely down";
      return "prerequisites met; waiting for the operator; nothing has changed";
    case Stage::awaiting_key:
      return fmt::format("waiting for the {} key; {}", s.recovery() ? "fresh" : "new", meanwhile);
    case Stage::validating:
      return fmt::format("validating the new key; {}", meanwhile);
    case Stage::storing:
      return fmt::format("storing the new key; {}", meanwhile);
    case Stage::propagating:
      return "propagating the new key";
    case Stage::verifying:
      return "verifying; billing runs on the new key";
    case Stage::grace:
      return "complete; the old key lives until its deadline";
    case Stage::proving:
      return "complete; proving that the old key is dead";
    case Stage::rolling_back:
      return s.way_back() ? "rolling back to the old key"
                          : "rolling back as soon as nothing is being written";
    case Stage::rolled_back:
      return "rolled back; billing runs on the old key, which still dies at its deadline";
    case Stage::halted:
      return "stopped; it waits for a person";
    case Stage::closed:
      if (s.closed->event.outcome == "rotated" && s.recovery())
        return "closed: recovered with a fresh key, the old one is proven dead";
      if (s.closed->event.outcome == "rotated") return "closed: rotated, the old key is proven dead";
      if (s.closed->event.outcome == "rolled_back") return "closed: rolled back to the old key";
      if (s.closed->event.outcome == "cancelled") return "cancelled";
      if (s.closed->event.outcome == "given_up") return "given up; the old key is not proven dead";
      return "refused; nothing has changed";
  }
  return {};
}

namespace {

// On the way back, Stripe refused the key that goes back.
bool old_key_gone(const State& s) {
  const auto& checked = s.old_key_checked;
  return s.old_key_deleted() || (checked && checked->at >= *s.back_since && dead(checked->event.old_key));
}

}  // namespace

// The sentence that every bad message carries.
std::string billing_now(const State& s) {
  if (died_unattended(s) || (s.recovery() && !s.received)) {
    return "*Stripe refuses the key that billing runs on*: billing fails until a new key is in place.";
  }
  if (!s.received && s.forms == 0) return "Nothing has changed: billing runs on the key it had.";
  if (!s.proofs.empty() && worth(s.proofs.back().event, s.old_key_deleted()) == ProofWorth::broken) {
    return "*Billing is failing, or about to*: what it runs with is not a key that works.";
  }
  const bool everywhere = s.stored && s.running.size() == s.target.consumers.size();
  if (s.way_back() && old_key_gone(s)) {
    return "*Stripe refuses the old key*: billing fails wherever that is what it runs with.";
  }
  if (s.way_back()) {
    return fmt::format(
        "Billing runs on {}, which expires {}.",
        everywhere ? "the old key again" : "the new key where that had arrived, else on the old one",
        date(*s.old_key_deadline()));
  }
  if (everywhere) return "Billing runs on the new key.";
  if (!s.updated.empty()) {
    return "Some consumers may run on the new key and some on the old one" +
           std::string(s.old_key_deleted() ? ", which is dead." : "; both work until the old one expires.");
  }
  if (s.old_key_deleted()) return "*The old key is dead*: billing fails until the new key is in place.";
  if (s.received) {
    return fmt::format(
        "Billing runs on the old key, which expires {}{}.", date(s.received->event.old_key_expires_at),
        s.stored && follows_any(s) ? ", unless Infisical's sync has brought the new one by now" : "");
  }
  return "Billing runs on the old key. If \"Rotate API key\" was clicked already, that key is expiring now.";
}

namespace {

// Lines into as many sections as Slack's limit wants.
void add_sections(json& blocks, const std::vector<Line>& lines) {
  std::vector<Line> part;
  std::size_t size = 0;
  for (const Line& line : lines) {
    if (size + line.text.size() > kSectionLimit && !part.empty()) {
      blocks.push_back(section(render(part)));
      part.clear();
      size = 0;
    }
    size += line.text.size() + 8;
    part.push_back(line);
  }
  if (!part.empty()) blocks.push_back(section(render(part)));
}

Message status(const State& s, TimePoint now, Place place) {
  const bool dm = place == Place::operator_dm;
  Message message{
      .slot = dm ? "dm_status" : "channel_status", .place = place, .live = true, .text = {}, .blocks = {}};
  message.text = title(s) + ": " + headline(s, now);
  json blocks = json::array({header(title(s))});
  std::string who =
      fmt::format("*{}*\nStarted by {} at {}", headline(s, now), mention(s.started_by()), date(s.started_at));
  if (!s.handovers.empty()) {
    who += fmt::format("\nOperator: {}, handed over by {} at {}", mention(s.operator_id),
                       mention(s.handovers.back().event.from), date(s.handovers.back().at));
  }
  if (!s.reason.empty()) who += "\nReason: " + escape(s.reason);
  blocks.push_back(section(who));
  add_sections(blocks, progress(s, now));
  if (s.refused) blocks.push_back(section(escape(s.refused->event.sentence)));
  if (s.halted)
    blocks.push_back(section("*Stopped*: " + escape(s.halted->event.sentence) + "\n" + billing_now(s)));
  if (dm) {
    std::vector<Button> buttons;
    if (s.halted) buttons.push_back({std::string(kRetry), "Try again", s.id, "primary", ""});
    if (s.halted && !no_way_back(s, now)) buttons.push_back(rollback_button(s));
    if (s.may_set_key_aside()) {
      buttons.push_back({std::string(kNewLink), "Paste another key", s.id, "danger",
                         "The key that was pasted is destroyed: it can't be seen a second time."});
    }
    const bool may_want_link =
        s.confirmed_at && !s.received && s.form && s.form->sent && !s.form_open(now) && s.live();
    if (may_want_link) buttons.push_back({std::string(kNewLink), "Send a new link", s.id, "primary", ""});
    if (s.live() && !s.received && !s.halted) {
      buttons.push_back(
          {std::string(kCancel), "Cancel", s.id, "danger",
           s.recovery() ? "Billing fails until a new key is in place: nobody is walked through that then."
                        : "If you have clicked \"Rotate API key\" already, the old key is expiring: do not "
                          "cancel then."});
    }
    if (!buttons.empty()) blocks.push_back(actions("status_actions", buttons));
  }
  blocks.push_back(context(fmt::format("`{}` · as of {}", s.id, time_of_day(s.last_event_at))));
  message.blocks = std::move(blocks);
  return message;
}

Message prerequisites(const State& s) {
  Message message{
      .slot = "dm_prerequisites", .place = Place::operator_dm, .live = true, .text = {}, .blocks = {}};
  if (s.confirmed_at || !s.live()) {
    message.text = "Prerequisites of " + s.target.name();
    message.blocks =
        json::array({section(s.confirmed_at ? "Prerequisites confirmed at " + time_of_day(*s.confirmed_at)
                                            : "These prerequisites are no longer needed.")});
    return message;
  }
  message.text = "Tick the boxes to go on with the rotation of " + s.target.name();
  json blocks = json::array({section("*The machine's checks are done.* What only you can check:")});
  std::vector<Line> notes;
  for (const auto& warning : warnings(s)) notes.push_back({Mark::problem, "*Note*: " + escape(warning)});
  add_sections(blocks, notes);
  blocks.push_back(checkboxes(std::string(kPrerequisites), std::string(kConfirmations),
                              "Before the dashboard", confirmations(s)));
  if (s.compromise && s.reason.empty()) {
    blocks.push_back(text_input(std::string(kReason), std::string(kReason),
                                "What happened? (goes into the audit log)",
                                "for example: key seen in a public repository"));
  }
  blocks.push_back(
      actions("ready_actions", {{std::string(kReady), "I'm ready: show me the steps", s.id, "primary", ""}}));
  message.blocks = std::move(blocks);
  return message;
}

std::string what_comes_of_the_old_key(const State& s) {
  if (s.recovery())
    return "The old key was dead before this began; Keyturn proves it once more. *What the fresh key may "
           "write "
           "was not asked*: no call shows it. If something answers 403, the key's permissions can be edited "
           "in "
           "the dashboard.";
  if (s.old_key_deleted() || s.completed->at >= *s.old_key_deadline())
    return "The old key's time is over; Keyturn proves now that it is dead.";
  return fmt::format(
      "The old key expires {} (grace chosen: {}). Keyturn reminds before, and proves afterwards that it is "
      "dead.",
      date(s.received->event.old_key_expires_at), in_words(s.received->event.grace_chosen));
}

Message summary(const State& s) {
  const auto& key = s.received->event;
  std::string text = fmt::format(
      "*{} is {}.* {} key `{}`, old key `{}`.\nInfisical version {} (was {}). ", escape(s.target.store.name),
      s.recovery() ? "recovered" : "rotated", s.recovery() ? "Fresh" : "New", key.fingerprint,
      s.current->event.fingerprint, s.stored->event.version, s.stored->event.previous_version);
  for (const auto& [app, updated] : s.updated) {
    text += fmt::format("{} runs release v{}. ", escape(app), updated.event.release);
  }
  json blocks =
      json::array({header((s.recovery() ? "Recovered: " : "Rotated: ") + s.target.name()), section(text)});
  add_sections(blocks, progress(s, s.completed->at));
  blocks.push_back(section(fmt::format(
      "{} Next rotation due {}.{}", what_comes_of_the_old_key(s), date(s.completed->at + s.target.cadence),
      s.compromise && !s.recovery()
          ? fmt::format(" *After a leak, end it now*: `/rotate expire-now {}`.", escape(s.target.name()))
          : "")));
  std::string by = mention(s.operator_id);
  if (const std::string approved = approved_in_words(s, kOfRotation); !approved.empty())
    by += " · " + approved;
  blocks.push_back(context(
      fmt::format("`{}` · `secret.rotate.completed` at {} · by {}", s.id, date(s.completed->at), by)));
  return once("channel_summary", Place::team_channel,
              fmt::format("{} is {} and verified", s.target.name(), s.recovery() ? "recovered" : "rotated"),
              std::move(blocks));
}

Message reminder_of_unfinished(const State& s) {
  const std::string text = fmt::format(
      "*The old key of {} expires {}, and its rotation is not finished*{}. {} What still uses the old key "
      "then fails.\nOperator: {}{}",
      escape(s.target.name()), date(*s.old_key_deadline()),
      s.halted ? ": it stopped " + escape(s.halted->event.sentence) : "", billing_now(s),
      mention(s.operator_id), s.halted ? ", with *Try again* in the DM." : ".");
  return once("channel_reminder", Place::team_channel,
              "The old key of " + s.target.name() + " expires soon, and its rotation is not finished",
              json::array({header("Not finished, and the old key expires soon"), section(text),
                           context("`" + s.id + "`")}));
}

Message reminder(const State& s) {
  if (s.rolled_back) return reminder_after_rollback(s);
  if (!s.completed) return reminder_of_unfinished(s);
  const std::string text = fmt::format(
      "The old key of {} (`{}`) expires {}. Anything that still uses it will fail then; all known consumers "
      "run the new "
      "one. Dashboard: the key's ⋯ menu → *View request logs* shows whether anybody else uses it.",
      escape(s.target.name()), s.current->event.fingerprint, date(*s.old_key_deadline()));
  return once("channel_reminder", Place::team_channel, "The old key of " + s.target.name() + " expires soon",
              json::array({section(text), context("`" + s.id + "`")}));
}

// Billing depends on what is stored now. That is the rotation's own key, unless somebody stored another.
std::string key_in_use(const State& s) {
  for (const auto& taken : s.proofs) {
    if (!taken.event.new_key.note.empty() && taken.event.new_key.answer == integrations::Answer::granted)
      return "the key that Infisical holds by now (another than this rotation's)";
  }
  return "the new key `" + s.received->event.fingerprint + "`";
}

Message proof(const State& s) {
  std::string text = fmt::format(
      "*The old key of {} is dead.* Stripe refused `{}` {} times, and {} answered "
      "each time. Nothing is left to do.\n",
      escape(s.target.name()), s.current->event.fingerprint, proofs_in_a_row(s), key_in_use(s));
  const bool deleted = s.old_key_deleted();
  for (const auto& taken : s.proofs) {
    if (worth(taken.event, deleted) != ProofWorth::dead) continue;
    const Probe& old_key = taken.event.old_key;
    const Probe& new_key = taken.event.new_key;
    text += fmt::format("✓  {}: old key {} {}; new key {} {}{}\n", time_of_day(taken.at), old_key.status,
                        integrations::name_of(old_key.answer), new_key.status,
                        integrations::name_of(new_key.answer),
                        new_key.request_id.empty() ? "" : " (`" + escape(new_key.request_id) + "`)");
  }
  return once("channel_proof", Place::team_channel, "The old key of " + s.target.name() + " is proven dead",
              json::array({header("Closed: " + s.target.name()), section(text), context("`" + s.id + "`")}));
}

Message still_alive(const State& s) {
  if (s.recovery()) return works_again(s);
  const std::string text = fmt::format(
      "*The old key of {} still works*, past its deadline {}. Billing is not affected: it runs on the new "
      "key. Either a "
      "longer expiration was chosen in the dashboard, or another key was rotated.\n*What to do*: open "
      "<{}|the dashboard>, "
      "find `{}`, check the remaining time below its name; ⋯ → *Expire key* ends it now. Keyturn keeps "
      "watching.",
      escape(s.target.name()), date(*s.old_key_deadline()), s.target.dashboard_url,
      escape(s.target.dashboard_key_name));
  return once("channel_still_alive", Place::team_channel,
              "The old key of " + s.target.name() + " still works",
              json::array({header("Still alive: old key of " + s.target.name()), section(text),
                           section("Operator: " + mention(s.operator_id)), context("`" + s.id + "`")}));
}

// After its deadline an old key is dead as it should be.
bool died_before_its_time(const State& s) {
  if (s.recovery() || !s.old_key_died_early()) return false;
  const auto again = s.probed.find(ActionKind::probe_old_again);
  if (s.received->event.grace_chosen == Duration::zero() || s.old_key_found_dead()) return true;
  return again != s.probed.end() && again->second.at < *s.old_key_deadline();
}

// Its time is over, and what still uses it fails.
bool died_unfinished(const State& s) {
  return s.old_key_found_dead() && !s.old_key_died_early() && !s.completed;
}

Message dead_and_unfinished(const State& s) {
  const std::string text = fmt::format(
      "*The old key of {} is dead, and its rotation is not finished*{}. {} What still uses the old key fails "
      "now.\n*What to do*: {} There is no way back to the old key.\nOperator: {}",
      escape(s.target.name()), s.halted ? ": it stopped " + escape(s.halted->event.sentence) : "",
      billing_now(s),
      s.halted ? "mend that, then *Try again* in the operator's DM; any superadmin may take it over with "
                 "`/rotate hand-over`."
               : "nothing: the new key is on its way.",
      mention(s.operator_id));
  return once("channel_dead_unfinished", Place::team_channel,
              "The old key of " + s.target.name() + " is dead, and its rotation is not finished",
              json::array({header("Not finished, and the old key is dead"), section(text),
                           context("`" + s.id + "`")}));
}

// "Now" was clicked, or somebody expired it: nothing may be slower than the new key, and everybody must know.
Message died_early(const State& s) {
  const bool everywhere = s.stored && s.running.size() == s.target.consumers.size();
  const std::string meanwhile =
      everywhere
          ? "Billing is not affected: every app runs on the new key. Nothing is to be done; the proof begins "
            "now."
      : s.halted ? fmt::format(
                       "{} *What to do*: mend what stopped this rotation, then *Try again* in the operator's "
                       "DM; there is no way back to the old key.",
                       billing_now(s))
                 : fmt::format(
                       "Billing fails until the new key `{}` runs everywhere; Keyturn puts it there now, "
                       "without a wait in between. *What to do*: nothing, unless this rotation stops; there "
                       "is no way back to the old key.",
                       s.received->event.fingerprint);
  const std::string text = fmt::format(
      "*The old key of {} died early*: Stripe refuses `{}` already (*Now* or a shorter expiration was chosen "
      "in the "
      "dashboard, or somebody expired it). {}\nOperator: {}",
      escape(s.target.name()), s.current->event.fingerprint, meanwhile, mention(s.operator_id));
  return once("channel_died_early", Place::team_channel, "The old key of " + s.target.name() + " died early",
              json::array({header("The old key died early: " + s.target.name()), section(text),
                           context("`" + s.id + "`")}));
}

// Beside "Try again"; nothing to say before anything was put anywhere.
std::string way_back_in_words(const State& s) {
  if (const auto obstacle = no_way_back(s, s.halted->at)) return escape(obstacle->sentence);
  return fmt::format(
      "There is a way back as long as the old key lives: `/rotate rollback {}`, or *Roll back* in "
      "the operator's DM.",
      s.target.name());
}

Message halted(const State& s, Place place) {
  const std::string& why = s.halted->event.sentence;
  const bool goes_on = why.starts_with("while ") || why.starts_with("because ");
  const std::string sentence = "*The rotation stopped" + std::string(goes_on ? "* " : ".* ") + escape(why) +
                               (why.ends_with('.') ? "" : ".");
  const std::string todo = place == Place::operator_dm
                               ? "When the cause is gone, press *Try again* in the status message above."
                               : "Operator: " + mention(s.operator_id) + ", with *Try again* in the DM.";
  return once(fmt::format("{}_halted_{}", place == Place::operator_dm ? "dm" : "channel", s.halts), place,
              title(s) + " stopped",
              json::array({header("Stopped: " + s.target.name()),
                           section(sentence + "\n" + billing_now(s) + "\n" + todo),
                           section(way_back_in_words(s)), context("`" + s.id + "`")}));
}

// Every place where the checks found one, and never its value.
std::string master_key_places(const State& s) {
  std::vector<std::string> places;
  if (s.current && s.current->event.kind == "master_key")
    places.push_back(
        fmt::format("in Infisical, under {} ({})", s.target.store.name, s.target.store.environment));
  for (const auto& [app, inspected] : s.inspected) {
    if (inspected.event.holds_master_key) places.push_back("in the configuration of " + app);
  }
  return escape(fmt::format("{}", fmt::join(places, " and ")));
}

Message master_key(const State& s, int number, const std::string& where, const std::string& fate) {
  const std::string text = fmt::format(
      "*SEV-1: a Stripe master key was {}.* {} A master key belongs nowhere but in the dashboard: treat it "
      "as "
      "leaked and roll it now (<{}|API keys>). {}\nOperator: {}",
      where, fate, s.target.dashboard_url, billing_now(s), mention(s.operator_id));
  return once(fmt::format("channel_master_key_{}", number), Place::team_channel,
              "SEV-1: a Stripe master key was " + where,
              json::array({header("SEV-1: master key"), section(text), context("`" + s.id + "`")}));
}

Message ended_without(const State& s) {
  std::string text;
  if (s.refused) {
    text = fmt::format("*The rotation of {} did not begin.* {}", escape(s.target.name()),
                       escape(s.refused->event.sentence));
  } else {
    text = fmt::format("*The rotation of {} was {}.*", escape(s.target.name()),
                       s.received ? "given up" : "cancelled");
    if (!s.approvals.empty() && s.approvals.back().declined)
      text += fmt::format(" {} declined the approval.", mention(s.approvals.back().declined->event.by));
  }
  return once("dm_ended", Place::operator_dm, title(s) + (s.refused ? " refused" : " cancelled"),
              json::array({section(text + " " + billing_now(s)), context("`" + s.id + "`")}));
}

// The team was told that a new key was on its way; it must hear that nobody follows it any more.
Message given_up(const State& s) {
  std::string next = " Nothing proves that the old key is dead; the dashboard shows its remaining time.";
  if (s.recovery()) {
    next = fmt::format(
        " *What to do*: `/rotate {}` again. A fresh key that is used nowhere: dashboard → ⋯ → *Expire key*.",
        s.target.name());
  } else if (s.old_key_deleted()) {
    next.clear();
  }
  return once("channel_given_up", Place::team_channel, title(s) + " given up",
              json::array({section(fmt::format("*The rotation of {} was given up.* {}{}",
                                               escape(s.target.name()), billing_now(s), next)),
                           context("`" + s.id + "`")}));
}

std::string steps(const State& s) {
  if (s.recovery()) return steps_of_recovery(s);
  const std::string grace = in_words(s.planned_grace());
  return fmt::format(
      "1.  Open <{}|the dashboard, {} mode>. Check that it shows *{} mode*.\n"
      "2.  Find the restricted key *{}* (not the secret key).\n"
      "3.  ⋯ → *Rotate key*.\n"
      "4.  Expiration: choose *{}*. Not *Now*: that deletes the old key at once, and billing fails until the "
      "new one has "
      "arrived everywhere.\n"
      "5.  *Rotate API key*; the e-mail or SMS code may be asked for.\n"
      "6.  Click the new value to copy it. It is shown once.\n"
      "7.  *Add a note*: `Infisical: {}/{}` and save.",
      s.target.dashboard_url, s.target.mode == Mode::live ? "live" : "test",
      s.target.mode == Mode::live ? "live" : "test", escape(s.target.dashboard_key_name), grace,
      escape(s.target.store.environment), escape(s.target.store.name));
}

std::string title_of_steps(const State& s) {
  return s.recovery() ? "Create a fresh key in the Stripe dashboard"
                      : "Rotate the key in the Stripe dashboard";
}

}  // namespace

std::vector<std::string> confirmations(const State& s) {
  return {"I can open the Stripe dashboard (SSO)", "The e-mail or SMS code can reach me now",
          s.recovery() ? "I create a restricted key, not a master key"
                       : fmt::format("I rotate the restricted key \"{}\", not the master key",
                                     cut(s.target.dashboard_key_name, 20))};
}

Message master_key_seen(const std::string& where) {
  return once(
      "channel_master_key_seen", Place::team_channel, "SEV-1: a Stripe master key was seen",
      json::array(
          {header("SEV-1: master key"),
           section("*SEV-1: a Stripe master key was* " + where +
                   ". Keyturn kept it nowhere. A master key belongs nowhere but in the dashboard: treat it "
                   "as leaked and roll it now, then find out who put it there. Billing is not affected "
                   "by the alarm.")}));
}

std::vector<Message> messages_for(const State& s, TimePoint now) {
  std::vector<Message> messages;
  messages.push_back(status(s, now, Place::team_channel));
  messages.push_back(status(s, now, Place::operator_dm));
  const Stage stage = stage_of(s, now);
  const bool asked = s.messages.contains("dm_prerequisites");
  if (asked || stage == Stage::awaiting_operator) messages.push_back(prerequisites(s));
  if (s.refused || s.cancelled_at) messages.push_back(ended_without(s));
  if (s.cancelled_at && s.received) messages.push_back(given_up(s));
  if (s.refused && s.refused->event.alarm)
    messages.push_back(master_key(s, 0, "found " + master_key_places(s), "Nothing was changed there."));
  for (int number = 1; number <= s.master_keys_pasted; ++number) {
    messages.push_back(master_key(s, number, "pasted into the form", "It was not stored."));
  }
  if (s.recovery() && !s.refused && (asked || stage != Stage::checking)) messages.push_back(dead_at_first(s));
  if (died_before_its_time(s)) messages.push_back(died_early(s));
  if (died_unfinished(s)) messages.push_back(dead_and_unfinished(s));
  if (s.halted) {
    messages.push_back(halted(s, Place::operator_dm));
    messages.push_back(halted(s, Place::team_channel));
  }
  for (Message& message : approval_messages(s, now)) messages.push_back(std::move(message));
  for (Message& message : attendance_messages(s, now)) messages.push_back(std::move(message));
  if (s.completed) messages.push_back(summary(s));
  for (Message& message : rollback_messages(s, now)) messages.push_back(std::move(message));
  if (s.reminded && s.received) messages.push_back(reminder(s));  // a key set aside since has no deadline
  if (s.still_alive_at) messages.push_back(still_alive(s));
  if (s.proven_dead_at) messages.push_back(proof(s));
  return messages;
}

std::optional<TimePoint> next_change(const State& s, TimePoint now) {
  if (s.completed && !s.closed && now < *s.old_key_deadline()) {
    // Ten steps of the grace bar.
    const Duration step = std::max<Duration>(s.received->event.grace_chosen / 10, std::chrono::seconds(1));
    return std::min(now + step, *s.old_key_deadline());
  }
  if (s.form_open(now)) return s.form->issued.expires_at;
  return std::nullopt;
}

Message instructions(const State& s, const Invitation& invitation) {
  json blocks = json::array({header(title_of_steps(s)), section(steps(s))});
  if (s.rejected)
    blocks.push_back(section("*The last key was not accepted*: " + escape(s.rejected->event.sentence)));
  blocks.push_back(section(
      fmt::format("Then paste the new key here, and nowhere else: <{}|open the one-time form>\nThe link "
                  "works once, for {}, and only for this rotation.",
                  invitation.link, in_words(s.target.timing.form_life))));
  if (!invitation.code.empty()) {
    blocks.push_back(section(fmt::format("The form asks for this code: *{} {}*", invitation.code.substr(0, 3),
                                         invitation.code.substr(3))));
  }
  return once("dm_instructions_" + std::to_string(s.forms), Place::operator_dm,
              "Dashboard steps and the one-time form for " + s.target.name(), std::move(blocks));
}

Message instructions_done(const State& s) {
  return once("dm_instructions_" + std::to_string(s.forms), Place::operator_dm,
              "Dashboard steps for " + s.target.name(),
              json::array({header(title_of_steps(s)), section(steps(s)),
                           section("The one-time form has been used, or its link has expired.")}));
}

}  // namespace keyturn::commands::views
