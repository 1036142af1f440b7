// /rotate hand-over <provider> <environment> @person, and the button "Take over": another superadmin becomes
// the operator. The link that was out dies; form, buttons and direct messages follow.
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/rotation/approval.h"
#include "commands/views/blocks.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using rotation::OperatorChecked;
using views::escape;
using views::mention;

namespace {

// With 1.5 s for the group's members this leaves time for the answer to the command.
constexpr storage::Duration kAccountLimit = std::chrono::milliseconds(1000);

}  // namespace

asio::awaitable<OperatorChecked> account_of(Desk& desk, std::string user) {
  const OperatorChecked unknown{
      .allowed = false, .reason = "Slack did not say whose account that is; try again.", .name = {}};
  try {
    auto checked = co_await net::within(kAccountLimit, desk.people->check(std::move(user)));
    co_return checked.value_or(unknown);
  } catch (const integrations::ApiError&) {
    co_return unknown;
  }
}

namespace {

// Why that person can't be the operator, or nothing; their name goes into `name`.
asio::awaitable<std::string> objection_to(Desk& desk, std::string user, std::string& name) {
  switch (co_await desk.authority.standing(user)) {
    case Standing::superadmin:
      break;
    case Standing::other:
      co_return fmt::format("{} is no superadmin.", mention(user));
    case Standing::unknown:
      co_return "Slack did not say who the superadmins are. Try again in a minute.";
  }
  const auto checked = co_await account_of(desk, user);
  name = checked.name;
  co_return checked.allowed ? std::string() : checked.reason;
}

std::string told(const rotation::State& s, const std::string& from, const std::string& to) {
  const std::string whom = from == to ? "You have" : mention(to) + " has";
  const rotation::Approval* approval = rotation::given_approval(s, rotation::kOfRotation);
  const bool approved = approval != nullptr && approval->given->event.by == to;
  return fmt::format(
      "{} the rotation of {} now. The current step comes as a direct message{}.{}", whom,
      escape(s.target.name()),
      s.received ? "; the new key is here already" : ", with a new link where one was out",
      approved ? " Because the new operator approved it, another key would need somebody else's approval."
               : "");
}

}  // namespace

asio::awaitable<std::string> pass_on(Desk& desk, std::string rotation, std::string from, std::string to,
                                     std::string once) {
  const auto state = desk.runner.find(rotation);
  if (!state || !state->live() || state->cancelled_at || state->refused)
    co_return "This rotation is over; there is nothing to hand over.";
  if (state->operator_id == to)
    co_return (from == to ? "You have" : mention(to) + " has") + " this rotation already.";
  std::string name;
  if (const std::string objection = co_await objection_to(desk, to, name); !objection.empty()) {
    co_await record_refusal(desk, from, "/rotate hand-over " + state->target.name() + " " + to,
                            "receiver_not_allowed", once);
    co_return objection + " Nothing has changed.";
  }
  if (const auto obstacle = rotation::may_not_take_over(*state, to)) {
    co_await record_refusal(desk, from, "/rotate hand-over " + state->target.name() + " " + to,
                            obstacle->code, once);
    co_return escape(obstacle->sentence) + " Nothing has changed.";
  }
  if (const std::string objection = leaver_objection(desk, to); !objection.empty()) {
    co_await record_refusal(desk, from, "/rotate hand-over " + state->target.name() + " " + to, "leaver",
                            once);
    co_return objection + " Nothing has changed.";
  }
  const bool passed = co_await desk.runner.change(
      state->id, from,
      [&](const rotation::State& s, storage::TimePoint) -> std::optional<rotation::Outcome> {
        if (!s.live() || s.cancelled_at || s.refused || s.operator_id != state->operator_id ||
            rotation::may_not_take_over(s, to))
          return std::nullopt;
        return rotation::Outcome{
            .events = {rotation::HandedOver{.from = s.operator_id, .to = to, .name = name}}, .boxes = {}};
      },
      once);
  if (!passed) co_return "Somebody was faster: `/rotate status` shows who has it now.";
  co_return told(*state, from, to);
}

asio::awaitable<json> hand_over(Desk& desk, HandOverCommand command, slack::SlashCommand from,
                                std::string once) {
  const std::string name = command.provider + " " + command.environment;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "hand over a rotation")) {
    co_await record_refusal(desk, from.user, "/rotate hand-over " + name, refused->code, once);
    co_return only_you(refused->sentence);
  }
  const auto live = desk.runner.live(command.provider, command.environment);
  if (!live) {
    if (const auto unknown = no_such_target(desk, command.provider, command.environment, "hand-over"))
      co_return only_you(*unknown);
    co_return only_you(fmt::format("No rotation of {} is going on.", escape(name)));
  }
  co_return only_you(co_await pass_on(desk, live->id, from.user, command.to, once));
}

}  // namespace keyturn::commands
