#include "deploy/sandbox/heroku_world.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <regex>
#include <stdexcept>

#include "deploy/sandbox/heroku_answers.h"
#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/stripe_world.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr int kFirstVersion = 41;  // an app that has lived for a while
constexpr std::size_t kLogHistory = 1500;
constexpr std::size_t kConfigLimit = 32UL * 1024;
constexpr const char* kForeignUser = "ci@raxx.example";

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

net::Response not_found(std::string_view resource) {
  return heroku_error(404, "not_found", fmt::format("Couldn't find that {}.", resource),
                      {{"resource", resource}});
}

// The requested resource doesn't exist at all: the router's 404.
net::Response no_resource() {
  return heroku_error(404, "not_found",
                      "The requested API endpoint was not found. Are you using the right HTTP verb "
                      "(i.e. `GET` vs. `POST`), and did you specify your intended version with the "
                      "`Accept` header?");
}

net::Response invalid_params(std::string_view message) {
  return heroku_error(422, "invalid_params", message);
}

net::Response bad_request(std::string_view message) { return heroku_error(400, "bad_request", message); }

// "Set A, B config vars", "Remove C config vars".
std::string describe(const std::map<std::string, std::optional<std::string>>& changes) {
  std::string set;
  std::string removed;
  for (const auto& [name, value] : changes) {
    std::string& list = value ? set : removed;
    list += (list.empty() ? "" : ", ") + name;
  }
  if (removed.empty()) return "Set " + set + " config vars";
  if (set.empty()) return "Remove " + removed + " config vars";
  return "Set " + set + " and remove " + removed + " config vars";
}

std::size_t size_of(const ConfigVars& config) {
  std::size_t size = 0;
  for (const auto& [name, value] : config) size += name.size() + value.size();
  return size;
}

std::string shown(const std::string& value) { return value.size() > 24 ? mask_key(value) : "set"; }

json config_json(const ConfigVars& config) {
  json body = json::object();
  for (const auto& [name, value] : config) body[name] = value;
  return body;
}

std::string type_of_dyno(const std::string& name) { return name.substr(0, name.find('.')); }

}  // namespace

HerokuWorld::HerokuWorld(const storage::Clock& clock, SandboxTiming timing)
    : Vendor(clock), timing_(timing), token_("HRKU-AA" + random_text(58)), email_("keyturn@raxx.example") {}

HerokuApp& HerokuWorld::add_app(std::string name, ConfigVars config, const std::vector<std::string>& dynos) {
  HerokuApp app{.id = random_uuid(), .name = std::move(name), .slug = random_uuid(), .config = config};
  app.releases.push_back({.id = random_uuid(),
                          .version = kFirstVersion,
                          .description = "Deploy 1f0c2d3e",
                          .user = kForeignUser,
                          .config = config,
                          .created = now(),
                          .updated = now()});
  for (const std::string& dyno : dynos) {
    const std::string type = type_of_dyno(dyno);
    app.dynos.push_back({.id = random_uuid(),
                         .name = dyno,
                         .type = type,
                         .command = type == "web" ? "node server.js" : "node " + type + ".js",
                         .state = DynoState::up,
                         .release = kFirstVersion,
                         .since = now(),
                         .config = config});
  }
  apps_.push_back(std::move(app));
  return apps_.back();
}

HerokuApp* HerokuWorld::lookup(const std::string& name_or_id) {
  const auto app = std::find_if(apps_.begin(), apps_.end(), [&](const HerokuApp& a) {
    return a.name == name_or_id || a.id == name_or_id;
  });
  return app == apps_.end() ? nullptr : &*app;
}

const HerokuApp* HerokuWorld::find(const std::string& name_or_id) const {
  return const_cast<HerokuWorld*>(this)->lookup(name_or_id);
}

bool HerokuWorld::set_config(const std::string& app, const std::string& name,
                             std::optional<std::string> value, const std::string& user) {
  return set_configs(app, {{name, std::move(value)}}, user);
}

