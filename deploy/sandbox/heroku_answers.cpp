#include "deploy/sandbox/heroku_answers.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<int> number(std::string_view text) {
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  return std::stoi(std::string(text));
}

// One "order=desc" or "max=1"; false when it makes no sense.
bool read_option(std::string_view option, RowRange& range) {
  const auto equals = option.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = trim(option.substr(0, equals));
  const std::string_view value = trim(option.substr(equals + 1));
  if (key == "order") {
    range.descending = value == "desc";
    return value == "desc" || value == "asc";
  }
  const auto limit = number(value);
  if (key != "max" || !limit || *limit < 1 || *limit > 1000) return false;
  range.limit = static_cast<std::size_t>(*limit);
  return true;
}

json reference(const HerokuApp& app) { return {{"id", app.id}, {"name", app.name}}; }

}  // namespace

net::Response heroku_error(int status, std::string_view id, std::string_view message, json more) {
  more.update({{"id", id}, {"message", message}});
  return json_response(status, more);
}

net::Response app_not_found() {
  return heroku_error(404, "not_found", "Couldn't find that app.", {{"resource", "app"}});
}

const HerokuRelease& current_release(const HerokuApp& app) {
  const auto newest = std::find_if(app.releases.rbegin(), app.releases.rend(),
                                   [](const HerokuRelease& r) { return r.state == ReleaseState::succeeded; });
  return newest == app.releases.rend() ? app.releases.front() : *newest;
}

json app_row(const HerokuApp& app, const std::string& owner) {
  const std::string created = heroku_time(app.releases.front().created);
  return {{"id", app.id},
          {"name", app.name},
          {"generation", {{"id", app.id}, {"name", app.fir ? "fir" : "cedar"}}},
          {"region", {{"id", app.id}, {"name", "us"}}},
          {"stack", {{"id", app.id}, {"name", "heroku-24"}}},
          {"owner", {{"id", app.id}, {"email", owner}}},
          {"maintenance", app.maintenance},
          {"web_url", "https://" + app.name + ".herokuapp.com/"},
          {"git_url", "https://git.heroku.com/" + app.name + ".git"},
          {"acm", true},
          {"archived_at", nullptr},
          {"created_at", created},
          {"released_at", heroku_time(app.releases.back().created)},
          {"updated_at", heroku_time(app.releases.back().updated)},
          {"space", nullptr},
          {"team", nullptr}};
}

json release_row(const HerokuApp& app, const HerokuRelease& release) {
  const bool pending = release.state == ReleaseState::pending;
  return {{"addon_plan_names", json::array()},
          {"app", reference(app)},
          {"artifacts", json::array()},
          {"created_at", heroku_time(release.created)},
          {"current", release.version == current_release(app).version},
          {"description", release.description},
          {"eligible_for_rollback", release.state == ReleaseState::succeeded},
          {"id", release.id},
          {"output_stream_url",
           pending ? json("https://release-output.heroku.com/streams/" + release.id) : json()},
          {"slug", app.fir ? json() : json{{"id", app.slug}}},
          {"status", name_of(release.state)},
          {"updated_at", heroku_time(release.updated)},
          {"user", {{"email", release.user}, {"id", app.id}}},
          {"version", release.version}};
}

json dyno_row(const HerokuApp& app, const HerokuDyno& dyno) {
  const auto release = std::find_if(app.releases.begin(), app.releases.end(),
                                    [&](const HerokuRelease& r) { return r.version == dyno.release; });
  return {
      {"attach_url", nullptr},
      {"command", dyno.command},
      {"created_at", heroku_time(dyno.since)},
      {"id", dyno.id},
      {"name", dyno.name},
      {"release", {{"id", release == app.releases.end() ? dyno.id : release->id}, {"version", dyno.release}}},
      {"app", reference(app)},
      {"size", "Basic"},
      {"state", name_of(dyno.state)},
      {"type", dyno.type},
      {"updated_at", heroku_time(dyno.since)}};
}

std::optional<RowRange> read_range(std::string_view header) {
  RowRange range;
  if (header.empty()) return range;
  const auto semicolon = header.find(';');
  std::string_view rows = trim(header.substr(0, semicolon));
  const auto blank = rows.find(' ');
  const std::string_view attribute = rows.substr(0, blank);
  if (attribute != "version" && attribute != "id") return std::nullopt;
  rows = blank == std::string_view::npos ? "" : trim(rows.substr(blank));
  const auto dots = rows.find("..");
  if (dots == std::string_view::npos && !rows.empty()) return std::nullopt;
  if (rows.starts_with(']')) {
    range.after = number(rows.substr(1, dots - 1));
    if (!range.after) return std::nullopt;
  }
  if (semicolon == std::string_view::npos) return range;
  std::string_view options = header.substr(semicolon + 1);
  while (!trim(options).empty()) {
    const auto comma = options.find(',');
    if (!read_option(options.substr(0, comma), range)) return std::nullopt;
    if (comma == std::string_view::npos) break;
    options.remove_prefix(comma + 1);
  }
  return range;
}

std::string heroku_time(storage::TimePoint time) { return storage::to_iso8601(time).substr(0, 19) + "Z"; }

std::string logplex_time(storage::TimePoint time) {
  return storage::to_iso8601(time).substr(0, 23) + "000+00:00";
}

std::string_view name_of(DynoState state) {
  switch (state) {
    case DynoState::starting:
      return "starting";
    case DynoState::up:
      return "up";
    case DynoState::crashed:
      return "crashed";
  }
  return "";
}

std::string_view name_of(ReleaseState state) {
  switch (state) {
    case ReleaseState::pending:
      return "pending";
    case ReleaseState::succeeded:
      return "succeeded";
    case ReleaseState::failed:
      return "failed";
    case ReleaseState::expired:
      return "expired";
  }
  return "";
}

std::string entity_tag(const std::string& body) {
  return fmt::format("\"{:016x}\"", std::hash<std::string>{}(body));
}

}  // namespace keyturn::sandbox
