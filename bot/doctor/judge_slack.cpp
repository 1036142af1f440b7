// The bot's two tokens, its scopes, the channel, and whoever may rotate.
#include <spdlog/fmt/fmt.h>

#include <set>

#include "bot/doctor/judgement.h"

namespace keyturn::bot::doctor {
namespace {

constexpr Part kSlack = Part::slack;
const std::string kReinstall =
    "api.slack.com/apps -> the app -> OAuth & Permissions -> Reinstall to Workspace; put the Bot User OAuth "
    "Token "
    "into slack-bot-token and restart the bot";
const std::string kNotAsked = "settle what stands above, then ask again";

Finding judge_bot_token(const SlackSettings& settings, const Asked<BotTokenSeen>& seen) {
  const std::string check = "bot token";
  if (!seen) return unknown(kSlack, check, "not asked: there is no token to ask with", kNotAsked);
  if (!*seen) return failed(kSlack, check, seen->error(), kReinstall);
  const BotTokenSeen& token = **seen;
  if (token.team != settings.team) {
    return wrong(
        kSlack, check,
        fmt::format("it belongs to workspace {}, and the settings say {}: the bot doesn't start, for it "
                    "would tell the wrong people",
                    token.team, settings.team),
        "put the token of the app in the right workspace into slack-bot-token, or correct slack.team");
  }
  if (!token.app.empty() && token.app != settings.app) {
    return wrong(kSlack, check,
                 fmt::format("it belongs to app {}, and the settings say {}", token.app, settings.app),
                 "put that app's token into slack-bot-token, or correct slack.app");
  }
  return ok(kSlack, check, "works in workspace " + token.team);
}

Finding judge_scopes(const std::set<std::string>& granted) {
  std::string missing;
  std::string more;
  for (const auto& [scope, purpose] : wanted_scopes()) {
    if (!granted.contains(scope))
      missing += fmt::format("{}{} ({})", missing.empty() ? "" : "; ", scope, purpose);
  }
  for (const std::string& scope : granted) {
    if (!wanted_scopes().contains(scope)) more += (more.empty() ? "" : ", ") + scope;
  }
  if (!missing.empty()) {
    return wrong(kSlack, "scopes", "not granted: " + missing,
                 "api.slack.com/apps -> the app -> App Manifest: make it deploy/slack/manifest.json; then "
                 "Install App -> Reinstall to Workspace");
  }
  const std::string all = fmt::format("all {} of the manifest are granted", wanted_scopes().size());
  return ok(kSlack, "scopes", more.empty() ? all : all + "; also granted, and not needed: " + more);
}

Finding judge_app_token(const SlackSettings& settings, const SlackSeen& seen) {
  const std::string check = "app-level token";
  const std::string remedy =
      "api.slack.com/apps -> the app -> Basic Information -> App-Level Tokens: make one with "
      "connections:write, put "
      "it into slack-app-token and restart the bot; under Socket Mode, Enable Socket Mode must be on";
  if (!seen.app_token) return unknown(kSlack, check, "not asked: there is no token to ask with", kNotAsked);
  if (!*seen.app_token) return failed(kSlack, check, seen.app_token->error(), remedy);
  if (!seen.app_of_app_token.empty() && seen.app_of_app_token != settings.app) {
    return wrong(
        kSlack, check,
        fmt::format("it belongs to app {}, and the settings say {}: the bot would hear another app's "
                    "commands",
                    seen.app_of_app_token, settings.app),
        "put the token of the app in slack.app into slack-app-token, or correct slack.app");
  }
  return ok(kSlack, check, "Slack hands out a socket for it (none was opened)");
}

Finding judge_channel(const SlackSettings& settings, const Asked<ChannelSeen>& seen) {
  const std::string check = "channel " + settings.channel;
  if (!seen) return unknown(kSlack, check, "not asked, because of the token", kNotAsked);
  if (!*seen) {
    return failed(
        kSlack, check, seen->error(),
        "invite the bot there (/invite @keyturn, in the channel: a private one it is not in looks as if it "
        "didn't exist), or correct slack.channel: channel details, at the bottom");
  }
  const ChannelSeen& channel = **seen;
  if (channel.archived) {
    return wrong(kSlack, check, "it is archived: the team is told nothing",
                 "unarchive it in Slack, or set slack.channel to the one in use and invite the bot there");
  }
  if (!channel.member) {
    return wrong(kSlack, check, "the bot is not in it: the team is told nothing",
                 "in Slack, in that channel: /invite @keyturn");
  }
  if (channel.shared_outside)
    return ok(kSlack, check, "the bot is in it. It is shared with another company, which reads along");
  return ok(kSlack, check, "the bot is in it");
}

Finding judge_person(const std::string& user, const Reply<commands::rotation::OperatorChecked>& seen) {
  const std::string check = "superadmin " + user;
  const std::string remedy =
      "correct slack.superadmins (Slack: profile -> Copy member ID) or the members of "
      "slack.superadmin_group; "
      "somebody who left belongs in neither";
  if (!seen) return failed(kSlack, check, seen.error(), remedy);
  if (!seen->allowed) return wrong(kSlack, check, seen->reason, remedy);
  return ok(kSlack, check, "an active member");
}

Finding judge_group(const SlackSettings& settings, const Asked<std::vector<std::string>>& seen) {
  const std::string check = "group " + settings.superadmin_group;
  const std::string remedy =
      "Slack -> People -> User groups: is it there, enabled, and are the right people in it? Otherwise "
      "correct "
      "slack.superadmin_group. While it can't be read, only those in slack.superadmins may rotate";
  if (!seen) return unknown(kSlack, check, "not asked, because of the token", kNotAsked);
  if (!*seen) return failed(kSlack, check, seen->error(), remedy);
  if ((*seen)->empty()) return wrong(kSlack, check, "it has no members, or is disabled", remedy);
  return ok(kSlack, check, fmt::format("{} member(s)", (*seen)->size()));
}

}  // namespace

const std::map<std::string, std::string>& wanted_scopes() {
  static const std::map<std::string, std::string> kScopes = {
      {"app_mentions:read", "the bot is not told when it is mentioned"},
      {"channels:history", "a message whose answer was lost can't be found again, and might be posted twice"},
      {"channels:read", "the channel can't be looked at"},
      {"chat:write", "the bot can say nothing"},
      {"commands", "there is no /rotate"},
      {"groups:history", "as channels:history, in a private channel"},
      {"groups:read", "as channels:read, of a private channel"},
      {"im:history", "as channels:history, in direct messages"},
      {"im:write", "the operator gets no direct message, and no link"},
      {"usergroups:read", "nobody is a superadmin by the user group"},
      {"users:read", "nobody can be checked, and nobody may rotate"},
  };
  return kScopes;
}

Findings judge_slack(const SlackSettings& settings, const SlackSeen& seen) {
  Findings findings{judge_bot_token(settings, seen.bot_token)};
  if (seen.bot_token && *seen.bot_token && (*seen.bot_token)->scopes) {
    findings.push_back(judge_scopes(*(*seen.bot_token)->scopes));
  } else {
    findings.push_back(unknown(kSlack, "scopes", "Slack did not say which are granted", kNotAsked));
  }
  findings.push_back(judge_app_token(settings, seen));
  findings.push_back(judge_channel(settings, seen.channel));
  if (!settings.superadmin_group.empty()) findings.push_back(judge_group(settings, seen.group));
  for (const auto& [user, answer] : seen.people) findings.push_back(judge_person(user, answer));
  for (const std::string& user : settings.superadmins) {
    if (!seen.people.contains(user))
      findings.push_back(unknown(kSlack, "superadmin " + user, "not asked, because of the token", kNotAsked));
  }
  return findings;
}

}  // namespace keyturn::bot::doctor
