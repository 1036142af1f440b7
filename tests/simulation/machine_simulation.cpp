#include "tests/simulation/machine_simulation.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>

#include "commands/rotation/approval.h"
#include "commands/rotation/way_back.h"

namespace keyturn::test {

namespace asio = boost::asio;

namespace {

constexpr int kTurnLimit = 20'000;
constexpr const char* kRotationStarted = "slash-1";

enum class Dies { never, before_effect, after_effect };

}  // namespace

// Actions that take their time, and may die in the middle.
class MachineSimulation::Worker final : public Performer {
 public:
  explicit Worker(MachineSimulation& machine) : machine_(machine) {}

  asio::awaitable<Outcome> perform(Action action, std::shared_ptr<const State> state,
                                   Recorder record) override {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (action.kind == ActionKind::issue_form) {
      const std::string hash = "hash-" + std::to_string(state->forms + 1);
      Outcome issued;
      issued.events.emplace_back(FormIssued{hash, machine_.clock_.now() + state->target.timing.form_life});
      issued.boxes.push_back({{state->id, std::string(kFormKey)}, {"wrapped", "form"}});
      co_await record(std::move(issued));
    }
    co_await pass(machine_.dice_.between(10ms, 20s));
    if (dies == Dies::before_effect) co_await die();
    machine_.check_effect(action, state->leg);
    ++machine_.effects;
    if (action.kind == ActionKind::take_proof) ++machine_.looks_since_hand_;
    Outcome outcome{.events = machine_.world_.perform(action, *state, machine_.clock_.now()), .boxes = {}};
    if (dies == Dies::after_effect) co_await die();
    if (action.kind == ActionKind::read_current_key)
      outcome.boxes.push_back({{state->id, std::string(kOldKey)}, {"wrapped", "old"}});
    co_return outcome;
  }

  // The moment at which the next of them goes on; it is told then.
  std::optional<TimePoint> next() const {
    std::optional<TimePoint> soonest;
    for (const auto& pause : pauses_) soonest = std::min(soonest.value_or(pause->until), pause->until);
    return soonest;
  }
  void wake() {
    for (const auto& pause : pauses_) {
      if (pause->until <= machine_.clock_.now()) pause->timer.cancel();
    }
  }

  Dies dies = Dies::never;

 private:
  struct Pause {
    TimePoint until;
    asio::steady_timer timer;
  };

  asio::awaitable<void> pass(Duration duration) {
    const auto io = co_await asio::this_coro::executor;
    const auto pause = std::make_shared<Pause>(Pause{
        machine_.clock_.now() + duration, asio::steady_timer(io, asio::steady_timer::time_point::max())});
    pauses_.push_back(pause);
    boost::system::error_code ignored;
    while (machine_.clock_.now() < pause->until)
      co_await pause->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    std::erase(pauses_, pause);
  }
  asio::awaitable<void> die() {
    machine_.worker_dead_ = true;
    asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    co_await never.async_wait(asio::use_awaitable);
  }

