// Syncs with which the secret store itself copies the secret onward. One that brings it to a consumer under
// the variable that the consumer uses is followed: then only the store is written, because two writers would
// fight. Any other bars the rotation. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "commands/rotation/state.h"
#include "integrations/secret_store.h"

namespace keyturn::commands::rotation {

// Those of `syncs` that copy the target's secret onward by themselves.
std::vector<SyncSeen> syncs_of(const Target& target, const std::vector<integrations::SecretSync>& syncs);

// Whether one of them brings the secret to that app, as its variable.
bool followed(const Target& target, const std::vector<SyncSeen>& syncs, const std::string& app);
bool followed(const State& state, const std::string& app);
bool follows_any(const State& state);

struct SyncBar {
  std::string why, remedy;  // a sentence each
};
// Why they bar a rotation; nothing: they don't. After a leak, one that failed the last time doesn't.
std::optional<SyncBar> barred_by_syncs(const Target& target, const std::vector<SyncSeen>& syncs,
                                       bool compromise);

// What the operator should know about those that are followed, before the click.
std::vector<std::string> sync_warnings(const State& state);

// Why the store must not be written now: what is followed is no longer what was followed at the start, or one
// of them would bar a rotation by now. Nothing: they are as they were.
std::optional<std::string> syncs_changed(const State& state,
                                         const std::vector<integrations::SecretSync>& syncs);

// The runs that last came to an end, by sync, of those over the secret.
std::map<std::string, std::string> runs_of(const State& state,
                                           const std::vector<integrations::SecretSync>& syncs);

// Whether those that bring the secret to that app have run since this leg's write, and none is at work.
bool syncs_at_rest(const State& state, const std::string& app,
                   const std::vector<integrations::SecretSync>& syncs);

// Why the key won't come to that app, by what the syncs are now; nothing: it may still come.
std::optional<std::string> sync_trouble(const State& state, const std::string& app,
                                        const std::vector<integrations::SecretSync>& syncs);

// "Infisical says that its sync is under way": for an app to which the key has not come in time.
std::string sync_in_words(const State& state, const std::string& app,
                          const std::vector<integrations::SecretSync>& syncs);

}  // namespace keyturn::commands::rotation
