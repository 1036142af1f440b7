#include "commands/views/attendance.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/rotation/approval.h"
#include "commands/rotation/attendance.h"
#include "commands/rotation/early_end.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands::views {

using namespace rotation;
using storage::in_words;

namespace {

std::string name_of(const State& s) { return escape(s.target.name()); }

// ---- nudges

std::string nudge_text(const State& s, const OperatorNudged& nudge) {
  if (nudge.why == kBoxesUnticked) {
    return fmt::format(
        "*The rotation of {} waits for you.* The checks are done. {} Tick the boxes in the message above and "
        "press *I'm ready*, or press *Cancel*.",
        name_of(s), billing_now(s));
  }
  const std::string clicked =
      s.recovery() ? billing_now(s)
                   : "If \"Rotate API key\" was clicked already, the key that billing runs on is expiring.";
  if (nudge.why == kLinkExpiring) {
    return fmt::format(
        "*The one-time link of {} expires soon, and no new key has arrived.* {} Paste the new key into the "
        "form "
        "above; after the link's end *Send a new link* brings another.",
        name_of(s), clicked);
  }
  return fmt::format(
      "*The one-time link of {} has expired, and no new key has arrived.* {} Press *Send a new link* in the "
      "status message above and paste the new key. Can't go on? `/rotate hand-over {} @person`. {} `/rotate "
      "cancel {}`.",
      name_of(s), clicked, name_of(s),
      s.recovery() ? "Not needed any more?" : "Not clicked, and not going to?", name_of(s));
}

Message nudge(const State& s, const OperatorNudged& nudge, std::size_t number) {
  const std::string text = nudge_text(s, nudge);
  return once(fmt::format("dm_nudge_{}", number), Place::operator_dm,
              "The rotation of " + s.target.name() + " waits for you",
              json::array({section(text), context("`" + s.id + "`")}));
}

// ---- the page

std::string waits_for(const OthersPaged& page) {
  if (page.stopped) return "who has not mended what stopped it, and no new key has come";
  return page.link == 0 ? "to tick the boxes before the dashboard"
                        : "for the new key, and the one-time link leads nowhere any more";
}

std::string about_old_key(const State& s, const Probe& old_key) {
  const std::string fingerprint = s.current ? s.current->event.fingerprint : "";
  const std::string evidence =
      old_key.request_id.empty() ? "" : fmt::format(" (`{}`)", escape(old_key.request_id));
  if (dead(old_key) && s.recovery()) {
    return fmt::format(
        "*The current key `{}` is dead*: Stripe refuses it{}, and *billing fails until a new key is in "
        "place*.\n*What to do*: take over. The steps in your direct message say what a fresh key has to be.",
        fingerprint, evidence);
  }
  if (dead(old_key)) {
    return fmt::format(
        "*The current key `{}` is dead*: Stripe refuses it{}. It was rotated with \"Now\", or its grace is "
        "over, "
        "and *billing fails until a new key is in place*.\n*What to do*: whoever has the new key takes over "
        "and "
        "pastes it into the form. If nobody has it: take over; where the dashboard still has a key of that "
        "name, "
        "rotate it once more and paste that one. Where it has none: `/rotate cancel {}`, then `/rotate {}`, "
        "which "
        "walks you through a fresh key.",
        fingerprint, evidence, name_of(s), name_of(s));
  }
  const bool alive =
      old_key.answer == integrations::Answer::granted || old_key.answer == integrations::Answer::denied;
  const std::string found =
      alive ? fmt::format("The current key `{}` still works{}, so billing is not affected yet.", fingerprint,
                          evidence)
            : fmt::format("Stripe did not say whether the current key `{}` still works{}.", fingerprint,
                          old_key.note.empty() ? "" : ": " + escape(old_key.note));
  return found +
         " But \"Rotate API key\" may have been clicked: then it dies when its grace is over, and billing "
         "fails. "
         "The dashboard shows the remaining time below the key's name.\n*What to do*: reach the operator, or "
         "take over. Keyturn keeps asking Stripe, and tells you here if the key dies.";
}

const std::string& operator_at(const State& s, TimePoint at) {
  for (const auto& handover : s.handovers) {
    if (at < handover.at) return handover.event.from;
  }
  return s.operator_id;
}

Message page(const State& s, const OthersPaged& page, TimePoint at, std::size_t number) {
  if (page.approval != 0) return approval_page(s, page, at, number);
  std::string people;
  for (const std::string& person : page.people) people += mention(person) + " ";
  if (people.empty()) people = "Slack did not say who the other superadmins are. ";
  const std::string text =
      fmt::format("{}*The rotation of {} waits for its operator, {}*, {}.\n{}", people, name_of(s),
                  mention(operator_at(s, at)), waits_for(page), about_old_key(s, page.old_key));
  const bool bad = dead(page.old_key);
  json blocks =
      json::array({header((bad ? "Billing fails, and nobody comes: " : "Nobody comes: ") + s.target.name()),
                   section(text)});
  if (s.received) {
    blocks.push_back(section("*Over*: the new key has arrived."));
  } else if (!s.live() || s.cancelled_at) {
    blocks.push_back(section("*Over*: the rotation has ended."));
  } else if (!s.handovers.empty() && at <= s.operator_since()) {
    blocks.push_back(section("*Over*: " + mention(s.operator_id) + " has it now."));
  } else {
    blocks.push_back(actions(
        fmt::format("page_actions_{}", number),
        {{std::string(kTakeOver), "Take over", s.id, "primary",
          "You become the operator. A link that is out stops working, and you get one of your own."}}));
  }
  blocks.push_back(context(fmt::format("`{}` · asked at {}", s.id, time_of_day(at))));
  Message told = once(fmt::format("channel_page_{}", number), Place::team_channel,
                      bad ? "The key of " + s.target.name() + " is dead, and nobody brings a new one"
                          : "The rotation of " + s.target.name() + " waits, and its operator doesn't come",
                      std::move(blocks));
  told.live = true;
  return told;
}

// ---- a former operator's messages

std::optional<Message> former(const State& s, const char* slot, std::size_t number) {
  const auto posted = s.messages.find(former_slot(slot, number));
  if (posted == s.messages.end() || posted->second.ts.empty()) return std::nullopt;
  const auto& [handover, at] = s.handovers[number - 1];
  const std::string text = fmt::format(
      "The rotation of {} was handed over to {} at {}. Nothing here waits for you any more{}.", name_of(s),
      mention(handover.to), time_of_day(at),
      std::string_view(slot) == "dm_link" ? ", and the link that stood here no longer works" : "");
  return Message{.slot = posted->first,
                 .place = Place::operator_dm,

                 .live = true,
                 .text = "The rotation of " + s.target.name() + " was handed over",
                 .blocks = json::array({section(text), context("`" + s.id + "`")})};
}

Message handed_over(const State& s, const HandedOver& handover, std::size_t number) {
  const std::string key =
      s.received ? "the new key is here already"
      : s.recovery()
          ? "if a fresh key was created already and its value is not at hand, another one has to be created"
          : "if \"Rotate API key\" was clicked already and the new value is not at hand, the key has to be "
            "rotated once more in the dashboard";
  return once(
      fmt::format("channel_handed_over_{}", number), Place::team_channel,
      "The rotation of " + s.target.name() + " was handed over",
      json::array({section(fmt::format("The rotation of {} goes on with {} (before: {}); {}.", name_of(s),
                                       mention(handover.to), mention(handover.from), key)),
                   context("`" + s.id + "`")}));
}

// ---- the early end

std::string found_before_end(const State& s) {
  const auto tries = s.tries.find({ActionKind::check_expiry, {}});
  if (!s.expiry_checked) {
    if (tries == s.tries.end()) return "Checking that nothing holds the old key any more.";
    return fmt::format("*Can't tell yet whether anything still holds the old key*: {}. It is asked again.",
                       escape(tries->second.failure.reason));
  }
  const ExpiryChecked& checked = s.expiry_checked->event;
  if (may_end_early(s)) {
    return fmt::format(
        "Infisical's newest value is the new key, and {} hold{} it too. Nothing known to Keyturn would miss "
        "the "
        "old key.",
        s.target.consumers.size() == 1 ? escape(s.target.consumers.front().app) : "all consumers",
        s.target.consumers.size() == 1 ? "s" : "");
  }
  std::string text = "*Don't end the old key yet.* ";
  if (checked.stored_fingerprint.empty()) {
    text += "Infisical doesn't show which key it holds. ";
  } else if (checked.stored_fingerprint != s.received->event.fingerprint) {
    text += fmt::format("Infisical's newest value is `{}`, not this rotation's new key. ",
                        checked.stored_fingerprint);
  }
  for (const std::string& app : checked.strays) text += fmt::format("{} holds another key. ", escape(app));
  return text + fmt::format(
                    "What holds the old key fails when it ends. Mend that, then `/rotate expire-now {}` "
                    "checks again.",
                    name_of(s));
}

Message early_end(const State& s) {
  std::string text = fmt::format("*Ending the old key `{}` of {} early.* {}", s.current->event.fingerprint,
                                 name_of(s), found_before_end(s));
  const Approval* waiting = waiting_approval(s);
  const bool way_back_waits = waiting != nullptr && waiting->asked.event.of == kOfRollback;
  if (s.rollback || way_back_waits) {
    text = fmt::format(
        "*Don't expire the old key `{}` of {}*: {} has asked for the way back, and billing "
        "depends on it.",
        s.current->event.fingerprint, name_of(s),
        mention(s.rollback ? s.rollback->event.by : waiting->asked.event.by));
  } else if (s.proven_dead_at) {
    text += "\nIt is proven dead.";
  } else if (ended_early(s)) {
    text += fmt::format("\nStripe refused it at {}: the proof is being taken.",
                        time_of_day(s.old_key_checked->at));
  } else if (may_end_early(s)) {
    text += fmt::format(
        "\n1.  Open <{}|the dashboard>, {} mode, and find *{}*. Of the two, it is the one with the remaining "
        "time "
        "below its name.\n2.  ⋯ → *View request logs*: nothing but what you know should be there.\n3.  ⋯ → "
        "*Expire "
        "key*, and confirm.\nKeyturn asks Stripe every {} and begins the proof once the key is dead. Expire "
        "only the "
        "old one: billing runs on the other.",
        s.target.dashboard_url, s.target.mode == integrations::Mode::live ? "live" : "test",
        escape(s.target.dashboard_key_name), in_words(s.target.timing.proof_every));
  }
  return {.slot = fmt::format("dm_expiry_{}", s.expiry_requests),
          .place = Place::operator_dm,

          .live = true,
          .text = "Ending the old key of " + s.target.name() + " early",
          .blocks = json::array({section(text), context("`" + s.id + "`")})};
}

// ---- a cancel after the steps were shown

Message cancelled_midway(const State& s) {
  if (s.recovery()) {
    const std::string down = fmt::format(
        "*The rotation of {} was cancelled while its key was dead.* {}\n*What to do*: start `/rotate {}` "
        "again, or put a key that works into Infisical and every app by hand. A fresh key that was created "
        "and is used nowhere: <{}|dashboard> → ⋯ → *Expire key*. Operator: {}",
        name_of(s), billing_now(s), name_of(s), s.target.dashboard_url, mention(s.operator_id));
    return once("channel_cancelled", Place::team_channel,
                "The rotation of " + s.target.name() + " was cancelled",
                json::array({section(down), context("`" + s.id + "`")}));
  }
  const std::string text = fmt::format(
      "*The rotation of {} was cancelled after its dashboard steps had been shown.* {}\n*What to do*: look "
      "at the "
      "key in <{}|the dashboard>. A remaining time below its name means that it was rotated: start `/rotate "
      "{}` "
      "again and paste the new key before that time is over. Operator: {}",
      name_of(s),
      died_unattended(s) ? "*Stripe refuses the key that billing runs on*: billing fails."
                         : "If \"Rotate API key\" was clicked, the key that billing runs on is expiring, and "
                           "nobody watches it any more.",
      s.target.dashboard_url, name_of(s), mention(s.operator_id));
  return once("channel_cancelled", Place::team_channel,
              "The rotation of " + s.target.name() + " was cancelled",
              json::array({section(text), context("`" + s.id + "`")}));
}

}  // namespace

std::vector<Message> attendance_messages(const State& s, TimePoint) {
  std::vector<Message> messages;
  for (std::size_t i = 0; i < s.nudges.size(); ++i) {
    // What was said to a former operator is not said again to the next one.
    if (s.nudges[i].event.approval == 0 && s.nudges[i].at > s.operator_since())
      messages.push_back(nudge(s, s.nudges[i].event, i + 1));
  }
  for (std::size_t i = 0; i < s.pages.size(); ++i)
    messages.push_back(page(s, s.pages[i].event, s.pages[i].at, i + 1));
  for (std::size_t i = 1; i <= s.handovers.size(); ++i) {
    for (const char* slot : {"dm_status", "dm_prerequisites", "dm_link"}) {
      if (auto told = former(s, slot, i)) messages.push_back(*std::move(told));
    }
    messages.push_back(handed_over(s, s.handovers[i - 1].event, i));
  }
  if (s.expiry_requested_at && s.received) messages.push_back(early_end(s));
  if (s.cancelled_at && !s.received && (s.forms > 0 || s.recovery())) messages.push_back(cancelled_midway(s));
  return messages;
}

}  // namespace keyturn::commands::views
