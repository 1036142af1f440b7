#include "commands/rotation/syncs.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

namespace keyturn::commands::rotation {

using integrations::SecretSync;
using integrations::SyncStatus;

namespace {

constexpr std::string_view kConsumersDestination = "heroku";
constexpr const char* kByHand = "in Infisical, Integrations -> Secret Syncs";

SyncSeen seen(const SecretSync& sync, const integrations::SecretAddress& address) {
  return {.id = sync.id,
          .destination = sync.destination,
          .app = sync.app,
          .app_id = sync.app_id,
          .variable = integrations::arrives_as(sync, address),
          .deletes = sync.deletes,
          .has_run = sync.has_run,
          .failed = sync.status == SyncStatus::failed};
}

// Into which of the target's consumers; null: into none.
const ConsumerTarget* consumer_of(const Target& target, const SyncSeen& sync) {
  if (sync.destination != kConsumersDestination) return nullptr;
  const auto found = std::ranges::find_if(target.consumers, [&](const ConsumerTarget& consumer) {
    return consumer.app == sync.app || consumer.app == sync.app_id;
  });
  return found == target.consumers.end() ? nullptr : &*found;
}

bool brings(const SyncSeen& sync, const ConsumerTarget& consumer) {
  return !sync.variable.empty() && sync.variable == consumer.variable;
}

SyncBar barred_elsewhere(const SyncSeen& sync) {
  const bool app = sync.destination == kConsumersDestination;
  return {
      .why = fmt::format(
          "Infisical itself copies this path onward ({}{}{}), and the settings don't name that as a "
          "consumer: the new key would arrive where nobody checks that it works.",
          sync.destination, sync.app.empty() ? "" : " ", sync.app),
      .remedy = fmt::format("{} that sync's auto-sync off until the rotation is done ({}).",
                            app ? "Add the app to the target's consumers, or switch" : "Switch", kByHand)};
}

SyncBar barred_under_another_name(const SyncSeen& sync, const ConsumerTarget& consumer) {
  return {.why = fmt::format(
              "Infisical's sync to {} brings this secret there as {}, and the settings say that {} uses {}: "
              "that sync can't be followed, and it may overwrite or delete what Keyturn sets.",
              consumer.app, sync.variable.empty() ? "what its key schema can't tell us" : sync.variable,
              consumer.app, consumer.variable),
          .remedy = fmt::format("Take that sync's key schema away, correct the variable in the settings, or "
                                "switch its auto-sync off ({}).",
                                kByHand)};
}

SyncBar barred_unproven(const ConsumerTarget& consumer) {
  return {.why = fmt::format("Infisical's sync to {} has never succeeded, and nobody can tell what its first "
                             "run brings or takes.",
                             consumer.app),
          .remedy = fmt::format("Press Trigger Sync ({}), and wait until it has succeeded.", kByHand)};
}

SyncBar barred_by_failure(const ConsumerTarget& consumer) {
  return {
      .why =
          fmt::format("Infisical's sync to {} failed the last time, so the new key would not arrive there.",
                      consumer.app),
      .remedy = fmt::format("Mend it, press Trigger Sync ({}), and wait until it has succeeded.", kByHand)};
}

// Those that bring the secret to that app, as they are now.
std::vector<const SecretSync*> bringing(const State& s, const std::string& app,
                                        const std::vector<SecretSync>& syncs) {
  std::vector<const SecretSync*> found;
  for (const SecretSync& sync : syncs) {
    if (!integrations::copies_onward(sync, s.target.store)) continue;
    const SyncSeen now = seen(sync, s.target.store);
    const ConsumerTarget* consumer = consumer_of(s.target, now);
    if (consumer != nullptr && consumer->app == app && brings(now, *consumer)) found.push_back(&sync);
  }
  return found;
}

// Since this leg's write.
bool has_run_since(const State& s, const SecretSync& sync) {
  const auto& before = s.stored->event.sync_runs;
  const auto known = before.find(sync.id);
  return known == before.end() || known->second != sync.last_run;
}

// Since this leg's write. What had failed before it is not about the key.
bool has_failed(const State& s, const SecretSync& sync) {
  if (sync.status != SyncStatus::failed) return false;
  const auto& before = s.stored->event.sync_runs;
  const auto known = before.find(sync.id);
  return known == before.end() || known->second != sync.last_run;
}

std::string_view in_words(SyncStatus status) {
  switch (status) {
    case SyncStatus::unknown:
      return "doesn't say how its sync stands";
    case SyncStatus::pending:
      return "says that its sync is waiting to run";
    case SyncStatus::running:
      return "says that its sync is under way, or is being tried again";
    case SyncStatus::succeeded:
      return "says that its sync has succeeded";
    case SyncStatus::failed:
      return "says that its sync has failed";
  }
  return "doesn't say how its sync stands";
}

}  // namespace

std::vector<SyncSeen> syncs_of(const Target& target, const std::vector<SecretSync>& syncs) {
  std::vector<SyncSeen> found;
  for (const SecretSync& sync : syncs) {
    if (integrations::copies_onward(sync, target.store)) found.push_back(seen(sync, target.store));
  }
  return found;
}

bool followed(const Target& target, const std::vector<SyncSeen>& syncs, const std::string& app) {
  return std::ranges::any_of(syncs, [&](const SyncSeen& sync) {
    const ConsumerTarget* consumer = consumer_of(target, sync);
    return consumer != nullptr && consumer->app == app && brings(sync, *consumer);
  });
}

bool followed(const State& s, const std::string& app) {
  return s.current && followed(s.target, s.current->event.syncs, app);
}

bool follows_any(const State& s) {
  return std::ranges::any_of(s.target.consumers,
                             [&](const ConsumerTarget& consumer) { return followed(s, consumer.app); });
}

std::optional<SyncBar> barred_by_syncs(const Target& target, const std::vector<SyncSeen>& syncs,
                                       bool compromise) {
  for (const SyncSeen& sync : syncs) {
    const ConsumerTarget* consumer = consumer_of(target, sync);
    if (consumer == nullptr) return barred_elsewhere(sync);
    if (!brings(sync, *consumer)) return barred_under_another_name(sync, *consumer);
    // The first run may import what the app holds into the store, over the new key.
    if (!sync.has_run) return barred_unproven(*consumer);
    if (sync.failed && !compromise) return barred_by_failure(*consumer);
  }
  return std::nullopt;
}

std::vector<std::string> sync_warnings(const State& s) {
  if (!s.current) return {};
  std::vector<std::string> apps, found;
  for (const auto& consumer : s.target.consumers) {
    if (followed(s, consumer.app)) apps.push_back(consumer.app);
  }
  if (apps.empty()) return {};
  std::string how = fmt::format(
      "Infisical's sync brings the new key to {}: Keyturn writes only Infisical, and waits for it.",
      fmt::join(apps, ", "));
  // The canary alone by a sync still goes before those that we write.
  if (apps.size() > 1 || apps.front() != s.target.consumers.front().app)
    how += " That is the sync's to time: no app goes first, to show on it alone that the key works.";
  found.push_back(std::move(how));
  for (const SyncSeen& sync : s.current->event.syncs) {
    const ConsumerTarget* consumer = consumer_of(s.target, sync);
    if (consumer == nullptr) continue;
    if (sync.deletes) {
      found.push_back(fmt::format(
          "Each run of that sync also deletes the variables of {} that Infisical doesn't hold: look whether "
          "somebody has set one by hand.",
          consumer->app));
    }
    if (sync.failed) {
      found.push_back(fmt::format(
          "Infisical's sync to {} failed the last time: the new key may not arrive there by itself. Mend it "
          "now ({}).",
          consumer->app, kByHand));
    }
  }
  return found;
}

std::optional<std::string> syncs_changed(const State& s, const std::vector<SecretSync>& syncs) {
  const auto now = syncs_of(s.target, syncs);
  for (const auto& consumer : s.target.consumers) {
    const bool was = followed(s, consumer.app), is = followed(s.target, now, consumer.app);
    if (was == is) continue;
    return fmt::format(
        "Infisical's syncs were changed since the rotation began: one {} brings this secret to {}. Nothing "
        "was written. "
        "Put it back as it was ({}), then try again",
        is ? "now" : "no longer", consumer.app, kByHand);
  }
  // The way back is not held up by a sync that failed: what stands in the store is the right key all the
  // same.
  const auto bar = barred_by_syncs(s.target, now, s.compromise || s.recovery() || s.way_back());
  if (!bar) return std::nullopt;
  return fmt::format("{} Nothing was written. {} Then try again", bar->why, bar->remedy);
}

std::map<std::string, std::string> runs_of(const State& s, const std::vector<SecretSync>& syncs) {
  std::map<std::string, std::string> runs;
  for (const SecretSync& sync : syncs) {
    if (integrations::copies_onward(sync, s.target.store)) runs[sync.id] = sync.last_run;
  }
  return runs;
}

bool syncs_at_rest(const State& s, const std::string& app, const std::vector<SecretSync>& syncs) {
  return std::ranges::all_of(bringing(s, app, syncs), [&](const SecretSync* sync) {
    return has_run_since(s, *sync) && sync->status != SyncStatus::pending &&
           sync->status != SyncStatus::running;
  });
}

std::optional<std::string> sync_trouble(const State& s, const std::string& app,
                                        const std::vector<SecretSync>& syncs) {
  const auto found = bringing(s, app, syncs);
  const std::string state =
      fmt::format("{} still holds {}, and Infisical {}", app, s.way_back() ? "the new key" : "the old key",
                  s.way_back() ? "the old one" : "the new one");
  if (found.empty()) {
    return fmt::format(
        "{}: the sync that brings it there is gone, switched off or changed. Switch it on and "
        "press Trigger Sync ({}), then try again",
        state, kByHand);
  }
  const bool failed =
      std::ranges::any_of(found, [&](const SecretSync* sync) { return has_failed(s, *sync); });
  if (!failed) return std::nullopt;
  return fmt::format(
      "{}: the sync that brings it there has failed. Mend it and press Trigger Sync ({}), then "
      "try again",
      state, kByHand);
}

std::string sync_in_words(const State& s, const std::string& app, const std::vector<SecretSync>& syncs) {
  const auto found = bringing(s, app, syncs);
  if (found.empty()) return fmt::format("Infisical {}", in_words(SyncStatus::unknown));
  const SecretSync& sync = *found.front();
  // Until it runs again, its status is that of the run before.
  const bool over = sync.status == SyncStatus::succeeded || sync.status == SyncStatus::failed;
  if (over && !has_run_since(s, sync)) return "Infisical's sync has not run since";
  return fmt::format("Infisical {}", in_words(sync.status));
}

}  // namespace keyturn::commands::rotation
