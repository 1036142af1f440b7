// Everything that the sandbox's Slack remembers: people, conversations, views, and the capabilities it handed
// out. Plain data for the parts that act on it. Thread: io only.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "deploy/sandbox/slack_capabilities.h"
#include "deploy/sandbox/slack_conversations.h"
#include "deploy/sandbox/slack_people.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

// What deploy/slack/manifest.json asks for.
inline const std::set<std::string> kManifestScopes = {
    "app_mentions:read", "channels:history", "channels:read", "chat:write",
    "commands",          "groups:history",   "groups:read",   "im:history",
    "im:write",          "usergroups:read",  "users:read"};

struct Workspace {
  explicit Workspace(const storage::Clock& time) : clock(time) {}

  const storage::Clock& clock;
  People people;
  Conversations conversations;
  std::set<std::string> scopes = kManifestScopes;  // of the bot's token
  Triggers triggers;
  ResponseUrls response_urls;
  std::map<std::string, nlohmann::json> views;  // modals that are open, by id
  std::map<std::string, nlohmann::json> homes;  // home tabs, by user
  // What people ticked and typed in a message: "channel/ts/user" -> {block_id: {action_id: {...}}}.
  std::map<std::string, nlohmann::json> inputs;
};

// Blocks named, text shortened to Slack's 40,000 characters, added to the conversation. Returns the message's
// ts.
std::string post(Workspace& workspace, Conversation& conversation, Message message);

// A field's text; "" when there is none or it is something else.
std::string text_of(const nlohmann::json& object, const char* name);

}  // namespace keyturn::sandbox