bool HerokuWorld::set_configs(const std::string& name,
                              const std::map<std::string, std::optional<std::string>>& changes,
                              const std::string& user) {
  HerokuApp* app = lookup(name);
  if (app == nullptr) return false;
  advance();
  ConfigVars wanted = app->config;
  for (const auto& [variable, value] : changes) {
    if (value)
      wanted[variable] = *value;
    else
      wanted.erase(variable);
  }
  if (wanted == app->config) return true;  // nothing changes: no release
  app->config = std::move(wanted);
  release(*app, describe(changes), user);
  return true;
}

void HerokuWorld::restart(const std::string& name) {
  HerokuApp* app = lookup(name);
  if (app == nullptr) throw std::invalid_argument("no app " + name);
  for (HerokuDyno& dyno : app->dynos) dyno.restart_due = now();
}

HerokuRelease& HerokuWorld::release(HerokuApp& app, std::string description, const std::string& user) {
  const int version = app.releases.back().version + 1;
  log_at(app, now(), "app[api]", fmt::format("{} by user {}", description, user));
  log_at(app, now(), "app[api]", fmt::format("Release v{} created by user {}", version, user));
  app.releases.push_back({.id = random_uuid(),
                          .version = version,
                          .state = ReleaseState::pending,
                          .description = std::move(description),
                          .user = user,
                          .config = app.config,
                          .created = now(),
                          .updated = now(),
                          .doomed = std::exchange(knobs_.release_fails, false) || knobs_.release_expires,
                          .expires = std::exchange(knobs_.release_expires, false)});
  advance();
  return app.releases.back();
}

void HerokuWorld::advance() {
  const storage::Duration pending = knobs_.release_pending.value_or(timing_.release_pending);
  for (HerokuApp& app : apps_) {
    for (HerokuRelease& each : app.releases)
      if (each.state == ReleaseState::pending && each.created + pending <= now())
        settle(app, each, each.created + pending);
    move_dynos(app);
  }
}

void HerokuWorld::settle(HerokuApp& app, HerokuRelease& pending, storage::TimePoint at) {
  pending.updated = at;
  pending.state = pending.expires  ? ReleaseState::expired
                  : pending.doomed ? ReleaseState::failed
                                   : ReleaseState::succeeded;
  if (pending.doomed) {
    log_at(app, at, "app[api]", fmt::format("Release v{} command failed", pending.version));
    return;
  }
  for (HerokuDyno& dyno : app.dynos) dyno.restart_due = at;
}

// One dyno after the other: the next stops when the one before it is up (or crashed).
void HerokuWorld::move_dynos(HerokuApp& app) {
  const HerokuRelease& target = current_release(app);
  storage::TimePoint from{};
  for (HerokuDyno& dyno : app.dynos) {
    const bool done = move_dyno(app, dyno, target, knobs_.restart_together ? storage::TimePoint{} : from);
    if (!done && !knobs_.restart_together) return;
    from = std::max(from, dyno.since);
  }
}

bool HerokuWorld::move_dyno(HerokuApp& app, HerokuDyno& dyno, const HerokuRelease& target,
                            storage::TimePoint from) {
  if (dyno.restart_due) {
    const storage::TimePoint stopped = std::max(from, *dyno.restart_due) + timing_.dyno_stops;
    if (stopped > now()) return false;
    dyno.restart_due.reset();
    dyno.release = target.version;
    dyno.config = target.config;
    change(app, dyno, DynoState::starting, stopped);
  }
  if (dyno.state != DynoState::starting) return true;
  const storage::TimePoint started = dyno.since + timing_.dyno_starts;
  if (knobs_.dyno_stuck || started > now()) return false;
  change(app, dyno, knobs_.dyno_crashes ? DynoState::crashed : DynoState::up, started);
  return true;
}

