// The sandbox's Slack, in this process: what a person types goes through all that the emulator does for it
// (conversations, response URLs, the record of the traffic).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "tests/bench/load/slack_end.h"

namespace keyturn::bench {

class EmulatorSlack final : public SlackEnd {
 public:
  explicit EmulatorSlack(std::string command_text);
  ~EmulatorSlack() override;

  // What a bot has to show here.
  const std::string& app_token() const;
  const std::string& bot_token() const;

  std::uint16_t port() const override;
  std::size_t sockets() const override;
  void send(std::uint64_t number) override;
  void turn(Steady::time_point until) override;
  void close_all() override;

 private:
  boost::asio::awaitable<void> type(std::uint64_t number);

  struct Emulator;
  std::unique_ptr<Emulator> emulator_;
  std::string command_text_;
};

}  // namespace keyturn::bench
