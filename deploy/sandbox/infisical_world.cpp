#include "deploy/sandbox/infisical_world.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "deploy/sandbox/random_text.h"

namespace keyturn::sandbox {
namespace {

constexpr const char* kHidden = "<hidden-by-infisical>";
using nlohmann::json;

std::string reason_of(int status) {
  switch (status) {
    case 400:
      return "BadRequest";
    case 401:
      return "UnauthorizedError";
    case 403:
      return "PermissionDenied";
    case 404:
      return "NotFound";
    case 422:
      return "ValidationFailure";
    case 429:
      return "RateLimitExceeded";
    default:
      return "InternalServerError";
  }
}

net::Response reply(int status, const json& body) {
  net::Response response = json_response(status, body);
  response.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  return response;
}

net::Response refusal(int status, const json& message, std::string error = "", json more = json::object()) {
  if (error.empty()) error = reason_of(status);
  more.update(
      {{"reqId", "req-" + random_text(14)}, {"statusCode", status}, {"message", message}, {"error", error}});
  return reply(status, more);
}

// The router's own 404 carries no reqId: that tells an old server from a missing secret.
net::Response no_route(const net::ServerRequest& request) {
  return reply(404, {{"message", fmt::format("Route {}:{} not found", request.method, request.target)},
                     {"error", "Not Found"},
                     {"statusCode", 404}});
}

std::string type_of(const json& value) {
  return value.is_number() ? "number" : value.is_null() ? "null" : value.type_name();
}

json issue(const std::string& field, const std::string& received) {
  const bool absent = received == "undefined";
  return {{"code", "invalid_type"},
          {"expected", "string"},
          {"received", received},
          {"path", json::array({field})},
          {"message", absent ? "Required" : "Expected string, received " + received}};
}

// The zod issues of a body: `required` must be there, `optional` may; all are strings.
json issues_of(const json& body, const std::vector<std::string>& required,
               const std::vector<std::string>& optional) {
  auto issues = json::array();
  for (const std::string& field : required)
    if (!body.contains(field))
      issues.push_back(issue(field, "undefined"));
    else if (!body.at(field).is_string())
      issues.push_back(issue(field, type_of(body.at(field))));
  for (const std::string& field : optional)
    if (body.contains(field) && !body.at(field).is_string())
      issues.push_back(issue(field, type_of(body.at(field))));
  return issues;
}

json not_an_object(const json& body) {
  const std::string received = type_of(body);
  return json::array({{{"code", "invalid_type"},
                       {"expected", "object"},
                       {"received", received},
                       {"path", json::array()},
                       {"message", "Expected object, received " + received}}});
}

// As the server stores it: trimmed, with at most one newline at the end.
std::string trimmed(const std::string& value) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const auto first = value.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  const std::string core = value.substr(first, value.find_last_not_of(kSpace) - first + 1);
  return value.ends_with('\n') ? core + "\n" : core;
}

std::string base64url(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string encoded;
  unsigned bits = 0;
  unsigned count = 0;
  for (const char letter : text) {
    bits = (bits << 8U | static_cast<unsigned char>(letter)) & 0xFFFFU;
    for (count += 8; count >= 6; count -= 6) encoded += kDigits[bits >> (count - 6) & 0x3FU];
  }
  if (count > 0) encoded += kDigits[bits << (6 - count) & 0x3FU];
  return encoded;
}

bool flag(const net::ServerRequest& request, const std::string& name, bool fallback) {
  const auto value = request.query.find(name);
  return value == request.query.end() ? fallback : value->second != "false";
}

std::string query(const net::ServerRequest& request, const std::string& name, std::string fallback = "") {
  const auto value = request.query.find(name);
  return value == request.query.end() ? std::move(fallback) : value->second;
}

// Nothing when it is no JSON at all.
std::optional<json> parse_body(const net::ServerRequest& request) {
  json body = json::parse(request.body.empty() ? "{}" : request.body, nullptr, /*allow_exceptions=*/false);
  return body.is_discarded() ? std::nullopt : std::optional(std::move(body));
}

std::string bearer(const net::ServerRequest& request) {
  const std::string header = request.header("Authorization");
  return header.starts_with("Bearer ") ? header.substr(7) : "";
}

json metadata_of(const json& body) {
  auto rows = json::array();
  for (const json& row : body.at("secretMetadata"))
    rows.push_back({{"key", row.value("key", "")},
                    {"value", row.value("value", "")},
                    {"isEncrypted", row.value("isEncrypted", false)}});
  return rows;
}

// The fields that every answer about a secret has.
json secret_core(const InfisicalSecret& secret, const std::string& project, int version,
                 const std::string& value, const std::string& comment, storage::TimePoint created,
                 storage::TimePoint updated) {
  return {{"id", secret.id},
          {"_id", secret.id},
          {"workspace", project},
          {"environment", secret.environment},
          {"version", version},
          {"type", "shared"},
          {"secretKey", secret.name},
          {"secretValue", value},
          {"secretComment", comment},
          {"secretReminderNote", nullptr},
          {"secretReminderRepeatDays", nullptr},
          {"skipMultilineEncoding", false},
          {"createdAt", storage::to_iso8601(created)},
          {"updatedAt", storage::to_iso8601(updated)}};
}

void add_rotation(json& body, const InfisicalSecret& secret) {
  body["isRotatedSecret"] = secret.rotated_by_infisical;
  body["rotationId"] = secret.rotated_by_infisical ? json(secret.id) : json();
}

}  // namespace

