#include "deploy/sandbox/stripe_world.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <regex>
#include <stdexcept>

#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/stripe_endpoints.h"

namespace keyturn::sandbox {
namespace {

constexpr const char* kAccountVersion = "2026-10-28.endive";  // what answers without a Stripe-Version
constexpr std::size_t kKeyLength = 107;                       // of today's keys, prefix included

std::string make_value(StripeKeyKind kind, bool live) {
  std::string value = kind == StripeKeyKind::restricted ? "rk_"
                      : kind == StripeKeyKind::secret   ? "sk_"
                                                        : "pk_";
  value += live ? "live_" : "test_";
  return value + random_text(kKeyLength - value.size());
}

std::string request_id() { return "req_" + random_text(14); }

net::Headers common_headers() {
  return {{"Server", "nginx"},
          {"Cache-Control", "no-cache, no-store"},
          {"Vary", "Origin"},
          {"Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload"}};
}

net::Response stripe_error(int status, nlohmann::json error, net::Headers more = {}) {
  net::Headers headers = common_headers();
  headers.insert(headers.end(), more.begin(), more.end());
  return json_response(status, {{"error", std::move(error)}}, std::move(headers));
}

net::Response invalid_request(int status, const std::string& message, net::Headers more = {}) {
  return stripe_error(status, {{"message", message}, {"type", "invalid_request_error"}}, std::move(more));
}

// Neither an unknown key nor a missing one gets a Request-Id (seen in requests of 2026).
net::Response unauthorized(nlohmann::json error, const std::string& scheme, bool with_request_id) {
  net::Headers more{{"WWW-Authenticate", scheme + " realm=\"Stripe\""}};
  if (with_request_id) more.emplace_back("Request-Id", request_id());
  return stripe_error(401, std::move(error), std::move(more));
}

std::string base64_decode(std::string_view text) {
  std::string decoded;
  unsigned bits = 0;
  int count = 0;
  for (const char letter : text) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto digit = kDigits.find(letter);
    if (digit == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    decoded += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU);
  }
  return decoded;
}

struct Presented {
  std::string scheme = "Basic";  // the realm that a refusal names
  std::string key;
  bool header = false;
};

// "Bearer key", or Basic with the key as the user; the password is ignored.
Presented read_authorization(const net::ServerRequest& request) {
  const std::string header = request.header("Authorization");
  if (header.empty()) return {};
  const auto space = header.find(' ');
  const std::string scheme = header.substr(0, space);
  std::string rest = space == std::string::npos ? "" : header.substr(space + 1);
  if (scheme == "Basic") {
    const std::string decoded = base64_decode(rest);
    return {.scheme = "Basic", .key = decoded.substr(0, decoded.find(':')), .header = true};
  }
  return {.scheme = "Bearer", .key = std::move(rest), .header = true};
}

net::Response no_key(const Presented& presented) {
  const std::string help =
      "You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: "
      "Bearer "
      "YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at "
      "https://support.stripe.com/.";
  const std::string message = presented.header && presented.scheme == "Bearer"
                                  ? "You did not provide an API key, though you did set your Authorization "
                                    "header to \"Bearer\". Using Bearer "
                                    "auth, your Authorization header should look something like "
                                    "'Authorization: Bearer YOUR_SECRET_KEY'. See "
                                    "https://stripe.com/docs/api#authentication for details, or we can help "
                                    "at https://support.stripe.com/."
                                  : "You did not provide an API key. " + help;
  return unauthorized({{"message", message}, {"type", "invalid_request_error"}}, presented.scheme,
                      /*with_request_id=*/false);
}

bool valid_version(const std::string& version) {
  static const std::regex pattern(R"(\d{4}-\d{2}-\d{2}(\.[a-z]+)?)");
  return std::regex_match(version, pattern);
}

// The short mask of 2026's refusals: 'rk_live_***j4va7j'.
std::string short_mask(const std::string& value) {
  if (value.size() < 14) return mask_key(value);
  return value.substr(0, 8) + "***" + value.substr(value.size() - 6);
}

// "the 'rak_a', 'rak_b' permissions", as until 2025.
std::string listed_2025(const std::vector<std::string>& permissions) {
  std::string list;
  for (const std::string& permission : permissions)
    list += fmt::format("{}'rak_{}'", list.empty() ? "" : ", ", permission);
  return list + (permissions.size() > 1 ? " permissions" : " permission");
}

std::string status_of(const StripeKey& key, storage::TimePoint now) {
  if (key.deleted) return "deleted";
  if (!key.expires_at) return "active";
  return *key.expires_at <= now ? "expired" : "expiring";
}

nlohmann::json optional_time(const std::optional<storage::TimePoint>& time) {
  return time ? nlohmann::json(storage::to_iso8601(*time)) : nlohmann::json();
}

int read_limit(const net::ServerRequest& request) {
  const auto limit = request.query.find("limit");
  if (limit == request.query.end()) return 10;
  if (limit->second.empty() || limit->second.size() > 6 ||
      limit->second.find_first_not_of("0123456789") != std::string::npos)
    return -1;
  return std::stoi(limit->second);
}

net::Response refuse_limit(const net::ServerRequest& request, int limit) {
  return stripe_error(400, {{"message", limit < 0   ? "Invalid integer: " + request.query.at("limit")
                                        : limit < 1 ? "This value must be greater than or equal to 1."
                                                    : "This value must be less than or equal to 100."},
                            {"param", "limit"},
                            {"type", "invalid_request_error"}});
}

net::Response resource_missing(int status, const std::string& message, const char* param) {
  return stripe_error(status, {{"code", "resource_missing"},
                               {"doc_url", "https://stripe.com/docs/error-codes/resource-missing"},
                               {"message", message},
                               {"param", param},
                               {"type", "invalid_request_error"}});
}

}  // namespace

