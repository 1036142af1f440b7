#include "storage/clock.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdint>
#include <cstdlib>

namespace keyturn::storage {
namespace {

// Takes exactly `digits` decimal digits off the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int number = 0;
  for (const char digit : text.substr(0, digits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + (digit - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take_character(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

// A number of `digits` digits, then `separator`.
std::optional<int> take_field(std::string_view& text, std::size_t digits, char separator) {
  const auto number = take_number(text, digits);
  if (!number || !take_character(text, separator)) return std::nullopt;
  return number;
}

// ".123" or nothing; what is finer than a millisecond is cut off. Vendors write up to nine digits.
std::optional<Duration> take_fraction(std::string_view& text) {
  if (!take_character(text, '.')) return Duration::zero();
  int milliseconds = 0;
  std::size_t digits = 0;
  while (auto digit = take_number(text, 1)) {
    if (digits < 3) milliseconds = milliseconds * 10 + *digit;
    ++digits;
  }
  if (digits == 0 || digits > 9) return std::nullopt;
  for (; digits < 3; ++digits) milliseconds *= 10;
  return Duration(milliseconds);
}

}  // namespace

TimePoint SystemClock::now() const { return std::chrono::floor<Duration>(std::chrono::system_clock::now()); }

std::string to_iso8601(TimePoint time) {
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(time - midnight);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<TimePoint> from_iso8601(std::string_view text) {
  const auto year = take_field(text, 4, '-');
  if (!year) return std::nullopt;
  const auto month = take_field(text, 2, '-');
  if (!month) return std::nullopt;
  const auto day = take_field(text, 2, 'T');
  if (!day) return std::nullopt;
  const auto hour = take_field(text, 2, ':');
  if (!hour) return std::nullopt;
  const auto minute = take_field(text, 2, ':');
  if (!minute) return std::nullopt;
  const auto second = take_number(text, 2);
  if (!second) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction || text != "Z") return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + *fraction;
}

std::string in_words(Duration duration) {
  struct Unit {
    std::int64_t seconds;
    std::string_view name;
    std::int64_t
        from;  // used from this many seconds on, so that "24 hours" and "90 seconds" stay what people say
  };
  static constexpr std::array<Unit, 4> kUnits = {{
      {.seconds = 86400, .name = "day", .from = 2L * 86400},
      {.seconds = 3600, .name = "hour", .from = 3600},
      {.seconds = 60, .name = "minute", .from = 120},
      {.seconds = 1, .name = "second", .from = 1},
  }};
  const auto rounded = std::chrono::round<std::chrono::seconds>(duration).count();
  std::int64_t rest = std::abs(rounded);
  const bool whole_minute = rest == 60;
  std::string words;
  for (const auto& unit : kUnits) {
    // Below a larger unit that was named, every smaller one that isn't zero is named too.
    const bool large_enough = !words.empty() || rest >= unit.from || (whole_minute && unit.seconds == 60);
    const std::int64_t count = large_enough ? rest / unit.seconds : 0;
    if (count == 0) continue;
    rest -= count * unit.seconds;
    words += fmt::format("{}{} {}{}", words.empty() ? "" : " ", count, unit.name, count == 1 ? "" : "s");
  }
  if (words.empty()) return "0 seconds";
  return rounded < 0 ? "minus " + words : words;
}

}  // namespace keyturn::storage
