// Slack's end of Socket Mode, as a load needs it: envelopes go out, acknowledgements come in with their time.
// Single thread: everything happens in turn(). Failure: std::runtime_error.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace keyturn::bench {

using Steady = std::chrono::steady_clock;

class SlackEnd {
 public:
  // Hears of every envelope that is acknowledged, each time. `frame`: the acknowledgement.
  using Acknowledged =
      std::function<void(std::uint64_t number, Steady::time_point at, std::string_view frame)>;

  virtual ~SlackEnd() = default;

  virtual std::uint16_t port() const = 0;
  // How many sockets were greeted and are not gone.
  virtual std::size_t sockets() const = 0;
  // To the next socket in turn, on the next turn(). Where there is none, the envelope is lost.
  virtual void send(std::uint64_t number) = 0;
  // Writes what waits, waits for something to happen until `until`, reads it.
  virtual void turn(Steady::time_point until) = 0;
  virtual void close_all() = 0;

  void on_acknowledged(Acknowledged listener) { acknowledged_ = std::move(listener); }

 protected:
  void acknowledged(std::uint64_t number, Steady::time_point at, std::string_view frame) const {
    if (acknowledged_) acknowledged_(number, at, frame);
  }

 private:
  Acknowledged acknowledged_;
};

}  // namespace keyturn::bench