std::string mask_key(const std::string& value) {
  constexpr std::size_t kHead = 8;
  const std::size_t tail = value.size() > 24 ? 6 : 4;
  if (value.size() <= kHead + tail) return std::string(value.size(), '*');
  return value.substr(0, kHead) + std::string(value.size() - kHead - tail, '*') +
         value.substr(value.size() - tail);
}

StripeWorld::StripeWorld(const storage::Clock& clock, SandboxTiming timing) : Vendor(clock), timing_(timing) {
  reset_knobs();
}

const StripeKey& StripeWorld::create(NewKey wanted) {
  keys_.push_back({.id = "mk_" + random_text(24),
                   .value = make_value(wanted.kind, wanted.live),
                   .kind = wanted.kind,
                   .live = wanted.live,
                   .account = std::move(wanted.account),
                   .name = std::move(wanted.name),
                   .note = std::move(wanted.note),
                   .permissions = std::move(wanted.permissions),
                   .created = now()});
  return keys_.back();
}

const StripeKey& StripeWorld::rotate(const std::string& key, storage::Duration expires_in) {
  if (expires_in < storage::Duration(0)) throw std::invalid_argument("a key can't expire in the past");
  StripeKey& old = existing(key);
  if (dead(old)) throw std::invalid_argument("that key has expired already");
  old.expires_at = now() + expires_in;
  old.deleted = expires_in == storage::Duration(0);
  // Whether a rotation copies the address list isn't documented; here it doesn't, nor the note.
  return create({.kind = old.kind,
                 .live = old.live,
                 .account = old.account,
                 .name = old.name,
                 .note = "",
                 .permissions = old.permissions});
}

void StripeWorld::expire(const std::string& key) { existing(key).expires_at = now(); }

void StripeWorld::set_note(const std::string& key, std::string note) { existing(key).note = std::move(note); }