InfisicalWorld::InfisicalWorld(const storage::Clock& clock, SandboxTiming timing, std::string project)
    : Vendor(clock), timing_(timing), project_(std::move(project)) {}

void InfisicalWorld::add_environment(std::string slug) { environments_.push_back(std::move(slug)); }

InfisicalWorld::Identity& InfisicalWorld::add_identity(std::string name) {
  constexpr std::string_view kHex = "0123456789abcdef";
  identities_.push_back(
      {.name = std::move(name), .client_id = random_uuid(), .client_secret = random_text(64, kHex)});
  return identities_.back();
}

InfisicalSecret& InfisicalWorld::add_secret(const Address& address, std::string value, std::string comment) {
  secrets_.push_back(
      {.id = random_uuid(),
       .environment = address.environment,
       .path = address.path,
       .name = address.name,
       .versions = {{.version = 1, .value = std::move(value), .comment = std::move(comment), .at = now()}}});
  return secrets_.back();
}

int InfisicalWorld::put(const std::string& environment, const std::string& name, std::string value,
                        std::string comment) {
  InfisicalSecret* secret = live(environment, "/", name);
  if (secret == nullptr) {
    add_secret({.project = project_, .environment = environment, .path = "/", .name = name}, trimmed(value),
               std::move(comment));
    return 1;
  }
  const int version = secret->newest().version + 1;
  secret->versions.push_back(
      {.version = version, .value = trimmed(value), .comment = std::move(comment), .at = now()});
  return version;
}

void InfisicalWorld::remove(const std::string& environment, const std::string& name) {
  if (InfisicalSecret* secret = live(environment, "/", name)) secret->deleted = true;
}

const InfisicalSecret* InfisicalWorld::find(const std::string& environment, const std::string& name) const {
  return live(environment, "/", name);
}

const InfisicalSecret* InfisicalWorld::live(const std::string& environment, const std::string& path,
                                            const std::string& name) const {
  for (const InfisicalSecret& secret : secrets_)
    if (!secret.deleted && secret.environment == environment && secret.path == path && secret.name == name)
      return &secret;
  return nullptr;
}

InfisicalSecret* InfisicalWorld::live(const std::string& environment, const std::string& path,
                                      const std::string& name) {
  return const_cast<InfisicalSecret*>(std::as_const(*this).live(environment, path, name));
}

std::map<std::string, std::string> InfisicalWorld::values(const std::string& environment,
                                                          const std::string& path) const {
  std::map<std::string, std::string> found;
  for (const InfisicalSecret& secret : secrets_)
    if (!secret.deleted && secret.environment == environment && secret.path == path)
      found[secret.name] = expanded(secret, secret.newest().value);
  return found;
}

