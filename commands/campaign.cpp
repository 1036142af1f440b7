#include "commands/campaign.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <tuple>

#include "commands/json.h"
#include "commands/rotation/decide.h"
#include "commands/views/blocks.h"
#include "commands/views/messages.h"

namespace keyturn::commands {

using nlohmann::json;
using rotation::State;
using storage::TimePoint;
using views::date;
using views::mention;

bool Campaign::holds(const std::string& target) const {
  return std::ranges::find(targets, target) != targets.end();
}

json started_data(const Campaign& campaign) {
  return {{"id", campaign.id},           {"person", campaign.person},   {"by", campaign.by},
          {"channel", campaign.channel}, {"targets", campaign.targets}, {"compromise", campaign.compromise}};
}

void note(Campaigns& campaigns, std::string_view type, const json& data, TimePoint at) {
  const std::string id = data.value("id", "");
  if (type == kOffboardStarted) {
    campaigns[id] = {.id = id,
                     .person = data.at("person"),
                     .by = data.at("by"),
                     .channel = data.at("channel"),
                     .targets = data.at("targets"),
                     .compromise = data.value("compromise", false),
                     .started_at = at,
                     .ts = {},
                     .finished_at = {},
                     .ended_by = {}};
    return;
  }
  const auto found = campaigns.find(id);
  if (found == campaigns.end()) return;
  if (type == kBoardPosted) {
    found->second.ts = data.at("ts");
    found->second.link = data.value("link", "");
  }
  if (type == kOffboardFinished) found->second.finished_at = at;
  if (type == kOffboardEnded) found->second.ended_by = data.at("by");
  if (type == kBoardSettled) found->second.settled = true;
}

const Campaign* campaign_of(const Campaigns& campaigns, const std::string& person) {
  for (const auto& [id, campaign] : campaigns) {
    if (campaign.open() && campaign.person == person) return &campaign;
  }
  return nullptr;
}

namespace {

// What one target's row is made from.
struct Case {
  const Campaign& campaign;
  Touched touched;
  std::vector<std::string> open;    // fingerprints that they may know, and that nothing has proven dead
  std::optional<TimePoint> proven;  // the last of the others
  bool overtaken = false;           // what they may have made unseen is not in use since
  const State* newest = nullptr;
  bool configured = false;
  std::string in_use;  // fingerprint of the key that should be in the store; empty: not known
};

bool holds_key(const std::vector<std::string>& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::string quoted(const std::vector<std::string>& keys) {
  std::string text;
  for (const auto& key : keys) text += (text.empty() ? "`" : ", `") + key + "`";
  return text;
}

const State* newest_of(const std::string& target, const Rotations& rotations) {
  for (const auto& state : rotations) {
    if (state->target.name() == target) return state.get();
  }
  return nullptr;
}

const Target* configured(const std::string& target, const std::vector<Target>& targets) {
  const auto found = std::ranges::find_if(targets, [&](const Target& one) { return one.name() == target; });
  return found == targets.end() ? nullptr : &*found;
}

// A key that was made and never handed over is replaced, as far as anybody can tell, by a later one whose
// rotation was proven.
bool overtaken(const std::string& target, TimePoint since, const Rotations& rotations) {
  return std::ranges::any_of(rotations, [&](const auto& state) {
    return state->target.name() == target && state->proven_dead_at && state->received &&
           state->started_at > since && state->received->event.rotated_at > since;
  });
}

Case case_of(const Campaign& campaign, const std::string& target, const Facts& facts) {
  Case found{.campaign = campaign, .touched = {}, .open = {}, .proven = {}, .in_use = {}};
  const auto all = touched_by(campaign.person, facts.rotations);
  if (const auto touched = all.find(target); touched != all.end()) found.touched = touched->second;
  std::set<std::string> keys = found.touched.handled;
  keys.insert(found.touched.approved.begin(), found.touched.approved.end());
  for (const auto& key : keys) {
    const auto dead = proven_dead(target, key, facts.rotations);
    if (!dead) found.open.push_back(key);
    if (dead) found.proven = std::max(found.proven.value_or(*dead), *dead);
  }
  if (found.touched.unseen_since && overtaken(target, *found.touched.unseen_since, facts.rotations)) {
    found.overtaken = true;
    if (!found.touched.fresh_unseen) found.touched.unseen_since.reset();
  }
  found.newest = newest_of(target, facts.rotations);
  if (const Target* settings = configured(target, facts.targets)) {
    found.configured = true;
    const KeyAge age = age_of(*settings, facts.rotations, facts.seen);
    if (!age.unsure) found.in_use = age.fingerprint;
  }
  return found;
}

using Finding = std::tuple<RowState, std::string, bool>;

std::string its_operator(const Case& c) {
  if (c.newest->operator_id != c.campaign.person) return "Operator: " + mention(c.newest->operator_id) + ".";
  return fmt::format("*Its operator is {}*: hand it over, `/rotate hand-over {} @person`, or cancel it.",
                     mention(c.campaign.person), c.newest->target.name());
}

// A rotation whose own new key is one that they may know has to be followed by another.
std::string once_more(const Case& c) {
  if (!c.newest->received || !holds_key(c.open, c.newest->received->event.fingerprint)) return {};
  return " *Its new key is one they may know too*: once this rotation is over, the key has to be rotated "
         "again.";
}

Finding going_on(const Case& c) {
  const State& s = *c.newest;
  if (s.rolled_back) {
    return {RowState::to_do,
            "rolled back: billing runs on the old key, which dies at its deadline. Rotate it anew.",
            c.configured};
  }
  if (s.halted)
    return {RowState::failed,
            "stopped " + views::escape(s.halted->event.sentence) + ". " + its_operator(c) + once_more(c),
            false};
  const TimePoint now = s.last_event_at;
  if (s.completed) {
    return {RowState::waiting,
            fmt::format("rotated by {}; the old key `{}` {}, and is not proven dead yet.{}",
                        mention(s.operator_id), s.current->event.fingerprint,
                        s.recovery() ? "was dead at first" : "lives until " + date(*s.old_key_deadline()),
                        once_more(c)),
            false};
  }
  return {RowState::running, views::headline(s, now) + ". " + its_operator(c) + once_more(c), false};
}

std::string how_known(const Case& c) {
  if (holds_key(c.open, c.in_use)) {
    return fmt::format("the key in use, `{}`, is one they {}", c.in_use,
                       c.touched.handled.contains(c.in_use) ? "handled as its operator" : "had a say in");
  }
  return fmt::format(
      "they were shown the dashboard steps ({}), and no key came: whether one was made, the "
      "dashboard shows",
      date(*c.touched.unseen_since));
}

// The newest rotation since this began, when it led to nothing.
std::string last_try(const Case& c) {
  if (c.newest == nullptr || c.newest->started_at < c.campaign.started_at) return {};
  if (!c.newest->closed || c.newest->closed->event.outcome == "rotated") return {};
  return c.newest->closed->event.outcome;
}

Finding standing_still(const Case& c) {
  const bool in_use = !c.in_use.empty() && holds_key(c.open, c.in_use);
  // A fresh key that was created and never brought is not replaced by a later one, as a rotated one is.
  if (!in_use && c.touched.fresh_unseen && c.overtaken) {
    return {
        RowState::unproven,
        fmt::format("they were shown how to create a fresh key ({}); a later rotation does not end one that "
                    "they may have created then. Look into the dashboard, and expire what nobody knows",
                    date(*c.touched.unseen_since)),
        false};
  }
  if (!in_use && !c.touched.unseen_since) {
    if (c.configured && c.in_use.empty()) {
      return {RowState::failed,
              fmt::format("not known which key is in use; being looked at. {} may be alive", quoted(c.open)),
              true};
    }
    return {RowState::unproven,
            fmt::format(
                "{} not in use as far as is known, and nothing proves {} dead: look into the dashboard "
                "and expire what is still there",
                quoted(c.open) + (c.open.size() == 1 ? " is" : " are"), c.open.size() == 1 ? "it" : "them"),
            false};
  }
  if (!c.configured) {
    return {RowState::unproven,
            "is no longer in the settings, so Keyturn can't rotate it: " + quoted(c.open) +
                " may be alive. Look into the dashboard",
            false};
  }
  if (const std::string outcome = last_try(c); !outcome.empty())
    return {RowState::failed, fmt::format("the last rotation was {}; {}", outcome, how_known(c)), true};
  return {RowState::to_do, how_known(c), true};
}

Finding finding_by_keys(const Case& c) {
  const bool live = c.newest != nullptr && c.newest->live();
  const bool theirs = live && c.newest->operator_id == c.campaign.person && !c.newest->completed;
  if (theirs) return going_on(c);
  if (c.open.empty() && !c.touched.unseen_since) {
    if (!c.proven) return {RowState::not_needed, "no key passed through their hands", false};
    const std::string words = "the last key they may know was proven dead " + date(*c.proven);
    return {*c.proven < c.campaign.started_at ? RowState::not_needed : RowState::done, words, false};
  }
  return live ? going_on(c) : standing_still(c);
}

// A master key makes others, and no rotation of ours replaces it: nothing here can tell that it is dead.
Finding finding_of(const Case& c) {
  Finding finding = finding_by_keys(c);
  auto& [state, words, startable] = finding;
  const bool over = state == RowState::done || state == RowState::not_needed || state == RowState::unproven;
  if (!c.touched.master_key || !over) return finding;
  return {RowState::unproven,
          words +
              ". *A master key was pasted into the form while they were an operator*: whoever has it can "
              "make other keys. Roll the *secret key* in the dashboard, if that was not done since",
          false};
}

}  // namespace

namespace {

// One walk over all of them: a journal of years, times hundreds of targets, would keep the loop from
// everything else.
using ByTarget = std::map<std::string, Rotations>;
ByTarget grouped_by_target(const Rotations& newest_first) {
  ByTarget found;
  for (const auto& state : newest_first) found[state->target.name()].push_back(state);
  return found;
}

Facts only(const Facts& facts, const ByTarget& rotations, const std::string& target) {
  static const Rotations kNone;
  const auto own = rotations.find(target);
  return {.rotations = own == rotations.end() ? kNone : own->second,
          .targets = facts.targets,
          .seen = facts.seen};
}

}  // namespace

BoardRow row_of(const Campaign& campaign, const std::string& target, const Facts& facts) {
  auto [state, words, startable] = finding_of(case_of(campaign, target, facts));
  return {
      .target = target, .state = state, .words = std::move(words), .startable = startable && campaign.open()};
}

std::vector<BoardRow> rows_of(const Campaign& campaign, const Facts& facts) {
  const auto rotations = grouped_by_target(facts.rotations);
  std::vector<BoardRow> rows;
  rows.reserve(campaign.targets.size());
  for (const auto& target : campaign.targets)
    rows.push_back(row_of(campaign, target, only(facts, rotations, target)));
  return rows;
}

bool finished(const std::vector<BoardRow>& rows) {
  return std::ranges::all_of(rows, [](const BoardRow& row) {
    return row.state == RowState::done || row.state == RowState::not_needed ||
           row.state == RowState::unproven;
  });
}

bool proven(const std::vector<BoardRow>& rows) {
  return finished(rows) && std::ranges::find(rows, RowState::unproven, &BoardRow::state) == rows.end();
}

namespace {

// Smaller is more urgent.
int rank(const BoardRow& row, const Case& c) {
  if (row.state == RowState::to_do && c.touched.handled.contains(c.in_use)) return 0;
  switch (row.state) {
    case RowState::to_do:
    case RowState::failed:
      return 1;
    case RowState::running:
    case RowState::waiting:
      return 2;
    case RowState::unproven:
      return 3;
    case RowState::done:
    case RowState::not_needed:
      return 4;
  }
  return 4;
}

}  // namespace

std::vector<std::string> in_order(const std::string& person, const Facts& facts) {
  Campaign all{.id = {},
               .person = person,
               .by = {},
               .channel = {},
               .targets = {},
               .started_at = TimePoint::max(),
               .ts = {},
               .finished_at = {},
               .ended_by = {}};
  const auto rotations = grouped_by_target(facts.rotations);
  std::vector<std::tuple<int, TimePoint, std::string>> ranked;
  for (const auto& [target, touched] : touched_by(person, facts.rotations)) {
    const Facts own = only(facts, rotations, target);
    const Case c = case_of(all, target, own);
    const BoardRow row = row_of(all, target, own);
    const Target* settings = configured(target, facts.targets);
    const TimePoint since = settings ? age_of(*settings, own.rotations, facts.seen).since : TimePoint::max();
    ranked.emplace_back(rank(row, c), since, target);
  }
  std::ranges::sort(ranked);
  std::vector<std::string> names;
  names.reserve(ranked.size());
  for (auto& [urgency, since, target] : ranked) names.push_back(std::move(target));
  return names;
}

}  // namespace keyturn::commands
