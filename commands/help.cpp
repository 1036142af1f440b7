// /rotate help: what the one who asks may run.
#include <array>

#include "commands/commands.h"

namespace keyturn::commands {

namespace asio = boost::asio;

namespace {

struct Line {
  bool everybody;
  const char* command;
  const char* what;
};

constexpr std::array kLines{
    Line{false, "stripe prod",
         "routine rotation; the old key lives on for its grace. A dead key is replaced by a fresh one"},
    Line{false, "stripe prod --compromise", "suspected leak: short grace, the channel is told at once"},
    Line{true, "status", "what is going on, and when each key is due"},
    Line{true, "due", "every key's age, the most urgent first"},
    Line{false, "audit stripe prod", "the evidence of the last rotation, and what was journaled"},
    Line{false, "hand-over stripe prod @person", "another superadmin goes on with it"},
    Line{false, "cancel stripe prod", "end a rotation before the new key is there"},
    Line{false, "rollback stripe prod",
         "back to the old key, inside the grace: what it would do, and a button"},
    Line{false, "offboard @person",
         "rotate every key that a person who leaves may know: one board, button by button"},
    Line{false, "expire-now stripe prod", "end the old key before its deadline: checked, guided, proven"},
};

std::string who_may(Standing standing) {
  switch (standing) {
    case Standing::superadmin:
      return "Never paste a key into Slack: the one-time form is for that.";
    case Standing::other:
      return "The rest is for superadmins. Never paste a key into Slack.";
    case Standing::unknown:
      return "Slack did not say whether you are a superadmin; only they may do more. Never paste a key into "
             "Slack.";
  }
  return {};
}

}  // namespace

asio::awaitable<nlohmann::json> help(Desk& desk, std::string user) {
  const Standing standing = co_await desk.authority.standing(std::move(user));
  std::string text = "*Keyturn* rotates production API keys with you, and proves each step.\n";
  for (const Line& line : kLines) {
    if (line.everybody || standing == Standing::superadmin)
      text += std::string("`/rotate ") + line.command + "`  " + line.what + "\n";
  }
  text += who_may(standing) + "\nTargets:";
  for (const Target& target : desk.targets) text += " `" + target.name() + "`";
  co_return only_you(text);
}

}  // namespace keyturn::commands