int InfisicalWorld::changes(const std::string& environment, const std::string& path) const {
  int count = 0;
  for (const InfisicalSecret& secret : secrets_)
    if (secret.environment == environment && secret.path == path)
      count += static_cast<int>(secret.versions.size()) + (secret.deleted ? 1 : 0);
  return count;
}

InfisicalSecret& InfisicalWorld::existing(const json& knob) {
  InfisicalSecret* secret =
      live(knob.at("environment").get<std::string>(), "/", knob.at("name").get<std::string>());
  if (secret == nullptr) throw std::invalid_argument("no such secret");
  return *secret;
}

std::vector<SecretSync*> InfisicalWorld::syncs_to(const std::string& app) {
  std::vector<SecretSync*> found;
  for (SecretSync& sync : syncs_)
    if (sync.app() == app) found.push_back(&sync);
  if (found.empty()) throw std::invalid_argument("no sync to " + app);
  return found;
}

InfisicalWorld::Token* InfisicalWorld::token(const std::string& value) {
  const auto found =
      std::find_if(tokens_.begin(), tokens_.end(), [&](const Token& t) { return t.value == value; });
  return found == tokens_.end() ? nullptr : &*found;
}

InfisicalWorld::Identity* InfisicalWorld::identity(const std::string& client_id) {
  const auto found = std::find_if(identities_.begin(), identities_.end(),
                                  [&](const Identity& i) { return i.client_id == client_id; });
  return found == identities_.end() ? nullptr : &*found;
}

json InfisicalWorld::state() const {
  auto rows = json::array();
  for (const InfisicalSecret& secret : secrets_) {
    auto versions = json::array();
    for (const SecretVersion& version : secret.versions)
      versions.push_back(
          {{"version", version.version},
           {"length", version.value.size()},
           {"tail", version.value.size() > 24 ? version.value.substr(version.value.size() - 6) : ""},
           {"comment", version.comment},
           {"at", storage::to_iso8601(version.at)}});
    rows.push_back({{"id", secret.id},
                    {"overridden", secret.personal_value.has_value()},
                    {"environment", secret.environment},
                    {"path", secret.path},
                    {"name", secret.name},
                    {"version", secret.newest().version},
                    {"metadata", secret.metadata},
                    {"deleted", secret.deleted},
                    {"versions", std::move(versions)}});
  }
  auto people = json::array();
  for (const Identity& who : identities_)
    people.push_back({{"name", who.name},
                      {"client_id", who.client_id},
                      {"read_only", who.read_only},
                      {"locked", who.locked_until > now()}});
  auto syncs = json::array();
  for (const SecretSync& sync : syncs_) syncs.push_back(sync.state());
  return {{"syncs", std::move(syncs)},  {"project", project_},   {"environments", environments_},
          {"secrets", std::move(rows)}, {"identities", people},  {"approvals", approvals_},
          {"faults", faults_.state()},  {"requests", requests()}};
}

