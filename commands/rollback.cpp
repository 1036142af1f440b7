// /rotate rollback <provider> <environment>: says whether there is a way back and what it would do, with the
// button that begins it (buttons.cpp).
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/rotation/way_back.h"
#include "commands/views/blocks.h"
#include "commands/views/rollback.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;

asio::awaitable<json> rollback(Desk& desk, RollbackCommand command, slack::SlashCommand from,
                               std::string once) {
  const std::string name = command.provider + " " + command.environment;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "roll back a rotation")) {
    co_await record_refusal(desk, from.user, "/rotate rollback " + name, refused->code, once);
    co_return only_you(refused->sentence);
  }
  const auto live = desk.runner.live(command.provider, command.environment);
  if (!live) {
    if (const auto unknown = no_such_target(desk, command.provider, command.environment, "rollback"))
      co_return only_you(*unknown);
    co_await record_refusal(desk, from.user, "/rotate rollback " + name, "nothing_to_roll_back", once);
    co_return only_you(
        fmt::format("No rotation of {} is going on, so its old key is dead or was never replaced: there is "
                    "nothing to roll back to.",
                    views::escape(name)));
  }
  const auto now = desk.clock.now();
  json answer = only_you(views::rollback_answer(*live, now));
  if (const auto obstacle = rotation::no_way_back(*live, now)) {
    co_await record_refusal(desk, from.user, "/rotate rollback " + name, obstacle->code, once);
    co_return answer;
  }
  answer["blocks"] = json::array(
      {views::section(answer["text"]), views::actions("rollback_actions", {views::rollback_button(*live)})});
  co_return answer;
}

}  // namespace keyturn::commands
