#include "integrations/infisical/answers.h"

#include <spdlog/fmt/fmt.h>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/secret_json.h"

namespace keyturn::infisical {
namespace {

using integrations::ApiError;
using integrations::Call;
using integrations::Effect;
using integrations::Failure;
using integrations::string_at;
using integrations::SyncStatus;
using integrations::System;
using nlohmann::json;

constexpr std::string_view kHiddenPlaceholder = "<hidden-by-infisical>";
constexpr std::string_view kUnshaped = "the answer isn't of Infisical's shape (a proxy's page?)";

const Call kLogin{.system = System::infisical, .operation = "log in", .effect = Effect::none};
const Call kRead{.system = System::infisical, .operation = "read the secret", .effect = Effect::none};
const Call kWrite{.system = System::infisical, .operation = "write the secret", .effect = Effect::write};
const Call kSyncs{.system = System::infisical, .operation = "list the secret syncs", .effect = Effect::none};

// A validation failure's message is an array; only strings are looked into.
bool says(const json& body, std::string_view text) {
  return string_at(body, "message").find(text) != std::string::npos;
}

std::string refused_login(const json& body) {
  if (says(body, "temporarily locked")) {
    return "the identity is locked after wrong logins; it opens again by itself (after 5 minutes by default)";
  }
  if (says(body, "expired client secret"))
    return "the client secret has expired; make a new one for the bot's identity, and restart the bot with "
           "it";
  if (says(body, "usage limit"))
    return "the client secret has been used as often as it may be; make a new one";
  return "the client id or client secret was refused";
}

std::string forbidden(const json& body) {
  const std::string error = string_at(body, "error");
  if (error == "TokenError") return "the access token was refused twice";
  if (error == "ProjectMembershipNotFound") return "the machine identity is not a member of the project";
  if (error == "PolicyViolationError") return "a policy of the project doesn't allow it";
  return "the machine identity doesn't have the permission";
}

std::string not_found(const json& body) {
  if (says(body, "Secret with name")) return "the secret, or that version of it, was not found";
  if (says(body, "Folder with path")) return "the environment or the folder was not found";
  if (says(body, "Project with ID")) return "the project was not found";
  if (says(body, "Route ")) return "the server doesn't have this API (is the address right?)";
  return "what was asked for was not found";
}

std::string bad_request(int status, const json& body) {
  if (says(body, "Cannot update rotated secret"))
    return "the store rotates this secret itself and refuses our writes";
  if (status == 422) return "the server did not accept the fields of the request";
  return "the request was refused";
}

// Our words for a refusal; empty where the status says it all.
std::string reason_of(int status, const json& body) {
  switch (status) {
    case 401:
      return "the access token was refused";
    case 403:
      return forbidden(body);
    case 404:
      return not_found(body);
    default:
      return status < 500 && status != 429 ? bad_request(status, body) : "";
  }
}

// "Rate limit exceeded. Please try again in 42 seconds": the documentation names the words, not the header.
std::optional<storage::Duration> wait_in(const json& body) {
  constexpr std::string_view kBefore = "try again in ";
  const std::string message = string_at(body, "message");
  const std::size_t at = message.find(kBefore);
  if (at == std::string::npos) return std::nullopt;
  int seconds = 0;
  const char* end = message.data() + message.size();
  const auto [rest, error] = std::from_chars(message.data() + at + kBefore.size(), end, seconds);
  const bool in_seconds = error == std::errc() && std::string_view(rest, end).starts_with(" second");
  if (!in_seconds || seconds < 0 || seconds > 3600) return std::nullopt;
  return std::chrono::seconds(seconds);
}

std::string request_id_of(const net::Response& response, const json& body) {
  const std::string id = integrations::request_id_from(string_at(body, "reqId"));
  return id.empty() ? integrations::request_id_from(response.header("X-Request-Id")) : id;
}

ApiError failure(const Call& call, const net::Response& response, const json& body) {
  ApiError::Details details = integrations::details_of(call, response);
  details.request_id = request_id_of(response, body);
  if (std::string reason = reason_of(response.status, body); !reason.empty())
    details.reason = std::move(reason);
  if (response.status == 429 && !details.retry_after) details.retry_after = wait_in(body);
  return ApiError(std::move(details));
}

// The body of a success, as an object; any other status, and any other shape, is thrown.
json successful(const Call& call, const net::Response& response) {
  json body = integrations::parse_json(response.body);
  if (response.status != 200) throw failure(call, response, body);
  if (!body.is_object()) throw integrations::not_understood(call, response, std::string(kUnshaped));
  return body;
}

ApiError refused(const net::Response& response, const json& body, std::string reason) {
  ApiError::Details details = integrations::details_of(kRead, response);
  details.failure = Failure::refused;
  details.reason = std::move(reason);
  details.request_id = request_id_of(response, body);
  return ApiError(std::move(details));
}

SyncStatus read_sync_status(const std::string& word) {
  if (word == "pending") return SyncStatus::pending;
  if (word == "running") return SyncStatus::running;
  if (word == "succeeded") return SyncStatus::succeeded;
  if (word == "failed") return SyncStatus::failed;
  return SyncStatus::unknown;
}

// Fields as in the API reference (infisical.com/docs/api-reference/endpoints/secret-syncs/heroku/list).
integrations::SecretSync read_sync(const net::Response& response, const json& row) {
  const json& config = integrations::value_at(row, "destinationConfig");
  const json& options = integrations::value_at(row, "syncOptions");
  const json& schema = integrations::value_at(options, "keySchema");
  const std::string app_name = string_at(config, "appName");  // Heroku: the name; "app" is the app's id
  integrations::SecretSync sync{.id = string_at(row, "id"),
                                .destination = string_at(row, "destination"),
                                .app = app_name.empty() ? string_at(config, "app") : app_name,
                                .app_id = string_at(config, "app"),
                                .environment = string_at(integrations::value_at(row, "environment"), "slug"),
                                .path = string_at(integrations::value_at(row, "folder"), "path"),
                                .automatic = integrations::true_at(row, "isAutoSyncEnabled"),
                                // Servers name it the one way or the other.
                                .recursive = integrations::true_at(options, "recursive") ||
                                             integrations::true_at(options, "includeAllSubFolders"),
                                .key_schema = string_at(options, "keySchema"),
                                .deletes = !integrations::true_at(options, "disableSecretDeletion"),
                                .has_run = !string_at(row, "lastSyncedAt").empty(),
                                .status = read_sync_status(string_at(row, "syncStatus")),
                                .last_run = string_at(row, "lastSyncJobId")};
  // A sync that can't be read must not look like none, nor like a harmless one: it may overwrite what we
  // write.
  if (sync.destination.empty())
    throw integrations::not_understood(kSyncs, response, "a sync without a destination");
  if (!schema.is_null() && !schema.is_string())
    throw integrations::not_understood(kSyncs, response, "a sync whose key schema is no text");
  return sync;
}

}  // namespace

Session read_login(net::Response& response) {
  auto token = integrations::take_string(response.body, "accessToken");
  const json body = integrations::parse_json(response.body);
  if (response.status == 401) {
    ApiError::Details details = integrations::details_of(kLogin, response);
    details.reason = refused_login(body);
    details.request_id = request_id_of(response, body);
    throw ApiError(std::move(details));
  }
  const json checked = successful(kLogin, response);
  const auto seconds = integrations::int_at(checked, "expiresIn");
  if (!token || token->empty() || !seconds || *seconds <= 0) {
    throw integrations::not_understood(kLogin, response, std::string(kUnshaped));
  }
  return {.token = storage::share(std::move(*token)), .life = std::chrono::seconds(*seconds)};
}

bool token_was_refused(const net::Response& response) {
  if (response.status != 401 && response.status != 403) return false;
  const std::string error = string_at(integrations::parse_json(response.body), "error");
  return (response.status == 401 && error == "UnauthorizedError") ||
         (response.status == 403 && error == "TokenError");
}

bool route_is_missing(const net::Response& response) {
  if (response.status != 404) return false;
  const json body = integrations::parse_json(response.body);
  return integrations::value_at(body, "reqId").is_null() && string_at(body, "message").starts_with("Route ");
}

bool secret_is_missing(const net::Response& response) {
  return response.status == 404 && says(integrations::parse_json(response.body), "Secret with name");
}

std::optional<std::string> imported_from(const net::Response& response, const std::string& name) {
  if (response.status != 200) return std::nullopt;
  const json body = integrations::parse_json(response.body);
  const json& secret = integrations::value_at(body, "secret");
  if (string_at(secret, "secretKey") != name) return std::nullopt;
  const std::string path = string_at(secret, "secretPath"), environment = string_at(secret, "environment");
  if (path.empty() || environment.empty()) return "another folder";
  return fmt::format("the folder {} of {}", path, environment);
}

bool is_not_there(const net::Response& response) {
  if (response.status != 404) return false;
  const json body = integrations::parse_json(response.body);
  return says(body, "Secret with name") || says(body, "Folder with path") || says(body, "Project with ID");
}

ApiError not_there(const net::Response& response, const integrations::SecretAddress& address) {
  const json body = integrations::parse_json(response.body);
  ApiError::Details details = failure(kRead, response, body).details();
  details.reason = fmt::format(
      "{}: asked for {} in the folder {} of the environment {} of the project {}. Correct the target's "
      "[target.infisical] in the settings and restart the bot, or put the secret there",
      not_found(body), address.name, address.path, address.environment, address.project);
  return ApiError(std::move(details));
}

ApiError secret_is_imported(const net::Response& response, const std::string& from) {
  return refused(response, integrations::parse_json(response.body),
                 fmt::format("the secret is not in this folder: an import brings it there from {}. Name that "
                             "place in the settings, so that the key is changed where it is kept",
                             from));
}

integrations::StoredSecret read_secret(net::Response& response, const std::string& name,
                                       std::optional<int> version) {
  auto value = integrations::take_string(response.body, "secretValue");
  const json body = successful(kRead, response);
  const json& secret = integrations::value_at(body, "secret");
  const auto stored_version = integrations::int_at(secret, "version");
  const std::string id = string_at(secret, "id");
  if (!value || !stored_version || id.empty() || string_at(secret, "secretKey") != name) {
    throw integrations::not_understood(kRead, response, std::string(kUnshaped));
  }
  if (const std::string type = string_at(secret, "type"); !type.empty() && type != "shared") {
    throw integrations::not_understood(kRead, response,
                                       "asked for the value that all share, got a personal one");
  }
  if (version && *stored_version != *version) {
    // Servers before April 2025 ignore the version and answer with the newest.
    throw integrations::not_understood(
        kRead, response, fmt::format("asked for version {}, got version {}", *version, *stored_version));
  }
  const bool hidden =
      integrations::true_at(secret, "secretValueHidden") || value->expose() == kHiddenPlaceholder;
  const bool redacted = version && !hidden && value->empty();
  if (!hidden && value->empty() && !redacted) {
    throw refused(response, body, "the stored value is empty (as after a redaction)");
  }
  const bool reference = value->expose().find("${") != std::string_view::npos;
  return {.value = hidden || redacted ? nullptr : storage::share(std::move(*value)),
          .id = id,
          .version = *stored_version,
          .hidden = hidden,
          .rotated_by_store = integrations::true_at(secret, "isRotatedSecret"),
          .is_reference = reference,
          .request_id = request_id_of(response, body)};
}

std::variant<integrations::SecretWritten, integrations::ApprovalPending> read_written(
    net::Response& response) {
  integrations::take_string(response.body, "secretValue");  // echoed; nobody needs it
  const json body = successful(kWrite, response);
  // A policy answers 200 as well: what the body holds decides, never the status.
  if (const json& approval = integrations::value_at(body, "approval"); approval.is_object()) {
    return integrations::ApprovalPending{.slug = string_at(approval, "slug")};
  }
  const auto version = integrations::int_at(integrations::value_at(body, "secret"), "version");
  if (!version) throw integrations::not_understood(kWrite, response, std::string(kUnshaped));
  return integrations::SecretWritten{.version = *version, .request_id = request_id_of(response, body)};
}

std::vector<integrations::SecretSync> read_syncs(const net::Response& response) {
  // Servers older than secret syncs have none.
  if (route_is_missing(response)) return {};
  const json body = successful(kSyncs, response);
  const json& rows = integrations::value_at(body, "secretSyncs");
  if (!rows.is_array()) throw integrations::not_understood(kSyncs, response, std::string(kUnshaped));
  std::vector<integrations::SecretSync> syncs;
  for (const json& row : rows) syncs.push_back(read_sync(response, row));
  return syncs;
}

}  // namespace keyturn::infisical
