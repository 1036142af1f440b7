// The world around one rotation, as a seed makes it: keys that live and die, systems that fail for a while or
// for good until somebody mends them, and what is really true. The procedure sees only its answers.
// Thread: one; virtual time only.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/commands/story.h"

namespace keyturn::test {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(engine_) < probability;
  }
  int from(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  Duration between(Duration low, Duration high) {
    return Duration(std::uniform_int_distribution<std::int64_t>(low.count(), high.count())(engine_));
  }

 private:
  std::mt19937_64 engine_;
};

// A key that Stripe would show after a click, by what is true about it.
struct StripeKey {
  std::string fingerprint;
  bool same_account = true, same_permissions = true, exists = true;
  std::optional<TimePoint> known_from;  // Stripe needs a moment until it knows a fresh key
  bool good() const { return same_account && same_permissions && exists; }
};

class World {
 public:
  World(Dice& dice, bool calm) : dice_(dice), trouble_(calm ? 0 : 0.08), final_trouble_(calm ? 0 : 0.01) {}

  // What the action does and answers at `now`. A failure is an answer too.
  std::vector<Event> perform(const Action& action, const State& state, TimePoint now);

  // The dashboard click. Answers the key that is then shown.
  StripeKey rotate_in_dashboard(Duration grace, TimePoint now, bool wrong_key);
  // Somebody expired the key in use before anything began.
  void key_is_dead_at_first() { old_key_dies_ = TimePoint{}; }
  // Somebody sets another key by hand, without a word.
  void meddle(const State& state) {
    const int victim = dice_.from(0, static_cast<int>(state.target.consumers.size()));
    const bool store = victim == static_cast<int>(state.target.consumers.size());
    const std::string key = state.received->event.fingerprint;
    if (store) {
      stored_ = key;
      ++version_;
    } else {
      held_[state.target.consumers[static_cast<std::size_t>(victim)].app] = key;
    }
  }
  // Somebody looks after whatever has failed for good.
  void mend() {
    broken_.clear();
    for (auto& [app, held] : held_) held = held == "old-1" ? held : stored_;
  }
  // As somebody may do in Heroku's dashboard.
  void set_by_hand(const std::string& app, const std::string& value) { held_[app] = value; }

  bool old_key_alive(TimePoint now) const { return !old_key_dies_ || now < *old_key_dies_; }
  const std::string& stored() const { return stored_; }
  const std::string& held_by(const std::string& app) { return held_.try_emplace(app, "old-1").first->second; }
  const StripeKey* key(const std::string& fingerprint) const {
    const auto found = keys_.find(fingerprint);
    return found == keys_.end() ? nullptr : &found->second;
  }

  Duration expiry_is_late_by{};    // the dashboard's deadline is not the one told to the form
  bool deleted_is_unknown = true;  // how Stripe names a key that "Now" deleted
  bool log_shows_failure = false;  // until a person has looked
  bool syncs = false;              // the store copies the key to the first app by itself
  TimePoint down_until;            // until then every system answers with a server error

 private:
  std::vector<std::string> strays(const State& state);
  static std::string wanted(const State& state);  // the key that is to be everywhere
  std::vector<Event> follow(const std::string& app, const State& state);
  void give(const std::string& app, const std::string& key);
  std::vector<Event> probe(ActionKind purpose, const State& state, TimePoint now);
  Probe ask_old(const std::string& endpoint, TimePoint now);
  Probe ask_new(const std::string& fingerprint, const std::string& endpoint, TimePoint now);
  ProofTaken prove(TimePoint now);

  Dice& dice_;
  double trouble_, final_trouble_;
  std::set<Action> broken_;
  std::optional<TimePoint> old_key_dies_;
  bool old_key_deleted_ = false;
  std::map<std::string, StripeKey> keys_;
  std::string stored_ = "old-1";
  int version_ = 4;
  std::map<std::string, std::string> held_;
  std::map<std::string, int> releases_;
};

}  // namespace keyturn::test
