#include "commands/command_line.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "integrations/credentials.h"
#include "integrations/stripe/key_format.h"

namespace keyturn::commands {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// What a keyboard or a chat client puts in place of plain characters.
void plain_characters(std::string& text) {
  constexpr std::array spaces = {"\u00a0", "\u2003", "\u2002", "\u202f", "\u3000", "\t", "\r", "\n"};
  constexpr std::array nothing = {"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u200e", "\u200f",
                                  "\u202a", "\u202c", "\u2066", "\u2069", "\u201c", "\u201d", "\u201e",
                                  "\u2018", "\u2019", "\u00ab", "\u00bb", "\"",     "'",      "`"};
  for (const auto* space : spaces) replace_all(text, space, " ");
  for (const auto* gone : nothing) replace_all(text, gone, "");
}

// "—compromise", "–compromise", "——compromise", "--compromise" are all "--compromise".
std::string plain_dashes(std::string word) {
  constexpr std::array dashes = {"\u2014", "\u2013", "\u2012", "\u2015", "\u2212", "\u2010", "\u2011", "-"};
  std::size_t at = 0;
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view dash : dashes) {
      if (word.compare(at, dash.size(), dash) != 0) continue;
      at += dash.size();
      found = true;
    }
  }
  return at == 0 ? word : "--" + word.substr(at);
}

// "<http://stripe.com|stripe.com>" and "<@U1|ada>" become what a person sees.
std::string unwrapped(std::string word) {
  if (word.size() < 2 || word.front() != '<' || word.back() != '>') return word;
  word = word.substr(1, word.size() - 2);
  if (const auto bar = word.find('|'); bar != std::string::npos) word.erase(0, bar + 1);
  return word;
}

std::string stripped(std::string word) {
  constexpr std::string_view marks = "*_~,.;:!";
  const auto first = word.find_first_not_of(marks);
  if (first == std::string::npos) return {};
  return word.substr(first, word.find_last_not_of(marks) - first + 1);
}

