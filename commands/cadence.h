// Reminds of rotations that come due: the thin part that acts on what due.h decides. Reminders and looks are
// journaled outside of any rotation. Thread: io only. Failure: Slack or the secret store being away is told
// to the log, and tried again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "commands/commands.h"
#include "commands/slack_desk.h"
#include "integrations/secret_store.h"

namespace keyturn::commands {

class Cadence {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  // References must outlive this.
  Cadence(const boost::asio::any_io_executor& io, Desk& desk, SlackDesk& slack,
          integrations::SecretStore& store, const rotation::Vault& vault, Trouble trouble);

  // Once, at the start.
  void load(const std::vector<storage::Entry>& entries);
  // Until it is cancelled.
  boost::asio::awaitable<void> run();
  // A rotation is over: its target is looked at now, not with the next round.
  void changed();
  // Somebody looked into the secret store: journals and tells when it is another key than the last known one.
  boost::asio::awaitable<void> saw(Target target, std::string fingerprint);

 private:
  struct Pending {  // journaled, and perhaps not in Slack yet
    std::string target, text, channel;
    storage::TimePoint due;
  };

  boost::asio::awaitable<std::optional<storage::TimePoint>> attend(Target target);
  boost::asio::awaitable<std::string> look(Target target);
  boost::asio::awaitable<void> announce(Target target, KeyAge age, std::string name, std::string text);
  boost::asio::awaitable<void> deliver();
  bool overtaken(const Pending& pending) const;
  boost::asio::awaitable<std::string> reminder_text(Target target, KeyAge age, Reminder reminder,
                                                    std::string note);
  KeyAge age(const Target& target) const;
  void note(const std::string& type, const nlohmann::json& data, storage::TimePoint at);

  Desk& desk_;
  SlackDesk& slack_;
  integrations::SecretStore& store_;
  const rotation::Vault& vault_;
  Trouble trouble_;
  std::set<std::string> sent_;
  std::map<std::string, Pending> pending_;            // by name
  std::map<std::string, storage::TimePoint> looked_;  // by target: the last try
  storage::TimePoint began_;
  boost::asio::steady_timer wake_;
  bool dirty_ = true;
};

}  // namespace keyturn::commands
