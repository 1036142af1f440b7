#include "commands/rotation/runner.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "commands/rotation/lock.h"
#include "commands/rotation/replay.h"
#include "commands/rotation/vault.h"
#include "integrations/error.h"
#include "storage/ids.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;

namespace {
constexpr Duration kDiskRetry = std::chrono::seconds(5);
constexpr std::string_view kOurselves = "keyturn";
}  // namespace

struct Runner::Live {
  Live(asio::any_io_executor io, std::shared_ptr<State> begun_as)
      : state(std::move(begun_as)), lock(io), wake(io, asio::steady_timer::time_point::max()) {}

  void nudge() {
    nudged = true;
    wake.cancel();
  }
  // Readers hold snapshots, so a change goes to a copy.
  void fold(const std::vector<Event>& events, TimePoint at) {
    auto next = std::make_shared<State>(*state);
    for (const Event& event : events) apply(*next, event, at);
    state = std::move(next);
  }

  std::shared_ptr<State> state;
  Lock lock;
  asio::steady_timer wake;
  bool begun = false;  // its start is on disk
  bool nudged = false;
  bool driven = false;
  std::set<std::pair<int, Action>> running;  // by the leg on which it was begun
};

Runner::Runner(asio::any_io_executor io, storage::Journal& journal, const storage::Clock& clock,
               Performer& performer, RunnerEvents events)
    : io_(std::move(io)),
      journal_(journal),
      clock_(clock),
      performer_(performer),
      events_(std::move(events)),
      tasks_(io_, [this](const std::string& task, std::exception_ptr failure) {
        if (events_.trouble) events_.trouble(task, net::what_of(failure));
      }) {}

Runner::~Runner() = default;

void Runner::load(std::vector<std::shared_ptr<State>> states) {
  for (auto& state : states) {
    auto live = std::make_shared<Live>(io_, std::move(state));
    live->begun = true;
    of_target_[live->state->target.name()].push_back(live);
    rotations_[live->state->id] = std::move(live);
  }
}

void Runner::resume() {
  for (const auto& [id, live] : rotations_) {
    const auto& closed = live->state->closed;
    // A rotation that closed just before the process ended may have messages left to send.
    if (closed && clock_.now() - closed->at > kUntoldFor) continue;
    if (events_.changed) events_.changed(*live->state);
    if (!closed) begin(live);
  }
}

void Runner::begin(const std::shared_ptr<Live>& live) {
  if (std::exchange(live->driven, true)) return;
  tasks_.spawn("rotation " + live->state->id, drive(live));
}

asio::awaitable<StartResult> Runner::start(Started started, std::string once) {
  const std::string name = started.target.name();
  if (auto other = live(started.target.provider, started.target.environment)) co_return AlreadyLive{other};
  const TimePoint now = clock_.now();
  auto live = std::make_shared<Live>(io_, std::make_shared<State>());
  live->state->id = storage::new_rotation_id(now);
  // While it waits for the disk, a second command is refused with what this one will be.
  live->fold({started}, now);
  const std::string actor = started.operator_id;
  Outcome outcome{.events = {std::move(started)}, .boxes = {}};
  const std::string id = live->state->id;
  rotations_[id] = live;
  of_target_[name].push_back(live);
  bool appended = false;
  try {
    const auto held = co_await live->lock.acquire();  // nothing else happens to it before it is on disk
    appended = co_await append(live, actor, std::move(outcome), std::move(once));
    live->begun = appended;
  } catch (...) {
    forget(id, name);
    throw;
  }
  if (!appended) {
    forget(id, name);
    co_return Duplicate{};
  }
  begin(live);
  co_return std::shared_ptr<const State>(live->state);
}

