#include "bot/router.h"

#include "bot/log.h"
#include "integrations/error.h"

namespace keyturn::bot {

namespace asio = boost::asio;
using nlohmann::json;

asio::awaitable<json> Router::route(slack::Envelope envelope) {
  if (auto* command = std::get_if<slack::SlashCommand>(&envelope.content)) {
    co_return co_await commands::handle(desk_, std::move(*command), envelope.dedupe_key);
  }
  if (auto* clicked = std::get_if<std::vector<slack::Click>>(&envelope.content)) {
    co_await clicks(std::move(*clicked), envelope.dedupe_key);
  }
  if (const auto* other = std::get_if<slack::OtherEvent>(&envelope.content)) event(*other);
  co_return json();
}

// The home tab is published after the acknowledgement: Slack waits three seconds for one, and for the other
// it doesn't.
void Router::event(const slack::OtherEvent& event) {
  if (event.type != "app_home_opened" || event.team != desk_.team || event.user.empty()) return;
  homes_.opened(event.user);
}

asio::awaitable<void> Router::clicks(std::vector<slack::Click> clicks, std::string once) {
  commands::Tell tell = [this](std::string response_url, std::string text) -> asio::awaitable<void> {
    json message = commands::only_you(text);
    message["replace_original"] = false;
    try {
      co_await api_.respond(std::move(response_url), std::move(message));
    } catch (const integrations::ApiError& error) {
      log::warning("an answer to a click was not delivered", {{"why", error.what()}});
    }
  };
  int number = 0;
  for (auto& click : clicks) {
    co_await commands::handle(desk_, std::move(click), once + "#" + std::to_string(number++), tell);
  }
}

}  // namespace keyturn::bot
