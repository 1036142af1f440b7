// Deadlines and owned coroutines. Boost 1.81 has no cancel_after, and `(op || timer)` loses the exception of op: these
// helpers are the only place that knows.
// Thread: io only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "storage/clock.h"

namespace keyturn::net {

// Sleeps; a cancelled sleep throws, so that the coroutine around it unwinds.
boost::asio::awaitable<void> sleep_for(storage::Duration duration);

// The result of `operation`, or nothing when `limit` passed first (the operation is cancelled and unwound before this
// returns). Exceptions of `operation` come through.
template <typename T>
boost::asio::awaitable<std::optional<T>> within(storage::Duration limit, boost::asio::awaitable<T> operation) {
  using namespace boost::asio::experimental::awaitable_operators;
  // Caught inside, because operator|| swallows the exception of whichever branch finishes second.
  auto guarded = [](boost::asio::awaitable<T> inner, std::exception_ptr& failure)
      -> boost::asio::awaitable<std::optional<T>> {
    try {
      co_return std::optional<T>(co_await std::move(inner));
    } catch (...) {
      failure = std::current_exception();
      co_return std::nullopt;
    }
  };
  std::exception_ptr failure;
  auto first = co_await (guarded(std::move(operation), failure) || sleep_for(limit));
  if (first.index() == 1) co_return std::nullopt;
  if (failure) std::rethrow_exception(failure);
  co_return std::get<0>(std::move(first));
}

// For operations without a result: false when `limit` passed first.
boost::asio::awaitable<bool> within(storage::Duration limit, boost::asio::awaitable<void> operation);

// Owns spawned coroutines: their exceptions are reported once, and they can be cancelled and waited for.
class TaskGroup {
 public:
  using Report = std::function<void(const std::string& task, std::exception_ptr)>;
  TaskGroup(boost::asio::any_io_executor io, Report report);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(std::string name, boost::asio::awaitable<void> task);
  std::size_t size() const;
  void cancel();
  // Until every task has ended, at most `limit`. False when some were still running.
  boost::asio::awaitable<bool> wait(storage::Duration limit);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace keyturn::net
