// /rotate expire-now <provider> <environment>: the old key is to end before its deadline. The check and the
// dashboard's steps come as a direct message to the operator; Keyturn looks until the key is dead.
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/rotation/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using rotation::State;
using storage::TimePoint;

namespace {

// Why it can't be now, or nothing.
std::string objection(const State& s, TimePoint now) {
  const rotation::Approval* waiting = rotation::waiting_approval(s);
  if (s.live() && s.rollback && !s.rolled_back)
    return "The way back is being gone, and billing depends on the old key: it must not end now.";
  if (waiting != nullptr && waiting->asked.event.of == rotation::kOfRollback) {
    return "A way back to the old key waits for an approval, in the channel: it needs that key. Somebody has "
           "to decline it there before the old key may end.";
  }
  if (!s.completed) {
    return "The new key is not in place and verified yet: ending the old one now would stop billing. Let the "
           "rotation get there first.";
  }
  if (s.proven_dead_at || !s.proofs.empty() || now >= *s.old_key_deadline())
    return "The old key's time is over already; its end is being proven.";
  if (s.halted) return "The rotation is stopped. Settle that first: what it says may be about the new key.";
  return {};
}

}  // namespace

asio::awaitable<json> expire_now(Desk& desk, ExpireNowCommand command, slack::SlashCommand from,
                                 std::string once) {
  const std::string name = command.provider + " " + command.environment;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "end an old key early")) {
    co_await record_refusal(desk, from.user, "/rotate expire-now " + name, refused->code, once);
    co_return only_you(refused->sentence);
  }
  const auto live = desk.runner.live(command.provider, command.environment);
  if (!live) {
    if (const auto unknown = no_such_target(desk, command.provider, command.environment, "expire-now"))
      co_return only_you(*unknown);
    co_return only_you(fmt::format(
        "No rotation of {} is going on, so there is no old key whose end could be brought forward.",
        views::escape(name)));
  }
  std::string why_not;
  const bool requested = co_await desk.runner.change(
      live->id, from.user,
      [&](const State& s, TimePoint now) -> std::optional<rotation::Outcome> {
        why_not = objection(s, now);
        if (!why_not.empty()) return std::nullopt;
        return rotation::Outcome{.events = {rotation::ExpiryRequested{}}, .boxes = {}};
      },
      once);
  if (!why_not.empty()) co_return only_you(why_not);
  if (!requested) co_return json();  // answered the first time
  co_return only_you(
      fmt::format("Checking that nothing holds the old key of {} any more. What was found, and what to "
                  "click, comes as a direct "
                  "message to {}. Don't click before.",
                  views::escape(name), views::mention(live->operator_id)));
}

}  // namespace keyturn::commands
