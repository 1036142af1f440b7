// Deadlines and owned coroutines. Boost 1.81 has no cancel_after, and `(op || timer)` loses the exception of
// op: these helpers are the only place that knows. Thread: io only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/clock.h"

namespace keyturn::net {

// Sleeps; a cancelled sleep throws, so that the coroutine around it unwinds.
boost::asio::awaitable<void> sleep_for(storage::Duration duration);

// True when `operation` finished; false when `limit` passed first. The operation is then cancelled and has
// unwound before this returns; one that finished all the same counts as finished, so that nothing it did is
// lost. Exceptions of `operation` come through, but for those that the deadline itself caused. When the
// coroutine around it is cancelled, so is the operation.
boost::asio::awaitable<bool> within(storage::Duration limit, boost::asio::awaitable<void> operation);

namespace detail {

template <typename T>
boost::asio::awaitable<void> store_result(boost::asio::awaitable<T> operation, std::optional<T>& result) {
  result.emplace(co_await std::move(operation));
}

}  // namespace detail

// As above, for operations with a result: the result, or nothing when `limit` passed first.
template <typename T>
boost::asio::awaitable<std::optional<T>> within(storage::Duration limit,
                                                boost::asio::awaitable<T> operation) {
  std::optional<T> result;
  co_await within(limit, detail::store_result(std::move(operation), result));
  co_return std::move(result);
}

// All of them at once. When one fails the others are cancelled, and its exception comes through once they
// have unwound. When the coroutine around it is cancelled, so are they.
boost::asio::awaitable<void> all(std::vector<boost::asio::awaitable<void>> operations);

// Whether a coroutine is being cancelled (co_await this_coro::cancellation_state). Asked of the coroutine and
// not of an exception: an operation that somebody else aborted must not end the work around it.
bool cancelled(const boost::asio::cancellation_state& state);

// what() of it, for the log.
std::string what_of(const std::exception_ptr& failure);

// Owns spawned coroutines: their exceptions are reported once, and they can be cancelled and waited for.
// A task that ends because the group was cancelled is not a failure and isn't reported.
class TaskGroup {
 public:
  using Report = std::function<void(const std::string& task, std::exception_ptr)>;
  TaskGroup(boost::asio::any_io_executor io, Report report);
  // Cancels what still runs. Nothing is reported from here on: what `report` refers to may be gone.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // The task's first step runs later, never inside this call.
  void spawn(std::string name, boost::asio::awaitable<void> task);
  std::size_t size() const;
  // Asks every task to unwind. Tasks spawned later are not concerned.
  void cancel();
  // Until every task has ended, at most `limit`. False when some were still running.
  boost::asio::awaitable<bool> wait(storage::Duration limit);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace keyturn::net