void HerokuWorld::change(HerokuApp& app, HerokuDyno& dyno, DynoState state, storage::TimePoint at) {
  const std::string system = "heroku[" + dyno.name + "]";
  if (state == DynoState::starting && dyno.state == DynoState::up) {
    log_at(app, at, system, "Restarting");
    log_at(app, at, system, "Stopping all processes with SIGTERM");
  }
  if (state == DynoState::crashed) log_at(app, at, system, "Process exited with status 1");
  log_at(app, at, system, fmt::format("State changed from {} to {}", name_of(dyno.state), name_of(state)));
  if (state == DynoState::starting)
    log_at(app, at, system, fmt::format("Starting process with command `{}`", dyno.command));
  dyno.state = state;
  dyno.since = at;
}

const HerokuDyno* HerokuWorld::running(const std::string& name, const std::string& type) {
  advance();
  const HerokuApp* app = find(name);
  if (app == nullptr) return nullptr;
  std::vector<const HerokuDyno*> up;
  for (const HerokuDyno& dyno : app->dynos)
    if (dyno.type == type && dyno.state == DynoState::up) up.push_back(&dyno);
  return up.empty() ? nullptr : up[turns_[name + " " + type]++ % up.size()];
}

void HerokuWorld::log(const std::string& app, const std::string& source, const std::string& text) {
  if (HerokuApp* found = lookup(app)) log_at(*found, now(), source, text);
}

void HerokuWorld::log_at(HerokuApp& app, storage::TimePoint at, const std::string& source,
                         const std::string& text) {
  if (app.log.size() == kLogHistory) app.log.pop_front();
  app.log.push_back({.number = ++app.logged,
                     .source = source,
                     .line = fmt::format("{} {}: {}", logplex_time(at), source, text)});
}

json HerokuWorld::state() const {
  auto rows = json::array();
  for (const HerokuApp& app : apps_) {
    json config = json::object();
    for (const auto& [name, value] : app.config) config[name] = shown(value);
    auto release_rows = json::array();
    for (const HerokuRelease& each : app.releases)
      release_rows.push_back({{"version", each.version},
                              {"status", name_of(each.state)},
                              {"description", each.description},
                              {"user", each.user},
                              {"at", storage::to_iso8601(each.created)}});
    auto dyno_rows = json::array();
    for (const HerokuDyno& dyno : app.dynos)
      dyno_rows.push_back({{"name", dyno.name}, {"state", name_of(dyno.state)}, {"release", dyno.release}});
    auto lines = json::array();
    constexpr std::size_t kShownLines = 50;
    for (std::size_t i = app.log.size() - std::min(app.log.size(), kShownLines); i < app.log.size(); ++i)
      lines.push_back(app.log[i].line);
    rows.push_back({{"name", app.name},
                    {"config", std::move(config)},
                    {"releases", std::move(release_rows)},
                    {"dynos", std::move(dyno_rows)},
                    {"log", std::move(lines)}});
  }
  return {{"apps", std::move(rows)},          {"email", email_},
          {"log_sessions", sessions_.size()}, {"quota_remaining", knobs_.quota.value_or(remaining_)},
          {"faults", faults_.state()},        {"requests", requests()}};
}

net::Response HerokuWorld::answer(const net::ServerRequest& request) {
  advance();
  auto refused = refuse_caller(request);
  net::Response response = refused ? std::move(*refused) : route(request);
  finish(request, response);
  return response;
}

std::optional<net::Response> HerokuWorld::refuse_caller(const net::ServerRequest& request) {
  if (request.header("Authorization") != "Bearer " + token_)
    return heroku_error(401, "unauthorized", "Invalid credentials provided.");
  if (request.header("Accept").find("application/vnd.heroku+json; version=3") == std::string::npos)
    return heroku_error(406, "not_acceptable",
                        "For API requests, you must specify an `Accept` header with a value of "
                        "`application/vnd.heroku+json; version=3`.");
  if (request.path == "/account/rate-limits") return std::nullopt;
  if (knobs_.quota.value_or(remaining_) <= 0) return fault_answer(429);
  if (knobs_.quota)
    --*knobs_.quota;
  else
    remaining_ = std::max(1, remaining_ - 1);  // the account's 75 tokens a minute come back
  return std::nullopt;
}

