#include "integrations/net/http_date.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace keyturn::net {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

std::string to_http_date(storage::TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::optional<storage::TimePoint> from_http_date(const std::string& text) {
  std::array<char, 4> month_name{};
  unsigned day = 0;
  int year = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  constexpr std::size_t kLength = 29;
  if (text.size() != kLength || !text.ends_with(" GMT")) return std::nullopt;
  const int found = std::sscanf(text.c_str(), "%*3s, %2u %3s %4d %2d:%2d:%2d", &day, month_name.data(), &year,
                                &hour, &minute, &second);
  if (found != 6) return std::nullopt;
  for (unsigned month = 1; month <= kMonths.size(); ++month) {
    if (kMonths[month - 1] != month_name.data()) continue;
    const auto date = std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    const auto time = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                      std::chrono::seconds(second);
    const storage::TimePoint result = time;
    // The weekday and everything between the numbers must be as they are written.
    return second == 60 || to_http_date(result) == text ? std::optional(result) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace keyturn::net
