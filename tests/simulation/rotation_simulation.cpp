#include "tests/simulation/rotation_simulation.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/rotation/approval.h"
#include "commands/rotation/syncs.h"
#include "commands/rotation/way_back.h"
#include "commands/views/messages.h"
#include "tests/unit/commands/slack_rules.h"

namespace keyturn::test {
namespace {

constexpr int kStepLimit = 20'000;
constexpr std::size_t kProofLimit = 2000;  // the old key lives on for a day and 3 hours at most

commands::Target simulated_target(Dice& dice) {
  auto target = sample_target();
  if (dice.chance(0.4)) target.consumers.resize(1);
  if (dice.chance(0.2)) target.consumers.push_back({"third", "STRIPE_RESTRICTED_KEY"});
  return target;
}

}  // namespace

std::string dump(const State& state, TimePoint now) {
  std::string text{name_of(stage_of(state, now))};
  for (const auto& message : commands::views::messages_for(state, now)) {
    text += "\n" + message.slot + message.text + message.blocks.dump();
  }
  for (const auto& [action, tries] : state.tries) {
    text += fmt::format("\n{} {} {}", name_of(action.kind), action.subject, tries.count);
  }
  for (const auto& action : state.in_flight)
    text += fmt::format("\n{} {}", name_of(action.kind), action.subject);
  return text + fmt::format("\n{} proofs, {} nudges, {} pages, {} approvals, {} handovers, leg {}",
                            state.proofs.size(), state.nudges.size(), state.pages.size(),
                            state.approvals.size(), state.handovers.size(), state.leg);
}

RotationSimulation::RotationSimulation(std::uint64_t seed, bool calm)
    : dice_(seed), calm_(calm), world_(dice_, calm) {
  state_.id = "rot_" + std::to_string(seed);
  if (!calm) {
    if (dice_.chance(0.2)) world_.expiry_is_late_by = dice_.between(1min, 3h);
    world_.deleted_is_unknown = dice_.chance(0.5);
  }
  auto target = simulated_target(dice_);
  target.second_approver = seed % 3 == 0;  // not by the dice: the other seeds keep their stories
  world_.syncs = seed % 5 == 0;
  if (!calm && seed % 7 == 0) world_.key_is_dead_at_first();
  append({Started{.target = std::move(target),
                  .operator_id = "U1",
                  .channel = "C1",
                  .compromise = dice_.chance(0.3),
                  .reason = "seen in a repository"}});
}

std::string RotationSimulation::ending() const {
  if (state_.closed) return state_.closed->event.outcome;
  return state_.halted ? "halted" : "waiting";
}

void RotationSimulation::require(bool holds, const std::string& what) const {
  if (holds) return;
  std::string story = what + "\nafter:";
  const auto first = journal_.size() > 30 ? journal_.end() - 30 : journal_.begin();
  for (auto entry = first; entry != journal_.end(); ++entry)
    story += "\n  " + storage::to_iso8601(entry->at) + " " + entry->type + " " + entry->data.substr(0, 160);
  throw Violation(story);
}

void RotationSimulation::append(const std::vector<Event>& events) {
  for (const Event& event : events) {
    const State before = state_;
    apply(state_, event, now_);
    journal_.push_back({now_, std::string(type_of(event)), data_of(event).dump()});
    check_event(before, event);
    for (const auto purpose : destroyed_by(event)) boxes_.erase(purpose);
    if (std::holds_alternative<CurrentKeyRead>(event)) boxes_.insert(kOldKey);
    if (std::holds_alternative<KeyReceived>(event)) boxes_.insert(kNewKey);
  }
}

// What must be true before an action may even be asked for.
void RotationSimulation::check_action(const Action& action) {
  const auto has = [this](std::string_view purpose) { return boxes_.contains(purpose); };
  const StripeKey* received = state_.received ? world_.key(state_.received->event.fingerprint) : nullptr;
  switch (action.kind) {
    case ActionKind::probe_old_key:
    case ActionKind::probe_old_again:
    case ActionKind::take_proof:
      require(has(kOldKey), "the old key is gone while it is still needed");
      break;
    case ActionKind::probe_new_key:
      require(has(kNewKey), "the new key is gone before it was probed");
      break;
    case ActionKind::probe_previous_key:
      require(has(kOldKey), "the old key is gone on the way back");
      break;
    case ActionKind::store_key:
      if (state_.way_back()) {
        require(has(kOldKey), "the old key is gone before it was put back");
        require(state_.probed.contains(ActionKind::probe_previous_key),
                "a key is put back that nobody asked about");
        break;
      }
      require(has(kNewKey), "the new key is gone before it was stored");
      require(received != nullptr, "a key is stored that was never received");
      require(received->good(), "a key is stored that is not the replacement of the old one");
      break;
    case ActionKind::update_consumer: {
      require(state_.stored.has_value(), "a consumer is changed before the key is stored");
      require(has(state_.way_back() ? kOldKey : kNewKey), "a key is gone before the consumers have it");
      const std::string& canary = state_.target.consumers.front().app;
      require(action.subject == canary || state_.running.contains(canary), "a consumer before the canary");
      require(!followed(state_, action.subject), "two writers: a consumer is changed that a sync changes");
      break;
    }
    default:
      break;
  }
  if (action.kind >= ActionKind::probe_new_key) require(!state_.cancelled_at, "work after a cancellation");
}

void RotationSimulation::check_event(const State& before, const Event& event) {
  require(!before.closed, "an event after the end");
  if (std::holds_alternative<ConsumerUpdated>(event))
    require(before.stored.has_value(), "updated before stored");
  if (std::holds_alternative<KeyStored>(event)) {
    require(before.received.has_value(), "stored before received");
    const ActionKind asked = before.way_back() ? ActionKind::probe_previous_key : ActionKind::probe_new_key;
    require(before.probed.contains(asked), "stored before validated");
  }
  if (std::holds_alternative<Completed>(event)) {
    require(before.billing_watched && !before.billing_watched->event.failed, "complete with billing failed");
    require(before.billing_watched->event.healthy > 0, "complete without a healthy answer");
    for (const auto& consumer : before.target.consumers) {
      const auto watched = before.watched.find(consumer.app);
      require(watched != before.watched.end(), "complete before " + consumer.app + " was watched");
      require(watched->second.event.totals.failures.empty(), "complete with a failure in the log");
      require(before.running.contains(consumer.app), "complete before " + consumer.app + " runs");
      require(world_.held_by(consumer.app) == world_.stored(), consumer.app + " has another key");
    }
    require(world_.key(world_.stored()) && world_.key(world_.stored())->good(), "complete with a wrong key");
  }
  if (std::holds_alternative<KeyRejected>(event)) {
    const StripeKey* rejected = world_.key(before.received->event.fingerprint);
    require(rejected && !rejected->good(), "a good key is rejected, and it can be seen only once");
  }
  if (std::holds_alternative<RetryRequested>(event)) acted_since_retry_ = false;
  if (std::holds_alternative<ActionStarted>(event)) acted_since_retry_ = true;
  if (std::holds_alternative<Halted>(event))
    require(acted_since_retry_, "trying again stops at once, without having tried anything");
  if (std::holds_alternative<ProofTaken>(event))
    require(before.proofs.size() < kProofLimit, "proofs without end");
  if (std::holds_alternative<ProvenDead>(event)) {
    require(!world_.old_key_alive(now_), "called dead while it is alive");
    require(proofs_in_a_row(before) >= before.target.timing.proof_count, "called dead with too few proofs");
  }
  const bool hopeless = before.way_back() && before.halted && now_ >= *before.old_key_deadline();
  if ((std::holds_alternative<Cancelled>(event) && !hopeless) || std::holds_alternative<Refused>(event))
    require(!before.received, "given up after the key was received");
  for (const auto purpose : destroyed_by(event)) {
    if (std::holds_alternative<Closed>(event)) continue;
    if (purpose == kOldKey) require(state_.proven_dead_at.has_value(), "old key destroyed too early");
    if (purpose == kNewKey) require(state_.completed || state_.rejected, "new key destroyed too early");
  }
  const bool two_persons = before.target.second_approver && !before.compromise;
  if (two_persons && std::holds_alternative<FormIssued>(event)) {
    const Approval* given = given_approval(before, kOfRotation);
    require(given != nullptr, "a link is sent that nobody approved");
    require(given->given->event.by != before.operator_id, "a link is sent to the one who approved it");
  }
  if (const auto* back = std::get_if<RollbackRequested>(&event)) {
    require(!before.compromise, "rolled back after a leak");
    const Approval* given = given_approval(before, kOfRollback);
    require(!two_persons || (given != nullptr && given->given->event.by != back->by),
            "rolled back by one person alone");
  }
  if (before.target.second_approver && before.compromise && std::holds_alternative<FormIssued>(event))
    require(before.approval_bypassed.has_value(), "an approval was bypassed without a word in the journal");
  if (std::holds_alternative<RollbackBegan>(event)) {
    for (const Due& due : in_flight_) {
      const bool writes =
          due.action.kind == ActionKind::store_key || due.action.kind == ActionKind::update_consumer;
      require(!writes, "turned back while a write of the way forth is under way");
    }
  }
  if (std::holds_alternative<RolledBack>(event)) {
    require(before.way_back() && before.billing_watched.has_value(), "rolled back without a watch");
    require(world_.stored() == "old-1", "rolled back, and the store has another key");
    require(before.old_key_checked && world_.old_key_alive(before.old_key_checked->at),
            "rolled back to a key that was dead when last asked");
    require(now_ < *before.old_key_deadline(), "rolled back to a key whose time is over");
    for (const auto& consumer : before.target.consumers) {
      require(world_.held_by(consumer.app) == "old-1",
              "rolled back, and " + consumer.app + " has another key");
      require(before.watched.contains(consumer.app), "rolled back before " + consumer.app + " was watched");
    }
  }
  const auto* closed = std::get_if<Closed>(&event);
  if (closed && closed->outcome == "rolled_back")
    require(before.rolled_back && now_ >= *before.old_key_deadline(), "nobody watches the deadline any more");
  if (closed && closed->outcome == "rotated")
    require(before.proven_dead_at.has_value(), "closed without proof");
  if (std::holds_alternative<Refused>(event))
    require(std::get<Refused>(event).code != "account_unprovable", "nobody is walked out of an outage");
}

void RotationSimulation::check_fold() const {
  State again;
  again.id = state_.id;
  for (const auto& entry : journal_) {
    apply(again, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
  }
  require(dump(again, now_) == dump(state_, now_), "the journal tells another story than the state");
  for (const auto& message : commands::views::messages_for(again, now_)) {
    const auto broken = SlackRules::broken_by(message);
    require(broken.empty(), broken.empty() ? "" : message.slot + ": " + broken.front());
  }
}

void RotationSimulation::decide_and_start() {
  Decision decision = decide(state_, now_);
  for (int turns = 0; !decision.record.empty(); ++turns) {
    require(turns < 10, "conclusions without end");
    for (const Event& event : decision.record) {
      halts += std::holds_alternative<Halted>(event) ? 1 : 0;
      rejections += std::holds_alternative<KeyRejected>(event) ? 1 : 0;
      barred += std::holds_alternative<RollbackBarred>(event) ? 1 : 0;
    }
    append(decision.record);
    decision = decide(state_, now_);
  }
  over_ = decision.done;
  wake_ = decision.wake;
  if (wake_) require(*wake_ > now_, "a wake-up that has passed");
  for (const Action& action : decision.act) {
    const auto running = std::ranges::find_if(
        in_flight_, [&](const Due& due) { return due.action == action && due.leg == state_.leg; });
    if (running != in_flight_.end()) continue;
    check_action(action);
    append({ActionStarted{action}});
    if (action.kind == ActionKind::issue_form)
      append({FormIssued{"hash-" + std::to_string(state_.forms + 1), now_ + state_.target.timing.form_life}});
    in_flight_.push_back({action, state_.leg, now_ + dice_.between(10ms, calm_ ? 1s : 20s)});
  }
}

void RotationSimulation::finish(std::size_t index) {
  const auto [action, leg, at] = in_flight_[index];
  in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(index));
  if (leg != state_.leg) return;  // a read of another leg: the runner drops what it found
  const auto outcome = world_.perform(action, state_, now_);
  append(outcome);
  // The same outcome once more, as after a commit whose answer was lost.
  if (!calm_ && dice_.chance(0.02)) append(outcome);
}

// Everything that isn't in the journal is gone. What was in flight may have happened in the world.
void RotationSimulation::crash() {
  ++crashes;
  for (const Due& due : in_flight_) {
    if (due.leg == state_.leg && dice_.chance(0.5)) world_.perform(due.action, state_, now_);
  }
  in_flight_.clear();
  check_fold();
  State again;
  again.id = state_.id;
  for (const auto& entry : journal_)
    apply(again, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
  state_ = std::move(again);
  now_ += dice_.between(1s, 2h);
}

bool RotationSimulation::waits_for_operator() const {
  if (state_.halted) return true;
  const Stage stage = stage_of(state_, now_);
  return stage == Stage::awaiting_approval || stage == Stage::awaiting_operator ||
         (stage == Stage::awaiting_key && state_.form);
}

void RotationSimulation::operator_uses_form() {
  if (!state_.form_open(now_)) {
    append({LinkRequested{}});
    return;
  }
  if (!calm_ && dice_.chance(0.2)) {
    append({PasteRefused{dice_.chance(0.1) ? "master_key" : "not_a_key", 4 - state_.form->refused_pastes}});
    return;
  }
  const bool at_once = state_.recovery() || (!calm_ && dice_.chance(0.1));
  const Duration grace = at_once ? Duration::zero() : state_.planned_grace();
  const bool wrong = !calm_ && dice_.chance(0.2);
  const auto key = world_.rotate_in_dashboard(grace, now_, wrong);
  // The form may be told another grace than the dashboard was: the default is easily left standing.
  const bool misheard = !state_.recovery() && !calm_ && dice_.chance(0.1);
  const Duration told = misheard ? state_.planned_grace() : grace;
  append({KeyReceived{.fingerprint = key.fingerprint,
                      .grace_chosen = told,
                      .rotated_at = now_,
                      .old_key_expires_at = now_ + told,
                      .peer = "192.0.2.1"}});
}

// Any superadmin may, at any time at which there is a way back.
bool RotationSimulation::somebody_rolls_back(double probability) {
  if (calm_ || !state_.received || no_way_back(state_, now_) || !dice_.chance(probability)) return false;
  if (!state_.target.second_approver) {
    append({RollbackRequested{"U2"}});
  } else if (waiting_approval(state_) == nullptr) {
    append({ApprovalRequested{std::string(kOfRollback), "U2"}});
  } else {
    somebody_settles();
  }
  return true;
}

// Another superadmin looks at what is to be approved, as approve.cpp lets them.
void RotationSimulation::somebody_settles() {
  const bool back = waiting_approval(state_)->asked.event.of == kOfRollback;
  const std::string person = "U" + std::to_string(dice_.from(2, 5));
  if (may_not_approve(state_, person)) return;
  if (!calm_ && dice_.chance(0.1)) {
    append({ApprovalDeclined{person}});
    if (!back) append({Cancelled{}});
  } else if (!back) {
    append({ApprovalGiven{person}});
  } else {
    append({ApprovalGiven{person}, RollbackRequested{waiting_approval(state_)->asked.event.by}});
  }
}

// Whoever has the time; approvers too, in front of whom hand_over.cpp stands.
bool RotationSimulation::somebody_takes_over() {
  // Each of them waits anew; a story of nothing but take-overs would have no end.
  const bool enough = state_.handovers.size() > 2;
  if (calm_ || enough || !state_.target.second_approver || !dice_.chance(0.01)) return false;
  const std::string person = "U" + std::to_string(dice_.from(2, 3));
  if (person == state_.operator_id || state_.cancelled_at || state_.refused || !state_.live()) return false;
  if (may_not_take_over(state_, person)) return false;
  append({HandedOver{.from = state_.operator_id, .to = person, .name = person}});
  return true;
}

void RotationSimulation::operator_acts() {
  operator_at_.reset();
  if (state_.halted) {
    if (somebody_rolls_back(0.3)) return;
    // What was put back is dead: there is nothing to try again. A fresh key is made by hand.
    if (state_.way_back() && now_ >= *state_.old_key_deadline()) return append({Cancelled{}});
    world_.mend();
    world_.log_shows_failure = false;
    append({RetryRequested{}});
  } else if (stage_of(state_, now_) == Stage::awaiting_approval) {
    if (waiting_approval(state_) != nullptr) somebody_settles();
  } else if (stage_of(state_, now_) == Stage::awaiting_operator) {
    append({OperatorConfirmed{{"ready"}, ""}});
  } else if (!calm_ && !state_.received && dice_.chance(0.03)) {
    append({Cancelled{}});
  } else if (state_.form && !state_.received) {
    operator_uses_form();
  }
}

// One event of the world; false when nothing will ever happen any more.
bool RotationSimulation::step() {
  decide_and_start();
  if (over_) return false;
  if (!waits_for_operator()) operator_at_.reset();
  if (waits_for_operator() && !operator_at_ && !operator_gone_) {
    operator_gone_ = !calm_ && dice_.chance(0.02);
    if (!operator_gone_)
      operator_at_ = now_ + dice_.between(5s, dice_.chance(0.2) ? Duration(1h) : Duration(2min));
  }
  std::optional<TimePoint> next = wake_;
  const auto sooner = [&next](std::optional<TimePoint> time) {
    if (time) next = std::min(next.value_or(*time), *time);
  };
  sooner(operator_at_);
  for (const Due& due : in_flight_) sooner(due.at);
  if (!next) return false;
  now_ = std::max(now_, *next);
  if (!calm_ && dice_.chance(0.01)) {
    crash();
    return true;
  }
  if (somebody_rolls_back(0.01)) return true;
  if (somebody_takes_over()) return true;
  if (state_.way_back() && state_.billing_watched && !state_.expiry_checked && dice_.chance(0.1))
    world_.meddle(state_);
  if (operator_at_ && now_ >= *operator_at_) {
    operator_acts();
    return true;
  }
  const auto due = std::ranges::find_if(in_flight_, [this](const Due& one) { return one.at <= now_; });
  if (due != in_flight_.end()) finish(static_cast<std::size_t>(due - in_flight_.begin()));
  return true;
}

void RotationSimulation::run() {
  int steps = 0;
  while (step()) {
    ++steps;
    require(steps < kStepLimit, "no end after " + std::to_string(steps) + " events");
    if (steps % 64 == 0) check_fold();
  }
  check_fold();
  require(state_.closed || (operator_gone_ && waits_for_operator()), "stuck without waiting for a person");
  const bool told = state_.reminded || !state_.nudges.empty() || !state_.pages.empty() ||
                    state_.tries.contains({ActionKind::page_others, {}});  // nobody says whom to tell
  const bool late = state_.received && now_ >= *state_.old_key_deadline();
  require(state_.closed || told || late, "it waits for a person whom nobody reminded");
  if (state_.closed) require(boxes_.empty(), "a sealed key outlives its rotation");
}

}  // namespace keyturn::test