net::Response HerokuWorld::route(const net::ServerRequest& request) {
  const std::vector<std::string> parts = split_path(request.path);
  if (parts.empty()) return no_resource();
  if (parts[0] == "account" && request.method == "GET") return account(request.path);
  if (parts[0] != "apps") return no_resource();
  if (parts.size() == 1) {
    auto rows = json::array();
    for (const HerokuApp& app : apps_) rows.push_back(app_row(app, email_));
    return request.method == "GET" ? json_response(200, rows) : no_resource();
  }
  HerokuApp* app = lookup(parts[1]);
  if (app == nullptr) return app_not_found();
  if (app->forbidden)
    return heroku_error(403, "forbidden", fmt::format("You do not have access to the app {}.", app->name));
  return app_answer(request, *app, {parts.begin() + 2, parts.end()});
}

net::Response HerokuWorld::account(const std::string& path) const {
  if (path == "/account/rate-limits")
    return json_response(200, {{"remaining", knobs_.quota.value_or(remaining_)}});
  if (path != "/account") return no_resource();
  return json_response(200, {{"id", apps_.empty() ? "" : apps_.front().id},
                             {"email", email_},
                             {"name", "Keyturn"},
                             {"two_factor_authentication", false},
                             {"verified", true}});
}

net::Response HerokuWorld::app_answer(const net::ServerRequest& request, HerokuApp& app,
                                      const std::vector<std::string>& rest) {
  if (rest.empty()) return request.method == "GET" ? json_response(200, app_row(app, email_)) : no_resource();
  if (rest[0] == "releases") return releases(request, app, {rest.begin() + 1, rest.end()});
  if (rest.size() > 1) return no_resource();
  if (rest[0] == "config-vars") return config_vars(request, app);
  if (rest[0] == "dynos") return dynos(request, app);
  if (rest[0] == "log-sessions" && request.method == "POST") return open_log(request, app);
  return no_resource();
}

net::Response HerokuWorld::config_vars(const net::ServerRequest& request, HerokuApp& app) {
  if (request.method == "PATCH") return change_config(request, app);
  return request.method == "GET" ? json_response(200, config_json(app.config)) : no_resource();
}

net::Response HerokuWorld::change_config(const net::ServerRequest& request, HerokuApp& app) {
  const std::string expected = request.header("If-Match");
  if (!expected.empty() && expected != entity_tag(config_json(app.config).dump()))
    return heroku_error(412, "precondition_failed", "The resource has changed since it was read.");
  const json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return bad_request("Unable to parse the request body as JSON.");

  static const std::regex valid_name(R"(\w+)");
  std::map<std::string, std::optional<std::string>> changes;
  ConfigVars after = app.config;
  for (const auto& [name, value] : body.items()) {
    if (!std::regex_match(name, valid_name) || name.starts_with("__") || name.starts_with("HEROKU_"))
      return invalid_params(fmt::format("Invalid config var name: {}", name));
    if (!value.is_string() && !value.is_null())
      return invalid_params(fmt::format("Config var {} must be a string or null.", name));
    changes[name] = value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
    if (value.is_string())
      after[name] = value.get<std::string>();
    else
      after.erase(name);
  }
  if (size_of(after) > kConfigLimit) return invalid_params("Config vars can't be larger than 32kb in total.");

  const int before = app.releases.back().version;
  set_configs(app.name, changes, email_);
  if (app.releases.back().version != before && std::exchange(app.foreign_release, false))
    release(app, "Deploy 9e8d7c6b", kForeignUser);
  return json_response(200, config_json(app.config));
}

net::Response HerokuWorld::releases(const net::ServerRequest& request, HerokuApp& app,
                                    const std::vector<std::string>& rest) {
  if (rest.empty() && request.method == "POST") return create_release(request, app);
  if (request.method != "GET" || rest.size() > 2) return no_resource();
  if (rest.empty()) return list_releases(request, app);
  const auto found = std::find_if(app.releases.begin(), app.releases.end(), [&](const HerokuRelease& each) {
    return each.id == rest[0] || std::to_string(each.version) == rest[0];
  });
  if (found == app.releases.end()) return not_found("release");
  if (rest.size() == 1) return json_response(200, release_row(app, *found));
  return rest[1] == "config-vars" ? json_response(200, config_json(found->config)) : no_resource();
}

