// /rotate cancel <provider> <environment> [--give-up]: before the new key was received, nothing has changed
// and a rotation can end. One that stopped afterwards can be given up, by saying so.
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;

asio::awaitable<json> cancel(Desk& desk, CancelCommand command, slack::SlashCommand from, std::string once) {
  const std::string name = command.provider + " " + command.environment;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "cancel a rotation")) {
    co_await record_refusal(desk, from.user, "/rotate cancel " + name, refused->code, once);
    co_return only_you(refused->sentence);
  }
  const auto live = desk.runner.live(command.provider, command.environment);
  if (!live) {
    if (const auto unknown = no_such_target(desk, command.provider, command.environment, "cancel"))
      co_return only_you(*unknown);
    co_return only_you(fmt::format("No rotation of {} is going on.", views::escape(name)));
  }
  const bool had_key = live->received.has_value();
  const bool cancelled = co_await desk.runner.change(
      live->id, from.user,
      [give_up = command.give_up](const rotation::State& state,
                                  storage::TimePoint) -> std::optional<rotation::Outcome> {
        const bool allowed = state.received ? state.halted && give_up : true;
        if (!allowed || !state.live() || state.cancelled_at) return std::nullopt;
        return rotation::Outcome{.events = {rotation::Cancelled{}}, .boxes = {}};
      },
      once);
  if (cancelled && live->recovery()) {
    co_return only_you(fmt::format(
        "The rotation of {} is {}. *Stripe refuses the key that billing runs on*: start again, or put a key "
        "that "
        "works into Infisical and every app by hand. A fresh key that is used nowhere: dashboard → ⋯ → "
        "*Expire "
        "key*.",
        views::escape(name), had_key ? "given up, and the sealed keys are destroyed" : "cancelled"));
  }
  if (cancelled && had_key) {
    co_return only_you(
        fmt::format("The rotation of {} is given up, and the sealed keys are destroyed. Nothing proves that "
                    "its old key is dead: check that in the dashboard.",
                    views::escape(name)));
  }
  if (cancelled) {
    co_return only_you(
        fmt::format("The rotation of {} is cancelled. If \"Rotate API key\" was clicked already, the key in "
                    "use is expiring: start again and paste the new one.",
                    views::escape(name)));
  }
  if (live->halted) {
    co_return only_you(
        fmt::format("This rotation stopped with the new key in Keyturn's hands. *Try again* in the "
                    "operator's DM goes on with it. If it "
                    "can't be finished, make sure first that Infisical and every app hold a key that works; "
                    "then `/rotate cancel {} "
                    "--give-up` ends it and destroys the sealed keys.",
                    views::escape(name)));
  }
  co_return only_you(
      live->recovery()
          ? "The fresh key is here already: cancelling now would leave billing without one. Let "
            "it finish."
          : "The new key is here already, and the old one is expiring: cancelling now would leave "
            "billing on a key that dies. Let the rotation finish.");
}

}  // namespace keyturn::commands
