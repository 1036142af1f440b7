// Looks, while no rotation is changing it, whether every app holds the key that the secret store holds; tells
// the team when one doesn't, once, and puts it right when a superadmin says so. What was found, asked for and
// done stands in the journal, outside of any rotation. Thread: io only. Failure: what can't be looked at is
// told to the log, and looked at again; a repair that comes to nothing says why in its message, and can be
// asked for again.
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
#include "commands/rotation/rollout.h"
#include "commands/slack_desk.h"
#include "integrations/net/within.h"

namespace keyturn::commands {

class DriftWatch {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  struct Systems {
    integrations::SecretStore& store;
    integrations::Consumer& consumer;
    integrations::Provider& provider;
    const rotation::Vault& vault;
  };
  // References must outlive this.
  DriftWatch(const boost::asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Cadence& cadence,
             Systems systems, Trouble trouble);

  // Once, at the start.
  void load(const std::vector<storage::Entry>& entries);
  // Until it is cancelled.
  boost::asio::awaitable<void> run();
  // A drift has changed: look at its message, and whether a repair was asked for.
  void changed();

 private:
  // When to look again.
  boost::asio::awaitable<storage::TimePoint> watch(Target target);
  boost::asio::awaitable<DriftLook> look(Target target, std::string stored);
  boost::asio::awaitable<void> look_at_app(ConsumerTarget consumer, std::string& held, bool& seen);
  boost::asio::awaitable<std::string> stored_key(Target target);
  boost::asio::awaitable<void> tell_of(Drift drift);
  boost::asio::awaitable<void> attend(std::string id);
  boost::asio::awaitable<void> carry_out(std::string id);
  boost::asio::awaitable<rotation::RolledOut> repair(Drift drift, Target target);
  boost::asio::awaitable<void> write(std::string type, nlohmann::json data);
  boost::asio::awaitable<void> attend_all();
  const Target* target_named(const std::string& name) const;
  std::string at_rest(const Target& target) const;

  Desk& desk_;
  SlackDesk& slack_;
  Cadence& cadence_;
  Systems systems_;
  Trouble trouble_;
  boost::asio::steady_timer wake_;
  bool dirty_ = true;
  std::map<std::string, storage::TimePoint> due_;  // the next look, by target
  std::map<std::string, DriftLook> before_;        // the last look, by target
  std::map<std::string, std::string> blind_;       // why the last look saw nothing, by target
  std::map<std::string, std::size_t> sent_;        // hash of what the message says in Slack, by drift
  std::set<std::string> under_repair_;             // ids
  net::TaskGroup repairs_;
};

}  // namespace keyturn::commands