StripeKey* StripeWorld::lookup(const std::string& id_or_name) {
  StripeKey* named = nullptr;
  for (StripeKey& key : keys_) {
    if (key.id == id_or_name) return &key;
    if (key.name != id_or_name) continue;
    // Newer ones of a name win; one that is on its way out only stands in while there is no other.
    if (named == nullptr || !key.expires_at || named->expires_at) named = &key;
  }
  return named;
}

const StripeKey* StripeWorld::find(const std::string& id_or_name) const {
  return const_cast<StripeWorld*>(this)->lookup(id_or_name);
}

const StripeKey* StripeWorld::find_value(const std::string& value) const {
  const auto key =
      std::find_if(keys_.begin(), keys_.end(), [&](const StripeKey& k) { return k.value == value; });
  return key == keys_.end() ? nullptr : &*key;
}

StripeKey& StripeWorld::existing(const std::string& id_or_name) {
  StripeKey* key = lookup(id_or_name);
  if (key == nullptr) throw std::invalid_argument("no key " + id_or_name);
  return *key;
}

std::optional<std::string> StripeWorld::reveal(const std::string& key) const {
  const StripeKey* found = find(key);
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

void StripeWorld::add_object(const std::string& account, bool live, const std::string& collection,
                             nlohmann::json object) {
  object["livemode"] = live;
  objects_.push_back({.account = account, .live = live, .collection = collection, .body = std::move(object)});
}

bool StripeWorld::dead(const StripeKey& key) const {
  if (key.deleted) return true;
  return key.expires_at && *key.expires_at + knobs_.expiry_lag <= now();
}

nlohmann::json StripeWorld::state() const {
  auto keys = nlohmann::json::array();
  for (const StripeKey& key : keys_)
    keys.push_back({{"id", key.id},
                    {"name", key.name},
                    {"masked", mask_key(key.value)},
                    {"kind", key.kind == StripeKeyKind::restricted ? "restricted"
                             : key.kind == StripeKeyKind::secret   ? "secret"
                                                                   : "publishable"},
                    {"mode", key.live ? "live" : "test"},
                    {"account", key.account},
                    {"note", key.note},
                    {"permissions", key.permissions},
                    {"status", status_of(key, now())},
                    {"ip_denied", key.ip_denied},
                    {"created", storage::to_iso8601(key.created)},
                    {"expires_at", optional_time(key.expires_at)},
                    {"last_used", optional_time(key.last_used)}});
  return {{"keys", std::move(keys)},
          {"wording", knobs_.wording},
          {"expiry_lag_seconds", std::chrono::duration<double>(knobs_.expiry_lag).count()},
          {"faults", faults_.state()},
          {"requests", requests()}};
}

net::Response StripeWorld::answer(const net::ServerRequest& request) {
  const Presented presented = read_authorization(request);
  if (presented.key.empty()) return no_key(presented);

  const auto found = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const StripeKey& key) { return key.value == presented.key; });
  const bool known = found != keys_.end() && found->created + knobs_.fresh_lag <= now();
  StripeKey* key = known ? &*found : nullptr;
  const bool publishable = presented.key.starts_with("pk_");
  if (key == nullptr || publishable || dead(*key) || key->ip_denied) return refuse_key(presented.key, key);
  key->last_used = now();

  std::string version = request.header("Stripe-Version");
  const net::Headers traced{{"Request-Id", request_id()},
                            {"Stripe-Version", version.empty() ? kAccountVersion : version}};
  if (!version.empty() && !valid_version(version))
    return invalid_request(400, "Invalid Stripe API version: " + version, traced);

  net::Response response = authorised(request, *key);
  const std::string idempotency = request.header("Idempotency-Key");
  if (!idempotency.empty() && request.method == "POST")
    response.headers.emplace_back("Idempotency-Key", idempotency);
  response.headers.insert(response.headers.end(), traced.begin(), traced.end());
  return response;
}

