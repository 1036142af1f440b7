// Slack's end without its cost: the two methods that a bot calls before it connects, sockets, envelopes,
// acknowledgements, and the two faults of sockets that are measured. Epoll, one read and one write per socket
// and turn however many frames are in them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/bench/load/envelopes.h"
#include "tests/bench/load/slack_end.h"

namespace keyturn::bench {

class LeanSlack final : public SlackEnd {
 public:
  explicit LeanSlack(const std::string& command_text);
  ~LeanSlack() override;
  LeanSlack(const LeanSlack&) = delete;
  LeanSlack& operator=(const LeanSlack&) = delete;

  std::uint16_t port() const override { return port_; }
  std::size_t sockets() const override;
  void send(std::uint64_t number) override;
  void turn(Steady::time_point until) override;
  void close_all() override;

  // What is typed after /rotate from now on.
  void say(const std::string& command_text) { envelopes_ = Envelopes(command_text); }

  // "warning" or "refresh_requested": Slack wants the sockets of now replaced, and cuts them after `notice`.
  void ask_for_refresh(const std::string& reason, Steady::duration notice);
  // Nothing is read from or written to the sockets of now any more, and they don't close: a NAT that forgot
  // us. Envelopes go on being sent to them, until another socket was greeted.
  void fall_silent();

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

  Envelopes envelopes_;
  int listener_ = -1, epoll_ = -1;
  std::uint16_t port_ = 0;
  Connections connections_;
  int last_used_ = -1;
};

}  // namespace keyturn::bench
