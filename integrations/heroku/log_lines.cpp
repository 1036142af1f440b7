#include "integrations/heroku/log_lines.h"

#include <utility>

#include "integrations/consumer.h"
#include "integrations/credentials.h"
#include "integrations/heroku/heroku.h"

namespace keyturn::heroku {
namespace {

// Logplex splits lines at 10,000 bytes; something that never ends a line must not fill the memory.
constexpr std::size_t kLongestLine = 64UL * 1024;

bool looks_like_time(std::string_view text) {
  return text.size() >= 20 && text[0] >= '0' && text[0] <= '9' && text[4] == '-' && text[10] == 'T';
}

}  // namespace

void LogLines::feed(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    partial_.append(bytes.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) break;
    take_line(std::exchange(partial_, {}));
    at = end + 1;
  }
  if (partial_.size() > kLongestLine) take_line(std::exchange(partial_, {}));
}

void LogLines::end() {
  if (!partial_.empty()) take_line(std::exchange(partial_, {}));
  if (!event_.empty()) ready_.push_back(std::exchange(event_, {}));
}

std::optional<std::string> LogLines::next() {
  if (ready_.empty()) return std::nullopt;
  std::string line = std::move(ready_.front());
  ready_.pop_front();
  return line;
}

void LogLines::take_line(std::string line) {
  if (line.ends_with('\r')) line.pop_back();
  if (format_ == Format::events) {
    take_event_line(std::move(line));
  } else if (!line.empty()) {
    ready_.push_back(std::move(line));
  }
}

// "data: <line>" is kept until the blank line that ends the event; ids, names and comments (":") carry no
// line.
void LogLines::take_event_line(std::string line) {
  if (line.empty()) {
    if (!event_.empty()) ready_.push_back(std::exchange(event_, {}));
    return;
  }
  std::string_view data = line;
  if (!data.starts_with("data:")) return;
  data.remove_prefix(5);
  if (data.starts_with(' ')) data.remove_prefix(1);
  if (event_.size() + data.size() > kLongestLine) ready_.push_back(std::exchange(event_, {}));
  if (!event_.empty()) event_.push_back(' ');  // several data lines are one log line
  event_.append(data);
}

integrations::LogLine read_log_line(const std::string& line) {
  const std::string clean = integrations::redact_credentials(line);
  const std::size_t space = clean.find(' ');
  const std::size_t colon = clean.find(": ", space == std::string::npos ? 0 : space);
  const bool shaped = space != std::string::npos && colon != std::string::npos && looks_like_time(clean) &&
                      clean.find(' ', space + 1) > colon;
  if (!shaped) return {.time = "", .source = "", .text = clean};
  return {.time = clean.substr(0, space),
          .source = clean.substr(space + 1, colon - space - 1),
          .text = clean.substr(colon + 2)};
}

}  // namespace keyturn::heroku