net::Response StripeWorld::authorised(const net::ServerRequest& request, const StripeKey& key) {
  const auto route = find_stripe_route(request.path);
  if (!route)
    return invalid_request(
        404, fmt::format("Unrecognized request URL ({}: {}). Please see https://stripe.com/docs or "
                         "we can help at https://support.stripe.com/.",
                         request.method, request.path));
  const std::vector<std::string> wanted = permissions_for(*route->endpoint, request.method);
  const bool granted = key.kind == StripeKeyKind::secret ||
                       std::any_of(wanted.begin(), wanted.end(),
                                   [&](const std::string& name) { return grants(key.permissions, name); });
  if (!granted) return denied(key, *route->endpoint, wanted);
  if (request.method != "GET")
    return invalid_request(400,
                           "The sandbox only serves reads; this write was permitted and not carried out.");
  return route->id.empty() ? whole(request, key, *route->endpoint) : one(key, *route->endpoint, route->id);
}

net::Response StripeWorld::refuse_key(const std::string& presented, const StripeKey* key) const {
  if (presented.starts_with("pk_"))
    return unauthorized(
        {{"code", "secret_key_required"},
         {"message",
          "This API call cannot be made with a publishable API key. Please use a secret API key. You "
          "can find a list of your API keys at https://dashboard.stripe.com/account/apikeys."},
         {"type", "invalid_request_error"}},
        "Bearer", /*with_request_id=*/false);
  if (key == nullptr || (key->deleted && !knobs_.deleted_answers_expired))
    return unauthorized(
        {{"message", "Invalid API Key provided: " + mask_key(presented)}, {"type", "invalid_request_error"}},
        "Bearer",
        /*with_request_id=*/false);
  if (dead(*key))
    return unauthorized({{"code", "api_key_expired"},
                         {"doc_url", "https://stripe.com/docs/error-codes/api-key-expired"},
                         {"message", "Expired API Key provided: " + mask_key(presented)},
                         {"type", "invalid_request_error"}},
                        "Bearer", knobs_.expired_request_id);
  return unauthorized(
      {{"message", "The API key provided does not allow requests from your IP address (127.0.0.1)."},
       {"type", "invalid_request_error"}},
      "Bearer", /*with_request_id=*/false);
}

net::Response StripeWorld::denied(const StripeKey& key, const StripeEndpoint& endpoint,
                                  const std::vector<std::string>& wanted) const {
  if (wanted.empty())
    return invalid_request(
        403,
        "This is a restricted API key, but the required permissions are not available for use by "
        "restricted keys.");
  if (knobs_.wording <= 2025)
    return invalid_request(
        403, fmt::format("The provided key '{}' does not have the required permissions for this endpoint "
                         "on account '{}'. Having the {} would allow this request to continue.",
                         mask_key(key.value), key.account, listed_2025(wanted)));
  const bool write = wanted.back().ends_with("_write");
  return stripe_error(
      403,
      {{"code", "more_permissions_required"},
       {"message",
        fmt::format(
            "Permission denied. The provided key '{}' does not have the required permissions for this "
            "endpoint "
            "on account '{}'. Enabling \"{} {}\" ('{}') permissions on this key would allow this request to "
            "continue. You can edit permissions at https://dashboard.stripe.com/b/{}?destination=%2Fapikeys",
            short_mask(key.value), key.account, endpoint.label, write ? "Write" : "Read", wanted.back(),
            key.account)},
       {"type", "invalid_request_error"}});
}

net::Response StripeWorld::whole(const net::ServerRequest& request, const StripeKey& key,
                                 const StripeEndpoint& endpoint) const {
  if (endpoint.collection == "balance") return json_response(200, balance_body(key.live), common_headers());
  if (endpoint.collection == "account")
    return json_response(200, account_body(key.account), common_headers());
  return list(request, key, endpoint);
}

