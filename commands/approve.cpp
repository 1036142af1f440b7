// The buttons Approve and Decline: the second person, where the target asks for one. What is wrong with the
// person or the moment is told to them alone, and journaled.
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/rotation/approval.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using rotation::Obstacle;
using rotation::Outcome;
using rotation::State;
using storage::TimePoint;

namespace {

// Whether it is this approval that waits, and that person may settle it.
std::optional<Obstacle> may_not_settle(const State& s, std::size_t number, const std::string& user) {
  if (auto obstacle = rotation::may_not_approve(s, user)) return obstacle;
  if (number != s.approvals.size())
    return Obstacle{"nothing_to_approve",
                    "This message is about an earlier approval; a newer one waits in the channel."};
  return std::nullopt;
}

std::variant<Outcome, Obstacle> settle(const State& s, std::size_t number, const std::string& user,
                                       bool approves, TimePoint now) {
  if (auto obstacle = may_not_settle(s, number, user)) return *std::move(obstacle);
  const auto& asked = s.approvals.back().asked.event;
  const bool back = asked.of == rotation::kOfRollback;
  if (!approves) {
    Outcome declined{.events = {rotation::ApprovalDeclined{user}}, .boxes = {}};
    if (!back) declined.events.emplace_back(rotation::Cancelled{});  // no key is here: one was needed
    return declined;
  }
  Outcome given{.events = {rotation::ApprovalGiven{user}}, .boxes = {}};
  if (!back) return given;
  if (auto obstacle = rotation::no_way_back(s, now)) return *std::move(obstacle);
  given.events.emplace_back(rotation::RollbackRequested{asked.by});
  return given;
}

// Whether that person may act at all: a superadmin, and an active member's own account.
asio::awaitable<std::optional<Obstacle>> objection_to_person(Desk& desk, std::string user) {
  if (auto refused = not_allowed(co_await desk.authority.standing(user), "do that"))
    co_return Obstacle{refused->code, refused->sentence};
  const auto account = co_await account_of(desk, user);
  if (account.allowed) co_return std::nullopt;
  co_return Obstacle{"account_not_allowed", account.reason};
}

}  // namespace

asio::awaitable<void> approve(Desk& desk, slack::Click click, std::string once, Tell tell) {
  const auto which = views::read_approval_value(click.value);
  const auto state = which ? desk.runner.find(which->first) : nullptr;
  if (!state) co_return;
  const bool approves = click.action_id == views::kApprove;
  std::optional<Obstacle> obstacle = co_await objection_to_person(desk, click.user);
  if (const std::string leaver = leaver_objection(desk, click.user); !obstacle && !leaver.empty())
    obstacle = Obstacle{"leaver", leaver};
  if (!obstacle) {
    co_await desk.runner.change(
        state->id, click.user,
        [&](const State& s, TimePoint now) -> std::optional<Outcome> {
          auto settled = settle(s, which->second, click.user, approves, now);
          if (auto* outcome = std::get_if<Outcome>(&settled)) return std::move(*outcome);
          obstacle = std::get<Obstacle>(std::move(settled));
          return std::nullopt;
        },
        once);
  }
  if (!obstacle) co_return;
  co_await record_refusal(desk, click.user,
                          std::string(approves ? "approve " : "decline ") + state->target.name(),
                          obstacle->code, once);
  if (!click.response_url.empty())
    co_await tell(click.response_url, obstacle->sentence + " Nothing has changed.");
}

}  // namespace keyturn::commands
