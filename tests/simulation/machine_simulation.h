// One whole rotation by the real runner, on a machine that a seed makes: it dies before and after commits and
// effects, its disk refuses commits, commands and clicks come twice or get no answer, people set apps by hand
// or go away. Virtual time. Throws Violation when something that must hold doesn't.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "commands/rotation/runner.h"
#include "tests/simulation/rotation_simulation.h"
#include "tests/unit/commands/memory_journal.h"

namespace keyturn::test {

struct VirtualClock final : storage::Clock {
  TimePoint time = kStart;
  TimePoint now() const override { return time; }
};

class MachineSimulation {
 public:
  // `outage`: every system answers with server errors for so long from the moment at which the key comes, of
  // a suspected leak with its short grace.
  explicit MachineSimulation(std::uint64_t seed, Duration outage = {});
  ~MachineSimulation();
  // Until it is over, or waits for a person who won't come.
  void run();

  std::string ending() const;
  const State& state() const { return told_; }
  int deaths = 0, refusals = 0, duplicates = 0, effects = 0, by_hand = 0;

 private:
  class Worker;   // performs actions in the world
  class Process;  // what a crash takes away

  void boot();
  void settle();
  void plan_death();
  void advance();
  bool waits_for_operator() const;
  void operator_acts();
  void hands_over_key();
  void start(const std::string& once);
  void say(std::vector<Event> events, Runner::Change guard, std::vector<storage::NewBox> boxes = {});
  void somebody_sets_an_app();
  bool somebody_rolls_back(double probability);

  // What must hold whenever nothing is under way.
  void check();
  void check_entry(const State& before, const storage::Entry& entry);
  void check_key_is_somewhere() const;
  void check_effect(const Action& action, int leg);
  void check_waiting() const;
  void check_memory() const;
  void require(bool holds, const std::string& what) const;

  Dice dice_;
  VirtualClock clock_;
  World world_;
  MemoryJournal journal_;
  std::unique_ptr<Process> process_;
  State told_;            // the fold of what is on the disk, each entry checked
  std::size_t read_ = 0;  // entries of it
  State on_disk_;         // the same up to this instant, for whoever is about to act
  std::size_t folded_ = 0;
  std::string violation_;  // found inside a coroutine, where an exception would be taken for a failure
  int settled_ = 0;
  int looks_since_hand_ = 0;  // proofs taken since somebody set an app by hand
  bool worker_dead_ = false, disk_refuses_ = false;
  std::optional<StripeKey> shown_;  // the key that the dashboard showed and nobody has rejected
  Duration shown_grace_{};
  TimePoint shown_at_;
  std::optional<TimePoint> operator_at_;
  bool operator_gone_ = false;
  Duration outage_;
  bool compromise_;
  bool second_approver_;
  int clicks_ = 0;
};

}  // namespace keyturn::test
