// Clicks on our buttons: ready, new link, try again, cancel. (approve.cpp has the second person's.)
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/commands.h"
#include "commands/rotation/approval.h"
#include "commands/rotation/decide.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/way_back.h"
#include "commands/views/approval.h"
#include "commands/views/attendance.h"
#include "commands/views/blocks.h"
#include "commands/views/board.h"
#include "commands/views/drift.h"
#include "commands/views/messages.h"
#include "commands/views/rollback.h"
#include "integrations/stripe/key_format.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using rotation::Outcome;
using rotation::State;
using storage::TimePoint;

namespace {

constexpr std::size_t kReasonLimit = 1200;  // bytes: Slack's field takes 300 characters

// state.values[block][action]; an empty object where it isn't.
json value_at(const json& values, std::string_view block, std::string_view action) {
  if (!values.is_object()) return json::object();
  const auto found = values.find(std::string(block));
  if (found == values.end() || !found->is_object()) return json::object();
  const auto value = found->find(std::string(action));
  return value != found->end() && value->is_object() ? *value : json::object();
}

std::vector<std::string> ticked(const json& values) {
  std::vector<std::string> chosen;
  const json box = value_at(values, views::kPrerequisites, views::kConfirmations);
  for (const json& option : box.value("selected_options", json::array())) {
    if (option.is_object() && option.contains("value") && option["value"].is_string())
      chosen.push_back(option["value"]);
  }
  return chosen;
}

std::string reason_in(const json& values) {
  const json input = value_at(values, views::kReason, views::kReason);
  const auto found = input.find("value");
  if (found == input.end() || !found->is_string()) return {};
  return views::cut(stripe::redact(found->get<std::string>()), kReasonLimit);
}

// What a click asks for: the events, or a sentence for the person who clicked.
using Answer = std::variant<Outcome, std::string>;

Answer ready(const State& s, const json& values, TimePoint now) {
  if (s.confirmed_at) return "That is confirmed already.";
  if (rotation::needs_approval(s)) return "Another superadmin has to approve first, in the channel.";
  if (rotation::stage_of(s, now) != rotation::Stage::awaiting_operator) return "The checks are not done yet.";
  if (rotation::objection(s)) return "The checks found something that stops this rotation.";
  const auto words = views::confirmations(s);
  const auto boxes = ticked(values);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (std::ranges::find(boxes, std::to_string(i)) == boxes.end()) {
      return fmt::format("Please tick every box first. Missing: \"{}\".", words[i]);
    }
  }
  const std::string reason = reason_in(values);
  if (s.compromise && s.reason.empty() && reason.empty()) return "Please say in a few words what happened.";
  return Outcome{.events = {rotation::OperatorConfirmed{words, reason}}, .boxes = {}};
}

Answer new_link(const State& s, TimePoint now) {
  if (s.may_set_key_aside()) {
    return Outcome{.events = {rotation::KeyRejected{std::string(rotation::kSetAside),
                                                    "The operator set this key aside to paste another one."},
                              rotation::RetryRequested{}},
                   .boxes = {}};
  }
  if (s.received) return "The new key is here already; no link is needed.";
  if (!s.confirmed_at || !s.form) return "No link has been sent yet.";
  if (s.form_open(now)) return "The link that you have still works.";
  return Outcome{.events = {rotation::LinkRequested{}}, .boxes = {}};
}

Answer retry(const State& s) {
  if (!s.halted) return "Nothing waits for a retry.";
  return Outcome{.events = {rotation::RetryRequested{}}, .boxes = {}};
}