  MachineSimulation& machine_;
  std::vector<std::shared_ptr<Pause>> pauses_;
};

class MachineSimulation::Process {
 public:
  explicit Process(MachineSimulation& machine)
      : worker(machine), runner(io.get_executor(), machine.journal_, machine.clock_, worker, {}) {
    runner.load(machine.journal_.replayed(machine.clock_.now()));
    runner.resume();
  }
  asio::io_context io{1};
  Worker worker;
  Runner runner;
};

MachineSimulation::MachineSimulation(std::uint64_t seed, Duration outage)
    : dice_(seed),
      world_(dice_, dice_.chance(0.3)),
      outage_(outage),
      compromise_(outage != Duration::zero() || dice_.chance(0.3)),
      second_approver_(seed % 3 == 0) {
  if (outage_ == Duration::zero() && dice_.chance(0.05)) outage_ = dice_.between(1min, 3h);
  if (dice_.chance(0.2)) world_.expiry_is_late_by = dice_.between(1min, 3h);
  world_.deleted_is_unknown = dice_.chance(0.5);
  world_.syncs = seed % 5 == 0;
  if (outage == Duration::zero() && seed % 7 == 0) world_.key_is_dead_at_first();
}

MachineSimulation::~MachineSimulation() = default;

std::string MachineSimulation::ending() const {
  if (told_.closed) return told_.closed->event.outcome;
  return told_.halted ? "halted" : "waiting";
}

void MachineSimulation::require(bool holds, const std::string& what) const {
  if (holds) return;
  std::string story = what + "\nafter:";
  const auto& all = journal_.written;
  for (std::size_t i = all.size() > 30 ? all.size() - 30 : 0; i < all.size(); ++i)
    story += "\n  " + storage::to_iso8601(all[i].at) + " " + all[i].type + " " + all[i].data.substr(0, 160);
  throw Violation(story);
}

void MachineSimulation::boot() {
  process_.reset();
  journal_.dead = worker_dead_ = disk_refuses_ = false;
  journal_.refuse_next = 0;
  journal_.death = MemoryJournal::Death::none;
  process_ = std::make_unique<Process>(*this);
  settle();
}

void MachineSimulation::settle() {
  process_->worker.wake();
  process_->io.restart();
  process_->io.poll();
  check();
}

// ---- what must hold

void MachineSimulation::check() {
  require(violation_.empty(), violation_);
  for (; read_ < journal_.written.size(); ++read_) {
    const auto& entry = journal_.written[read_];
    if (told_.id.empty()) told_.id = entry.rotation;
    require(entry.rotation == told_.id, "a second rotation of the target has begun beside a live one");
    const State before = told_;
    apply(told_, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
    check_entry(before, entry);
  }
  check_key_is_somewhere();
  if (journal_.dead || worker_dead_) return;
  int live = 0;
  for (const auto& state : process_->runner.all()) live += state->live() ? 1 : 0;
  require(live <= 1, "two live rotations of one target");
  if (++settled_ % 32 == 0 || disk_refuses_ || told_.closed) check_memory();
}

void MachineSimulation::check_memory() const {
  if (told_.id.empty()) return;
  const auto state = process_->runner.find(told_.id);
  require(state != nullptr, "the journal holds a rotation that the runner doesn't know");
  const std::string held = dump(*state, clock_.now()), folded = dump(told_, clock_.now());
  const auto differs = std::ranges::mismatch(held, folded);
  require(held == folded, "what the runner holds in memory is not the fold of the journal: \"" +
                              std::string(differs.in1, held.end()).substr(0, 200) + "\" instead of \"" +
                              std::string(differs.in2, folded.end()).substr(0, 200) + "\"");
}

void MachineSimulation::check_entry(const State& before, const storage::Entry& entry) {
  const Event event = read_event(entry.type, nlohmann::json::parse(entry.data));
  require(!before.closed || std::holds_alternative<MessageIntended>(event), "an event after the end");
  const bool green = std::holds_alternative<Completed>(event);
  const auto* closed = std::get_if<Closed>(&event);
  if (green) {
    for (const auto& consumer : before.target.consumers)
      require(world_.held_by(consumer.app) == world_.stored(), consumer.app + " is green with another key");
  }
  if (green || (closed && closed->outcome == "rotated")) {
    const StripeKey* key = world_.key(world_.stored());
    require(key && key->good(), "green with a key that is not the replacement");
  }
  if (closed && closed->outcome == "rotated") {
    require(!world_.old_key_alive(clock_.now()), "closed with the old key alive");
    for (const auto& consumer : before.target.consumers)
      require(world_.held_by(consumer.app) == world_.stored() || looks_since_hand_ == 0,
              "closed as rotated, and " + consumer.app + " was seen with another key");
    require(proofs_in_a_row(before) >= before.target.timing.proof_count, "closed with too few proofs");
  }
  if (std::holds_alternative<ProvenDead>(event))
    require(!world_.old_key_alive(clock_.now()), "called dead while it is alive");
  if (std::holds_alternative<RolledBack>(event)) {
    require(world_.stored() == "old-1", "rolled back, and the store has another key");
    for (const auto& consumer : before.target.consumers)
      require(world_.held_by(consumer.app) == "old-1" || by_hand > 0,
              "rolled back, and " + consumer.app + " has another key");
  }
  if (std::holds_alternative<KeyRejected>(event)) {
    const StripeKey* rejected = world_.key(before.received->event.fingerprint);
    require(rejected && !rejected->good(), "a good key is rejected, and it can be seen only once");
  }
}

// Once the page has said "received", the key is in its box until it is in the store, or proven to be a wrong
// one.
void MachineSimulation::check_key_is_somewhere() const {
  for (const auto purpose : told_.sealed())
    require(journal_.boxes.contains({told_.id, std::string(purpose)}),
            "a sealed copy is gone while it is needed");
  const bool settled = told_.rejected || told_.cancelled_at || told_.way_back();
  if (settled || !told_.received) return;
  const std::string& fingerprint = told_.received->event.fingerprint;
  const bool sealed = journal_.boxes.contains({told_.id, std::string(kNewKey)});
  require(sealed || world_.stored() == fingerprint, "a key that was received is lost");
  require(sealed || told_.completed, "a key left its box before the rotation was complete");
  if (!told_.closed && !told_.proven_dead_at)
    require(journal_.boxes.contains({told_.id, std::string(kOldKey)}),
            "the old key is lost while it is needed");
}

void MachineSimulation::check_effect(const Action& action, int leg) {
  for (; folded_ < journal_.written.size(); ++folded_) {
    const auto& entry = journal_.written[folded_];
    apply(on_disk_, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
  }
  const bool writes = action.kind == ActionKind::store_key || action.kind == ActionKind::update_consumer;
  // What was asked before somebody turned back is dropped when the answer comes.
  if (!writes && leg != on_disk_.leg) return;
  if (!on_disk_.in_flight.contains(action))
    violation_ = "an effect without its intent in the journal: " + std::string(name_of(action.kind));
  const std::string purpose(on_disk_.way_back() ? kOldKey : kNewKey);
  if (writes && !journal_.boxes.contains({told_.id, purpose})) violation_ = "a write without the sealed key";
}

// Nobody comes any more: then somebody has been told, or will be.
void MachineSimulation::check_waiting() const {
  const auto decision = decide(told_, clock_.now());
  require(waits_for_operator(), "stuck without waiting for a person");
  if (told_.halted && told_.received) {
    const bool due = !told_.reminded && clock_.now() < *told_.old_key_deadline();
    require(!due || decision.wake.has_value(), "it has stopped, and no reminder is due");
    return;
  }
  require(decision.wake || !told_.nudges.empty() || !told_.pages.empty(),
          "it waits for a person who was never reminded, and no reminder is due");
}

// ---- what people do

bool MachineSimulation::waits_for_operator() const {
  if (told_.id.empty()) return true;
  if (told_.halted) return true;
  const Stage stage = stage_of(told_, clock_.now());
  return stage == Stage::awaiting_approval || stage == Stage::awaiting_operator ||
         (stage == Stage::awaiting_key && told_.form && told_.form->sent);
}

void MachineSimulation::start(const std::string& once) {
  auto target = sample_target();
  target.second_approver = second_approver_;
  const Started started{.target = std::move(target),
                        .operator_id = "U1",
                        .channel = "C1",
                        .compromise = compromise_,
                        .reason = "seen"};
  asio::co_spawn(process_->io, process_->runner.start(started, once), [](std::exception_ptr, StartResult) {});
}

// A click, as Slack delivers it: sometimes twice, and under the same key then.
void MachineSimulation::say(std::vector<Event> events, Runner::Change guard,
                            std::vector<storage::NewBox> boxes) {
  const std::string once = "click-" + std::to_string(++clicks_);
  const int deliveries = dice_.chance(0.2) ? 2 : 1;
  duplicates += deliveries - 1;
  const auto change = [events = std::move(events), guard = std::move(guard), boxes = std::move(boxes)](
                          const State& s, TimePoint now) -> std::optional<Outcome> {
    if (!s.live() || s.cancelled_at || !guard(s, now)) return std::nullopt;
    return Outcome{.events = events, .boxes = boxes};
  };
  for (int i = 0; i < deliveries; ++i) {
    asio::co_spawn(process_->io, process_->runner.change(told_.id, "U1", change, once),
                   [](std::exception_ptr, bool) {});
  }
  settle();
}

namespace {
// A guard that lets through what `holds` for.
Runner::Change when(std::function<bool(const State&, TimePoint)> holds) {
  return [holds = std::move(holds)](const State& s, TimePoint now) -> std::optional<Outcome> {
    return holds(s, now) ? std::optional(Outcome{}) : std::nullopt;
  };
}
}  // namespace

void MachineSimulation::hands_over_key() {
  const bool wrong = dice_.chance(0.15);
  if (!shown_ || told_.rejected_fingerprints.contains(shown_->fingerprint)) {
    const bool at_once = told_.recovery() || dice_.chance(0.1);
    shown_grace_ = at_once ? Duration::zero() : told_.planned_grace();
    shown_at_ = clock_.now();
    shown_ = world_.rotate_in_dashboard(shown_grace_, shown_at_, wrong);
  }
  const KeyReceived received{.fingerprint = shown_->fingerprint,
                             .grace_chosen = shown_grace_,
                             .rotated_at = shown_at_,
                             .old_key_expires_at = shown_at_ + shown_grace_,
                             .peer = {}};
  const std::vector<storage::NewBox> boxes{{{told_.id, std::string(kNewKey)}, {"wrapped", "new"}}};
  const auto change = [received, boxes](const State& s, TimePoint now) -> std::optional<Outcome> {
    if (s.received || !s.form_open(now)) return std::nullopt;
    return Outcome{.events = {received}, .boxes = boxes};
  };
  const auto said = std::make_shared<bool>(false);  // "received", by a process that lives to say it
  asio::co_spawn(process_->io, process_->runner.change(told_.id, "U1", change),
                 [said](std::exception_ptr failure, bool appended) { *said = !failure && appended; });
  settle();
  if (!*said) return;
  require(told_.received && journal_.boxes.contains({told_.id, std::string(kNewKey)}),
          "received, and not on disk");
  world_.down_until = clock_.now() + outage_;
}

void MachineSimulation::operator_acts() {
  operator_at_.reset();
  if (told_.id.empty()) {
    // Typed by two people at once, or sent again by Slack.
    const int times = dice_.chance(0.2) ? 3 : 1;
    for (int i = 0; i < times; ++i)
      start(dice_.chance(0.5) ? kRotationStarted : "slash-" + std::to_string(++clicks_ + 1));
    duplicates += times - 1;
    settle();
  } else if (told_.halted) {
    if (somebody_rolls_back(0.3)) return;
    // What was put back is dead: there is nothing to try again.
    const auto hopeless = [](const State& s, TimePoint now) {
      return s.halted && s.way_back() && now >= *s.old_key_deadline();
    };
    if (hopeless(told_, clock_.now())) return say({Cancelled{}}, when(hopeless));
    world_.mend();
    world_.log_shows_failure = false;
    say({RetryRequested{}}, when([](const State& s, TimePoint) { return s.halted.has_value(); }));
  } else if (stage_of(told_, clock_.now()) == Stage::awaiting_approval) {
    say({ApprovalGiven{"U2"}},
        when([](const State& s, TimePoint) { return !may_not_approve(s, "U2").has_value(); }));
  } else if (stage_of(told_, clock_.now()) == Stage::awaiting_operator) {
    if (dice_.chance(0.1)) start("slash-" + std::to_string(++clicks_ + 1));  // once more, while it is live
    say({OperatorConfirmed{{"ready"}, ""}}, when([](const State& s, TimePoint) { return !s.confirmed_at; }));
  } else if (!told_.received && dice_.chance(0.03)) {
    say({Cancelled{}}, when([](const State& s, TimePoint) { return !s.received; }));
  } else if (!told_.received && !told_.form_open(clock_.now())) {
    say({LinkRequested{}},
        when([](const State& s, TimePoint now) { return !s.received && !s.form_open(now); }));
  } else if (!told_.received) {
    hands_over_key();
  }
}

// Any superadmin may, at any time at which there is a way back; where two are asked for, buttons.cpp stands
// before it.
bool MachineSimulation::somebody_rolls_back(double probability) {
  const auto possible = [](const State& s, TimePoint now) {
    return s.received && !s.target.second_approver && !no_way_back(s, now);
  };
  if (!possible(told_, clock_.now()) || !dice_.chance(probability)) return false;
  say({RollbackRequested{"U2"}}, when(possible));
  return true;
}

void MachineSimulation::somebody_sets_an_app() {
  if (!told_.completed || told_.closed || by_hand > 1 || !dice_.chance(0.005)) return;
  ++by_hand;
  looks_since_hand_ = 0;
  world_.set_by_hand(told_.target.consumers.back().app, "set by hand");
}

// ---- time

void MachineSimulation::plan_death() {
  if (!dice_.chance(0.02)) return;
  switch (dice_.from(0, 4)) {
    case 0:
    case 1:
      journal_.death =
          dice_.chance(0.5) ? MemoryJournal::Death::before_writing : MemoryJournal::Death::after_writing;
      journal_.dies_at = journal_.commits + dice_.from(1, 4);
      break;
    case 2:
      process_->worker.dies = Dies::before_effect;
      break;
    case 3:
      process_->worker.dies = Dies::after_effect;
      break;
    default:
      ++refusals;
      disk_refuses_ = true;
      journal_.refuse_next = dice_.from(1, 3);  // a full disk; then somebody starts it again
  }
}

void MachineSimulation::advance() {
  std::optional<TimePoint> next = process_->worker.next();
  const auto sooner = [&next](std::optional<TimePoint> time) {
    if (time) next = std::min(next.value_or(*time), *time);
  };
  if (!told_.id.empty()) sooner(decide(told_, clock_.time).wake);
  sooner(operator_at_);
  clock_.time = std::max(next.value_or(clock_.time + 1min), clock_.time + 1ms);
  process_->worker.wake();
  if (told_.id.empty()) return settle();
  const Runner::Change nudge = [](const State&, TimePoint) { return std::nullopt; };
  asio::co_spawn(process_->io, process_->runner.change(told_.id, "", nudge), [](std::exception_ptr, bool) {});
  settle();
}

void MachineSimulation::run() {
  boot();
  for (int turn = 0; !told_.closed; ++turn) {
    require(turn < kTurnLimit, "no end after " + std::to_string(turn) + " turns");
    const bool given_up_on = disk_refuses_ && dice_.chance(0.3);
    if (journal_.dead || worker_dead_ || given_up_on) {
      ++deaths;
      clock_.time += dice_.between(1s, dice_.chance(0.1) ? Duration(2h) : Duration(1min));
      boot();
      continue;
    }
    if (!waits_for_operator()) operator_at_.reset();
    if (waits_for_operator() && !operator_at_ && !operator_gone_) {
      operator_gone_ = !told_.id.empty() && dice_.chance(0.02);
      if (!operator_gone_)
        operator_at_ = clock_.time + dice_.between(5s, dice_.chance(0.2) ? Duration(1h) : Duration(2min));
    }
    if (operator_gone_ && waits_for_operator() && !process_->worker.next() && !disk_refuses_) {
      check_waiting();
      if (!decide(told_, clock_.time).wake) return;
    }
    plan_death();
    somebody_sets_an_app();
    if (somebody_rolls_back(0.001)) continue;
    if (operator_at_ && clock_.time >= *operator_at_) {
      operator_acts();
    } else {
      advance();
    }
  }
  require(journal_.boxes.empty(), "a sealed key outlives its rotation");
}

}  // namespace keyturn::test
