// What a stretch of an app's log showed: lines, failures, and the time in which nothing could be seen. Pure.
// A log that is replayed after a reconnect is counted once; a stretch without a connection is a gap, never
// silence.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "commands/rotation/events.h"
#include "integrations/consumer.h"

namespace keyturn::commands::rotation {

class LogWatch {
 public:
  // `since`: lines that are older belong to the time before the new key, and don't count. `patterns`: a line
  // that holds one of them, without regard to case, is a failure.
  LogWatch(std::string app, TimePoint since, std::vector<std::string> patterns);
  // Goes on from the totals of an earlier try (or an earlier process), which were taken at `until`: what lies
  // between is a gap.
  void resume(WatchProgressed totals, TimePoint until);

  void connected(TimePoint now);
  void disconnected(TimePoint now);
  void line(const integrations::LogLine& line);
  // Time passed while connected.
  void seen_until(TimePoint now);
  // The same, for whoever looks every second or so: a longer stretch means that nobody looked (a process that
  // was stopped, a clock that was set), and is a gap.
  void looked(TimePoint now);

  const WatchProgressed& totals() const { return totals_; }
  bool failed() const { return !totals_.failures.empty(); }

 private:
  bool is_failure(const integrations::LogLine& line) const;

  WatchProgressed totals_;
  TimePoint since_;
  std::vector<std::string> patterns_;  // lower case
  bool connected_ = false;
  std::optional<TimePoint> last_;  // until when time is accounted for
  std::set<std::string> seen_;     // lines, by their text, of the newest stretch
};

}  // namespace keyturn::commands::rotation
