// /rotate status: what is going on, and how old each key is. For everyone in the workspace.
#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <iterator>

#include "commands/commands.h"
#include "commands/rotation/decide.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"
#include "commands/views/drift.h"

namespace keyturn::commands {

namespace {

// An acknowledgement may have 16 KiB, escapes and all; beyond it Slack would show nothing.
constexpr std::size_t kLongest = 12'000;

// `rotations`: the target's own, newest first.
std::string line_for(const Desk& desk, const Target& target, const Rotations& rotations, const KeyAge& age) {
  const auto now = desk.clock.now();
  std::string line = "*" + target.name() + "*: ";
  if (!rotations.empty() && rotations.front()->live()) {
    const auto& newest = rotations.front();
    line += fmt::format("{} (started by {} at {})", rotation::name_of(rotation::stage_of(*newest, now)),
                        views::mention(newest->operator_id), views::date(newest->started_at));
    if (const std::string approved = views::approved_in_words(*newest, rotation::kOfRotation);
        !approved.empty())
      line += ", " + approved;
    if (newest->halted) line += "\n    stopped " + views::escape(newest->halted->event.sentence);
    if (newest->recovery()) line += "\n    recovery: " + views::billing_now(*newest);
    if (const auto deadline = newest->old_key_deadline();
        deadline && newest->completed && !newest->recovery()) {
      line += "\n    old key expires " + views::date(*deadline);
    }
    return line;
  }
  return line + age_in_words(age, now);
}

std::string with_drift(std::string line, const Desk& desk, const Target& target) {
  const std::string drifted = views::drift_in_words(desk.drifts, target.name());
  return drifted.empty() ? line : line + "\n    " + drifted;
}

struct Line {
  std::string text;
  bool urgent = false;
};

bool is_urgent(const Rotations& rotations, const KeyAge& age, storage::TimePoint now) {
  return (!rotations.empty() && rotations.front()->live()) || (age.due && *age.due < now);
}

std::vector<Line> urgent_first(const std::vector<Line>& lines) {
  std::vector<Line> sorted;
  sorted.reserve(lines.size());
  std::ranges::copy_if(lines, std::back_inserter(sorted), &Line::urgent);
  std::ranges::copy_if(lines, std::back_inserter(sorted), [](const Line& line) { return !line.urgent; });
  return sorted;
}

// As many as fit, and how many don't.
std::string joined(const std::vector<Line>& lines) {
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (text.size() + lines[i].text.size() > kLongest) {
      const auto urgent =
          std::ranges::count_if(lines.begin() + static_cast<std::ptrdiff_t>(i), lines.end(), &Line::urgent);
      return text + fmt::format("\n… and {} more, {}.", lines.size() - i,
                                urgent == 0 ? "none of them going on or overdue"
                                            : fmt::format("{} of them going on or overdue", urgent));
    }
    text += (text.empty() ? "" : "\n") + lines[i].text;
  }
  return text;
}

}  // namespace

nlohmann::json status(const Desk& desk) {
  std::vector<Line> lines;
  std::size_t length = 0;
  for (const Target& target : desk.targets) {
    const Rotations of = desk.runner.of(target.name());
    const KeyAge age = age_of(target, of, desk.seen);
    lines.push_back({.text = with_drift(line_for(desk, target, of, age), desk, target),
                     .urgent = is_urgent(of, age, desk.clock.now())});
    length += lines.back().text.size();
  }
  if (length > kLongest) lines = urgent_first(lines);
  return only_you(joined(lines));
}

}  // namespace keyturn::commands
