#include "commands/views/approval.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "commands/rotation/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands::views {

using namespace rotation;
using storage::in_words;

namespace {

constexpr char kBeforeNumber = '/';

bool of_rollback(const Approval& approval) { return approval.asked.event.of == kOfRollback; }

std::string wanted(const State& s, const Approval& approval) {
  const char* what = of_rollback(approval) ? "roll back "
                     : s.recovery()        ? "put a fresh key in place of the dead one of "
                                           : "rotate ";
  return what + escape(s.target.name());
}

std::string apps(const State& s) {
  std::string text;
  for (const auto& consumer : s.target.consumers) text += (text.empty() ? "" : ", ") + escape(consumer.app);
  return text;
}

std::string fingerprint_of_old(const State& s) {
  return s.current ? s.current->event.fingerprint : "unknown";
}

// When the checks asked Stripe: an approval may be asked for, or given, long after that.
std::string accepted(const State& s) {
  const auto probed = s.probed.find(ActionKind::probe_old_key);
  if (probed == s.probed.end()) return {};
  return fmt::format(", and Stripe accepted it when asked, {}", date(probed->second.at));
}

std::string rotation_plan(const State& s) {
  if (s.recovery()) {
    return fmt::format(
        "*Stripe refuses the current key* `{}`, version {} of `{}` in Infisical: billing is likely down, and "
        "there is nothing to rotate.\n*What is to happen*: {} creates a fresh key in the dashboard; it is "
        "held "
        "against the settings, put into Infisical and {}; the log and the billing endpoint are watched for "
        "{}. "
        "If nobody can approve: `/rotate cancel {}`, and start again with `--compromise`.\n",
        fingerprint_of_old(s), s.current ? s.current->event.version : 0, escape(s.target.store.name),
        mention(s.operator_id), apps(s), in_words(s.target.watch), escape(s.target.name()));
  }
  return fmt::format(
      "The checks are done: the current key `{}` is version {} of `{}` in Infisical{}.\n"
      "*What is to happen*: {} rotates *{}* in the dashboard, where the old key keeps {}; the new key is "
      "validated and put into Infisical and {}; the log and the billing endpoint are watched for {}; the old "
      "key dies when its grace is over.\n",
      fingerprint_of_old(s), s.current ? s.current->event.version : 0, escape(s.target.store.name),
      accepted(s), mention(s.operator_id), escape(s.target.dashboard_key_name), in_words(s.planned_grace()),
      apps(s), in_words(s.target.watch));
}

std::string rollback_plan(const State& s) {
  if (!s.received) return {};
  return fmt::format(
      "*What is to happen*: the old key `{}` goes back into Infisical and every app that has the new one, "
      "and "
      "is watched there. It still expires {}, and a new rotation must follow before that. The new key `{}` "
      "is "
      "abandoned.\nNothing is put back before somebody approves. ",
      fingerprint_of_old(s), date(*s.old_key_deadline()), s.received->event.fingerprint);
}

// The operator may have changed since it was asked for.
std::string who_may(const State& s, const Approval& approval) {
  const std::string& asked = approval.asked.event.by;
  if (of_rollback(approval) || asked == s.operator_id) return "a superadmin other than " + mention(asked);
  return fmt::format("a superadmin other than {} and {}", mention(asked), mention(s.operator_id));
}

// Of a rotation. Once its steps were shown, nobody here knows what happened in the dashboard.
std::string declined_in_words(const State& s) {
  if (s.recovery())
    return "The rotation is cancelled, and billing stays down until a new key is in place: start again, or "
           "put "
           "one into Infisical and every app by hand.";
  if (s.forms == 0 && s.keys_seen.empty()) return "The rotation is cancelled, and nothing has changed by it.";
  return "The rotation is cancelled. If \"Rotate API key\" was clicked already, the key in use is expiring: "
         "start again and paste the new one.";
}

json approval_buttons(const State& s, const std::string& block_id, const Approval& approval,
                      std::size_t number) {
  const std::string value = approval_value(s, number);
  const std::string declined = of_rollback(approval)
                                   ? "Nothing is put back, and the rotation goes on as before."
                                   : declined_in_words(s);
  return actions(block_id, {{std::string(kApprove), "Approve", value, "primary", ""},
                            {std::string(kDecline), "Decline", value, "danger", declined}});
}

// What came of it, or nothing while it waits.
std::string settled(const State& s, const Approval& approval) {
  if (approval.given) {
    return fmt::format("*Approved* by {} at {}. {}", mention(approval.given->event.by),
                       time_of_day(approval.given->at),
                       of_rollback(approval) ? "The way back begins."
                                             : "The next step is in the operator's direct message.");
  }
  if (approval.declined) {
    return fmt::format("*Declined* by {} at {}. {}", mention(approval.declined->event.by),
                       time_of_day(approval.declined->at),
                       of_rollback(approval) ? "Nothing was put back, and the rotation goes on as before."
                                             : declined_in_words(s));
  }
  if (approval.lapsed) {
    return (of_rollback(approval) ? "*Not possible any more*: " : "*Over*: ") +
           escape(approval.lapsed->event.sentence);
  }
  return waiting_approval(s) == nullptr ? "*Over*: the rotation has ended." : "";
}

// Asked again: who approved has taken over since.
std::string why_again(const State& s, const Approval& approval, std::size_t number) {
  if (number == 1 || of_rollback(approval)) return {};
  for (std::size_t i = number - 1; i > 0; --i) {
    const Approval& before = s.approvals[i - 1];
    if (of_rollback(before) || !before.given) continue;
    return fmt::format(
        "{} approved before and is the operator now, so somebody else has to approve the next "
        "key. ",
        mention(before.given->event.by));
  }
  return {};
}

Message approval_request(const State& s, const Approval& approval, std::size_t number) {
  std::string text = fmt::format("*{} asks for an approval to {}.* {}{}", mention(approval.asked.event.by),
                                 wanted(s, approval), why_again(s, approval, number),
                                 of_rollback(approval) ? rollback_plan(s) : rotation_plan(s));
  const std::string result = settled(s, approval);
  if (result.empty()) {
    text += fmt::format("{}\n*What to do*: {} presses *Approve* or *Decline*.", billing_now(s),
                        who_may(s, approval));
  }
  json blocks = json::array({header("Approval wanted: " + s.target.name()), section(text)});
  blocks.push_back(result.empty()
                       ? approval_buttons(s, fmt::format("approval_actions_{}", number), approval, number)
                       : section(result));
  blocks.push_back(context(fmt::format("`{}` · asked at {}", s.id, time_of_day(approval.asked.at))));
  Message message = once(fmt::format("channel_approval_{}", number), Place::team_channel,
                         fmt::format("An approval is wanted to {}", wanted(s, approval)), std::move(blocks));
  message.live = true;
  return message;
}

Message to_person(std::string slot, std::string person, std::string text, json blocks) {
  Message message = once(std::move(slot), Place::person, std::move(text), std::move(blocks));
  message.person = std::move(person);
  return message;
}

Message approval_nudge(const State& s, const OperatorNudged& nudge) {
  const Approval& approval = s.approvals[static_cast<std::size_t>(nudge.approval) - 1];
  const std::string text = fmt::format(
      "*Nobody has approved yet* that you {}. {} Ask another superadmin to look at the message in the "
      "channel. Keyturn names them all there if nobody comes.{}",
      wanted(s, approval), billing_now(s),
      of_rollback(approval) ? ""
                            : fmt::format(" Not needed any more? `/rotate cancel {}`.", s.target.name()));
  return to_person(fmt::format("approval_nudge_{}", nudge.approval), approval.asked.event.by,
                   "Nobody has approved yet", json::array({section(text), context("`" + s.id + "`")}));
}

// What is left when nobody may approve. A way back has no other way.
std::string without_approval(const State& s, const Approval& approval) {
  if (of_rollback(approval)) return {};
  return fmt::format(
      " If that can't wait: `/rotate cancel {}`, then `/rotate {} --compromise`, which waits for nobody.",
      escape(s.target.name()), escape(s.target.name()));
}

// To each of the others: nobody has to approve a leak, and everybody has to know.
Message bypass(const State& s, const std::string& person) {
  const std::string text = fmt::format(
      "*The rotation of {} went on without an approval*, because {} reported a suspected leak at {}.{} {}\n"
      "*What to do*: if you know of no leak, ask {} now; `/rotate cancel {}` ends it before the new key is "
      "there.",
      escape(s.target.name()), mention(s.approval_bypassed->event.by), date(s.started_at),
      s.reason.empty() ? "" : " Reason: " + escape(s.reason) + ".", billing_now(s),
      mention(s.approval_bypassed->event.by), escape(s.target.name()));
  return to_person("bypass_" + person, person,
                   "The rotation of " + s.target.name() + " went on without an approval",
                   json::array({section(text), context("`" + s.id + "`")}));
}

}  // namespace

