#include "commands/views/plain.h"

#include <array>
#include <utility>

namespace keyturn::commands::views {
namespace {

using Entity = std::pair<std::string_view, char>;
constexpr std::array kEntities{Entity{"&lt;", '<'}, Entity{"&gt;", '>'}, Entity{"&amp;", '&'}};

// What stands between < and >: a link, a date or a mention.
std::string_view inside(std::string_view reference, std::string_view user, std::string_view name) {
  if (const auto bar = reference.rfind('|'); bar != std::string_view::npos) return reference.substr(bar + 1);
  if (!reference.starts_with('@')) return reference;
  reference.remove_prefix(1);
  return reference == user ? name : reference;
}

}  // namespace

std::string plain(std::string_view mrkdwn, std::string_view user, std::string_view name) {
  std::string text;
  while (!mrkdwn.empty()) {
    const char c = mrkdwn.front();
    if (const auto end = mrkdwn.find('>'); c == '<' && end != std::string_view::npos) {
      text.append(inside(mrkdwn.substr(1, end - 1), user, name));
      mrkdwn.remove_prefix(end + 1);
      continue;
    }
    std::size_t taken = 1;
    char written = c == '*' || c == '`' ? '\0' : c;
    for (const auto& [entity, stands_for] : kEntities) {
      if (!mrkdwn.starts_with(entity)) continue;
      taken = entity.size();
      written = stands_for;
    }
    if (written != '\0') text.push_back(written);
    mrkdwn.remove_prefix(taken);
  }
  return text;
}

}  // namespace keyturn::commands::views
