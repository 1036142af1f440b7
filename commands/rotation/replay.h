// The fold of the journal at the start of the process, entry by entry, so that nobody has to hold a journal
// of years in memory. Thread: one at a time; no I/O.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "commands/rotation/state.h"
#include "storage/journal.h"

namespace keyturn::commands::rotation {

// How long after its end a rotation may still have something to tell: the process may have ended before it
// was sent.
constexpr Duration kUntoldFor = std::chrono::hours(24);

class Replay {
 public:
  explicit Replay(TimePoint now) : now_(now) {}

  // The next entry of any rotation, oldest first. Throws when it holds what this program doesn't know.
  void add(storage::Entry entry);

  // After the last entry: every rotation there is, oldest first.
  std::vector<std::shared_ptr<State>> finish();

 private:
  struct Rotation {
    std::shared_ptr<State> state;
    std::vector<storage::Entry> waiting;  // until its end tells which of them still matter
    bool told = false;                    // it was over long ago
  };
  Rotation& rotation_of(const std::string& id);
  static void fold(Rotation& rotation, const storage::Entry& entry);
  static void fold_waiting(Rotation& rotation);

  const TimePoint now_;
  std::map<std::string, Rotation> rotations_;  // by id, which sorts by time
  Rotation* latest_ = nullptr;                 // most entries are of the same rotation as the one before
};

}  // namespace keyturn::commands::rotation
