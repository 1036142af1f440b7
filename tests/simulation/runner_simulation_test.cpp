// The real runner on a real io_context, over a journal in memory, killed at every one of its commits in turn
// and started again from what was written. Virtual time: no timer ever has to run out.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <memory>

#include "commands/rotation/runner.h"
#include "integrations/error.h"
#include "tests/unit/commands/memory_journal.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

namespace asio = boost::asio;

struct VirtualClock final : storage::Clock {
  TimePoint time = kStart;
  TimePoint now() const override { return time; }
};

// What survives the process: the outside systems, which look before they change anything.
struct Outside {
  std::string stored = "old-1";
  int version = 4, writes = 0;
  std::map<std::string, std::string> held;
  std::map<std::string, int> releases, changes;
};

class ScriptedPerformer final : public Performer {
 public:
  ScriptedPerformer(Outside& outside, const storage::Clock& clock) : outside_(outside), clock_(clock) {}

  asio::awaitable<Outcome> perform(Action action, std::shared_ptr<const State> state,
                                   Recorder record) override {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (fail_with && action.kind == fails) {
      const auto failure = std::exchange(fail_with, nullptr);
      std::rethrow_exception(failure);
    }
    std::vector<Event> events;
    if (action.kind == ActionKind::issue_form) {
      events.emplace_back(FormIssued{"hash-1", clock_.now() + state->target.timing.form_life});
      co_await record({.events = std::move(events), .boxes = {}});
      events = {FormSent{"D1", "1.1"}};
    } else if (action.kind == ActionKind::watch_consumer) {
      WatchProgressed half;
      half.app = action.subject;
      half.watched = 2min;
      events.emplace_back(half);
      co_await record({.events = std::move(events), .boxes = {}});
      events = {quiet_watch(action.subject)};
    } else {
      events = {outcome(action, *state)};
    }
    Outcome result{.events = std::move(events), .boxes = {}};
    if (action.kind == ActionKind::read_current_key)
      result.boxes.push_back({{state->id, std::string(kOldKey)}, {"wrapped", "old"}});
    co_return result;
  }

  ActionKind fails{};
  std::exception_ptr fail_with;

 private:
  static const std::string& wanted(const State& state) {
    return state.way_back() ? state.current->event.fingerprint : state.received->event.fingerprint;
  }

  Event outcome(const Action& action, const State& state) {
    const std::string& app = action.subject;
    switch (action.kind) {
      case ActionKind::check_operator:
        return OperatorChecked{true, ""};
      case ActionKind::read_current_key:
        return current_key();
      case ActionKind::inspect_consumer:
        return inspected(app);
      case ActionKind::check_billing:
        return BillingChecked{.health = Health::healthy, .status = 200, .detail = {}};
      case ActionKind::probe_old_key:
      case ActionKind::probe_new_key:
      case ActionKind::probe_old_again:
      case ActionKind::probe_previous_key:
        return healthy_probe(action.kind);
      case ActionKind::read_previous_key:
        return PreviousKeyRead{.version = 4, .found = "same", .request_id = {}};
      case ActionKind::check_expiry:
        return ExpiryChecked{.stored_fingerprint = outside_.stored, .strays = {}, .request_id = {}};
      case ActionKind::check_old_key:
        return OldKeyChecked{probe("GET /v1/customers", clock_.now() < *state.old_key_deadline()
                                                            ? Answer::granted
                                                            : Answer::expired)};
      case ActionKind::store_key:
        if (outside_.stored != wanted(state)) {
          outside_.stored = wanted(state);
          ++outside_.version;
          ++outside_.writes;
        }
        return KeyStored{
            .version = outside_.version, .previous_version = 4, .already_there = false, .request_id = {}};
      case ActionKind::update_consumer:
        if (outside_.held[app] != outside_.stored) {
          outside_.held[app] = outside_.stored;
          outside_.releases[app] = std::max(outside_.releases[app], 10) + 1;
          ++outside_.changes[app];
        }
        return ConsumerUpdated{
            .app = app, .already_there = false, .release = outside_.releases[app], .request_id = {}};
      case ActionKind::await_consumer:
        return ConsumerRunning{.app = app, .release = outside_.releases[app], .dynos = 2, .request_id = {}};
      case ActionKind::watch_billing:
        return healthy_billing();
      case ActionKind::take_proof:
        return taken_proof(Answer::expired);
      default:
        throw std::logic_error("not scripted");
    }
  }

