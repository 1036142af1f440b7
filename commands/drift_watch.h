// Looks, while no rotation is changing it, whether every app holds the key that the secret store holds, and
// tells the team when one doesn't, once. What was found stands in the journal, outside of any rotation.
// Thread: io only. Failure: what can't be looked at is told to the log, and looked at again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "commands/cadence.h"
#include "commands/commands.h"
#include "commands/drift_repairs.h"
#include "commands/slack_desk.h"

namespace keyturn::commands {

class DriftWatch {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  // References must outlive this.
  DriftWatch(const boost::asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Cadence& cadence,
             DriftSystems systems, Trouble trouble);

  // Once, at the start.
  void load(const std::vector<storage::Entry>& entries);
  // Until it is cancelled.
  boost::asio::awaitable<void> run();
  // A drift has changed: look at its message, and whether a repair was asked for.
  void changed();

 private:
  boost::asio::awaitable<storage::TimePoint> watch_if_due(Target target, storage::Duration pause);
  boost::asio::awaitable<std::optional<storage::TimePoint>> watch(Target target);
  boost::asio::awaitable<DriftLook> look(Target target, std::string stored);
  boost::asio::awaitable<void> look_at_app(ConsumerTarget consumer, std::string& held, bool& seen);
  void look_for_master_key(const storage::Secret& value, const std::string& where);
  boost::asio::awaitable<std::string> stored_key(Target target);
  boost::asio::awaitable<void> tell_of(Drift drift);
  boost::asio::awaitable<void> end(std::string id);
  boost::asio::awaitable<void> drop_what_is_gone();
  boost::asio::awaitable<std::optional<storage::TimePoint>> attend_all();
  boost::asio::awaitable<void> attend(std::string id);
  KeyAtRest at_rest(const Target& target) const;

  Desk& desk_;
  SlackDesk& slack_;
  Cadence& cadence_;
  DriftSystems systems_;
  Trouble trouble_;
  boost::asio::steady_timer wake_;
  bool dirty_ = true;
  std::map<std::string, storage::TimePoint> due_;          // the next look, by target
  std::map<std::string, DriftLook> before_;                // the last look, by target
  std::map<std::string, std::string> blind_;               // why the last look saw nothing, by target or app
  std::map<std::string, std::size_t> sent_;                // hash of what the message says in Slack, by drift
  std::map<std::string, std::vector<std::string>> named_;  // whom the message names, by drift
  std::set<std::string> given_up_;                         // messages that Slack refuses for good
};

}  // namespace keyturn::commands
