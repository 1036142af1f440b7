// Slack's Web API methods as far as a bot like ours may call them, with the refusals that the method
// reference names. Source: docs.slack.dev/reference/methods. Knows nothing of HTTP: arguments in, answer out.
// Thread: io only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "deploy/sandbox/slack_sockets.h"
#include "deploy/sandbox/slack_workspace.h"

namespace keyturn::sandbox {

enum class SlackToken { none, unknown, app, bot };

class SlackWebApi {
 public:
  SlackWebApi(Workspace& workspace, SlackSockets& sockets) : workspace_(workspace), sockets_(sockets) {}

  // Where the sockets and response URLs are: "127.0.0.1:4001".
  void set_authority(std::string authority) { authority_ = std::move(authority); }

  // Whether the method reads a JSON body; the others read forms and query strings only.
  static bool takes_json(std::string_view method);

  // The whole answer, {"ok":...}.
  nlohmann::json call(const std::string& method, SlackToken token, const nlohmann::json& arguments);

  // "X-OAuth-Scopes" of an answer to that token: "chat:write,users:read".
  std::string granted(SlackToken token) const;

  // A message sent to a response URL ("/commands/..."): empty, or the error word.
  std::string respond(const std::string& path, const nlohmann::json& message);

 private:
  using Json = nlohmann::json;
  Json connections_open(const Json& arguments);
  Json auth_test(const Json& arguments);
  Json post_message(const Json& arguments);
  Json post_ephemeral(const Json& arguments);
  Json update_message(const Json& arguments);
  Json delete_message(const Json& arguments);
  Json open_conversation(const Json& arguments);
  Json conversation_info(const Json& arguments);
  Json history(const Json& arguments);
  Json user_info(const Json& arguments);
  Json permalink(const Json& arguments);
  Json group_users(const Json& arguments);
  Json bot_info(const Json& arguments);
  Json open_view(const Json& arguments);
  Json update_view(const Json& arguments);
  Json publish_view(const Json& arguments);

  struct Method {
    Json (SlackWebApi::*run)(const Json&);
    bool json_input;
    SlackToken token;
    std::string_view scope;  // what a bot's token must have been granted; empty: nothing
  };
  static const std::map<std::string_view, Method>& methods();

  Conversation* place_to_post(const std::string& channel, std::string& error);
  Json stamped_view(Json view, const std::string& id, const std::string& user);

  Workspace& workspace_;
  SlackSockets& sockets_;
  std::string authority_;
};

}  // namespace keyturn::sandbox
