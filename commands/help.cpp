// /rotate help
#include "commands/commands.h"

namespace keyturn::commands {

nlohmann::json help(const Desk& desk) {
  std::string text =
      "*Keyturn* rotates production API keys with you, and proves each step.\n"
      "`/rotate stripe prod`  routine rotation; the old key lives on for its grace\n"
      "`/rotate stripe prod --compromise`  suspected leak: short grace, the channel is told at once\n"
      "`/rotate status`  what is going on, and when each key is due\n"
      "`/rotate cancel stripe prod`  end a rotation before the new key is there\n"
      "`/rotate rollback stripe prod`  back to the old key, inside the grace: what it would do, and a "
      "button\n"
      "Only superadmins can rotate. Never paste a key into Slack: the one-time form is for that.\nTargets:";
  for (const Target& target : desk.targets) text += " `" + target.name() + "`";
  return only_you(text);
}

}  // namespace keyturn::commands