Answer roll_back(const State& s, const std::string& user, TimePoint now) {
  if (const auto obstacle = rotation::no_way_back(s, now)) return obstacle->sentence;
  if (s.target.second_approver) {
    Outcome asked;
    if (const auto* waiting = rotation::waiting_approval(s)) {
      if (waiting->asked.event.of == rotation::kOfRollback)
        return "An approval is asked for already, in the channel.";
      asked.events.emplace_back(rotation::ApprovalLapsed{std::string(rotation::kNotNeeded)});  // the key came
    }
    asked.events.emplace_back(rotation::ApprovalRequested{std::string(rotation::kOfRollback), user});
    return asked;
  }
  return Outcome{.events = {rotation::RollbackRequested{user}}, .boxes = {}};
}

Answer cancel_click(const State& s) {
  if (s.received && s.recovery()) return "The fresh key is here already. Let it finish.";
  if (s.received) return "The new key is here already, and the old one is expiring. Let the rotation finish.";
  return Outcome{.events = {rotation::Cancelled{}}, .boxes = {}};
}

Answer answer_to(const State& s, const slack::Click& click, TimePoint now) {
  if (!s.live() || s.cancelled_at || s.refused)
    return "This rotation is over; the button no longer does anything.";
  if (click.action_id == views::kRollBack) return roll_back(s, click.user, now);  // whoever is awake
  if (click.user != s.operator_id) return "Only the operator of this rotation can do that.";
  if (click.action_id == views::kReady) return ready(s, click.state, now);
  if (click.action_id == views::kNewLink) return new_link(s, now);
  if (click.action_id == views::kRetry) return retry(s);
  if (click.action_id == views::kCancel) return cancel_click(s);
  return "";  // not one of ours: checkboxes and links also send clicks
}

// What brings a key, or puts one back. Cancelling doesn't: that is for whoever leaves, too.
bool goes_on(const slack::Click& click) {
  return click.action_id == views::kReady || click.action_id == views::kNewLink ||
         click.action_id == views::kRetry || click.action_id == views::kRollBack;
}

}  // namespace

asio::awaitable<void> handle(Desk& desk, slack::Click click, std::string once, Tell tell) {
  if (click.app != desk.app || click.team != desk.team) co_return;
  if (click.action_id == views::kApprove || click.action_id == views::kDecline)
    co_return co_await approve(desk, std::move(click), std::move(once), std::move(tell));
  if (click.action_id == views::kOffboardRotate || click.action_id == views::kOffboardEnd)
    co_return co_await offboard_click(desk, std::move(click), std::move(once), std::move(tell));
  if (click.action_id == views::kRepair)
    co_return co_await repair_click(desk, std::move(click), std::move(once), std::move(tell));
  const auto state = desk.runner.find(click.value);
  if (!state) {
    if (!click.response_url.empty())
      co_await tell(
          click.response_url,
          "This message is of a rotation that Keyturn's journal does not know (it may have been restored "
          "from a backup): nothing happens. `/rotate status` shows where things stand.");
    co_return;
  }
  std::string sentence;
  if (const auto refused = not_allowed(co_await desk.authority.standing(click.user), "do that")) {
    sentence = refused->sentence;
    co_await record_refusal(desk, click.user, "button of " + state->target.name(), refused->code, once);
  } else if (const std::string leaver = leaver_objection(desk, click.user);
             !leaver.empty() && goes_on(click)) {
    co_await record_refusal(desk, click.user, "button of " + state->target.name(), "leaver", once);
    sentence = leaver + " Nothing has changed.";
  } else if (click.action_id == views::kTakeOver) {
    sentence = co_await pass_on(desk, state->id, click.user, click.user, once);
  } else {
    co_await desk.runner.change(
        state->id, click.user,
        [&](const State& s, TimePoint now) -> std::optional<Outcome> {
          Answer answer = answer_to(s, click, now);
          if (auto* outcome = std::get_if<Outcome>(&answer)) return std::move(*outcome);
          sentence = std::get<std::string>(answer);
          return std::nullopt;
        },
        once);
  }
  if (!sentence.empty() && !click.response_url.empty()) co_await tell(click.response_url, sentence);
}

}  // namespace keyturn::commands
