#include "commands/views/recovery.h"

#include <spdlog/fmt/fmt.h>

#include "commands/views/blocks.h"

namespace keyturn::commands::views {

using namespace rotation;
using integrations::Mode;

namespace {

std::string listed(const std::vector<std::string>& all, const char* mark) {
  std::string text;
  for (const auto& one : all)
    text += fmt::format("{}{}{}{}", text.empty() ? "" : ", ", mark, escape(one), mark);
  return text;
}

// The dashboard shows no permissions of a dead key, and no call shows what a key may write.
std::string permissions_of_recovery(const State& s) {
  const std::string calls = fmt::format(
      "It must be able to call {}, and must not be able to call {}: Keyturn asks for each of them.",
      listed(s.target.permitted, "`"), listed(s.target.denied, "`"));
  if (!s.target.permissions.empty()) return fmt::format("{}. {}", listed(s.target.permissions, "*"), calls);
  return "as the old one had them. " + calls +
         " *Write* as well, wherever billing writes: nobody can ask Stripe for that, and a key that may only "
         "read "
         "passes every check here. Who knows what the old key could do?";
}

}  // namespace

std::string steps_of_recovery(const State& s) {
  const char* mode = s.target.mode == Mode::live ? "live" : "test";
  return fmt::format(
      "1.  Open <{}|the dashboard, {} mode>. Check that it shows *{} mode*.\n"
      "2.  *Create restricted key*. Not *Rotate key*: a dead key can't be rotated.\n"
      "3.  Name: *{}*.\n"
      "4.  Permissions: {}\n"
      "5.  Addresses: if the old key was limited to some, the same ones.\n"
      "6.  *Create key*; the e-mail or SMS code may be asked for.\n"
      "7.  Click the value to copy it. It is shown once.\n"
      "8.  *Add a note*: `Infisical: {}/{}` and save.",
      s.target.dashboard_url, mode, mode, escape(s.target.dashboard_key_name), permissions_of_recovery(s),
      escape(s.target.store.environment), escape(s.target.store.name));
}

Message dead_at_first(const State& s) {
  const std::string text = fmt::format(
      "*Stripe refuses the key that billing of {} runs on*, `{}`: billing is likely down now. {} is walked "
      "through "
      "a fresh key; Keyturn puts it into Infisical and every app, and watches billing with it. *What to do*: "
      "{}",
      escape(s.target.name()), s.current->event.fingerprint, mention(s.started_by()),
      s.target.second_approver && !s.compromise
          ? "another superadmin approves, in the message about it. If nobody can: `/rotate cancel` and start "
            "again "
            "with `--compromise`, which waits for nobody and tells everybody."
          : "nothing, unless nobody comes; Keyturn says so then.");
  return once(
      "channel_dead_at_first", Place::team_channel, "The key of " + s.target.name() + " is dead",
      json::array({header("The key is dead: " + s.target.name()), section(text), context("`" + s.id + "`")}));
}

Message works_again(const State& s) {
  return once(
      "channel_still_alive", Place::team_channel, "The old key of " + s.target.name() + " works again",
      json::array({header("Works again: old key of " + s.target.name()),
                   section(fmt::format(
                       "*Stripe takes the old key of {} again*, which it refused before this began. "
                       "Billing is not affected: it runs on the fresh key.\n*What to do*: open <{}|the "
                       "dashboard>, find `{}`, the older of the two; ⋯ → *Expire key* ends it. Keyturn "
                       "keeps watching.",
                       escape(s.target.name()), s.target.dashboard_url, escape(s.target.dashboard_key_name))),
                   section("Operator: " + mention(s.operator_id)), context("`" + s.id + "`")}));
}

}  // namespace keyturn::commands::views
