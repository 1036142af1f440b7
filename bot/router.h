// From an envelope to the command that answers it. Knows Slack's shapes and our commands, decides nothing.
// Thread: io only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "integrations/slack/envelope.h"
#include "integrations/slack/web_api.h"

namespace keyturn::bot {

class Router {
 public:
  // References must outlive this.
  Router(commands::Desk& desk, slack::WebApi& api) : desk_(desk), api_(api) {}

  // What is to be acknowledged (null: plainly). What the envelope changes is on disk when this returns.
  boost::asio::awaitable<nlohmann::json> route(slack::Envelope envelope);

 private:
  boost::asio::awaitable<void> clicks(std::vector<slack::Click> clicks, std::string once);

  commands::Desk& desk_;
  slack::WebApi& api_;
};

}  // namespace keyturn::bot