  Outside& outside_;
  const storage::Clock& clock_;
};

// One process: dies with everything in it but the journal and the outside.
struct Process {
  Process(MemoryJournal& journal_of_all, VirtualClock& clock_of_all, Outside& outside)
      : journal(journal_of_all), clock(clock_of_all), performer(outside, clock) {
    runner.load(journal.replayed(clock.now()));
    runner.resume();
  }

  void settle() {
    io.restart();
    io.poll();
  }
  void change(const std::string& id, std::vector<Event> events, std::vector<storage::NewBox> boxes = {}) {
    auto made = [events = std::move(events), boxes = std::move(boxes)](const State&,
                                                                       TimePoint) -> std::optional<Outcome> {
      if (events.empty()) return std::nullopt;
      return Outcome{.events = events, .boxes = boxes};
    };
    asio::co_spawn(io, runner.change(id, "U1", std::move(made)), [](std::exception_ptr, bool) {});
    settle();
  }

  MemoryJournal& journal;
  VirtualClock& clock;
  asio::io_context io{1};
  ScriptedPerformer performer;
  std::vector<std::string> troubles;
  Runner runner{
      io.get_executor(),
      journal,
      clock,
      performer,
      {.changed = {}, .acted = {}, .trouble = [this](const std::string& what, const std::string& why) {
         troubles.push_back(what + ": " + why);
       }}};
};

struct Rotation {
  MemoryJournal journal;
  VirtualClock clock;
  Outside outside;
  std::unique_ptr<Process> process;
  int deaths = 0;
  bool turns_back = false;  // a person asks for it as soon as the rotation is complete

  std::shared_ptr<const State> state() const {
    const auto all = process->runner.all();
    return all.empty() ? nullptr : all.front();
  }

  void boot() {
    process.reset();
    journal.dead = false;
    process = std::make_unique<Process>(journal, clock, outside);
    process->settle();
  }

  // The operator's command, repeated by him when the bot died before it was on disk.
  void start() {
    const Started started{
        .target = sample_target(), .operator_id = "U1", .channel = "C1", .compromise = false, .reason = {}};
    asio::co_spawn(process->io, process->runner.start(started, "slash-" + std::to_string(deaths)),
                   [](std::exception_ptr, StartResult) {});
    process->settle();
  }

  // What the operator does at this moment, if it is his turn.
  bool operator_acts() {
    const auto s = state();
    if (stage_of(*s, clock.time) == Stage::awaiting_operator) {
      process->change(s->id, {OperatorConfirmed{{"ready"}, ""}});
      return true;
    }
    if (!s->received && s->form && s->form->sent && s->form_open(clock.time)) {
      process->change(s->id,
                      {KeyReceived{.fingerprint = "new-1",
                                   .grace_chosen = 1h,
                                   .rotated_at = clock.time,
                                   .old_key_expires_at = clock.time + 1h,
                                   .peer = {}}},
                      {{{s->id, std::string(kNewKey)}, {"wrapped", "new"}}});
      return true;
    }
    if (s->halted) {
      process->change(s->id, {RetryRequested{}});
      return true;
    }
    if (turns_back && s->completed && !s->rollback) {
      process->change(s->id, {RollbackRequested{"U2"}});
      return true;
    }
    return false;
  }

  // To the end, with a new process whenever the old one died.
  void run(int limit = 400) {
    boot();
    for (int turn = 0; turn < limit; ++turn) {
      if (journal.dead) {
        ++deaths;
        boot();
        continue;
      }
      if (!state()) {
        start();
        continue;
      }
      if (state()->closed) return;
      if (operator_acts()) continue;
      const auto wake = decide(*state(), clock.time).wake;
      clock.time = wake ? std::max(*wake, clock.time) : clock.time + 1min;
      process->change(state()->id, {});  // a nudge: time has passed
    }
    FAIL("the rotation did not close");
  }
};