asio::awaitable<bool> Runner::change(std::string id, std::string actor, Change change,
                                     std::optional<std::string> once) {
  const auto found = rotations_.find(id);
  if (found == rotations_.end()) co_return false;
  const auto live = found->second;
  bool appended = false;
  {
    const auto held = co_await live->lock.acquire();
    if (!live->begun) co_return false;  // its start was refused by the disk
    auto outcome = change(*live->state, clock_.now());
    if (outcome) appended = co_await append(live, std::move(actor), std::move(*outcome), std::move(once));
  }
  live->nudge();
  co_return appended;
}

// Appends and folds. The caller holds the lock (or is the only one who knows the rotation).
asio::awaitable<bool> Runner::append(std::shared_ptr<Live> live, std::string actor, Outcome outcome,
                                     std::optional<std::string> once) {
  const TimePoint now = clock_.now();
  storage::Batch batch;
  for (const Event& event : outcome.events) {
    batch.entries.push_back({.at = now,
                             .rotation = live->state->id,
                             .type = std::string(type_of(event)),
                             .actor = actor,
                             .data = data_of(event)});
    for (const auto purpose : destroyed_by(event))
      batch.destroyed.push_back({live->state->id, std::string(purpose)});
  }
  batch.boxes = std::move(outcome.boxes);
  batch.once = std::move(once);
  const auto committed = co_await journal_.commit(std::move(batch));
  if (committed.duplicate) co_return false;
  live->fold(outcome.events, now);
  if (events_.changed) events_.changed(*live->state);
  co_return true;
}

asio::awaitable<void> Runner::drive(std::shared_ptr<Live> live) {
  for (;;) {
    live->nudged = false;
    Decision decision;
    std::exception_ptr failure;
    try {
      decision = co_await advance(live);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      if (net::cancelled(co_await asio::this_coro::cancellation_state)) std::rethrow_exception(failure);
      if (events_.trouble) events_.trouble("rotation " + live->state->id, net::what_of(failure));
      decision = {.wake = clock_.now() + kDiskRetry};
    }
    if (decision.done) co_return;
    if (live->nudged) continue;
    if (decision.wake) {
      live->wake.expires_after(
          std::clamp(*decision.wake - clock_.now(), Duration::zero(), storage::kLongestSleep));
    } else {
      live->wake.expires_at(asio::steady_timer::time_point::max());
    }
    boost::system::error_code ignored;
    co_await live->wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

// One turn: records conclusions until there are none, then sets going what isn't going yet.
asio::awaitable<Decision> Runner::advance(std::shared_ptr<Live> live) {
  const auto held = co_await live->lock.acquire();
  Decision decision = decide(*live->state, clock_.now());
  while (!decision.record.empty()) {
    Outcome conclusion{.events = std::move(decision.record), .boxes = {}};
    co_await append(live, std::string(kOurselves), std::move(conclusion), std::nullopt);
    decision = decide(*live->state, clock_.now());
  }
  Outcome intents;
  std::vector<Action> fresh;
  for (const Action& action : decision.act) {
    if (live->running.contains({live->state->leg, action})) continue;
    fresh.push_back(action);
    intents.events.emplace_back(ActionStarted{action});
  }
  if (fresh.empty()) co_return decision;
  co_await append(live, std::string(kOurselves), std::move(intents), std::nullopt);
  for (const Action& action : fresh) {
    live->running.insert({live->state->leg, action});
    tasks_.spawn(std::string(name_of(action.kind)) + " of " + live->state->id,
                 work(live, action, live->state->leg));
  }
  co_return decision;
}

asio::awaitable<void> Runner::work(std::shared_ptr<Live> live, Action action, int leg) {
  const TimePoint began = clock_.now();
  Outcome outcome = co_await perform(live, action, leg);
  const bool failed = !outcome.events.empty() && std::holds_alternative<ActionFailed>(outcome.events.back());
  for (bool written = false; !written;) {
    std::exception_ptr refused;
    try {
      const auto held = co_await live->lock.acquire();
      Outcome attempt{.events = outcome.events, .boxes = outcome.boxes};
      // What was found out about the new key says nothing about the old one, and the other way round.
      if (live->state->live() && live->state->leg == leg)
        co_await append(live, std::string(kOurselves), std::move(attempt), std::nullopt);
      written = true;
    } catch (...) {
      refused = std::current_exception();
    }
    if (!refused) continue;
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) std::rethrow_exception(refused);
    if (events_.trouble) events_.trouble("journal", net::what_of(refused));
    co_await net::sleep_for(kDiskRetry);
  }
  live->running.erase({leg, action});
  if (events_.acted) events_.acted(*live->state, action, clock_.now() - began, failed ? "failed" : "ok");
  live->nudge();
}

asio::awaitable<Outcome> Runner::perform(std::shared_ptr<Live> live, Action action, int leg) {
  Recorder record = [this, live, leg](Outcome progress) -> asio::awaitable<void> {
    const auto held = co_await live->lock.acquire();
    // A cancelled rotation's action must stop here: no link may go out that nothing stands behind.
    if (!live->state->live() || live->state->cancelled_at) throw std::runtime_error("the rotation is over");
    if (live->state->leg != leg) throw std::runtime_error("the rotation goes the other way by now");
    co_await append(live, std::string(kOurselves), std::move(progress), std::nullopt);
    live->nudge();
  };
  ActionFailed failure{.action = action, .can_retry = true, .reason = {}, .request_id = {}};
  std::exception_ptr unexpected;
  try {
    std::shared_ptr<const State> snapshot = live->state;
    if (snapshot->leg != leg) co_return Outcome{.events = {failure}, .boxes = {}};  // and will be dropped
    co_return co_await performer_.perform(action, std::move(snapshot), record);
  } catch (const integrations::ApiError& error) {
    failure.can_retry = error.can_retry() || error.failure() == integrations::Failure::ambiguous;
    failure.reason = error.what();
    failure.request_id = error.details().request_id;
  } catch (const DoesNotOpen& error) {
    failure.can_retry = false;
    failure.reason = fmt::format(
        "{}: it was changed on the disk, or the sealing key is not the one that it was sealed with",
        error.what());
  } catch (...) {
    unexpected = std::current_exception();
  }
  if (unexpected) {
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) std::rethrow_exception(unexpected);
    // Our own mistake, or the journal's: say so once in the log, and try again while that can help.
    if (events_.trouble) events_.trouble(std::string(name_of(action.kind)), net::what_of(unexpected));
    failure.reason = "something unexpected happened inside Keyturn; its log says what";
  }
  co_return Outcome{.events = {failure}, .boxes = {}};
}

