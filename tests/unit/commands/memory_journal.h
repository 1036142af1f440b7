// A journal in memory that keeps the contract of storage::Journal: one entry chain, once-keys, boxes that
// change with their entries, and nothing readable before the commit has returned. It can be told to die at a
// commit, as a process does. Thread: the test's own.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "commands/rotation/replay.h"
#include "storage/journal.h"

namespace keyturn::test {

class MemoryJournal final : public storage::Journal {
 public:
  enum class Death { none, before_writing, after_writing };

  boost::asio::awaitable<storage::Committed> commit(storage::Batch batch) override {
    const auto io = co_await boost::asio::this_coro::executor;
    co_await boost::asio::post(io, boost::asio::use_awaitable);
    ++commits;
    if (refuse_next > 0) {
      --refuse_next;
      throw std::runtime_error("the disk is full");
    }
    const bool dies = death != Death::none && commits == dies_at;
    if (dies && death == Death::before_writing) co_await never();
    storage::Committed committed = write(std::move(batch));
    if (dies) co_await never();
    co_return committed;
  }

  boost::asio::awaitable<std::optional<storage::SealedBox>> box(storage::BoxName name) override {
    co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
    const auto found = boxes.find({name.rotation, name.purpose});
    if (found == boxes.end()) co_return std::nullopt;
    co_return found->second;
  }

  boost::asio::awaitable<std::vector<storage::Entry>> entries_of(std::string rotation) override {
    std::vector<storage::Entry> found;
    for (const auto& entry : written) {
      if (entry.rotation == rotation) found.push_back(entry);
    }
    co_return found;
  }

  // The rotations in it, as a start at `now` finds them.
  std::vector<std::shared_ptr<commands::rotation::State>> replayed(storage::TimePoint now) const {
    commands::rotation::Replay replay(now);
    for (const auto& entry : written) {
      if (!entry.rotation.empty()) replay.add(entry);
    }
    return replay.finish();
  }

  // How many entries of that type there are.
  int count(const std::string& type) const {
    int found = 0;
    for (const auto& entry : written) found += entry.type == type ? 1 : 0;
    return found;
  }

  std::vector<storage::Entry> written;
  std::map<std::pair<std::string, std::string>, storage::SealedBox> boxes;
  int commits = 0;
  int refuse_next = 0;  // so many commits fail
  Death death = Death::none;
  int dies_at = 0;  // commit number, from 1
  bool dead = false;

 private:
  boost::asio::awaitable<void> never() {
    dead = true;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    boost::asio::steady_timer::time_point::max());
    co_await timer.async_wait(boost::asio::use_awaitable);
  }

  storage::Committed write(storage::Batch batch) {
    if (batch.once && !once_.insert(*batch.once).second) return {.duplicate = true, .entries = {}};
    storage::Committed committed;
    for (auto& entry : batch.entries) {
      storage::Entry next{.sequence = static_cast<std::int64_t>(written.size()) + 1,
                          .at = entry.at,
                          .rotation = entry.rotation,
                          .type = entry.type,
                          .actor = entry.actor,
                          .data = entry.data.dump(),  // throws for what is no UTF-8, as the real one does
                          .previous_hash = written.empty() ? std::string(64, '0') : written.back().hash,
                          .hash = {}};
      next.hash = storage::chain_hash(next);
      written.push_back(next);
      committed.entries.push_back(std::move(next));
    }
    for (auto& box : batch.boxes) boxes[{box.name.rotation, box.name.purpose}] = std::move(box.box);
    for (const auto& name : batch.destroyed) boxes.erase({name.rotation, name.purpose});
    return committed;
  }

  std::set<std::string> once_;
};

}  // namespace keyturn::test
