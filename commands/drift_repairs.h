// Gives an app the key that the secret store holds, because a superadmin pressed the button of a drift:
// checks the key at Stripe, writes the one variable, and waits until every dyno runs that release. What was
// asked for stands in the journal first; a process that dies in the middle leaves it to the next one, which
// looks before it writes. Thread: io only. Failure: what may pass is tried again for a while; then the drift
// says why it came to nothing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <set>
#include <string>

#include "commands/commands.h"
#include "commands/rotation/rollout.h"
#include "commands/rotation/vault.h"
#include "integrations/consumer.h"
#include "integrations/net/within.h"
#include "integrations/provider.h"
#include "integrations/secret_store.h"

namespace keyturn::commands {

struct DriftSystems {  // must outlive whoever has it
  integrations::SecretStore& store;
  integrations::Consumer& consumer;
  integrations::Provider& provider;
  const rotation::Vault& vault;
};

class DriftRepairs {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  // References must outlive this.
  DriftRepairs(const boost::asio::any_io_executor& io, Desk& desk, DriftSystems systems, Trouble trouble);

  // Sets every repair going that was asked for and isn't.
  void start();
  void stop() { tasks_.cancel(); }
  boost::asio::awaitable<bool> stopped(storage::Duration limit) { co_return co_await tasks_.wait(limit); }

 private:
  struct Attempt {  // of one repair, across its tries
    Drift drift;
    Target target;
    std::string variable;
    bool wrote = false;
  };
  boost::asio::awaitable<void> carry_out(std::string id);
  boost::asio::awaitable<nlohmann::json> outcome(Drift drift);
  boost::asio::awaitable<rotation::RolledOut> repair(Attempt& attempt);
  boost::asio::awaitable<storage::SharedSecret> checked_key(const Attempt& attempt);
  boost::asio::awaitable<std::string> give(Attempt& attempt, storage::SharedSecret key);

  Desk& desk_;
  DriftSystems systems_;
  Trouble trouble_;
  std::set<std::string> going_on_;  // ids
  net::TaskGroup tasks_;
};

}  // namespace keyturn::commands
