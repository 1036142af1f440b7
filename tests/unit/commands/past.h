// Rotations of some targets, as a journal would have them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "commands/due.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {

inline commands::Target target_named(const std::string& environment) {
  auto target = sample_target();
  target.environment = environment;
  return target;
}

struct Past {
  // One by `person`, from key to key, so far as a day's grace has come.
  State& rotated(const std::string& person, const std::string& from, const std::string& to,
                 const std::string& environment = "prod") {
    auto state = std::make_shared<State>();
    state->id = "rot_" + std::to_string(states.size());
    states.insert(states.begin(), state);
    CurrentKeyRead current = current_key();
    current.fingerprint = from;
    happens(
        Started{.target = target_named(environment), .operator_id = person, .channel = "C1", .reason = {}});
    happens(current);
    happens(FormIssued{"hash", now + 15min});
    happens(KeyReceived{.fingerprint = to,
                        .grace_chosen = 24h,
                        .rotated_at = now,
                        .old_key_expires_at = now + 24h,
                        .peer = {}});
    happens(Completed{.context = nlohmann::json::object()});
    now += 1h;
    return *states.front();
  }
  State& begun(const std::string& person, const std::string& environment = "prod") {
    auto state = std::make_shared<State>();
    state->id = "rot_" + std::to_string(states.size());
    states.insert(states.begin(), state);
    happens(
        Started{.target = target_named(environment), .operator_id = person, .channel = "C1", .reason = {}});
    return *states.front();
  }
  Past& proven() {
    now += 25h;
    happens(ProvenDead{});
    return happens(Closed{"rotated"});
  }
  Past& happens(const Event& event) {  // in the newest
    apply(*states.front(), event, now);
    return *this;
  }
  commands::Rotations rotations() const { return {states.begin(), states.end()}; }

  std::vector<std::shared_ptr<State>> states;
  std::vector<commands::Target> targets{target_named("prod"), target_named("staging"), target_named("blue")};
  commands::KeysSeen seen;
  TimePoint now = kStart;
};

}  // namespace keyturn::test