std::string lower(std::string word) {
  std::ranges::transform(word, word.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

std::string join(std::vector<std::string>::const_iterator from, std::vector<std::string>::const_iterator to) {
  std::string text;
  for (; from != to; ++from) text += (text.empty() ? "" : " ") + *from;
  return text;
}

CommandLine read_cancel(const std::vector<std::string>& words) {
  if (words.size() < 3) return NotUnderstood{"Say which rotation: `/rotate cancel stripe prod`."};
  const bool give_up = words.size() > 3 && (lower(words[3]) == "--give-up" || lower(words[3]) == "give-up");
  if (words.size() > 3 && !give_up)
    return NotUnderstood{"Only `--give-up` can follow the target of a cancel."};
  return CancelCommand{.provider = lower(words[1]), .environment = lower(words[2]), .give_up = give_up};
}

CommandLine read_rollback(const std::vector<std::string>& words) {
  if (words.size() < 3) return NotUnderstood{"Say which rotation: `/rotate rollback stripe prod`."};
  return RollbackCommand{lower(words[1]), lower(words[2])};
}

CommandLine read_expire_now(const std::vector<std::string>& words) {
  if (words.size() != 3)
    return NotUnderstood{"Say which rotation, and nothing else: `/rotate expire-now stripe prod`."};
  return ExpireNowCommand{lower(words[1]), lower(words[2])};
}

CommandLine read_audit(const std::vector<std::string>& words) {
  const bool paged = words.size() == 4 && words[3].size() <= 3 &&
                     std::ranges::all_of(words[3], [](unsigned char c) { return std::isdigit(c); });
  if (words.size() != 3 && !paged)
    return NotUnderstood{"Say which key: `/rotate audit stripe prod`, then perhaps a page."};
  return AuditCommand{lower(words[1]), lower(words[2]), paged ? std::stoi(words[3]) : 1};
}

struct Mention {
  std::string user;
  std::size_t at = 0, size = 0;
};

// "<@U123|ada>": only that says who is meant. A name that was typed could be anybody's.
std::vector<Mention> mentions_in(std::string_view text) {
  std::vector<Mention> found;
  for (std::size_t at = text.find("<@"); at != std::string_view::npos; at = text.find("<@", at + 2)) {
    const std::size_t end = text.find('>', at);
    if (end == std::string_view::npos) break;
    std::string user(text.substr(at + 2, end - at - 2));
    user.resize(std::min(user.find('|'), user.size()));
    const bool shaped =
        user.size() >= 2 && (user.front() == 'U' || user.front() == 'W') &&
        std::ranges::all_of(user, [](unsigned char c) { return std::isdigit(c) || std::isupper(c); });
    if (shaped) found.push_back({.user = std::move(user), .at = at, .size = end + 1 - at});
  }
  return found;
}

// The one person of the text, or why there isn't one. `ask`: what to say when nobody is named.
std::variant<Mention, NotUnderstood> person_in(std::string_view text, const std::string& ask,
                                               const std::string& usage) {
  auto mentions = mentions_in(text);
  if (mentions.size() > 1) return NotUnderstood{"Name one person only: " + usage + "."};
  if (mentions.empty()) {
    return NotUnderstood{text.find('@') == std::string_view::npos
                             ? ask + ": " + usage + "."
                             : "Slack sent a plain name, which could be anybody's. Pick the person from the "
                               "list that opens after "
                               "the @. If that changes nothing, \"Escape channels, users, and links\" is "
                               "switched off for /rotate "
                               "in the app's settings."};
  }
  return std::move(mentions.front());
}

std::vector<std::string> words_without(std::string_view text, const Mention& mention) {
  std::string rest(text);
  rest.replace(mention.at, mention.size, " ");
  return words_of(rest);
}

CommandLine read_hand_over(std::string_view text) {
  const std::string usage = "`/rotate hand-over stripe prod @person`";
  const auto person = person_in(text, "Say to whom", usage);
  if (const auto* unclear = std::get_if<NotUnderstood>(&person)) return *unclear;
  const auto& mention = std::get<Mention>(person);
  const auto words = words_without(text, mention);
  if (words.size() != 3) return NotUnderstood{"Say which rotation, and to whom: " + usage + "."};
  return HandOverCommand{lower(words[1]), lower(words[2]), mention.user};
}

CommandLine read_offboard(std::string_view text) {
  const std::string usage = "`/rotate offboard @person`";
  const auto person = person_in(text, "Say who leaves", usage);
  if (const auto* unclear = std::get_if<NotUnderstood>(&person)) return *unclear;
  const auto& mention = std::get<Mention>(person);
  const auto words = words_without(text, mention);
  const bool compromise =
      words.size() == 2 && (lower(words[1]) == "--compromise" || lower(words[1]) == "compromise");
  if (words.size() > 1 && !compromise)
    return NotUnderstood{"Only `--compromise` can follow, for a suspected leak: " + usage + "."};
  return OffboardCommand{mention.user, compromise};
}

// The command that was probably meant by a mistyped one, or empty.
std::string verb_like(const std::string& word) {
  return nearest(lower(word), {"help", "status", "due", "audit", "hand-over", "cancel", "rollback",
                               "offboard", "expire-now"});
}

CommandLine read_rotate(const std::vector<std::string>& words) {
  if (words.size() < 2) {
    if (const std::string meant = verb_like(words[0]); !meant.empty())
      return NotUnderstood{"Did you mean `/rotate " + meant + "`?"};
    return NotUnderstood{"Say what to rotate: `/rotate stripe prod`."};
  }
  RotateCommand command{.provider = lower(words[0]), .environment = lower(words[1]), .reason = {}};
  if (words.size() == 2) return command;
  const std::string flag = lower(words[2]);
  if (flag != "--compromise" && flag != "compromise") {
    if (const std::string meant = verb_like(words[0]); !meant.empty())
      return NotUnderstood{"Did you mean `/rotate " + meant + " " + join(words.begin() + 1, words.end()) +
                           "`?"};
    return NotUnderstood{
        "I don't know \"" + words[2] +
        "\". Only `--compromise` can follow, for a suspected leak: `/rotate stripe prod --compromise`."};
  }
  command.compromise = true;
  command.reason = join(words.begin() + 3, words.end());
  return command;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::string plain(text);
  plain_characters(plain);
  std::vector<std::string> words;
  for (std::size_t at = plain.find_first_not_of(' '); at != std::string::npos;) {
    const std::size_t end = std::min(plain.find(' ', at), plain.size());
    std::string word = stripped(unwrapped(plain_dashes(plain.substr(at, end - at))));
    if (!word.empty() && word != "--") words.push_back(std::move(word));
    at = plain.find_first_not_of(' ', end);
  }
  return words;
}

CommandLine read_command_line(std::string_view text) {
  const auto is_master = [](std::string_view words) {
    return integrations::contains_credential(words, integrations::Credential::stripe_secret_key);
  };
  if (stripe::contains_credential(text)) return HoldsCredential{is_master(text)};
  const auto words = words_of(text);
  // Again, because taking out marks and invisible characters may have put a key together.
  const std::string plain = join(words.begin(), words.end());
  if (stripe::contains_credential(plain)) return HoldsCredential{is_master(plain)};
  if (words.empty()) return HelpCommand{};
  const std::string verb = lower(words.front());
  if (verb == "help" || verb == "--help" || verb == "?") return HelpCommand{};
  if (verb == "status") return StatusCommand{};
  if (verb == "cancel") return read_cancel(words);
  if (verb == "rollback") return read_rollback(words);
  if (verb == "hand-over" || verb == "handover") return read_hand_over(text);
  if (verb == "offboard") return read_offboard(text);
  if (verb == "expire-now") return read_expire_now(words);
  if (verb == "due" && words.size() == 1) return DueCommand{};
  if (verb == "audit") return read_audit(words);
  return read_rotate(words);
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = 3;
  for (const auto& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t substituted = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace keyturn::commands
