// Keeps the boards of offboardings: posts each once, edits it as its rotations go, and closes it when nothing
// is left to do. Everything stands in the journal, outside of any rotation. Thread: io only. Failure: Slack
// being away is told to the log, and tried again; what it refuses for good is left until the board says
// something else.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "commands/commands.h"
#include "commands/slack_desk.h"

namespace keyturn::commands {

class Offboarding {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  // References must outlive this.
  Offboarding(const boost::asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Trouble trouble);

  // Once, at the start.
  void load(const std::vector<storage::Entry>& entries);
  // Until it is cancelled.
  boost::asio::awaitable<void> run();
  // A rotation or a campaign has changed: look soon.
  void changed();

 private:
  boost::asio::awaitable<void> attend(std::string id);
  boost::asio::awaitable<void> bring(Campaign campaign, views::Message message, std::size_t content);
  boost::asio::awaitable<void> write(std::string type, nlohmann::json data, std::string once);
  boost::asio::awaitable<std::string> link_to(std::string channel, std::string ts);
  boost::asio::awaitable<void> wait(storage::Duration longest);

  Desk& desk_;
  SlackDesk& slack_;
  Trouble trouble_;
  boost::asio::steady_timer wake_;
  bool dirty_ = true;
  std::map<std::string, std::size_t> sent_;     // hash of what the board says in Slack, by campaign
  std::map<std::string, std::size_t> refused_;  // ... and of what Slack refuses for good
};

}  // namespace keyturn::commands
