#include "commands/views/home.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "commands/views/blocks.h"
#include "commands/views/drift.h"
#include "commands/views/messages.h"

namespace keyturn::commands::views {

using namespace rotation;
using storage::in_words;

namespace {

// Slack takes a hundred blocks in a view; the rest of many targets is a command away.
constexpr std::size_t kMostTargets = 40;
constexpr std::size_t kMostOfOnesOwn = 10;

struct Row {
  const Target* target = nullptr;
  const State* live = nullptr;  // the rotation that isn't over
  KeyAge age;

  // What needs an eye comes first: what goes on, what was never rotated, then what is due soonest.
  TimePoint urgency() const {
    if (live != nullptr) return TimePoint::min();
    return age.due.value_or(TimePoint::min() + Duration(1));
  }
};

// `rotations`: the target's own, newest first.
Row row_of(const HomeTab& tab, const Target& target, const Rotations& rotations) {
  Row row{.target = &target, .age = age_of(target, rotations, tab.seen)};
  for (const auto& state : rotations) {
    if (row.live == nullptr && state->live()) row.live = state.get();
  }
  return row;
}

json block_of(const Row& row, const Drifts& drifts, TimePoint now) {
  const Target& target = *row.target;
  std::string text =
      fmt::format("*{}*  ·  `{}` in Infisical {}\n{}", escape(target.name()), escape(target.store.name),
                  escape(target.store.environment), age_in_words(row.age, now));
  if (row.live != nullptr) {
    text += fmt::format("\n*Going on*: {}. Started by {}. {}", headline(*row.live, now),
                        mention(row.live->operator_id), billing_now(*row.live));
    if (const auto deadline = row.live->old_key_deadline(); deadline && !row.live->recovery()) {
      text += fmt::format(" The old key's deadline: {}.", date(*deadline));
    }
  }
  if (const std::string drifted = drift_in_words(drifts, target.name()); !drifted.empty())
    text += "\n" + drifted;
  return section(text);
}

std::string outcome_of(const State& s, TimePoint now) {
  if (!s.closed) return headline(s, now);
  const std::string& outcome = s.closed->event.outcome;
  if (outcome == "rotated") return "rotated, old key proven dead";
  if (outcome == "given_up") return "given up";
  return outcome;
}

std::string ones_own(const HomeTab& tab) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& state : tab.rotations) {
    if (state->operator_id != tab.user) continue;
    if (shown++ == kMostOfOnesOwn) break;
    text += fmt::format("{}  ·  {}  ·  {}\n", date(state->started_at), escape(state->target.name()),
                        outcome_of(*state, tab.now));
  }
  if (text.empty()) return "None yet.";
  text.pop_back();
  return text;
}

std::string what_one_may(Standing standing) {
  switch (standing) {
    case Standing::superadmin:
      return "You may rotate these keys: `/rotate stripe prod`, or `/rotate help` for everything.";
    case Standing::other:
      return "Only superadmins may rotate. You can watch here and with `/rotate status`.";
    case Standing::unknown:
      return "Slack did not say who may rotate, so nobody may, until it does.";
  }
  return {};
}

}  // namespace

json home(const HomeTab& tab) {
  std::vector<Row> rows;
  rows.reserve(tab.targets.size());
  std::map<std::string, Rotations> of;  // one walk over all of them, not one for each target
  for (const auto& state : tab.rotations) of[state->target.name()].push_back(state);
  for (const Target& target : tab.targets) rows.push_back(row_of(tab, target, of[target.name()]));
  std::ranges::sort(rows, {}, [](const Row& row) { return std::pair(row.urgency(), row.target); });

  json blocks = json::array({header("Keys"), context(what_one_may(tab.standing))});
  for (std::size_t i = 0; i < std::min(rows.size(), kMostTargets); ++i)
    blocks.push_back(block_of(rows[i], tab.drifts, tab.now));
  if (rows.size() > kMostTargets) {
    blocks.push_back(context(fmt::format("and {} more: `/rotate status`", rows.size() - kMostTargets)));
  }
  blocks.push_back(divider());
  blocks.push_back(header("Your rotations"));
  blocks.push_back(section(ones_own(tab)));
  blocks.push_back(context("As of " + time_of_day(tab.now)));
  return {{"type", "home"}, {"blocks", std::move(blocks)}};
}

}  // namespace keyturn::commands::views
