#include "commands/rotation/log_watch.h"

#include <algorithm>
#include <cctype>

#include "integrations/credentials.h"

namespace keyturn::commands::rotation {
namespace {

constexpr std::size_t kRemembered = 4000;  // more than any replay brings back
constexpr std::size_t kKeptFailures = 5;
constexpr std::size_t kLineLength = 300;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Logplex says in the stream itself that it dropped lines (Heroku's error L11).
bool says_lines_were_dropped(const integrations::LogLine& line) {
  return line.source.starts_with("logplex") && line.text.find("L11") != std::string::npos;
}

}  // namespace

LogWatch::LogWatch(WatchProgressed totals, TimePoint since, std::vector<std::string> patterns)
    : totals_(std::move(totals)), since_(since), patterns_(std::move(patterns)) {
  for (auto& pattern : patterns_) pattern = lower(std::move(pattern));
}

void LogWatch::connected(TimePoint now) {
  if (last_ && !connected_) totals_.blind += now - *last_;
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

void LogWatch::line(const integrations::LogLine& line) {
  if (const auto time = storage::from_iso8601(line.time); time && *time < since_) return;
  if (seen_.size() >= kRemembered) seen_.clear();
  if (!seen_.insert(line.time + " " + line.source + " " + line.text).second) return;
  ++totals_.lines;
  if (says_lines_were_dropped(line)) ++totals_.gaps;
  if (!is_failure(line) || totals_.failures.size() >= kKeptFailures) return;
  totals_.failures.push_back(integrations::redact_credentials(line.source + ": " + line.text).substr(0, kLineLength));
}

bool LogWatch::is_failure(const integrations::LogLine& line) const {
  const std::string text = lower(line.text);
  return std::ranges::any_of(patterns_, [&](const std::string& pattern) { return text.contains(pattern); });
}

}  // namespace keyturn::commands::rotation
