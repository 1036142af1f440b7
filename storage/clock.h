// Time as the rest of the house sees it: milliseconds since the epoch, UTC, from one injectable source.
// Decisions take a TimePoint as a parameter; only the shell asks a Clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::storage {

using Duration = std::chrono::milliseconds;
using TimePoint = std::chrono::sys_time<Duration>;

// Waits go by a steady clock, and the one on the wall may be set meanwhile: whoever waits for a time on the
// wall looks again this often.
constexpr Duration kLongestSleep = std::chrono::minutes(1);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
};

// "2026-11-23T19:16:05.123Z", always UTC, always with milliseconds.
std::string to_iso8601(TimePoint time);

// Reads what to_iso8601 writes, with or without a fraction of a second; nothing for any other text.
std::optional<TimePoint> from_iso8601(std::string_view text);

// "24 hours", "90 seconds", "5 minutes", "1 hour 30 minutes": for people. Rounds to whole seconds.
std::string in_words(Duration duration);

}  // namespace keyturn::storage
