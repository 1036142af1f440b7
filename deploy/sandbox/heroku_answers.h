// The shapes of Heroku's Platform API v3: errors, rows, ranges. Pure.
// Source: devcenter.heroku.com/articles/platform-api-reference.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "deploy/sandbox/heroku_world.h"

namespace keyturn::sandbox {

// {"id":"not_found","message":"..."}
net::Response heroku_error(int status, std::string_view id, std::string_view message,
                           nlohmann::json more = nlohmann::json::object());
net::Response app_not_found();

nlohmann::json app_row(const HerokuApp& app, const std::string& owner);
nlohmann::json release_row(const HerokuApp& app, const HerokuRelease& release);
nlohmann::json dyno_row(const HerokuApp& app, const HerokuDyno& dyno);

// The newest release that succeeded: what the dynos run, or are on their way to.
const HerokuRelease& current_release(const HerokuApp& app);

// "version ]41..; order=desc,max=1": the keys in any order, blanks anywhere.
struct RowRange {
  std::optional<int> after;  // "]41..": rows beyond this one, in the order asked for
  bool descending = false;
  std::size_t limit = 200;
};
std::optional<RowRange> read_range(std::string_view header);

std::string heroku_time(storage::TimePoint time);   // "2012-01-01T12:00:00Z"
std::string logplex_time(storage::TimePoint time);  // "2012-01-01T12:00:00.000000+00:00"
std::string_view name_of(DynoState state);
std::string_view name_of(ReleaseState state);

// As a reply's ETag: the same for the same text.
std::string entity_tag(const std::string& body);

}  // namespace keyturn::sandbox