net::Response HerokuWorld::list_releases(const net::ServerRequest& request, const HerokuApp& app) const {
  const auto range = read_range(request.header("Range"));
  if (!range)
    return heroku_error(416, "requested_range_not_satisfiable", "The requested range can't be satisfied.");
  std::vector<const HerokuRelease*> rows;
  for (const HerokuRelease& each : app.releases) rows.push_back(&each);
  if (range->descending) std::reverse(rows.begin(), rows.end());
  if (range->after)
    std::erase_if(rows, [&](const HerokuRelease* each) {
      return range->descending ? each->version >= *range->after : each->version <= *range->after;
    });
  const bool partial = rows.size() > range->limit;
  if (partial) rows.resize(range->limit);

  auto body = json::array();
  for (const HerokuRelease* each : rows) body.push_back(release_row(app, *each));
  const std::string options =
      fmt::format("; order={},max={}", range->descending ? "desc" : "asc", range->limit);
  net::Headers headers{{"Accept-Ranges", "id, version"}};
  if (!rows.empty())
    headers.emplace_back("Content-Range", fmt::format("version {}..{}{}", rows.front()->version,
                                                      rows.back()->version, options));
  if (partial)
    headers.emplace_back("Next-Range", fmt::format("version ]{}..{}", rows.back()->version, options));
  return json_response(partial ? 206 : 200, body, std::move(headers));
}

// With "slug": that code and the configuration of now. With "release": a rollback to that one.
net::Response HerokuWorld::create_release(const net::ServerRequest& request, HerokuApp& app) {
  const json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (body.is_object() && body.contains("slug")) {
    if (app.fir || body.at("slug") != app.slug) return not_found("slug");
    const std::string description = body.value("description", "Deploy " + app.slug.substr(0, 8));
    return json_response(201, release_row(app, release(app, description, email_)));
  }
  const std::string wanted = body.is_object() ? body.value("release", "") : "";
  const auto found = std::find_if(app.releases.begin(), app.releases.end(),
                                  [&](const HerokuRelease& each) { return each.id == wanted; });
  if (found == app.releases.end()) return not_found("release");
  return json_response(201, release_row(app, back_to(app, *found, email_)));
}

HerokuRelease& HerokuWorld::back_to(HerokuApp& app, const HerokuRelease& past, const std::string& user) {
  app.config = past.config;  // code and every variable go back
  return release(app, fmt::format("Rollback to v{}", past.version), user);
}

bool HerokuWorld::roll_back(const std::string& app, int version, const std::string& user) {
  HerokuApp* found = lookup(app);
  if (found == nullptr) return false;
  const auto past = std::ranges::find(found->releases, version, &HerokuRelease::version);
  if (past == found->releases.end()) return false;
  back_to(*found, *past, user);
  return true;
}

net::Response HerokuWorld::dynos(const net::ServerRequest& request, HerokuApp& app) {
  if (request.method == "DELETE") {
    log_at(app, now(), "app[api]", fmt::format("Restarted all dynos by user {}", email_));
    restart(app.name);
    return json_response(202, json::object());
  }
  if (request.method != "GET") return no_resource();
  auto rows = json::array();
  for (const HerokuDyno& dyno : app.dynos) rows.push_back(dyno_row(app, dyno));
  return json_response(200, rows);
}

void HerokuWorld::finish(const net::ServerRequest& request, net::Response& response) const {
  response.headers.emplace_back("Request-Id", random_uuid());
  response.headers.emplace_back("RateLimit-Remaining", std::to_string(knobs_.quota.value_or(remaining_)));
  response.headers.emplace_back("RateLimit-Multiplier", "1");
  response.headers.emplace_back("Cache-Control", "private, no-cache");
  response.headers.emplace_back("Via", "1.1 spaces-router");
  if (response.status != 200 || (request.method != "GET" && request.method != "PATCH")) return;
  const std::string tag = entity_tag(response.body);
  response.headers.emplace_back("ETag", tag);
  if (request.method != "GET" || request.header("If-None-Match") != tag) return;
  response.status = 304;
  response.body.clear();
}

