#include "integrations/heroku/answers.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/credentials.h"
#include "integrations/secret_json.h"

namespace keyturn::heroku {
namespace {

using integrations::ApiError;
using integrations::Call;
using integrations::Effect;
using integrations::int_at;
using integrations::Release;
using integrations::ReleaseStatus;
using integrations::string_at;
using integrations::System;
using integrations::value_at;
using nlohmann::json;

constexpr std::string_view kUnshaped = "the answer isn't of Heroku's shape (a proxy's page?)";

const Call kAccount{.system = System::heroku, .operation = "look at the account", .effect = Effect::none};
const Call kApp{.system = System::heroku, .operation = "look at the app", .effect = Effect::none};
const Call kConfig{.system = System::heroku, .operation = "read the config var", .effect = Effect::none};
const Call kChange{.system = System::heroku, .operation = "set the config var", .effect = Effect::write};
const Call kReleaseAgain{.system = System::heroku, .operation = "release again", .effect = Effect::write};
const Call kReleases{.system = System::heroku, .operation = "list the releases", .effect = Effect::none};
const Call kDynos{.system = System::heroku, .operation = "list the dynos", .effect = Effect::none};
const Call kLog{.system = System::heroku, .operation = "follow the log", .effect = Effect::none};

// Our words for the ids of the API reference's table of errors; empty for the others.
std::string reason_of(const std::string& id, const std::string& resource) {
  if (id == "unauthorized") return "the Heroku token was refused";
  if (id == "forbidden") return "the Heroku token has no access to this app, or not to its config vars";
  if (id == "suspended") return "the app or the account is suspended";
  if (id == "two_factor") return "Heroku asks for a second factor, which a bot hasn't got";
  if (id == "not_found")
    return resource.empty() || resource == "app" ? "the app was not found" : "it was not found";
  if (id == "rate_limit") return "the account's rate limit was reached";
  if (id == "verification_needed") return "the Heroku account must be verified first";
  if (id == "delinquent") return "the Heroku account has unpaid bills";
  if (id == "conflict") return "another change is under way";
  if (id == "invalid_params") return "Heroku did not accept the value or the name";
  if (id == "not_acceptable") return "Heroku does not speak this version of its API any more";
  return "";
}

ApiError failure(const Call& call, const net::Response& response) {
  const json body = integrations::parse_json(response.body);
  ApiError::Details details = integrations::details_of(call, response);
  if (std::string reason = reason_of(string_at(body, "id"), string_at(body, "resource")); !reason.empty()) {
    details.reason = std::move(reason);
  }
  return ApiError(std::move(details));
}

ApiError unshaped(const Call& call, const net::Response& response) {
  return integrations::not_understood(call, response, std::string(kUnshaped));
}

std::string request_id_of(const net::Response& response) {
  return integrations::request_id_from(response.header("Request-Id"));
}

json object_of(const Call& call, const net::Response& response) {
  if (response.status != 200) throw failure(call, response);
  json body = integrations::parse_json(response.body);
  if (!body.is_object()) throw unshaped(call, response);
  return body;
}

// Lists come whole (200) or as a range of them (206).
json list_of(const Call& call, const net::Response& response) {
  if (response.status != 200 && response.status != 206) throw failure(call, response);
  json body = integrations::parse_json(response.body);
  if (!body.is_array()) throw unshaped(call, response);
  return body;
}

std::optional<int> quota_of(const net::Response& response) {
  const std::string header = response.header("RateLimit-Remaining");
  int remaining = 0;
  const char* end = header.data() + header.size();
  const auto [rest, error] = std::from_chars(header.data(), end, remaining);
  return error == std::errc() && rest == end ? std::optional(remaining) : std::nullopt;
}

ReleaseStatus status_named(const std::string& name) {
  if (name == "succeeded") return ReleaseStatus::succeeded;
  if (name == "pending") return ReleaseStatus::pending;
  if (name == "failed") return ReleaseStatus::failed;
  if (name == "expired") return ReleaseStatus::expired;
  return ReleaseStatus::unknown;
}

// "updated_at" of a release that succeeded is when it did; a release phase of more than an hour is killed.
std::optional<storage::Duration> took(const json& row) {
  const auto began = storage::from_iso8601(string_at(row, "created_at"));
  const auto ended = storage::from_iso8601(string_at(row, "updated_at"));
  if (!began || !ended || *ended < *began || *ended > *began + std::chrono::hours(1)) return std::nullopt;
  return *ended - *began;
}

Release read_release(const net::Response& response, const json& row) {
  const auto version = int_at(row, "version");
  std::string id = string_at(row, "id");
  if (!version || id.empty()) throw unshaped(kReleases, response);
  const ReleaseStatus status = status_named(string_at(row, "status"));
  return {.id = std::move(id),
          .version = *version,
          .status = status,
          .current = integrations::true_at(row, "current"),
          .user = string_at(value_at(row, "user"), "email"),
          .description = integrations::redact_credentials(string_at(row, "description")),
          .slug = string_at(value_at(row, "slug"), "id"),
          .request_id = request_id_of(response),
          .took = status == ReleaseStatus::succeeded ? took(row) : std::nullopt};
}

integrations::Dyno read_dyno(const net::Response& response, const json& row) {
  integrations::Dyno dyno{.name = string_at(row, "name"),
                          .type = string_at(row, "type"),
                          .state = string_at(row, "state"),
                          .release = int_at(value_at(row, "release"), "version").value_or(0)};
  // A dyno that was skipped would count as one that runs the new release.
  if (dyno.name.empty() || dyno.type.empty()) throw unshaped(kDynos, response);
  return dyno;
}

// A configuration with every value but the taken one blanked: null or a string under each name.
json checked_config(const Call& call, net::Response& response) {
  integrations::blank_strings(response.body);
  json config = object_of(call, response);
  for (const json& value : config) {
    if (!value.is_string() && !value.is_null()) throw unshaped(call, response);
  }
  return config;
}

}  // namespace

Account read_account(const net::Response& response) {
  const json account = object_of(kAccount, response);
  std::string email = string_at(account, "email");
  if (email.empty()) throw unshaped(kAccount, response);
  return {.email = integrations::redact_credentials(email), .quota_remaining = quota_of(response)};
}

integrations::AppInfo read_app(const net::Response& response) {
  const json app = object_of(kApp, response);
  std::string name = string_at(app, "name");
  if (name.empty()) throw unshaped(kApp, response);
  return {.name = std::move(name),
          .maintenance = integrations::true_at(app, "maintenance"),
          .generation = string_at(value_at(app, "generation"), "name"),
          .request_id = request_id_of(response),
          .quota_remaining = quota_of(response)};
}

integrations::ConfigValue read_config(net::Response& response, const std::string& variable) {
  if (response.status != 200) throw failure(kConfig, response);
  auto value = integrations::take_string(response.body, variable);
  const json config = checked_config(kConfig, response);
  // A string that could not be taken is there twice, or under an escaped name: not a configuration as Heroku
  // writes it.
  if (!value && value_at(config, variable).is_string()) throw unshaped(kConfig, response);
  return {.value = value ? storage::share(std::move(*value)) : nullptr,
          .request_id = request_id_of(response)};
}

std::string read_changed(net::Response& response, const std::string& variable, const storage::Secret& value) {
  if (response.status != 200) throw failure(kChange, response);
  const auto now = integrations::take_string(response.body, variable);
  checked_config(kChange, response);
  if (!now || !now->equals(value)) {
    throw integrations::not_understood(kChange, response, "the answer doesn't show the value that was set");
  }
  return request_id_of(response);
}

std::vector<Release> read_releases(const net::Response& response) {
  std::vector<Release> releases;
  for (const json& row : list_of(kReleases, response)) releases.push_back(read_release(response, row));
  std::ranges::sort(releases, std::ranges::greater(), &Release::version);
  return releases;
}

Release read_made_release(const net::Response& response) {
  if (response.status != 201) throw failure(kReleaseAgain, response);
  return read_release(response, integrations::parse_json(response.body));
}

std::vector<integrations::Dyno> read_dynos(const net::Response& response) {
  std::vector<integrations::Dyno> dynos;
  for (const json& row : list_of(kDynos, response)) dynos.push_back(read_dyno(response, row));
  return dynos;
}

std::optional<std::string> next_range(const net::Response& response) {
  if (response.status != 206) return std::nullopt;
  std::string range = response.header("Next-Range");
  return range.empty() ? std::nullopt : std::optional(std::move(range));
}

std::string read_log_session(const net::Response& response) {
  if (response.status != 201 && response.status != 200) throw failure(kLog, response);
  std::string url = string_at(integrations::parse_json(response.body), "logplex_url");
  if (url.empty()) throw unshaped(kLog, response);
  return url;
}

void check_log_stream(int status) {
  if (status == 200) return;
  ApiError::Details details = integrations::details_of(kLog, net::Response(status, {}, ""));
  // The URL is signed: these speak of the session, not of our token.
  if (status == 401 || status == 403 || status == 404) {
    details.failure = integrations::Failure::not_found;
    details.reason = "the log session was gone before it was opened";
  }
  throw ApiError(std::move(details));
}

}  // namespace keyturn::heroku
