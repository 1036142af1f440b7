// Which socket the next envelope goes to: each envelope to exactly one, in turn, over every socket that has
// said hello. Slack promises no particular order; a fixed one makes tests repeatable. Pure.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

namespace keyturn::sandbox {

class Rota {
 public:
  static constexpr std::size_t kMost =
      10;  // docs.slack.dev "Using Socket Mode": up to ten connections an app

  bool full() const { return sockets_.size() >= kMost; }
  std::size_t size() const { return sockets_.size(); }
  void add(int socket) { sockets_.push_back(socket); }

  void remove(int socket) {
    const auto found = std::ranges::find(sockets_, socket);
    if (found == sockets_.end()) return;
    const auto place = static_cast<std::size_t>(found - sockets_.begin());
    sockets_.erase(found);
    if (place < turn_) --turn_;
  }

  std::optional<int> next() {
    if (sockets_.empty()) return std::nullopt;
    turn_ %= sockets_.size();
    return sockets_[turn_++];
  }

 private:
  std::vector<int> sockets_;
  std::size_t turn_ = 0;
};

}  // namespace keyturn::sandbox
