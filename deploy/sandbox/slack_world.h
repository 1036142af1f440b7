// The Slack of the sandbox: one workspace, the Web API, Socket Mode, response URLs and "Sign in with Slack"
// on one port, and the people's side of it (commands, clicks) for the workspace page, the player and the
// tests. Thread: io only. Must outlive the servers that run its handler. Knobs beside the common faults:
//   {"kind":"socket","do":...}                      see SlackSockets::fault
//   {"kind":"error","method":"chat.postMessage","error":"internal_error","times":1}   200 with ok:false
//   {"kind":"retry_after","seconds":2}              what a 429 asks for; 0: no header
//   {"kind":"scopes","granted":["chat:write",...]}   what the bot's token may do, instead of the manifest's
//   {"kind":"group","id":"S0SUPER","users":[...]}   who is in a user group
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>

#include "deploy/sandbox/slack_interactions.h"
#include "deploy/sandbox/slack_openid.h"
#include "deploy/sandbox/slack_sockets.h"
#include "deploy/sandbox/slack_traffic.h"
#include "deploy/sandbox/slack_web_api.h"
#include "deploy/sandbox/slack_workspace.h"
#include "deploy/sandbox/vendor.h"

namespace keyturn::sandbox {

class SlackWorld final : public Vendor {
 public:
  SlackWorld(boost::asio::any_io_executor io, const storage::Clock& clock);

  // Where this is served: "127.0.0.1:4001". Once, before requests come.
  void connect(const std::string& authority);

  const std::string& app_token() const { return app_token_; }
  const std::string& bot_token() const { return bot_token_; }
  const std::string& client_secret() const { return openid_.client_secret(); }

  // Where people may come back to from "Sign in with Slack".
  void allow_redirect(const std::string& url) { openid_.allow_redirect(url); }

  // What people do; each answers {"ack":payload|null,"milliseconds":N,"error":null|"operation_timeout"}. See
  // Interactions for the wishes. Throws std::invalid_argument for what makes no sense.
  boost::asio::awaitable<nlohmann::json> command(nlohmann::json wish);
  boost::asio::awaitable<nlohmann::json> click(nlohmann::json wish);
  boost::asio::awaitable<nlohmann::json> submit(nlohmann::json wish);
  boost::asio::awaitable<nlohmann::json> home(nlohmann::json wish);
  boost::asio::awaitable<nlohmann::json> say(nlohmann::json wish);
  boost::asio::awaitable<nlohmann::json> change_person(nlohmann::json wish);

  const std::string& traffic() const { return traffic_.text(); }
  nlohmann::json state() const override;
  net::Response answer(const net::ServerRequest& request) override;

 protected:
  bool turn_knob(const nlohmann::json& knob) override;
  void reset_knobs() override;
  net::Response fault_answer(int status) override;
  boost::asio::awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request,
                                     net::Exchange& exchange) override;

 private:
  struct PlannedError {
    std::string method, error;
    int times = 1;
  };

  boost::asio::awaitable<nlohmann::json> perform(Interaction interaction);
  net::Response api_answer(const net::ServerRequest& request, const std::string& method);
  net::Response respond_answer(const net::ServerRequest& request);
  SlackToken token_of(const net::ServerRequest& request, const nlohmann::json& arguments,
                      const std::string& method) const;
  std::string planned_error(const std::string& method);

  Traffic traffic_;
  Workspace workspace_;
  SlackSockets sockets_;
  SlackWebApi api_;
  Interactions interactions_;
  SlackOpenId openid_;
  std::string app_token_, bot_token_;
  std::deque<nlohmann::json> commands_;  // every command, click, submission with its result
  std::deque<PlannedError> errors_;
  int retry_after_ = 1;
};

// The arguments of a call: of a JSON body where the method reads one, else of the form and the query. The
// error word where the body is broken.
struct SlackArguments {
  nlohmann::json values = nlohmann::json::object();
  std::string error;
};
SlackArguments read_slack_arguments(const net::ServerRequest& request, bool takes_json);

}  // namespace keyturn::sandbox