std::string approval_value(const State& s, std::size_t number) {
  return s.id + kBeforeNumber + std::to_string(number);
}

std::optional<std::pair<std::string, std::size_t>> read_approval_value(const std::string& value) {
  const auto at = value.rfind(kBeforeNumber);
  if (at == std::string::npos) return std::nullopt;
  std::size_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data() + at + 1, end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return std::pair(value.substr(0, at), number);
}

std::string approved_in_words(const State& s, std::string_view of) {
  if (of == kOfRotation && s.approval_bypassed) return "without an approval, because of the suspected leak";
  const Approval* given = given_approval(s, of);
  if (given == nullptr) return {};
  return fmt::format("approved by {} at {}", mention(given->given->event.by), time_of_day(given->given->at));
}

Message approval_page(const State& s, const OthersPaged& page, TimePoint at, std::size_t number) {
  const auto approval_number = static_cast<std::size_t>(page.approval);
  const Approval& approval = s.approvals[approval_number - 1];
  std::string people;
  for (const std::string& person : page.people) people += mention(person) + " ";
  std::string otherwise;
  if (people.empty()) {
    people = "Nobody who may approve is known. ";
    otherwise = without_approval(s, approval);
  }
  const std::string found =
      dead(page.old_key)
          ? fmt::format("*Stripe refuses the key that was in use, `{}`*: look at the dashboard now.",
                        fingerprint_of_old(s))
          : billing_now(s);
  json blocks =
      json::array({header("Nobody approves: " + s.target.name()),
                   section(fmt::format(
                       "{}*{} waits for an approval to {}.* {}\n*What to do*: one of you presses *Approve* "
                       "or *Decline*, here or in the message above, which says what is to happen.{}",
                       people, mention(approval.asked.event.by), wanted(s, approval), found, otherwise))});
  const std::string result = settled(s, approval);
  blocks.push_back(
      result.empty() ? approval_buttons(s, fmt::format("page_approval_{}", number), approval, approval_number)
                     : section(result));
  blocks.push_back(context(fmt::format("`{}` · asked at {}", s.id, time_of_day(at))));
  Message told = once(fmt::format("channel_page_{}", number), Place::team_channel,
                      fmt::format("Nobody comes to approve, to {}", wanted(s, approval)), std::move(blocks));
  told.live = true;
  return told;
}

std::vector<Message> approval_messages(const State& s, TimePoint) {
  std::vector<Message> messages;
  messages.reserve(s.approvals.size());
  for (std::size_t i = 0; i < s.approvals.size(); ++i)
    messages.push_back(approval_request(s, s.approvals[i], i + 1));
  for (const auto& nudged : s.nudges) {
    if (nudged.event.approval != 0) messages.push_back(approval_nudge(s, nudged.event));
  }
  if (s.approval_bypassed && s.bypass_told) {
    for (const std::string& person : s.bypass_told->event.people) messages.push_back(bypass(s, person));
  }
  return messages;
}

}  // namespace keyturn::commands::views
