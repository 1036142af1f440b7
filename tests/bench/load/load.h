// Two ways to load whoever is connected, and what came of it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/load/slack_end.h"
#include "tests/bench/load/subject.h"

namespace keyturn::bench {

// Slack gives up on an acknowledgement after three seconds; an envelope without one by then counts as lost.
inline constexpr auto kAckLimit = std::chrono::seconds(3);

class Load {
 public:
  Load(SlackEnd& slack, const Subject& subject);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Until somebody is connected and has acknowledged an envelope; how long that took since `began`.
  Nanoseconds until_first_ack(Steady::time_point began);

  // As many as `outstanding` at a time, the next one as soon as one is acknowledged.
  nlohmann::json closed(int outstanding, Steady::duration warm_up, Steady::duration measured);

  // One at every 1/rate of a second, whatever becomes of the ones before. An envelope's time runs from when
  // it was due, so a late start counts. `fault` (may be empty) happens `fault_after` the start.
  nlohmann::json open(double rate, Steady::duration measured, Steady::duration fault_after,
                      const std::function<void()>& fault);

 private:
  struct Sent {
    Steady::time_point due;
    Steady::time_point acknowledged;  // zero: not yet
  };
  void begin();
  void send_one(Steady::time_point due);
  void settle();
  nlohmann::json summary(std::size_t from, std::size_t to) const;

  SlackEnd& slack_;
  const Subject& subject_;
  std::uint64_t first_ = 0;  // the number of sent_.front()
  std::vector<Sent> sent_;
  std::size_t acknowledged_ = 0;
  std::vector<Steady::time_point> acknowledgements_;  // of this load, in the order in which they came
  std::string answer_;                                // one of them
};

}  // namespace keyturn::bench
