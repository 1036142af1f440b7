// /rotate due: every key's age, the most urgent first. For everyone in the workspace.
#include <algorithm>

#include "commands/commands.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace {

constexpr std::size_t kMostText = 6000;  // an acknowledgement has to stay small

struct Row {
  std::string name;
  KeyAge age;
};

// What is not known may be as old as the account: it comes first.
std::pair<storage::TimePoint, std::string> urgency(const Row& row) {
  return {row.age.due.value_or(storage::TimePoint::min()), row.name};
}

}  // namespace

nlohmann::json due(const Desk& desk) {
  std::vector<Row> rows;
  rows.reserve(desk.targets.size());
  for (const Target& target : desk.targets)
    rows.push_back({target.name(), age_of(target, desk.runner.of(target.name()), desk.seen)});
  std::ranges::sort(rows, {}, urgency);
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (text.size() > kMostText) {
      text += "\nand " + std::to_string(rows.size() - i) + " that are due later";
      break;
    }
    text += (i == 0 ? "*" : "\n*") + views::escape(rows[i].name) +
            "*: " + age_in_words(rows[i].age, desk.clock.now());
    if (rows[i].age.going_on) text += "; a rotation is going on";
  }
  return only_you(text);
}

}  // namespace keyturn::commands