net::Response InfisicalWorld::answer(const net::ServerRequest& request) {
  const std::string& path = request.path;
  if (path == "/api/status" && request.method == "GET")
    return reply(200, {{"date", storage::to_iso8601(now())},
                       {"message", "Ok"},
                       {"emailConfigured", false},
                       {"inviteOnlySignup", true},
                       {"redisConfigured", true},
                       {"secretScanningConfigured", false},
                       {"auditLogStorageDisabled", false},
                       {"maxIdentityAccessTokenTTL", 7776000}});
  if (path.starts_with("/api/v1/auth/")) return authenticate(request);

  constexpr std::string_view kV4 = "/api/v4/secrets";
  constexpr std::string_view kV3 = "/api/v3/secrets/raw";
  constexpr std::string_view kSyncs = "/api/v1/secret-syncs";
  constexpr std::string_view kHistory = "/api/v1/secret/";
  constexpr std::string_view kDashboard = "/api/v1/dashboard/";
  const bool v3 = path.starts_with(kV3);
  const bool v4 = path.starts_with(kV4) && !knobs_.v3_only;
  const bool for_people = path.starts_with(kHistory) || path.starts_with(kDashboard);
  if (!v3 && !v4 && !for_people && path != kSyncs) return no_route(request);

  const std::string presented = bearer(request);
  if (presented.empty()) return refusal(401, "Token missing");
  const Token* held = token(presented);
  if (auto refused = refuse_token(held, "Failed to authorize")) return std::move(*refused);
  const Identity& who = *identity(held->client_id);

  if (for_people)
    return refusal(403, "You are not allowed to access this resource",
                   "Forbidden access to " + request.target);
  if (path == kSyncs) return list_syncs(who, query(request, "projectId"));
  const std::string rest = path.substr((v3 ? kV3 : kV4).size());
  const bool known_method = request.method == "GET" || request.method == "POST" ||
                            request.method == "PATCH" || request.method == "DELETE";
  const bool collection = rest.empty();
  if (!known_method || (collection && request.method != "GET") || rest == "/" ||
      rest.find('/', 1) != std::string::npos)
    return no_route(request);
  return secrets(request, who, collection ? "" : rest.substr(1), v3);
}

net::Response InfisicalWorld::authenticate(const net::ServerRequest& request) {
  const auto body = parse_body(request);
  const std::string& path = request.path;
  const bool login_path = path == "/api/v1/auth/universal-auth/login";
  const bool renew_path = path == "/api/v1/auth/token/renew";
  const bool revoke_path = path == "/api/v1/auth/token/revoke";
  if (request.method != "POST" || !(login_path || renew_path || revoke_path)) return no_route(request);
  if (!body) return refusal(400, "Body is not valid JSON but content-type is set to 'application/json'");
  if (!body->is_object()) return refusal(422, not_an_object(*body));
  if (login_path) return login(*body);
  return renew_path ? renew(*body) : revoke(*body);
}

net::Response InfisicalWorld::login(const json& body) {
  if (json issues = issues_of(body, {"clientId", "clientSecret"}, {"organizationSlug"}); !issues.empty())
    return refusal(422, issues);
  Identity* who = identity(body.at("clientId"));
  if (who == nullptr || knobs_.login_refused) return refusal(401, "Invalid credentials");
  // While it is locked, the right secret is refused as well.
  if (who->locked_until > now())
    return refusal(401, "This identity auth method is temporarily locked, please try again later");
  if (!right_secret(*who, body.at("clientSecret"))) return refusal(401, "Invalid credentials");
  if (knobs_.secret_expired) return refusal(401, "Access denied due to expired client secret");
  if (who->uses_left && (*who->uses_left)-- <= 0)
    return refusal(401, "Access denied due to client secret usage limit reached");
  return hand_out(who->client_id, now());
}

bool InfisicalWorld::right_secret(Identity& who, const std::string& secret) {
  if (secret == who.client_secret) {
    who.failures = 0;
    return true;
  }
  if (now() - who.last_failure > timing_.lockout_counter_reset) who.failures = 0;
  who.last_failure = now();
  if (++who.failures >= timing_.lockout_threshold) {
    who.failures = 0;
    who.locked_until = now() + timing_.lockout;
  }
  return false;
}

net::Response InfisicalWorld::hand_out(const std::string& client_id, storage::TimePoint creation) {
  const storage::TimePoint limit = creation + timing_.token_life_limit;
  const storage::TimePoint expires = std::min(now() + timing_.token_life, limit);
  const auto seconds = [](storage::TimePoint at) {
    return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
  };
  const json claims{{"identityId", client_id},
                    {"authMethod", "universal-auth"},
                    {"jti", random_uuid()},
                    {"iat", seconds(now())},
                    {"exp", seconds(expires)}};
  tokens_.push_back({.value = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims.dump()) +
                              "." + random_text(43),
                     .client_id = client_id,
                     .created = creation,
                     .expires = expires});
  const auto whole = [](storage::Duration d) {
    return std::chrono::duration_cast<std::chrono::seconds>(d).count();
  };
  return reply(200, {{"accessToken", tokens_.back().value},
                     {"expiresIn", whole(expires - now())},
                     {"accessTokenMaxTTL", whole(timing_.token_life_limit)},
                     {"tokenType", "Bearer"}});
}

