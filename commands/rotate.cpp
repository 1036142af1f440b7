// /rotate <provider> <environment> [--compromise [what happened]]
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/commands.h"
#include "commands/rotation/decide.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using views::escape;

namespace {

const Target* find_target(const Desk& desk, const std::string& provider, const std::string& environment) {
  for (const Target& target : desk.targets) {
    if (target.provider == provider && target.environment == environment) return &target;
  }
  return nullptr;
}

// `verb`: as typed before the target, "cancel ".
std::string unknown_target(const Desk& desk, const std::string& typed, std::string_view verb,
                           std::string_view end) {
  std::vector<std::string> known;
  known.reserve(desk.targets.size());
  for (const Target& target : desk.targets) known.push_back(target.name());
  const std::string near = nearest(typed, known);
  std::string text = fmt::format("There is no target \"{}\".", escape(typed));
  if (!near.empty()) {
    text += fmt::format(" Did you mean `/rotate {}{}`?", verb, near);
  } else {
    text += " Known: ";
    for (const auto& name : known) text += (&name == &known.front() ? "`" : ", `") + name + "`";
    text += ".";
  }
  return fmt::format("{} {}", text, end);
}

std::string already_live(const Desk& desk, const rotation::State& state, bool compromise) {
  const auto stage = rotation::stage_of(state, desk.clock.now());
  std::string text =
      fmt::format("A rotation of {} is not over yet (started by {} at {}). ", state.target.name(),
                  views::mention(state.operator_id), views::date(state.started_at));
  if (state.recovery() && state.completed) {
    text += "It has put a fresh key in place of a dead one, and proves once more that the old one is dead. ";
  } else if (const auto deadline = state.old_key_deadline(); deadline && state.completed) {
    text += fmt::format(
        "The old key `{}` lives until {}; a second rotation now would end it early and start the clock of "
        "the key in use, `{}`. ",
        state.current->event.fingerprint, views::date(*deadline), state.received->event.fingerprint);
    if (compromise) {
      text += fmt::format(
          "If it is the old key that leaked, `/rotate expire-now {}` ends it now; if it is the key in use, "
          "do that "
          "first, and then start again. ",
          state.target.name());
    }
  } else if (stage == rotation::Stage::awaiting_approval) {
    text += fmt::format(
        "It waits for another superadmin's approval, in the channel; `/rotate cancel {}` ends it. ",
        state.target.name());
    if (compromise) {
      text += fmt::format(
          "A leak waits for nobody's approval: `/rotate cancel {}`, then `/rotate {} --compromise`. ",
          state.target.name(), state.target.name());
    }
  } else if (stage == rotation::Stage::awaiting_operator || stage == rotation::Stage::awaiting_key) {
    text += fmt::format("It waits for its operator; `/rotate cancel {}` ends it. ", state.target.name());
  }
  return text + "`/rotate status` shows where it stands.";
}

std::string started_text(const rotation::State& state) {
  std::string second;
  if (state.target.second_approver) {
    second =
        state.compromise
            ? " A leak waits for nobody's approval: every other superadmin is told that it goes on without."
            : " Then another superadmin has to approve, in the channel.";
  }
  return fmt::format(
      "Rotation of {} started{}. The checks run now;{} the next step comes as a direct message to you. "
      "Nothing "
      "changes before "
      "you rotate the key in the dashboard.",
      state.target.name(), state.compromise ? " for a suspected leak: 1 last look, then act" : "",
      second.empty() ? "" : second + " After that");
}

// One that was rolled back only waits for the next: this is it.
asio::awaitable<void> supersede(Desk& desk, Target target, std::string user) {
  const auto live = desk.runner.live(target.provider, target.environment);
  if (!live || !live->rolled_back) co_return;
  co_await desk.runner.change(live->id, user, [](const rotation::State& s, storage::TimePoint) {
    return s.live() && s.rolled_back
               ? std::optional(rotation::Outcome{.events = {rotation::Closed{"rolled_back"}}, .boxes = {}})
               : std::nullopt;
  });
}

}  // namespace

asio::awaitable<std::string> start_rotation(Desk& desk, RotateCommand command, std::string user,
                                            std::string once) {
  const std::string what = "/rotate " + command.provider + " " + command.environment;
  const Target* target = find_target(desk, command.provider, command.environment);
  if (!target) {
    co_await record_refusal(desk, user, what, "unknown_target", once);
    co_return unknown_target(desk, command.provider + " " + command.environment, "", "Nothing was started.");
  }
  if (const std::string objection = leaver_objection(desk, user); !objection.empty()) {
    co_await record_refusal(desk, user, what, "leaver", once);
    co_return objection + " Nothing was started.";
  }
  co_await supersede(desk, *target, user);
  rotation::Started started{.target = *target,
                            .operator_id = user,
                            .channel = desk.channel,
                            .compromise = command.compromise,
                            .reason = command.reason};
  const auto result = co_await desk.runner.start(std::move(started), once);
  if (const auto* other = std::get_if<rotation::AlreadyLive>(&result)) {
    co_await record_refusal(desk, user, what, "already_live", once);
    co_return already_live(desk, *other->state, command.compromise);
  }
  if (std::holds_alternative<rotation::Duplicate>(result)) co_return "";
  co_return started_text(*std::get<std::shared_ptr<const rotation::State>>(result));
}

std::optional<std::string> no_such_target(const Desk& desk, const std::string& provider,
                                          const std::string& environment, std::string_view verb) {
  if (find_target(desk, provider, environment) != nullptr) return std::nullopt;
  return unknown_target(desk, provider + " " + environment, std::string(verb) + " ", "Nothing has changed.");
}

asio::awaitable<json> rotate(Desk& desk, RotateCommand command, slack::SlashCommand from, std::string once) {
  const std::string what = "/rotate " + command.provider + " " + command.environment;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "rotate a key")) {
    co_await record_refusal(desk, from.user, what, refused->code, once);
    co_return only_you(refused->sentence + " Nothing was started.");
  }
  const std::string told = co_await start_rotation(desk, std::move(command), from.user, std::move(once));
  co_return told.empty() ? json() : only_you(told);
}

}  // namespace keyturn::commands
