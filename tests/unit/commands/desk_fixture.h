// A runner over a journal in memory, a virtual clock and actions that never end by themselves: for what
// people do to a rotation. Thread: the test's own.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "commands/rotation/runner.h"
#include "commands/rotation/vault.h"
#include "tests/unit/commands/memory_journal.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {

struct VirtualClock final : storage::Clock {
  TimePoint time = kStart;
  TimePoint now() const override { return time; }
};

struct IdlePerformer final : Performer {
  boost::asio::awaitable<Outcome> perform(Action, std::shared_ptr<const State>, Recorder) override {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    boost::asio::steady_timer::time_point::max());
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return Outcome{};
  }
};

class DeskFixture {
 public:
  DeskFixture() {
    const auto text = storage::Secret::copy_of(std::string(64, '7'));
    key = std::make_shared<const storage::SealingKey>(std::move(*storage::SealingKey::parse(text)));
    vault.emplace(key, journal);
  }

  // Runs until nothing is ready; returns what `work` returned, or throws what it threw.
  template <typename T>
  T run(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown, T value) {
      failure = std::move(thrown);
      if (!failure) result.emplace(std::move(value));
    });
    settle();
    if (failure) std::rethrow_exception(failure);
    if (!result) throw std::runtime_error("the work under test did not end");
    return std::move(*result);
  }
  void settle() {
    io.restart();
    io.poll();
  }

  std::string start(commands::Target target = sample_target(), bool compromise = false) {
    Started started{.target = std::move(target),
                    .operator_id = "U1",
                    .channel = "C1",
                    .compromise = compromise,
                    .reason = {}};
    auto result = run(runner.start(std::move(started), "once-" + std::to_string(++started_)));
    return std::get<std::shared_ptr<const State>>(result)->id;
  }
  bool happens(const std::string& id, std::vector<Event> events) {
    return run(runner.change(id, "keyturn", [&](const State&, TimePoint) {
      return std::optional(Outcome{.events = events, .boxes = {}});
    }));
  }
  std::vector<Event> checks() const {
    std::vector<Event> events{OperatorChecked{true, ""}, current_key(),
                              BillingChecked{.health = Health::healthy, .status = 200, .detail = {}}};
    for (const auto& consumer : sample_target().consumers) events.emplace_back(inspected(consumer.app));
    events.emplace_back(healthy_probe(ActionKind::probe_old_key));
    return events;
  }
  std::shared_ptr<const State> state(const std::string& id) const { return runner.find(id); }

  boost::asio::io_context io;
  MemoryJournal journal;
  VirtualClock clock;
  IdlePerformer performer;
  std::shared_ptr<const storage::SealingKey> key;
  std::optional<Vault> vault;
  Runner runner{io.get_executor(), journal, clock, performer, {}};

 private:
  int started_ = 0;
};

}  // namespace keyturn::test
