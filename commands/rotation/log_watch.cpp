#include "commands/rotation/log_watch.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "integrations/credentials.h"

namespace keyturn::commands::rotation {
namespace {

constexpr Duration kLongestLook = std::chrono::seconds(15);  // a look takes a second, and a slow disk some
constexpr std::size_t kRemembered = 4000;                    // more than any replay brings back
constexpr std::size_t kKeptFailures = 5;
constexpr std::size_t kLineLength = 300;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Logplex says in the stream itself that it dropped lines (Heroku's error L11).
bool says_lines_were_dropped(const integrations::LogLine& line) {
  return line.source.find("logplex") != std::string::npos && line.text.find("L11") != std::string::npos;
}

// What a dyno of the running app printed ("app[web.1]"). Heroku adds lines of its own ("app[api]": our
// looking at the log makes one), and so do add-ons ("app[heroku-postgres]", "app[postgres.12345]").
bool is_from_a_dyno(const integrations::LogLine& line) {
  const std::string& source = line.source;
  if (!source.starts_with("app[") || !source.contains('.')) return false;
  constexpr std::array kOthers{"app[run.", "app[release.", "app[postgres.", "app[redis."};
  return std::ranges::none_of(kOthers, [&](const char* other) { return source.starts_with(other); });
}

// Logplex writes "+00:00" where we write "Z"; it is always UTC.
std::optional<TimePoint> time_of(const integrations::LogLine& line) {
  constexpr std::string_view kUtc = "+00:00";
  std::string time = line.time;
  if (time.ends_with(kUtc)) time.replace(time.size() - kUtc.size(), kUtc.size(), "Z");
  return storage::from_iso8601(time);
}

// A line is whatever an app printed; the journal and Slack take only whole UTF-8 characters.
std::string journalled(const std::string& text) {
  const std::string redacted = integrations::redact_credentials(text).substr(0, kLineLength);
  const auto replace = nlohmann::json::error_handler_t::replace;
  return nlohmann::json::parse(nlohmann::json(redacted).dump(-1, ' ', false, replace)).get<std::string>();
}

}  // namespace

LogWatch::LogWatch(std::string app, TimePoint since, std::vector<std::string> patterns)
    : totals_{.app = std::move(app)}, since_(since), patterns_(std::move(patterns)) {
  for (auto& pattern : patterns_) pattern = lower(std::move(pattern));
}

void LogWatch::resume(WatchProgressed totals, TimePoint until) {
  totals_ = std::move(totals);
  ++totals_.gaps;
  last_ = until;
}

void LogWatch::connected(TimePoint now) {
  if (last_ && !connected_) totals_.blind += std::max(now - *last_, Duration::zero());
  connected_ = true;
  last_ = now;
}

void LogWatch::disconnected(TimePoint now) {
  seen_until(now);
  if (connected_) ++totals_.gaps;
  connected_ = false;
  last_ = now;
}

void LogWatch::seen_until(TimePoint now) {
  if (!connected_ || !last_ || now <= *last_) return;
  totals_.watched += now - *last_;
  last_ = now;
}

void LogWatch::looked(TimePoint now) {
  const bool stalled = connected_ && last_ && (now < *last_ || now - *last_ > kLongestLook);
  if (!stalled) return seen_until(now);
  ++totals_.gaps;
  totals_.blind += std::max(now - *last_, Duration::zero());
  last_ = now;
}

void LogWatch::line(const integrations::LogLine& line) {
  if (const auto time = time_of(line); time && *time < since_) return;
  if (seen_.size() >= kRemembered) seen_.clear();
  if (!seen_.insert(line.time + " " + line.source + " " + line.text).second) return;
  if (is_from_a_dyno(line)) ++totals_.lines;
  if (says_lines_were_dropped(line)) ++totals_.gaps;
  if (!is_failure(line) || totals_.failures.size() >= kKeptFailures) return;
  totals_.failures.push_back(journalled(line.source + ": " + line.text));
}

bool LogWatch::is_failure(const integrations::LogLine& line) const {
  const std::string text = lower(line.text);
  return std::ranges::any_of(patterns_, [&](const std::string& pattern) { return text.contains(pattern); });
}

}  // namespace keyturn::commands::rotation
