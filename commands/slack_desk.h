// Slack, as the rotation needs it: who may rotate, the operator's DM, and the messages that follow the state.
// Thread: io only. Slack being down never stops a rotation: messages are repeated until they are there, and
// the story is told afterwards.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "commands/rotation/performer.h"
#include "commands/rotation/runner.h"
#include "commands/views/messages.h"
#include "integrations/net/within.h"
#include "integrations/slack/web_api.h"

namespace keyturn::commands {

// The person's own Slack account: active, human, no guest, of our workspace. Pure: reads users.info's `user`.
rotation::OperatorChecked read_account(const nlohmann::json& user, const std::string& team);

class SlackDesk final : public rotation::People {
 public:
  // References must outlive this.
  SlackDesk(slack::WebApi& api, std::string team);
  boost::asio::awaitable<rotation::OperatorChecked> check(std::string user) override;
  boost::asio::awaitable<rotation::FormSent> send_form(std::shared_ptr<const rotation::State> state,
                                                       Invitation invitation) override;

  // The DM channel with that person.
  boost::asio::awaitable<std::string> dm(std::string user);
  // chat.postMessage, never unfurled; `slot` and `rotation` go into the metadata, so that a post whose answer
  // was lost can be found again. Returns the message's ts.
  boost::asio::awaitable<std::string> post(std::string channel, views::Message message, std::string rotation);
  // A link that opens that message.
  boost::asio::awaitable<std::string> link_to(std::string channel, std::string ts);
  boost::asio::awaitable<void> update(std::string channel, std::string ts, views::Message message);
  // The ts of a message that was posted already, or nothing.
  boost::asio::awaitable<std::optional<std::string>> find(std::string channel, std::string slot,
                                                          std::string rotation);

 private:
  slack::WebApi& api_;
  std::string team_;
  std::map<std::string, std::string> dms_;
};

// Keeps the messages of every rotation as its state says: posts what is missing, edits what has changed.
class Announcer {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  Announcer(boost::asio::any_io_executor io, SlackDesk& desk, const storage::Clock& clock, Trouble trouble);
  ~Announcer();
  void attach(rotation::Runner& runner) { runner_ = &runner; }

  // The state of that rotation has changed: catch up soon.
  void changed(const rotation::State& state);
  void stop();
  boost::asio::awaitable<bool> stopped(storage::Duration limit);

 private:
  struct Follower;
  boost::asio::awaitable<void> follow(std::shared_ptr<Follower> follower);
  boost::asio::awaitable<void> catch_up(std::shared_ptr<Follower> follower);
  boost::asio::awaitable<void> bring(std::shared_ptr<Follower> follower, views::Message message);
  boost::asio::awaitable<std::string> channel_of(std::shared_ptr<const rotation::State> state,
                                                 views::Place place, std::string person);
  boost::asio::awaitable<void> retire_link(std::shared_ptr<Follower> follower);

  boost::asio::any_io_executor io_;
  SlackDesk& desk_;
  const storage::Clock& clock_;
  Trouble trouble_;
  rotation::Runner* runner_ = nullptr;
  std::map<std::string, std::shared_ptr<Follower>> followers_;
  net::TaskGroup tasks_;
};

}  // namespace keyturn::commands
