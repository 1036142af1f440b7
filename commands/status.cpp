// /rotate status: what is going on, and how old each key is. For everyone in the workspace.
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/commands.h"
#include "commands/rotation/decide.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace {

std::string line_for(const Desk& desk, const Target& target, const rotation::State* newest,
                     const rotation::State* rotated) {
  const auto now = desk.clock.now();
  std::string line = "*" + target.name() + "*: ";
  if (newest && newest->live()) {
    line += fmt::format("{} (started by {} at {})", rotation::name_of(rotation::stage_of(*newest, now)),
                        views::mention(newest->operator_id), views::date(newest->started_at));
    if (newest->halted) line += "\n    stopped " + views::escape(newest->halted->event.sentence);
    if (const auto deadline = newest->old_key_deadline(); deadline && newest->completed) {
      line += "\n    old key expires " + views::date(*deadline);
    }
    return line;
  }
  if (!rotated) return line + "never rotated by Keyturn";
  const auto due = rotated->completed->at + target.cadence;
  line += fmt::format("last rotated {} by {}, due {}", views::date(rotated->completed->at),
                      views::mention(rotated->operator_id), views::date(due));
  if (due < now) line += " (*overdue*)";
  return line;
}

}  // namespace

nlohmann::json status(const Desk& desk) {
  const auto all = desk.runner.all();  // newest first
  std::string text;
  for (const Target& target : desk.targets) {
    const rotation::State* newest = nullptr;
    const rotation::State* rotated = nullptr;
    for (const auto& state : all) {
      if (state->target.name() != target.name()) continue;
      if (!newest) newest = state.get();
      if (!rotated && state->completed) rotated = state.get();
    }
    text += (text.empty() ? "" : "\n") + line_for(desk, target, newest, rotated);
  }
  return only_you(text);
}

}  // namespace keyturn::commands
