// Deadlines and task groups.
#include "integrations/net/within.h"

#include <boost/system/system_error.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// Not default-constructible and not copyable, as many results are.
struct Precious {
  explicit Precious(int number) : number(std::make_unique<int>(number)) {}
  std::unique_ptr<int> number;
};

asio::awaitable<Precious> precious_after(storage::Duration duration) {
  co_await sleep_for(duration);
  co_return Precious(7);
}

asio::awaitable<void> fail_after(storage::Duration duration) {
  co_await sleep_for(duration);
  throw std::runtime_error("the operation's own failure");
}

// Notices that it was cancelled, and cleans up before it unwinds.
asio::awaitable<void> sleep_and_note(bool& unwound) {
  try {
    co_await sleep_for(1h);
  } catch (const boost::system::system_error& error) {
    unwound = error.code() == asio::error::operation_aborted;
    throw;
  }
}

// Finishes all the same when it is cancelled, as a commit does that can't be taken back.
asio::awaitable<int> finish_in_spite_of_cancellation() {
  try {
    co_await sleep_for(1h);
  } catch (const boost::system::system_error&) {
  }
  co_return 5;
}

bool is_abort(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace

TEST_CASE("an operation inside its limit gives its result") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    auto result = co_await within(10s, precious_after(1ms));
    REQUIRE(result);
    CHECK(*result->number == 7);
    CHECK(co_await within(10s, sleep_for(1ms)));
  }());
}

TEST_CASE("an operation past its limit is cancelled and has unwound when within returns") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    bool unwound = false;
    CHECK_FALSE(co_await within(5ms, sleep_and_note(unwound)));
    CHECK(unwound);
    CHECK_FALSE(co_await within(5ms, precious_after(1h)));
  }());
}

TEST_CASE("after a deadline the coroutine goes on as before") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    CHECK_FALSE(co_await within(5ms, sleep_for(1h)));
    CHECK(co_await within(10s, sleep_for(1ms)));
    co_await sleep_for(1ms);
  }());
}

TEST_CASE("an exception of the operation comes through") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    bool thrown = false;
    try {
      co_await within(10s, fail_after(1ms));
    } catch (const std::runtime_error& error) {
      thrown = std::string(error.what()) == "the operation's own failure";
    }
    CHECK(thrown);
  }());
}

TEST_CASE("a result that came in spite of the deadline isn't lost") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    CHECK(co_await within(5ms, finish_in_spite_of_cancellation()) == 5);
  }());
}

TEST_CASE("deadlines nest, and the outer one ends the inner operation") {
  Loop loop;
  loop.run([]() -> asio::awaitable<void> {
    bool unwound = false;
    CHECK_FALSE(co_await within(5ms, [](bool& seen) -> asio::awaitable<void> {
      co_await within(1h, sleep_and_note(seen));
    }(unwound)));
    CHECK(unwound);
  }());
}

TEST_CASE("cancelling a coroutine cancels what it does within a limit, and that is no deadline") {
  Loop loop;
  std::vector<std::string> reports;
  bool unwound = false;
  bool went_on = false;
  TaskGroup tasks(loop.executor(),
                  [&](const std::string& task, std::exception_ptr) { reports.push_back(task); });
  tasks.spawn("sleeper", [](bool& seen, bool& after) -> asio::awaitable<void> {
    co_await within(1h, sleep_and_note(seen));
    after = true;
  }(unwound, went_on));
  loop.run([](TaskGroup& group) -> asio::awaitable<void> {
    co_await sleep_for(5ms);
    group.cancel();
    CHECK(co_await group.wait(5s));
  }(tasks));
  CHECK(unwound);
  CHECK_FALSE(went_on);
  CHECK(reports.empty());
}

TEST_CASE("operations that run all at once take as long as one, and all of them have ended") {
  Loop loop;
  int ended = 0;
  const auto one = [](int& count) -> asio::awaitable<void> {
    ++count;
    while (count < 3) co_await sleep_for(1ms);  // for ever, if they ran one after the other
  };
  loop.run([](auto make, int& count) -> asio::awaitable<void> {
    std::vector<asio::awaitable<void>> operations;
    for (int i = 0; i < 3; ++i) operations.push_back(make(count));
    co_await all(std::move(operations));
    co_await all({});
  }(one, ended));
  CHECK(ended == 3);
}

TEST_CASE("when one of several operations fails, the others unwind and its own failure comes through") {
  Loop loop;
  bool unwound = false;
  std::string why;
  loop.run([](bool& left, std::string& reason) -> asio::awaitable<void> {
    std::vector<asio::awaitable<void>> operations;
    operations.push_back(sleep_and_note(left));
    operations.push_back(fail_after(1ms));
    try {
      co_await all(std::move(operations));
    } catch (const std::runtime_error& error) {
      reason = error.what();
    }
  }(unwound, why));
  CHECK(unwound);
  CHECK(why == "the operation's own failure");
}

TEST_CASE("a failed task is reported once, by name") {
  Loop loop;
  std::vector<std::string> reports;
  TaskGroup tasks(loop.executor(), [&](const std::string& task, std::exception_ptr failure) {
    reports.push_back(task);
    CHECK_FALSE(is_abort(failure));
  });
  tasks.spawn("good", sleep_for(1ms));
  tasks.spawn("bad", fail_after(1ms));
  CHECK(tasks.size() == 2);
  loop.run([](TaskGroup& group) -> asio::awaitable<void> { CHECK(co_await group.wait(5s)); }(tasks));
  CHECK(reports == std::vector<std::string>{"bad"});
  CHECK(tasks.size() == 0);
}

TEST_CASE("an aborted operation is a failure when nobody cancelled the group") {
  Loop loop;
  int reports = 0;
  TaskGroup tasks(loop.executor(), [&](const std::string&, std::exception_ptr) { ++reports; });
  tasks.spawn("aborted", []() -> asio::awaitable<void> {
    throw boost::system::system_error(asio::error::operation_aborted);
    co_return;
  }());
  loop.run([](TaskGroup& group) -> asio::awaitable<void> { CHECK(co_await group.wait(5s)); }(tasks));
  CHECK(reports == 1);
}

TEST_CASE("waiting for a task group gives up when the limit passes") {
  Loop loop;
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("sleeper", sleep_for(1h));
  loop.run([](TaskGroup& group) -> asio::awaitable<void> {
    CHECK_FALSE(co_await group.wait(5ms));
    group.cancel();
    CHECK(co_await group.wait(5s));
    CHECK(co_await group.wait(5s));
  }(tasks));
}

TEST_CASE("a task that is cancelled before its first step never takes it") {
  Loop loop;
  bool stepped = false;
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("never", [](bool& step) -> asio::awaitable<void> {
    step = true;
    co_return;
  }(stepped));
  tasks.cancel();
  loop.run([](TaskGroup& group) -> asio::awaitable<void> { CHECK(co_await group.wait(5s)); }(tasks));
  CHECK_FALSE(stepped);
}

TEST_CASE("a task group that dies cancels its tasks and reports no more") {
  Loop loop;
  bool unwound = false;
  int reports = 0;
  {
    TaskGroup tasks(loop.executor(), [&](const std::string&, std::exception_ptr) { ++reports; });
    tasks.spawn("sleeper", sleep_and_note(unwound));
    loop.run(sleep_for(2ms));
  }
  loop.run(sleep_for(2ms));
  CHECK(unwound);
  CHECK(reports == 0);
}
