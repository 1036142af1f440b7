#include "integrations/net/within.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/system/system_error.hpp>
#include <map>
#include <vector>

namespace keyturn::net {

namespace asio = boost::asio;
namespace this_coro = boost::asio::this_coro;

asio::awaitable<void> sleep_for(storage::Duration duration) {
  asio::steady_timer timer(co_await this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

bool cancelled(const asio::cancellation_state& state) {
  return state.cancelled() != asio::cancellation_type::none;
}

std::string what_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something unknown";
  }
}

// A parallel group, because it alone hands a cancellation from outside on to both branches and returns only
// when both have ended.
asio::awaitable<bool> within(storage::Duration limit, asio::awaitable<void> operation) {
  const auto io = co_await this_coro::executor;
  asio::steady_timer timer(io, limit);
  auto [order, failure, timer_error] =
      co_await asio::experimental::make_parallel_group(
          asio::co_spawn(io, std::move(operation), asio::deferred), timer.async_wait(asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (!failure) co_return true;
  // The timer ends with an error when it was cancelled, by the operation's end or from outside.
  const bool deadline_came_first = order[0] == 1 && !timer_error;
  if (!deadline_came_first) std::rethrow_exception(failure);
  co_return false;
}

asio::awaitable<void> all(std::vector<asio::awaitable<void>> operations) {
  if (operations.empty()) co_return;
  const auto io = co_await this_coro::executor;
  using Spawned = decltype(asio::co_spawn(io, std::move(operations.front()), asio::deferred));
  std::vector<Spawned> spawned;
  spawned.reserve(operations.size());
  for (auto& operation : operations)
    spawned.push_back(asio::co_spawn(io, std::move(operation), asio::deferred));
  auto [order, failures] = co_await asio::experimental::make_parallel_group(std::move(spawned))
                               .async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
  // In the order of their ends: the first failure is the reason, those after it its consequences.
  for (const std::size_t index : order) {
    if (failures[index]) std::rethrow_exception(failures[index]);
  }
}

struct TaskGroup::Shared {
  struct Task {
    std::string name;
    std::shared_ptr<asio::cancellation_signal> signal = std::make_shared<asio::cancellation_signal>();
    bool cancelled = false;
  };

  asio::any_io_executor io;
  Report report;
  std::map<std::uint64_t, Task> tasks;
  std::uint64_t next_id = 1;
  std::vector<asio::steady_timer*> waiting;

  void cancel() {
    std::vector<std::shared_ptr<asio::cancellation_signal>> signals;
    for (auto& [id, task] : tasks) {
      task.cancelled = true;
      signals.push_back(task.signal);
    }
    // On the io thread this happens here and now. Before the loop runs it happens later, and must: co_spawn
    // would keep a bare pointer into the signal until then. A signal may end its task at once, hence the
    // copies.
    asio::dispatch(io, [signals = std::move(signals)] {
      for (const auto& signal : signals) signal->emit(asio::cancellation_type::terminal);
    });
  }

  void ended(std::uint64_t id, std::exception_ptr failure) {
    const auto task = tasks.extract(id);
    if (tasks.empty()) {
      for (auto* timer : waiting) timer->cancel();
    }
    if (failure && report && !(task.mapped().cancelled && is_cancellation(failure))) {
      report(task.mapped().name, failure);
    }
  }

  static bool is_cancellation(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      return error.code() == asio::error::operation_aborted;
    } catch (...) {
      return false;
    }
  }
};

TaskGroup::TaskGroup(asio::any_io_executor io, Report report)
    : shared_(std::make_shared<Shared>(
          Shared{.io = std::move(io), .report = std::move(report), .tasks = {}, .waiting = {}})) {}

TaskGroup::~TaskGroup() {
  shared_->report = nullptr;
  shared_->cancel();
}

namespace {

// Gives up the thread once, so that a task never runs inside spawn().
asio::awaitable<void> started_later(asio::awaitable<void> task) {
  co_await asio::post(co_await this_coro::executor, asio::use_awaitable);
  co_await std::move(task);
}

}  // namespace

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  const auto id = shared_->next_id++;
  auto& entry = shared_->tasks[id];
  entry.name = std::move(name);
  // The signal is held by the handler too: it must outlive the coroutine, also when the group is gone.
  auto on_end = [shared = shared_, id, signal = entry.signal](std::exception_ptr failure) {
    shared->ended(id, std::move(failure));
  };
  asio::co_spawn(shared_->io, started_later(std::move(task)),
                 asio::bind_cancellation_slot(entry.signal->slot(), std::move(on_end)));
}

std::size_t TaskGroup::size() const { return shared_->tasks.size(); }

void TaskGroup::cancel() { shared_->cancel(); }

asio::awaitable<bool> TaskGroup::wait(storage::Duration limit) {
  auto shared = shared_;
  if (shared->tasks.empty()) co_return true;

  asio::steady_timer timer(shared->io, limit);
  shared->waiting.push_back(&timer);
  struct Leave {
    Shared& shared;
    asio::steady_timer* timer;
    ~Leave() { std::erase(shared.waiting, timer); }
  } leave{*shared, &timer};

  boost::system::error_code woken;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  const auto state = co_await this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  const bool all_ended = shared->tasks.empty();
  co_return all_ended;
}

}  // namespace keyturn::net
