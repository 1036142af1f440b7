// Slack's end of Socket Mode, lean: the two methods that a bot calls before it connects, sockets, envelopes
// to each socket in turn, acknowledgements with the time they came. One thread, epoll, one read and one write
// per socket and turn however many frames are in them. Failure: std::runtime_error.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tests/bench/load/envelopes.h"

namespace keyturn::bench {

using Steady = std::chrono::steady_clock;

class SlackEnd {
 public:
  // `acknowledged` hears of every envelope that is acknowledged, each time.
  using Acknowledged =
      std::function<void(std::uint64_t number, Steady::time_point at, std::string_view frame)>;

  explicit SlackEnd(Envelopes& envelopes);
  ~SlackEnd();
  SlackEnd(const SlackEnd&) = delete;
  SlackEnd& operator=(const SlackEnd&) = delete;

  std::uint16_t port() const { return port_; }
  void on_acknowledged(Acknowledged listener) { acknowledged_ = std::move(listener); }

  // How many sockets were greeted and are not gone.
  std::size_t sockets() const;

  // To the next socket in turn, on the next turn(). False: there is none, the envelope is lost.
  bool send(std::uint64_t number);

  // Writes what waits, waits for something to happen until `until`, reads it.
  void turn(Steady::time_point until);

  // "warning" or "refresh_requested": Slack wants the sockets of now replaced, and cuts them after `notice`.
  void ask_for_refresh(const std::string& reason, Steady::duration notice);
  // Nothing is read from or written to the sockets of now any more, and they don't close: a NAT that forgot
  // us. Envelopes go on being sent to them, until another socket was greeted.
  void fall_silent();
  void close_all();

 private:
  struct Connection;
  using Connections = std::map<int, std::unique_ptr<Connection>>;

  void accept_all();
  void read_from(Connection& connection);
  void take_requests(Connection& connection);
  void answer(Connection& connection, const std::string& target);
  void greet(Connection& connection);
  void take_frames(Connection& connection, Steady::time_point at);
  void write_to(Connection& connection);
  void cut_due(Steady::time_point now);
  void forget_gone();

  Envelopes& envelopes_;
  Acknowledged acknowledged_;
  int listener_ = -1, epoll_ = -1;
  std::uint16_t port_ = 0;
  Connections connections_;
  int last_used_ = -1;
};

}  // namespace keyturn::bench