InfisicalWorld::MaybeResponse InfisicalWorld::refuse_token(const Token* held,
                                                           std::string_view purpose) const {
  if (held == nullptr)
    return refusal(
        403,
        "The provided access token is malformed. Please use a valid token or generate a new one and try "
        "again.",
        "TokenError");
  if (held->revoked) return refusal(401, fmt::format("{}: token has been revoked", purpose));
  if (held->expires <= now())
    return refusal(403, "Your token has expired. Please re-authenticate.", "TokenError");
  return std::nullopt;
}

net::Response InfisicalWorld::renew(const json& body) {
  if (json issues = issues_of(body, {"accessToken"}, {}); !issues.empty()) return refusal(422, issues);
  const Token* held = token(body.at("accessToken"));
  if (auto refused = refuse_token(held, "Cannot renew")) return std::move(*refused);
  if (held->created + timing_.token_life_limit <= now())
    return refusal(401, "Cannot renew: identity access token has reached its max TTL");
  const std::string client_id = held->client_id;
  return hand_out(client_id, held->created);
}

net::Response InfisicalWorld::revoke(const json& body) {
  if (json issues = issues_of(body, {"accessToken"}, {}); !issues.empty()) return refusal(422, issues);
  Token* held = token(body.at("accessToken"));
  if (auto refused = refuse_token(held, "Failed to revoke")) return std::move(*refused);
  held->revoked = true;
  return reply(200, {{"message", "Successfully revoked access token"}});
}

net::Response InfisicalWorld::secrets(const net::ServerRequest& request, const Identity& who,
                                      const std::string& name, bool v3) {
  const std::string project_field = v3 ? "workspaceId" : "projectId";
  const bool read = request.method == "GET";
  json fields = json::object();
  if (read) {
    for (const auto& [key, value] : request.query) fields[key] = value;
  } else {
    const auto body = parse_body(request);
    if (!body) return refusal(400, "Body is not valid JSON but content-type is set to 'application/json'");
    if (!body->is_object()) return refusal(422, not_an_object(*body));
    fields = *body;
  }
  std::vector<std::string> required{project_field, "environment"};
  if (request.method == "POST") required.emplace_back("secretValue");
  if (json issues = issues_of(fields, required, {"secretPath", "secretValue", "secretComment"});
      !issues.empty()) {
    // POST names secretValue among the required ones; once is enough.
    if (request.method == "POST" && issues.size() > 1 && issues.back() == issues.at(issues.size() - 2))
      issues.erase(issues.size() - 1);
    return refusal(422, issues);
  }
  const Address address{.project = fields.at(project_field),
                        .environment = fields.at("environment"),
                        .path = fields.value("secretPath", "/"),
                        .name = name};
  if (auto refused = refuse_address(address, who)) return std::move(*refused);
  const bool hidden = knobs_.hidden_value || (read && !flag(request, "viewSecretValue", true));
  if (read && name.empty()) return list_secrets(address, hidden);
  if (read) return read_secret(request, address, hidden, flag(request, "expandSecretReferences", !v3));
  if (auto refused = refuse_write(request.method, fields, address, who)) return std::move(*refused);
  return write_secret(request.method, fields, address);
}

InfisicalWorld::MaybeResponse InfisicalWorld::refuse_address(const Address& address,
                                                             const Identity& who) const {
  if (address.project != project_)
    return refusal(
        404, fmt::format("Project with ID '{}' not found during bot lookup. Are you sure you are using the "
                         "correct project ID?",
                         address.project));
  if (!who.member)
    return refusal(
        403,
        fmt::format("You are not a member of this project with ID {}. Please assign this identity to the "
                    "project with the appropriate permissions, then try again.",
                    project_),
        "ProjectMembershipNotFound");
  const bool known =
      std::find(environments_.begin(), environments_.end(), address.environment) != environments_.end();
  const bool folder =
      address.path == "/" || std::any_of(secrets_.begin(), secrets_.end(), [&](const auto& secret) {
        return secret.environment == address.environment && secret.path == address.path;
      });
  if (!known || !folder)
    return refusal(404,
                   fmt::format("Folder with path '{}' in environment with slug '{}' not found", address.path,
                               address.environment),
                   "GetSecretByName");
  return std::nullopt;
}

