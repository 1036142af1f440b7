// /rotate status: what is going on, and how old each key is. For everyone in the workspace.
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/commands.h"
#include "commands/rotation/decide.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace {

std::string line_for(const Desk& desk, const Target& target, const Rotations& all,
                     const rotation::State* newest) {
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
  return line + age_in_words(age_of(target, all, desk.seen), now);
}

}  // namespace

nlohmann::json status(const Desk& desk) {
  const auto all = desk.runner.all();  // newest first
  std::string text;
  for (const Target& target : desk.targets) {
    const rotation::State* newest = nullptr;
    for (const auto& state : all) {
      if (state->target.name() != target.name()) continue;
      if (!newest) newest = state.get();
    }
    text += (text.empty() ? "" : "\n") + line_for(desk, target, all, newest);
  }
  return only_you(text);
}

}  // namespace keyturn::commands
