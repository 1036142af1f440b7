// Hands pages of entries from a thread that reads to one that works on them, a few at a time. Thread: one
// puts, one takes; any may close.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "storage/journal.h"

namespace keyturn::storage::sqlite {

using Page = std::vector<Entry>;

constexpr std::size_t kEntriesAPage = 1024;
constexpr std::size_t kPagesAhead = 4;

class PageQueue {
 public:
  // Waits while there are as many as may be. Once it is closed, pages are dropped.
  void put(Page page) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || pages_.size() < kPagesAhead; });
    if (closed_) return;
    pages_.push_back(std::move(page));
    changed_.notify_all();
  }

  // Waits for the next one. Nothing: it was closed, and all were taken.
  std::optional<Page> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !pages_.empty(); });
    if (pages_.empty()) return std::nullopt;
    Page page = std::move(pages_.front());
    pages_.pop_front();
    changed_.notify_all();
    return page;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Page> pages_;
  bool closed_ = false;
};

class CloseAtEnd {
 public:
  explicit CloseAtEnd(PageQueue& queue) : queue_(queue) {}
  ~CloseAtEnd() { queue_.close(); }
  CloseAtEnd(const CloseAtEnd&) = delete;
  CloseAtEnd& operator=(const CloseAtEnd&) = delete;

 private:
  PageQueue& queue_;
};

}  // namespace keyturn::storage::sqlite
