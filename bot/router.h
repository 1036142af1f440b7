// From an envelope to the command that answers it. Knows Slack's shapes and our commands, decides nothing.
// Thread: io only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "commands/home_tabs.h"
#include "integrations/slack/envelope.h"
#include "integrations/slack/web_api.h"

namespace keyturn::bot {

class Router {
 public:
  // References must outlive this.
  Router(commands::Desk& desk, slack::WebApi& api, commands::HomeTabs& homes)
      : desk_(desk), api_(api), homes_(homes) {}

  // What is to be acknowledged (null: plainly). What the envelope changes is on disk when this returns.
  boost::asio::awaitable<nlohmann::json> route(slack::Envelope envelope);

 private:
  void event(const slack::OtherEvent& event);
  boost::asio::awaitable<void> clicks(std::vector<slack::Click> clicks, std::string once);

  commands::Desk& desk_;
  slack::WebApi& api_;
  commands::HomeTabs& homes_;
};

}  // namespace keyturn::bot
