// One whole rotation in virtual time: the pure procedure, a world and an operator made from a seed, crashes,
// and everything that must hold after every single event. Throws Violation when it doesn't.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/world.h"

namespace keyturn::test {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Everything that a state says and plans, to compare two of them.
std::string dump(const State& state, TimePoint now);

class RotationSimulation {
 public:
  explicit RotationSimulation(std::uint64_t seed, bool calm = false);
  // Until it is closed, or waits for a person who won't come.
  void run();

  const State& state() const { return state_; }
  std::string ending() const;  // "rotated", "rolled_back", "refused", "cancelled", "halted", "waiting"
  int crashes = 0, halts = 0, rejections = 0, barred = 0;

 private:
  struct Written {
    TimePoint at;
    std::string type, data;
  };
  struct Due {
    Action action;
    int leg;
    TimePoint at;
  };

  void decide_and_start();
  bool step();
  void finish(std::size_t index);
  void crash();
  void operator_acts();
  void operator_uses_form();
  bool somebody_rolls_back(double probability);
  void somebody_settles();
  bool somebody_takes_over();
  bool waits_for_operator() const;

  void append(const std::vector<Event>& events);
  void check_action(const Action& action);
  void check_event(const State& before, const Event& event);
  void check_fold() const;
  void require(bool holds, const std::string& what) const;

  Dice dice_;
  bool calm_;
  World world_;
  State state_;
  TimePoint now_ = kStart;
  std::vector<Written> journal_;
  std::vector<Due> in_flight_;
  std::set<std::string_view> boxes_;
  std::optional<TimePoint> operator_at_, wake_;
  bool operator_gone_ = false;
  bool acted_since_retry_ = true;
  bool over_ = false;
};

}  // namespace keyturn::test
