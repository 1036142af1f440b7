#include "bot/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "integrations/credentials.h"

namespace keyturn::bot::log {

namespace {

using Json = nlohmann::ordered_json;

spdlog::level::level_enum severity(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("keyturn", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::info);
    // A line that explains a crash must not be lost in it.
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

}  // namespace

bool set_level(std::string_view name) {
  for (Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    if (name_of(level) != name) continue;
    logger().set_level(severity(level));
    return true;
  }
  return false;
}

std::string line(storage::TimePoint at, Level level, std::string_view event,
                 std::initializer_list<Field> fields) {
  Json json = {{"time", storage::to_iso8601(at)},
               {"level", name_of(level)},
               {"event", integrations::redact_credentials(event)}};
  for (const auto& [name, value] : fields)
    json.emplace(std::string(name), integrations::redact_credentials(value));
  // What isn't UTF-8 is replaced: a stranger's bytes must not cost us the line.
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!logger().should_log(severity(level))) return;
  logger().log(severity(level), line(storage::SystemClock().now(), level, event, fields));
}

}  // namespace keyturn::bot::log
