// Reads what stands behind /rotate, as people type it at three in the morning: smart dashes, curly quotes,
// mentions, code marks and capitals are understood; a pasted credential is recognised before anything else
// looks at the text. Pure. Nothing in the result ever holds a credential.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace keyturn::commands {

struct RotateCommand {
  std::string provider, environment;
  bool compromise = false;
  std::string reason;  // what stands behind the flag
};
struct StatusCommand {};
struct CancelCommand {
  std::string provider, environment;
  bool give_up = false;  // also when the new key was received: the sealed keys are destroyed
};
struct RollbackCommand {
  std::string provider, environment;
};
struct HandOverCommand {
  std::string provider, environment;
  std::string to;  // a Slack user id
};
struct ExpireNowCommand {
  std::string provider, environment;
};
struct AuditCommand {
  std::string provider, environment;
  int page = 1;
};
struct OffboardCommand {
  std::string person;       // a Slack user id
  bool compromise = false;  // its rotations are those of a suspected leak
};
struct DueCommand {};
struct HelpCommand {};
struct HoldsCredential {  // somebody pasted a key into Slack: it is now in Slack's own logs
  bool master = false;
};
struct NotUnderstood {
  std::string why;  // a sentence, with what was typed escaped by whoever shows it
};
using CommandLine = std::variant<RotateCommand, StatusCommand, CancelCommand, RollbackCommand,
                                 HandOverCommand, ExpireNowCommand, AuditCommand, OffboardCommand, DueCommand,
                                 HelpCommand, HoldsCredential, NotUnderstood>;

CommandLine read_command_line(std::string_view text);

// The words of the text: dashes at their start normalised, quotes and code marks stripped, mentions and links
// unwrapped.
std::vector<std::string> words_of(std::string_view text);

// The nearest of `known` to `word` (edit distance of at most 2), or empty.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace keyturn::commands