InfisicalWorld::MaybeResponse InfisicalWorld::refuse_write(const std::string& method, const json& fields,
                                                           const Address& address, const Identity& who) {
  if (who.read_only || knobs_.read_only)
    return refusal(403, "You are not allowed to edit on secrets", "PermissionDenied",
                   {{"details", json::array()}});
  const auto& policy = knobs_.approval_environment;
  if (!policy || (!policy->empty() && *policy != address.environment)) return std::nullopt;
  // 200, and nothing has changed: only the body says so.
  json approval{{"id", random_uuid()},
                {"policyId", random_uuid()},
                {"hasMerged", false},
                {"status", "open"},
                {"conflicts", json::array()},
                {"slug", "change-" + random_text(8, "abcdefghijklmnopqrstuvwxyz")},
                {"folderId", random_uuid()},
                {"isReplicated", nullptr},
                {"committerUserId", nullptr},
                {"statusChangedByUserId", nullptr},
                {"createdAt", storage::to_iso8601(now())},
                {"updatedAt", storage::to_iso8601(now())}};
  approvals_.push_back(
      {{"slug", approval.at("slug")}, {"environment", address.environment}, {"name", address.name}});
  waiting_.push_back({.method = method, .fields = fields, .address = address});
  return reply(200, {{"approval", std::move(approval)}});
}

void InfisicalWorld::approve_all() {
  knobs_.approval_environment.reset();
  for (const ChangeRequest& change : std::exchange(waiting_, {}))
    write_secret(change.method, change.fields, change.address);
  approvals_ = json::array();
}

net::Response InfisicalWorld::list_secrets(const Address& address, bool hidden) const {
  auto rows = json::array();
  for (const InfisicalSecret& secret : secrets_)
    if (!secret.deleted && secret.environment == address.environment && secret.path == address.path)
      rows.push_back(read_body(secret, hidden, /*expand=*/false));
  return reply(200, {{"secrets", std::move(rows)}, {"imports", json::array()}});
}

net::Response InfisicalWorld::read_secret(const net::ServerRequest& request, const Address& address,
                                          bool hidden, bool expand) const {
  // The same words for a missing version as for a missing secret.
  const auto missing = [&] {
    return refusal(404, fmt::format("Secret with name '{}' not found", address.name));
  };
  const std::string wanted = knobs_.ignore_version ? "" : query(request, "version");
  const bool v3 = request.path.starts_with("/api/v3/");
  const bool imports = v3 ? flag(request, "include_imports", false) : flag(request, "includeImports", true);
  if (wanted.empty()) {
    const InfisicalSecret* secret = live(address.environment, address.path, address.name);
    if (secret == nullptr && imports) secret = imported(address);
    if (query(request, "type") == "personal") {
      if (secret == nullptr || !secret->personal_value) return missing();
      return reply(200, {{"secret", personal_body(*secret, hidden)}});
    }
    return secret == nullptr ? missing() : reply(200, {{"secret", read_body(*secret, hidden, expand)}});
  }
  // Found by folder, name and number: a deleted namesake's versions answer too, before the living one's.
  for (const InfisicalSecret& secret : secrets_) {
    if (secret.environment != address.environment || secret.path != address.path ||
        secret.name != address.name)
      continue;
    for (const SecretVersion& version : secret.versions)
      if (std::to_string(version.version) == wanted)
        return reply(200, {{"secret", version_body(secret, version, hidden)}});
  }
  return missing();
}

