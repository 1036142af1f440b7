// The app's home tab: every key with its age and when it is due, what is going on, and one's own rotations.
// Pure.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/authority.h"
#include "commands/drift.h"
#include "commands/due.h"
#include "commands/rotation/state.h"
#include "commands/target.h"

namespace keyturn::commands::views {

struct HomeTab {
  std::vector<Target> targets;
  std::vector<std::shared_ptr<const rotation::State>> rotations;  // newest first
  std::string user;                                               // whose tab it is
  Standing standing = Standing::unknown;
  storage::TimePoint now;
  KeysSeen seen;
  Drifts drifts = {};
};

// A view for views.publish.
nlohmann::json home(const HomeTab& tab);

}  // namespace keyturn::commands::views