// The end of a rotation without its times and without what a crash rightly repeats.
std::string ending_of(const Rotation& rotation) {
  const auto& s = *rotation.state();
  std::string text = s.closed->event.outcome + " version " + std::to_string(s.stored->event.version);
  for (const auto& [app, updated] : s.updated)
    text += " " + app + " v" + std::to_string(updated.event.release);
  for (const auto& [app, running] : s.running)
    text += " " + app + " runs v" + std::to_string(running.event.release);
  for (const auto& [app, watched] : s.watched) text += " " + app + " watched";
  text += s.completed ? " completed" : "";
  text += s.reminded ? " reminded" : "";
  text += s.proven_dead_at ? " proven" : "";
  text += s.halted ? " halted" : "";
  text += " proofs " + std::to_string(proofs_in_a_row(s));
  text += " writes " + std::to_string(rotation.outside.writes);
  for (const auto& [app, changes] : rotation.outside.changes) text += " " + std::to_string(changes);
  text += " boxes " + std::to_string(rotation.journal.boxes.size());
  text += " " + std::string(name_of(stage_of(s, rotation.clock.time)));
  return text;
}

}  // namespace

TEST_CASE("killed at any commit, a rotation ends as if nothing had happened") {
  Rotation undisturbed;
  undisturbed.run();
  const std::string expected = ending_of(undisturbed);
  CHECK(expected.starts_with("rotated version 5"));
  CHECK(expected.find("writes 1") != std::string::npos);
  CHECK(expected.find("boxes 0") != std::string::npos);
  const int commits = undisturbed.journal.commits;
  CHECK(commits > 30);
  for (const auto death : {MemoryJournal::Death::before_writing, MemoryJournal::Death::after_writing}) {
    for (int number = 1; number <= commits; ++number) {
      INFO("killed at commit " << number
                               << (death == MemoryJournal::Death::after_writing ? ", after" : ", before"));
      Rotation rotation;
      rotation.journal.death = death;
      rotation.journal.dies_at = number;
      rotation.run();
      CHECK(rotation.deaths == 1);
      CHECK(ending_of(rotation) == expected);
      CHECK(rotation.journal.count("secret.rotate.completed") == 1);
      CHECK(rotation.journal.count("secret.rotate.closed") == 1);
    }
  }
}

TEST_CASE("killed at any commit, a rollback ends as if nothing had happened") {
  Rotation undisturbed;
  undisturbed.turns_back = true;
  undisturbed.run();
  const std::string expected = ending_of(undisturbed);
  CHECK(expected.starts_with("rolled_back version 6 canary v12 second v12"));
  CHECK(expected.find("writes 2 2 2") != std::string::npos);
  CHECK(expected.find("boxes 0") != std::string::npos);
  CHECK(undisturbed.outside.stored == "old-1");
  const int commits = undisturbed.journal.commits;
  for (const auto death : {MemoryJournal::Death::before_writing, MemoryJournal::Death::after_writing}) {
    for (int number = 1; number <= commits; ++number) {
      INFO("killed at commit " << number
                               << (death == MemoryJournal::Death::after_writing ? ", after" : ", before"));
      Rotation rotation;
      rotation.turns_back = true;
      rotation.journal.death = death;
      rotation.journal.dies_at = number;
      rotation.run();
      CHECK(rotation.deaths == 1);
      CHECK(ending_of(rotation) == expected);
      CHECK(rotation.outside.held == undisturbed.outside.held);
      CHECK(rotation.journal.count("secret.rotate.rolled_back") == 1);
      CHECK(rotation.journal.count("secret.rotate.closed") == 1);
    }
  }
}

