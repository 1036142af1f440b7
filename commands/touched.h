// What a person may know of each key: from the journal alone, what passed through their hands. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands/due.h"

namespace keyturn::commands {

// One target that a person had a part in.
struct Touched {
  std::string provider, environment;
  std::set<std::string> how;  // "operator", "approver"
  // Fingerprints of the keys that came while they were an operator, or that were made before their last look
  // at the dashboard steps was over: whoever brought such a key may have found it there.
  std::set<std::string> handled;
  std::set<std::string> approved;  // ... and of those whose rotation they approved, asked back or settled
  // When they were last shown the dashboard steps, and no key came: whether one was made, nobody else knows.
  std::optional<storage::TimePoint> unseen_since;
  bool fresh_unseen = false;  // ... in a recovery: such a key is its own, and no later rotation replaces it
  bool master_key = false;    // one was pasted into a form of theirs: no rotation of ours replaces that

  std::string name() const { return provider + " " + environment; }
};

// By target's name; also targets that the settings no longer have.
std::map<std::string, Touched> touched_by(const std::string& person, const Rotations& rotations);

// When that key of that target was proven dead, or nothing.
std::optional<storage::TimePoint> proven_dead(const std::string& target, const std::string& fingerprint,
                                              const Rotations& rotations);

}  // namespace keyturn::commands