net::Response StripeWorld::list(const net::ServerRequest& request, const StripeKey& key,
                                const StripeEndpoint& endpoint) const {
  const int limit = read_limit(request);
  if (limit < 1 || limit > 100) return refuse_limit(request, limit);
  std::vector<const nlohmann::json*> found;
  for (auto object = objects_.rbegin(); object != objects_.rend(); ++object) {  // newest first
    const bool visible = object->account == key.account && object->live == key.live &&
                         object->collection == endpoint.collection;
    if (visible) found.push_back(&object->body);
  }
  auto from = found.begin();
  if (const auto cursor = request.query.find("starting_after"); cursor != request.query.end()) {
    from = std::ranges::find_if(found,
                                [&](const auto* body) { return body->value("id", "") == cursor->second; });
    if (from == found.end())
      return resource_missing(400, fmt::format("No such {}: '{}'", endpoint.singular, cursor->second),
                              "starting_after");
    ++from;
  }
  auto data = nlohmann::json::array();
  while (from != found.end() && data.size() < static_cast<std::size_t>(limit)) data.push_back(**from++);
  return json_response(200,
                       {{"object", "list"},
                        {"data", std::move(data)},
                        {"has_more", from != found.end()},
                        {"url", "/v1/" + std::string(endpoint.collection)}},
                       common_headers());
}

net::Response StripeWorld::one(const StripeKey& key, const StripeEndpoint& endpoint,
                               const std::string& id) const {
  const auto object = std::find_if(objects_.begin(), objects_.end(), [&](const Object& candidate) {
    return candidate.account == key.account && candidate.collection == endpoint.collection &&
           candidate.body.value("id", "") == id;
  });
  if (object != objects_.end() && object->live == key.live)
    return json_response(200, object->body, common_headers());
  std::string message = fmt::format("No such {}: '{}'", endpoint.singular, id);
  if (object != objects_.end())
    message +=
        fmt::format("; a similar object exists in {} mode, but a {} mode key was used to make this request.",
                    object->live ? "live" : "test", key.live ? "live" : "test");
  return resource_missing(404, message, "id");
}

bool StripeWorld::turn_knob(const nlohmann::json& knob) {
  const std::string kind = knob.at("kind");
  if (kind == "wording") {
    knobs_.wording = knob.at("generation").get<int>();
  } else if (kind == "deleted_answers") {
    knobs_.deleted_answers_expired = knob.at("as") != "invalid";
  } else if (kind == "expired_request_id") {
    knobs_.expired_request_id = knob.value("on", true);
  } else if (kind == "expiry_lag") {
    knobs_.expiry_lag = storage::Duration(static_cast<std::int64_t>(knob.at("seconds").get<double>() * 1000));
  } else if (kind == "fresh_lag") {
    knobs_.fresh_lag = storage::Duration(static_cast<std::int64_t>(knob.at("seconds").get<double>() * 1000));
  } else if (kind == "ip_denied") {
    existing(knob.at("key").get<std::string>()).ip_denied = knob.value("on", true);
  } else {
    return false;
  }
  return true;
}

void StripeWorld::reset_knobs() {
  knobs_ = {};
  knobs_.expiry_lag = timing_.expiry_lag;
  for (StripeKey& key : keys_) key.ip_denied = false;
}

net::Response StripeWorld::fault_answer(int status) {
  if (status == 429)
    return stripe_error(429,
                        {{"code", "rate_limit"},
                         {"doc_url", "https://stripe.com/docs/error-codes/rate-limit"},
                         {"message", "Request rate limit exceeded."},
                         {"type", "invalid_request_error"}},
                        {{"Stripe-Rate-Limited-Reason", "global-rate"}, {"Request-Id", request_id()}});
  if (status >= 500)
    return stripe_error(status, {{"message", "An unknown error occurred"}, {"type", "api_error"}},
                        {{"Request-Id", request_id()}, {"Stripe-Should-Retry", "true"}});
  return invalid_request(status, "The sandbox was told to answer this.", {{"Request-Id", request_id()}});
}

}  // namespace keyturn::sandbox