TEST_CASE("the order in the journal is the procedure's: intent, outcome, one completion") {
  Rotation rotation;
  rotation.run();
  int started = 0, stored = 0, updated = 0, position = 0;
  for (const auto& entry : rotation.journal.written) {
    ++position;
    if (entry.type == "secret.rotate.new_key.received") started = position;
    if (entry.type == "secret.rotate.new_key.stored") stored = position;
    if (entry.type == "secret.rotate.consumer.updated" && updated == 0) updated = position;
  }
  CHECK(started < stored);
  CHECK(stored < updated);
}

TEST_CASE("an operation that somebody else aborted is a failure to be repeated, not the end of the work") {
  Rotation rotation;
  rotation.boot();
  rotation.process->performer.fails = ActionKind::check_billing;
  rotation.process->performer.fail_with =
      std::make_exception_ptr(boost::system::system_error(asio::error::operation_aborted));
  rotation.start();
  REQUIRE(rotation.state());
  const Action action{ActionKind::check_billing, {}};
  REQUIRE(rotation.state()->tries.contains(action));
  CHECK(rotation.state()->tries.at(action).failure.can_retry);
  rotation.clock.time += 10s;
  rotation.process->change(rotation.state()->id, {});
  CHECK(rotation.state()->billing_before);
}

TEST_CASE(
    "a vendor's refusal becomes a failure with its request id, and an ambiguous answer may be repeated") {
  for (const auto failure : {integrations::Failure::refused, integrations::Failure::ambiguous}) {
    Rotation rotation;
    rotation.boot();
    rotation.process->performer.fails = ActionKind::check_operator;
    rotation.process->performer.fail_with =
        std::make_exception_ptr(integrations::ApiError({.system = integrations::System::slack,
                                                        .failure = failure,
                                                        .operation = "ask",
                                                        .reason = "no",
                                                        .request_id = "req_7"}));
    rotation.start();
    REQUIRE(rotation.state());
    if (failure == integrations::Failure::refused) {
      REQUIRE(rotation.state()->closed);
      CHECK(rotation.state()->closed->event.outcome == "refused");
    } else {
      CHECK(rotation.state()->live());
      CHECK(rotation.state()->tries.at({ActionKind::check_operator, {}}).failure.request_id == "req_7");
    }
  }
}

TEST_CASE("of two commands for one target at the same moment, one starts a rotation") {
  Rotation rotation;
  rotation.boot();
  const Started started{
      .target = sample_target(), .operator_id = "U1", .channel = "C1", .compromise = false, .reason = {}};
  int begun = 0, refused = 0;
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(rotation.process->io,
                   rotation.process->runner.start(started, "slash-" + std::to_string(i)),
                   [&](std::exception_ptr, StartResult result) {
                     begun += std::holds_alternative<std::shared_ptr<const State>>(result) ? 1 : 0;
                     refused += std::holds_alternative<AlreadyLive>(result) ? 1 : 0;
                   });
  }
  rotation.process->settle();
  CHECK(begun == 1);
  CHECK(refused == 19);
}

TEST_CASE("a disk that refuses a start starts nothing, and the next try can") {
  Rotation rotation;
  rotation.boot();
  rotation.journal.refuse_next = 1;
  const Started started{
      .target = sample_target(), .operator_id = "U1", .channel = "C1", .compromise = false, .reason = {}};
  std::exception_ptr failed;
  asio::co_spawn(rotation.process->io, rotation.process->runner.start(started, "slash-1"),
                 [&](std::exception_ptr failure, StartResult) { failed = failure; });
  rotation.process->settle();
  CHECK(failed);
  CHECK_FALSE(rotation.state());
  rotation.start();
  CHECK(rotation.state());
}

TEST_CASE("a cancelled rotation sends no link") {
  Rotation rotation;
  rotation.boot();
  rotation.start();
  const auto id = rotation.state()->id;
  // Both wait for the same lock: the confirmation sets the link going, the cancellation comes right behind.
  rotation.process->change(id, {OperatorConfirmed{{"ready"}, ""}, Cancelled{}});
  CHECK(rotation.state()->closed);
  CHECK(rotation.journal.count("secret.rotate.form.sent") == 0);
}

}  // namespace keyturn::test
