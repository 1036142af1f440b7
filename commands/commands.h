// What an operator can ask for in Slack. Each command is one file; this is what they share.
// Every answer is for the person alone (ephemeral). Whatever a command changes is on disk before its answer
// goes out. Thread: io only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/authority.h"
#include "commands/campaign.h"
#include "commands/command_line.h"
#include "commands/drift.h"
#include "commands/due.h"
#include "commands/rotation/performer.h"
#include "commands/rotation/runner.h"
#include "commands/target.h"
#include "integrations/slack/envelope.h"
#include "storage/journal.h"

namespace keyturn::commands {

struct Desk {  // must outlive the commands
  rotation::Runner& runner;
  storage::Journal& journal;
  const storage::Clock& clock;
  Authority& authority;
  std::vector<Target> targets;
  std::string channel;  // where the team is told
  std::string team, app;
  rotation::People* people = nullptr;
  KeysSeen seen;        // kept by the cadence
  Campaigns campaigns;  // offboardings; the fold of their entries
  std::function<void()> campaigns_changed = {};
  Drifts drifts = {};  // kept by the drift watch
  std::function<void()> drifts_changed = {};
  // A master key was seen where a rotation doesn't look: the team has to hear of it. `where`: "found in
  // Infisical", as mrkdwn. Once for each `sight`.
  std::function<void(std::string where, std::string sight)> master_key_seen = {};
};

// The payload of an acknowledgement that only the person sees. `text` is mrkdwn.
nlohmann::json only_you(const std::string& text);

// One slash command: reads it, refuses strangers, answers. `once` is the envelope's dedupe key.
boost::asio::awaitable<nlohmann::json> handle(Desk& desk, slack::SlashCommand command, std::string once);

boost::asio::awaitable<nlohmann::json> rotate(Desk& desk, RotateCommand command, slack::SlashCommand from,
                                              std::string once);
// Starts it for a superadmin. What to tell them; empty: this was answered before.
boost::asio::awaitable<std::string> start_rotation(Desk& desk, RotateCommand command, std::string user,
                                                   std::string once);
boost::asio::awaitable<nlohmann::json> cancel(Desk& desk, CancelCommand command, slack::SlashCommand from,
                                              std::string once);
boost::asio::awaitable<nlohmann::json> rollback(Desk& desk, RollbackCommand command, slack::SlashCommand from,
                                                std::string once);
boost::asio::awaitable<nlohmann::json> hand_over(Desk& desk, HandOverCommand command,
                                                 slack::SlashCommand from, std::string once);
boost::asio::awaitable<nlohmann::json> expire_now(Desk& desk, ExpireNowCommand command,
                                                  slack::SlashCommand from, std::string once);
boost::asio::awaitable<nlohmann::json> offboard(Desk& desk, OffboardCommand command, slack::SlashCommand from,
                                                std::string once);
nlohmann::json status(const Desk& desk);
nlohmann::json due(const Desk& desk);
boost::asio::awaitable<nlohmann::json> audit(Desk& desk, AuditCommand command, slack::SlashCommand from,
                                             std::string once);
boost::asio::awaitable<nlohmann::json> help(Desk& desk, std::string user);

// One click on a button of ours. The role and the state are checked again: a button outlives its moment. The
// answer to a person whose click does nothing is sent through `tell`.
using Tell = std::function<boost::asio::awaitable<void>(std::string response_url, std::string text)>;
boost::asio::awaitable<void> handle(Desk& desk, slack::Click click, std::string once, Tell tell);

// Approve or Decline: by another superadmin than the one who asked, with an account that may act.
boost::asio::awaitable<void> approve(Desk& desk, slack::Click click, std::string once, Tell tell);

// The buttons of a board.
boost::asio::awaitable<void> offboard_click(Desk& desk, slack::Click click, std::string once, Tell tell);
// The button of a drift.
boost::asio::awaitable<void> repair_click(Desk& desk, slack::Click click, std::string once, Tell tell);
// Why that person can't have any rotation in hand, nor approve one: they leave, and would see another key. Or
// nothing.
std::string leaver_objection(const Desk& desk, const std::string& person);

// What Slack says about that account right now; "not allowed" also when it says nothing in time.
boost::asio::awaitable<rotation::OperatorChecked> account_of(Desk& desk, std::string user);

// Makes `to` the operator of that rotation, when they may be one; what to tell `from`, a superadmin.
boost::asio::awaitable<std::string> pass_on(Desk& desk, std::string rotation, std::string from,
                                            std::string to, std::string once);

// Appends an entry about a drift, folds it, and lets those know who follow them.
boost::asio::awaitable<void> record_drift(Desk& desk, std::string type, nlohmann::json data);

// What is to be said about a target that the settings don't have, with the one that was probably meant;
// nothing: they have it. `verb`: "cancel".
std::optional<std::string> no_such_target(const Desk& desk, const std::string& provider,
                                          const std::string& environment, std::string_view verb);

// What was refused stands in the journal too, outside of any rotation.
constexpr std::string_view kCommandRefused = "command.refused";
boost::asio::awaitable<void> record_refusal(Desk& desk, std::string user, std::string what, std::string code,
                                            std::string once);

}  // namespace keyturn::commands