std::vector<std::shared_ptr<const State>> Runner::all() const {
  std::vector<std::shared_ptr<const State>> states;
  states.reserve(rotations_.size());
  for (auto entry = rotations_.rbegin(); entry != rotations_.rend(); ++entry)
    states.push_back(entry->second->state);
  return states;
}

std::vector<std::shared_ptr<const State>> Runner::of(const std::string& target) const {
  std::vector<std::shared_ptr<const State>> states;
  const auto found = of_target_.find(target);
  if (found == of_target_.end()) return states;
  states.reserve(found->second.size());
  for (auto live = found->second.rbegin(); live != found->second.rend(); ++live)
    states.push_back((*live)->state);
  return states;
}

// One that never began.
void Runner::forget(const std::string& id, const std::string& target) {
  std::erase_if(of_target_[target], [&id](const auto& live) { return live->state->id == id; });
  rotations_.erase(id);
}

std::shared_ptr<const State> Runner::find(const std::string& id) const {
  const auto found = rotations_.find(id);
  return found == rotations_.end() ? nullptr : found->second->state;
}

std::shared_ptr<const State> Runner::live(const std::string& provider, const std::string& environment) const {
  for (const auto& state : of(fmt::format("{} {}", provider, environment))) {
    if (state->live()) return state;
  }
  return nullptr;
}

void Runner::stop() { tasks_.cancel(); }

asio::awaitable<bool> Runner::stopped(Duration limit) { co_return co_await tasks_.wait(limit); }

}  // namespace keyturn::commands::rotation