json InfisicalWorld::read_body(const InfisicalSecret& secret, bool hidden, bool expand) const {
  const SecretVersion& newest = secret.newest();
  const std::string value = hidden ? kHidden : expand ? expanded(secret, newest.value) : newest.value;
  json body = secret_core(secret, project_, newest.version, value, newest.comment, secret.versions.front().at,
                          newest.at);
  add_rotation(body, secret);
  body.update({{"secretValueHidden", hidden},
               {"secretPath", secret.path},
               {"tags", json::array()},
               {"secretMetadata", secret.metadata}});
  return body;
}

json InfisicalWorld::personal_body(const InfisicalSecret& secret, bool hidden) const {
  json body = read_body(secret, hidden, /*expand=*/false);
  body["type"] = "personal";
  if (!hidden) body["secretValue"] = *secret.personal_value;
  return body;
}

const InfisicalSecret* InfisicalWorld::imported(const Address& address) const {
  const auto found = std::ranges::find_if(secrets_, [&](const InfisicalSecret& secret) {
    return !secret.deleted && secret.environment == address.environment && secret.name == address.name &&
           secret.imported_into == address.path;
  });
  return found == secrets_.end() ? nullptr : &*found;
}

json InfisicalWorld::version_body(const InfisicalSecret& secret, const SecretVersion& version,
                                  bool hidden) const {
  json body = secret_core(secret, project_, version.version, hidden ? kHidden : version.value,
                          version.comment, version.at, version.at);
  body.update({{"secretValueHidden", hidden}, {"secretPath", secret.path}});
  return body;
}

// "${NAME}" and "${environment.NAME}", one level deep.
std::string InfisicalWorld::expanded(const InfisicalSecret& secret, const std::string& value) const {
  std::string result;
  std::size_t from = 0;
  while (true) {
    const auto open = value.find("${", from);
    const auto close = open == std::string::npos ? open : value.find('}', open);
    if (close == std::string::npos) return result + value.substr(from);
    const std::string name = value.substr(open + 2, close - open - 2);
    const auto dot = name.find('.');
    const InfisicalSecret* target = dot == std::string::npos
                                        ? live(secret.environment, secret.path, name)
                                        : live(name.substr(0, dot), "/", name.substr(dot + 1));
    result += value.substr(from, open - from) + (target == nullptr ? "" : target->newest().value);
    from = close + 1;
  }
}

net::Response InfisicalWorld::write_secret(const std::string& method, const json& body,
                                           const Address& address) {
  InfisicalSecret* secret = live(address.environment, address.path, address.name);
  if (method == "POST") {
    if (secret != nullptr) return refusal(400, "Secret already exists");
    InfisicalSecret& made =
        add_secret(address, trimmed(body.at("secretValue")), body.value("secretComment", ""));
    if (body.contains("secretMetadata")) made.metadata = metadata_of(body);
    const SecretVersion& first = made.newest();
    json answer = secret_core(made, project_, 1, first.value, first.comment, first.at, first.at);
    add_rotation(answer, made);
    return reply(200, {{"secret", std::move(answer)}});
  }
  if (secret == nullptr) return refusal(404, fmt::format("Secret with name {} not found", address.name));
  if (method == "PATCH") return update(*secret, body);
  secret->deleted = true;
  const SecretVersion& last = secret->newest();
  json answer = secret_core(*secret, project_, last.version, last.value, last.comment,
                            secret->versions.front().at, last.at);
  answer["secretValueHidden"] = false;
  return reply(200, {{"secret", std::move(answer)}});
}

net::Response InfisicalWorld::update(InfisicalSecret& secret, const json& body) {
  if (secret.rotated_by_infisical && body.contains("secretValue"))
    return refusal(400, "Cannot update rotated secret name or value");
  SecretVersion next = secret.newest();
  ++next.version;  // whatever was sent: the same value makes a version too
  next.at = now();
  if (body.contains("secretValue")) next.value = trimmed(body.at("secretValue"));
  if (knobs_.stores_otherwise) next.value += "\n";
  if (body.contains("secretComment")) next.comment = body.at("secretComment");
  if (body.contains("secretMetadata")) secret.metadata = metadata_of(body);
  secret.versions.push_back(next);
  // The answer echoes what was sent, not what is stored.
  json answer = secret_core(secret, project_, next.version, body.contains("secretValue") ? next.value : "",
                            body.value("secretComment", ""), secret.versions.front().at, next.at);
  add_rotation(answer, secret);
  answer["secretValueHidden"] = false;
  return reply(200, {{"secret", std::move(answer)}});
}

