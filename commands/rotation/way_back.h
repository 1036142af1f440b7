// The way back: the old key into the secret store and every consumer again, verified as on the way forth. It
// ends with the old key's deadline, which nothing puts off: billing must have been rotated anew by then.
// Pure.
#pragma once

#include <optional>
#include <string>

#include "commands/rotation/decide.h"

namespace keyturn::commands::rotation {

// Once a rollback was requested; read `kWayBack` in way_back.cpp from top to bottom.
Decision decide_way_back(const State& state, TimePoint now);

struct Obstacle {
  std::string code;  // in the journal
  std::string sentence;
};
// Why there is no way back; nothing: there is one.
std::optional<Obstacle> no_way_back(const State& state, TimePoint now);

// How long the way back will take, as far as the way forth tells: what the consumers took, and the watch.
Duration way_back_takes(const State& state);

// The context of the audit entry `secret.rotate.rolled_back`.
nlohmann::json rollback_context(const State& state, TimePoint now);

}  // namespace keyturn::commands::rotation
