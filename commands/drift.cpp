#include "commands/drift.h"

#include <algorithm>

#include "commands/json.h"

namespace keyturn::commands {

using nlohmann::json;
using rotation::State;
using storage::Duration;
using storage::TimePoint;

namespace {
constexpr Duration kForEachConsumer = std::chrono::seconds(4);  // 900 an hour
}

json found_data(const Drift& drift) {
  return {{"id", drift.id},           {"target", drift.target},
          {"app", drift.app},         {"stored", drift.stored},
          {"held", drift.held},       {"release", drift.release},
          {"channel", drift.channel}, {"newest_release", drift.newest_release},
          {"offered", drift.offered}};
}

void note(Drifts& drifts, std::string_view type, const json& data, TimePoint at) {
  const std::string id = data.value("id", "");
  if (type == kDriftFound) {
    drifts[id] = {.id = id,
                  .target = data.at("target"),
                  .app = data.at("app"),
                  .stored = data.at("stored"),
                  .held = data.at("held"),
                  .release = data.at("release"),
                  .newest_release = data.at("newest_release"),
                  .offered = data.at("offered"),
                  .channel = data.at("channel"),
                  .found_at = at};
    return;
  }
  const auto found = drifts.find(id);
  if (found == drifts.end()) return;
  Drift& drift = found->second;
  if (type == kDriftPosted) drift.ts = data.at("ts");
  if (type == kRepairRequested && !drift.ended) {
    drift.asked = RepairAsked{.by = data.at("by"), .at = at};
    drift.repairing = true;
    drift.failure.clear();
    ++drift.repairs;
  }
  if (type == kRepairFailed) {
    drift.repairing = false;
    drift.failure = data.at("reason");
    drift.wrote = drift.wrote || data.at("wrote").get<bool>();  // what an earlier try wrote stays written
  }
  if (type == kDriftEnded) {
    drift.repairing = false;
    drift.ended = DriftEnd{.how = data.at("how"),
                           .release = data.value("release", 0),
                           .dynos = data.value("dynos", 0),
                           .at = at};
  }
  if (type == kDriftSettled) drift.settled = true;
}

KeyAtRest key_at_rest(const Target& target, const Rotations& rotations, const KeysSeen& seen) {
  for (const auto& state : rotations) {
    if (!state->live() || state->target.name() != target.name()) continue;
    if (state->rolled_back && state->current) return {state->current->event.fingerprint, true};
    if (state->completed && state->received && !state->rollback)
      return {state->received->event.fingerprint, true};
    return {};
  }
  const KeyAge age = age_of(target, rotations, seen);
  return {age.fingerprint, age.known_by == KnownBy::rotation || age.known_by == KnownBy::rolled_back};
}

HeldKey held_key(const std::string& target, const std::string& fingerprint, const Rotations& rotations) {
  HeldKey found;
  for (const auto& state : rotations) {
    if (state->target.name() != target || !state->current) continue;
    const bool undone = state->rolled_back && state->received;
    found.abandoned = found.abandoned || (undone && state->received->event.fingerprint == fingerprint);
    if (state->current->event.fingerprint != fingerprint || !state->completed || state->rolled_back) continue;
    found.replaced = true;
    if (state->proven_dead_at) {
      found.dead = true;
    } else if (const auto deadline = state->old_key_deadline()) {
      found.dies = std::max(found.dies.value_or(*deadline), *deadline);
    }
  }
  return found;
}

namespace {

struct Difference {
  std::string app, stored, held;
  bool operator==(const Difference&) const = default;
};

bool in_grace(const Target& target, const Rotations& rotations) {
  return std::ranges::any_of(
      rotations, [&](const auto& state) { return state->live() && state->target.name() == target.name(); });
}

// Where the store itself holds a key that was replaced, the apps are not the ones that are wrong. In a grace
// it is told here; after it, as the reminders tell of every change of the store.
std::vector<Difference> differences(const Target& target, const Rotations& rotations, const DriftLook& look) {
  const std::string& expected = look.expected.fingerprint;
  if (expected.empty()) return {};
  const bool set_back = held_key(target.name(), look.stored, rotations).replaced;
  if (look.stored != expected || (set_back && !look.expected.given)) {
    if (!set_back || !in_grace(target, rotations)) return {};
    return {{.app = {}, .stored = expected, .held = look.stored}};
  }
  std::vector<Difference> found;
  for (const auto& [app, held] : look.apps) {
    if (held != look.stored) found.push_back({.app = app, .stored = look.stored, .held = held});
  }
  return found;
}

// A repair that wrote and was not seen to its end: the configuration holds the key, and perhaps no dyno runs
// it.
bool unfinished(const Drift& drift, const DriftLook& look) {
  const auto held = look.apps.find(drift.app);
  return drift.wrote && !drift.failure.empty() && drift.stored == look.expected.fingerprint &&
         held != look.apps.end() && held->second == drift.stored;
}

}  // namespace

DriftChanges changes(const Target& target, const Drifts& drifts, const Rotations& rotations,
                     const DriftLook& look, const std::optional<DriftLook>& before) {
  DriftChanges changed;
  const auto now = differences(target, rotations, look);
  const auto then = before ? differences(target, rotations, *before) : std::vector<Difference>{};
  std::vector<Difference> known;
  for (const auto& [id, drift] : drifts) {
    if (drift.ended || drift.target != target.name()) continue;
    const Difference told{.app = drift.app, .stored = drift.stored, .held = drift.held};
    const bool unseen = !drift.app.empty() && !look.apps.contains(drift.app);
    if (unseen || std::ranges::find(now, told) != now.end()) {
      known.push_back(told);
    } else if (!drift.repairing && !unfinished(drift, look)) {
      changed.ended.push_back(id);
    }
  }
  for (const Difference& one : now) {
    if (std::ranges::find(known, one) != known.end()) continue;
    if (std::ranges::find(then, one) == then.end()) {
      changed.suspicious = true;
      continue;
    }
    changed.found.push_back({.id = {},
                             .target = target.name(),
                             .app = one.app,
                             .stored = one.stored,
                             .held = one.held,
                             .release = {},
                             .newest_release = 0,
                             .offered = !one.app.empty() && look.expected.given,
                             .channel = {},
                             .found_at = {}});
  }
  return changed;
}

Duration drift_interval(const Target& target, std::size_t consumers_of_all) {
  return std::max<Duration>(target.timing.drift_every, kForEachConsumer * static_cast<int>(consumers_of_all));
}

}  // namespace keyturn::commands
