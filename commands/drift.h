// Drift: an app that does not hold the key that the secret store holds, while no rotation is changing either.
// Somebody set another one, or rolled a release back, which brings that release's configuration with it
// (devcenter.heroku.com/articles/releases#rollback). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "commands/due.h"
#include "commands/target.h"

namespace keyturn::commands {

struct DriftEnd {
  std::string how;  // kRepaired or kGone
  int release = 0;  // the one that the repair made; 0: none
  int dynos = 0;
  storage::TimePoint at;
};
inline constexpr std::string_view kRepaired = "repaired";  // by us, asked by a person
inline constexpr std::string_view kGone = "gone";  // it holds the key again, or all is different by now

struct RepairAsked {
  std::string by;  // a user id
  storage::TimePoint at;
};

struct Drift {
  std::string id;      // "drift_20261128T031605_k3v9q2xd"
  std::string target;  // "stripe prod"
  std::string app;     // empty: it is the store that was set back, while the old key's grace goes on
  std::string
      stored;        // fingerprint of the key in the store; of the key that should be there if `app` is empty
  std::string held;  // fingerprint of the key that was found; empty: none
  std::string release;     // the app's newest: "v43 (Rollback to v41)"; empty: not known
  int newest_release = 0;  // its number: what puts it right is a newer one
  bool offered =
      false;  // one click may give the app the stored key: a rotation checked that key, and gave it out
  std::string channel;  // where the team is told
  storage::TimePoint found_at;
  std::string ts = {};                    // of the message; empty: not known to be in Slack
  std::optional<RepairAsked> asked = {};  // the last time
  bool repairing = false;                 // asked for, and not answered yet
  std::string failure = {};               // why the last repair came to nothing
  bool wrote = false;                     // ... although the app's configuration may hold the key by now
  int repairs = 0;                        // asked for so far
  std::optional<DriftEnd> ended = {};
  bool settled = false;  // the message says how it ended
};
using Drifts = std::map<std::string, Drift>;  // by id, which sorts by time

// The fold of our own entries of the journal.
inline constexpr std::string_view kDriftFound = "drift.found";
inline constexpr std::string_view kDriftPosted = "drift.posted";
inline constexpr std::string_view kRepairRequested = "drift.repair.requested";
inline constexpr std::string_view kRepairFailed = "drift.repair.failed";
inline constexpr std::string_view kDriftEnded = "drift.ended";
inline constexpr std::string_view kDriftSettled = "drift.settled";
void note(Drifts& drifts, std::string_view type, const nlohmann::json& data, storage::TimePoint at);
nlohmann::json found_data(const Drift& drift);

// The key that the store and every app should hold now.
struct KeyAtRest {
  std::string fingerprint;  // empty: nobody knows, or a rotation is changing it
  bool given = false;       // a rotation gave it out, so it was checked
  bool operator==(const KeyAtRest&) const = default;
};
KeyAtRest key_at_rest(const Target& target, const Rotations& rotations, const KeysSeen& seen);

// What is known of a key by its fingerprint, from the rotations of its target.
struct HeldKey {
  bool abandoned = false;                  // a rotation that was rolled back had given it out
  bool replaced = false;                   // a rotation of this target took it out of use
  bool dead = false;                       // ... and proved it dead
  std::optional<storage::TimePoint> dies;  // ... or its grace goes on until then, or its end was never proven
};
HeldKey held_key(const std::string& target, const std::string& fingerprint, const Rotations& rotations);

// One look: fingerprints, by app; empty: the variable is not set. An app that could not be looked at is not
// in it.
struct DriftLook {
  KeyAtRest expected;  // before it
  std::string stored;
  std::map<std::string, std::string> apps;
};

struct DriftChanges {
  std::vector<Drift> found;        // without id, channel and what is known of releases
  std::vector<std::string> ended;  // ids of drifts that are no more
  bool suspicious = false;         // something differs that the look before didn't see: look again soon
};

// `before`: the look before this one. Only what two looks in a row saw is told: between two writes of a
// person, or of a release, everything differs for a moment.
DriftChanges changes(const Target& target, const Drifts& drifts, const Rotations& rotations,
                     const DriftLook& look, const std::optional<DriftLook>& before);

// Between two looks at a target: its own pause, or as long as the consumers of all targets together leave it
// within a fifth of what Heroku allows (4,500 calls an hour:
// devcenter.heroku.com/articles/platform-api-reference#rate-limits).
storage::Duration drift_interval(const Target& target, std::size_t consumers_of_all);

}  // namespace keyturn::commands
