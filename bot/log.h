// Structured logs: one JSON object a line on standard error. Every value is named; there is no free-form path
// for a text that came from outside, and a value that looks like a credential is replaced before it is
// written.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "storage/clock.h"

namespace keyturn::bot::log {

enum class Level { debug, info, warning, error };

// "debug", "info", "warning" or "error"; false for anything else.
bool set_level(std::string_view name);

using Field = std::pair<std::string_view, std::string>;

// One line as write() writes it, without the newline: {"time":"...","level":"info","event":"rotation
// started","rotation":"rot_..."}
std::string line(storage::TimePoint at, Level level, std::string_view event,
                 std::initializer_list<Field> fields);

void write(Level level, std::string_view event, std::initializer_list<Field> fields);
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::info, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::error, event, fields);
}

}  // namespace keyturn::bot::log