bool HerokuWorld::turn_knob(const json& knob) {
  const std::string kind = knob.at("kind");
  const bool on = knob.value("on", true);
  const auto app = [&]() -> HerokuApp& {
    HerokuApp* found = lookup(knob.at("app").get<std::string>());
    if (found == nullptr) throw std::invalid_argument("no such app");
    return *found;
  };
  if (kind == "release_fails") {
    knobs_.release_fails = on;
  } else if (kind == "release_expires") {
    knobs_.release_expires = on;
  } else if (kind == "release_pending") {
    knobs_.release_pending =
        storage::Duration(static_cast<std::int64_t>(knob.at("seconds").get<double>() * 1000));
  } else if (kind == "dyno_crashes") {
    knobs_.dyno_crashes = on;
  } else if (kind == "dyno_stuck") {
    knobs_.dyno_stuck = on;
  } else if (kind == "restart_together") {
    knobs_.restart_together = on;
  } else if (kind == "foreign_release") {
    app().foreign_release = on;
  } else if (kind == "log_refuse") {
    knobs_.log_refuse = knob.at("status").get<int>();
  } else if (kind == "log_expire") {
    for (LogSession& session : sessions_) session.expired = true;
  } else if (kind == "log_cut") {
    ++knobs_.log_cuts;
  } else if (kind == "log_loss") {
    for (HerokuApp& each : apps_)
      log_at(
          each, now(), "logplex[1]",
          fmt::format("Error L11 (Tail buffer overflow) -> This tail session dropped 17 messages since {}.",
                      logplex_time(now())));
  } else if (kind == "log_line") {
    log_at(app(), now(), knob.value("source", "app[web.1]"), knob.at("text").get<std::string>());
  } else if (kind == "forbidden") {
    app().forbidden = on;
  } else if (kind == "fir") {
    app().fir = on;
  } else if (kind == "quota") {
    knobs_.quota = knob.at("remaining").get<int>();
  } else if (kind == "maintenance") {
    app().maintenance = on;
  } else if (kind == "scale_to_zero") {
    scale(app(), /*to_zero=*/on);
  } else {
    return false;
  }
  return true;
}

// Dynos that come back run the newest release.
void HerokuWorld::scale(HerokuApp& app, bool to_zero) {
  if (to_zero) {
    for (HerokuDyno& dyno : app.dynos) app.scaled_away.push_back(std::move(dyno));
    app.dynos.clear();
    return;
  }
  for (HerokuDyno& dyno : std::exchange(app.scaled_away, {})) {
    dyno.restart_due = now();
    app.dynos.push_back(std::move(dyno));
  }
}

void HerokuWorld::reset_knobs() {
  const std::uint64_t cuts = knobs_.log_cuts;
  knobs_ = {};
  knobs_.log_cuts = cuts;  // a counter that open streams compare with
  for (HerokuApp& app : apps_) {
    app.forbidden = app.fir = app.foreign_release = app.maintenance = false;
    scale(app, /*to_zero=*/false);
  }
}

net::Response HerokuWorld::fault_answer(int status) {
  switch (status) {
    case 401:
      return heroku_error(401, "unauthorized", "Invalid credentials provided.");
    case 403:
      return heroku_error(403, "forbidden", "You do not have access to the app.");
    case 404:
      return app_not_found();
    case 429:
      return heroku_error(
          429, "rate_limit",
          "Your account reached the API rate limit\nPlease wait a few minutes before making new "
          "requests",
          {{"url", "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits"}});
    case 503:
      return heroku_error(503, "service_unavailable", "Heroku API is temporarily unavailable.");
    default:
      return heroku_error(status, "internal_server_error", "Internal server error.");
  }
}

}  // namespace keyturn::sandbox