net::Response InfisicalWorld::list_syncs(const Identity& who, const std::string& project) const {
  if (auto refused = refuse_address({.project = project, .environment = environments_.front()}, who))
    return std::move(*refused);
  auto rows = json::array();
  for (const SecretSync& sync : syncs_) rows.push_back(sync.row(project_));
  return reply(200, {{"secretSyncs", std::move(rows)}});
}

bool InfisicalWorld::turn_knob(const json& knob) {
  const std::string kind = knob.at("kind");
  const bool on = knob.value("on", true);
  const std::string environment = knob.value("environment", "");
  if (kind == "approval_policy") {
    knobs_.approval_environment = on ? std::optional(environment) : std::nullopt;
  } else if (kind == "approve") {
    approve_all();
  } else if (kind == "hidden_value") {
    knobs_.hidden_value = on;
  } else if (kind == "read_only") {
    knobs_.read_only = on;
  } else if (kind == "login_refused") {
    knobs_.login_refused = on;
  } else if (kind == "secret_expired") {
    knobs_.secret_expired = on;
  } else if (kind == "v3_only") {
    knobs_.v3_only = on;
  } else if (kind == "ignore_version") {
    knobs_.ignore_version = on;
  } else if (kind == "rotated_secret") {
    existing(knob).rotated_by_infisical = on;
  } else if (kind == "imported") {
    InfisicalSecret& secret = existing(knob);
    secret.imported_into = std::exchange(secret.path, knob.at("from").get<std::string>());
  } else if (kind == "personal_override") {
    existing(knob).personal_value = knob.at("value").get<std::string>();
  } else if (kind == "redact") {
    auto& versions = existing(knob).versions;
    const auto found = std::ranges::find(versions, knob.at("version").get<int>(), &SecretVersion::version);
    if (found == versions.end()) throw std::invalid_argument("no such version");
    found->value.clear();
  } else if (kind == "stores_otherwise") {
    knobs_.stores_otherwise = on;
  } else if (kind == "expire_tokens") {
    for (Token& held : tokens_) held.expires = now();
  } else if (kind == "revoke_tokens") {
    for (Token& held : tokens_) held.revoked = true;
  } else if (kind == "foreign_write") {
    put(environment, knob.at("name"), knob.at("value"), "somebody else");
  } else if (kind == "heroku_sync") {
    syncs_.emplace_back(knob, changes(environment, knob.value("path", "/")), now());
  } else if (kind == "sync_fails") {
    for (SecretSync* sync : syncs_to(knob.at("app"))) sync->break_it(on);
  } else if (kind == "sync_automatic") {
    for (SecretSync* sync : syncs_to(knob.at("app"))) sync->switch_on(on);
  } else if (kind == "sync_now") {
    for (SecretSync* sync : syncs_to(knob.at("app"))) sync->trigger(now());
  } else {
    return false;
  }
  return true;
}

void InfisicalWorld::reset_knobs() {
  knobs_ = {};
  waiting_.clear();
  approvals_ = json::array();
  syncs_.clear();
  for (InfisicalSecret& secret : secrets_) {
    secret.rotated_by_infisical = false;
    secret.personal_value.reset();
    if (!secret.imported_into.empty()) secret.path = std::exchange(secret.imported_into, "");
  }
  for (Identity& who : identities_) {
    who.failures = 0;
    who.locked_until = {};
  }
}

net::Response InfisicalWorld::fault_answer(int status) {
  if (status == 429) return refusal(429, "Rate limit exceeded. Please try again in 42 seconds");
  if (status >= 500) return refusal(status, "Something went wrong");
  return refusal(status, "The sandbox was told to answer this");
}

}  // namespace keyturn::sandbox
