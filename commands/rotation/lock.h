// A lock that coroutines of one thread wait for in turn.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <utility>

namespace keyturn::commands::rotation {

class Lock {
 public:
  explicit Lock(boost::asio::any_io_executor io) : io_(std::move(io)) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  class Held {
   public:
    explicit Held(Lock& lock) : lock_(&lock) {}
    Held(Held&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (lock_) lock_->release();
    }

   private:
    Lock* lock_;
  };

  boost::asio::awaitable<Held> acquire();

 private:
  void release();

  boost::asio::any_io_executor io_;
  bool held_ = false;
  std::deque<std::weak_ptr<boost::asio::steady_timer>> waiting_;
};

}  // namespace keyturn::commands::rotation
