#include "commands/rotation/replay.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "commands/rotation/events.h"

namespace keyturn::commands::rotation {
namespace {

// What was under way, and where its messages stand: two thirds of a rotation's entries, and of no use once it
// is over and told. (Chain and export have them all the same.)
bool is_bookkeeping(std::string_view type) {
  return type.starts_with("secret.rotate.action.") || type.starts_with("secret.rotate.message.") ||
         type == type_of(WatchProgressed{});
}

}  // namespace

void Replay::add(storage::Entry entry) {
  Rotation& rotation = rotation_of(entry.rotation);
  if (rotation.state->closed) return fold(rotation, entry);
  const bool ends = entry.type == type_of(Closed{});
  if (ends) rotation.told = now_ - entry.at > kUntoldFor;
  rotation.waiting.push_back(std::move(entry));
  if (ends) fold_waiting(rotation);
}

std::vector<std::shared_ptr<State>> Replay::finish() {
  std::vector<std::shared_ptr<State>> states;
  states.reserve(rotations_.size());
  for (auto& [id, rotation] : rotations_) {
    fold_waiting(rotation);
    states.push_back(std::move(rotation.state));
  }
  rotations_.clear();
  latest_ = nullptr;
  return states;
}

Replay::Rotation& Replay::rotation_of(const std::string& id) {
  if (latest_ && latest_->state->id == id) return *latest_;
  latest_ = &rotations_[id];
  if (!latest_->state) {
    latest_->state = std::make_shared<State>();
    latest_->state->id = id;
  }
  return *latest_;
}

void Replay::fold(Rotation& rotation, const storage::Entry& entry) {
  if (rotation.told && is_bookkeeping(entry.type)) return;
  apply(*rotation.state, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
}

void Replay::fold_waiting(Rotation& rotation) {
  for (const auto& entry : std::exchange(rotation.waiting, {})) fold(rotation, entry);
}

}  // namespace keyturn::commands::rotation
