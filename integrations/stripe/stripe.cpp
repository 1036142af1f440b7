// Asking Stripe with a key, and reading what it answers. See stripe.h.
#include "integrations/stripe/stripe.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/http_failure.h"
#include "integrations/secret_json.h"

namespace keyturn::stripe {
namespace {

using integrations::Answer;
using integrations::Effect;
using integrations::Probe;
using nlohmann::json;

// Without it the account's own default version answers, whose shapes differ from account to account.
constexpr std::string_view kVersion = "2026-10-28.endive";
constexpr std::chrono::seconds kLimit{10};
constexpr std::size_t kMostPermissions = 16;

// Resources that are one object and no list: {path, the object's name}.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSingle{
    {{"/v1/balance", "balance"}, {"/v1/account", "account"}, {"/v1/tax/settings", "tax.settings"}}};

struct Endpoint {
  std::string_view path;   // "/v1/customers"
  std::string_view query;  // "status=all", or empty
};

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  if (!text.starts_with("GET /")) return std::nullopt;
  text.remove_prefix(4);
  const std::size_t mark = text.find('?');
  if (mark == std::string_view::npos) return Endpoint{text, ""};
  return Endpoint{text.substr(0, mark), text.substr(mark + 1)};
}

std::string_view single_object_at(std::string_view path) {
  const auto* found = std::ranges::find(kSingle, path, &decltype(kSingle)::value_type::first);
  return found == kSingle.end() ? std::string_view() : found->second;
}

// "/v1/customers/cus_QXg1o8vcGmoR32" is one object: ids hold capitals or digits, the names of lists don't.
bool names_object(std::string_view path) {
  const std::string_view last = path.substr(path.rfind('/') + 1);
  return std::ranges::any_of(last, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

bool is_list(std::string_view path) { return single_object_at(path).empty() && !names_object(path); }

std::string target_of(const Endpoint& endpoint) {
  std::string target(endpoint.path);
  if (!endpoint.query.empty()) target += "?" + std::string(endpoint.query);
  if (is_list(endpoint.path)) target += endpoint.query.empty() ? "?limit=1" : "&limit=1";
  return target;
}

// ---- reading a success ----

bool is_expected_object(std::string_view path, const std::string& object) {
  if (const std::string_view single = single_object_at(path); !single.empty()) return object == single;
  return is_list(path) ? object == "list" : !object.empty();
}

void read_object(const json& object, Probe& probe) {
  const json& livemode = integrations::value_at(object, "livemode");
  if (livemode.is_boolean()) probe.livemode = livemode.get<bool>();
}

void read_success(const std::string& endpoint, const json& body, Probe& probe) {
  const auto parsed = parse_endpoint(endpoint);
  const std::string object = integrations::string_at(body, "object");
  const json& data = integrations::value_at(body, "data");
  const bool shaped =
      parsed && is_expected_object(parsed->path, object) && (object != "list" || data.is_array());
  if (!shaped) {
    probe.note = "a 200 without the object that Stripe sends (a proxy's page?)";
    return;
  }
  probe.answer = Answer::granted;
  if (object == "account") probe.account = integrations::string_at(body, "id");
  if (object == "list" && !data.empty()) {
    probe.newest_object = integrations::string_at(data.front(), "id");
    read_object(data.front(), probe);
  } else {
    read_object(body, probe);
  }
}

// ---- reading a refusal ----

bool in_name(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }
bool in_id(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The word between `at` and a closing quote, when all of it satisfies `is_part`.
template <typename IsPart>
std::string_view quoted_word(std::string_view text, std::size_t at, IsPart is_part) {
  std::size_t end = at;
  while (end < text.size() && is_part(text[end])) ++end;
  return end < text.size() && text[end] == '\'' ? text.substr(at, end - at) : std::string_view();
}

// "... for this endpoint on account 'acct_123'. ..."
std::string account_in(std::string_view message) {
  constexpr std::string_view kBefore = "on account '";
  const std::size_t at = message.find(kBefore);
  if (at == std::string_view::npos) return "";
  const std::string_view word = quoted_word(message, at + kBefore.size(), in_id);
  return word.starts_with("acct_") ? std::string(word) : "";
}

// Both wordings: today's "Enabling \"Prices Read\" ('plan_read') permissions" and, until 2025, "Having the
// 'rak_billing_cadence_read', 'rak_subscription_read' permissions". Either may name several, and any one is
// enough.
std::vector<std::string> permissions_in(std::string_view message) {
  std::vector<std::string> permissions;
  for (std::size_t at = message.find('\''); at != std::string_view::npos; at = message.find('\'', at + 1)) {
    std::string_view word = quoted_word(message, at + 1, in_name);
    if (word.starts_with("rak_")) word.remove_prefix(4);
    if (!word.ends_with("_read") && !word.ends_with("_write")) continue;
    const bool known = std::ranges::find(permissions, word) != permissions.end();
    if (!known && permissions.size() < kMostPermissions) permissions.emplace_back(word);
  }
  return permissions;
}

// Stripe puts these in words only. The texts are from docs.stripe.com and from recorded answers.
void read_unauthorized(const std::string& code, const std::string& message, Probe& probe) {
  if (code == "api_key_expired") {
    probe.answer = Answer::expired;
  } else if (message.starts_with("Invalid API Key provided")) {
    probe.answer = Answer::unknown_key;
  } else if (message.find("does not allow requests from your IP address") != std::string::npos) {
    probe.answer = Answer::address;
  } else if (code == "secret_key_required" || message.find("publishable API key") != std::string::npos) {
    probe.note = "Stripe says that this is a publishable key";
  } else if (message.starts_with("You did not provide an API key")) {
    probe.note = "the key did not reach Stripe (a proxy that drops the header?)";
  } else {
    probe.note = "a 401 of a kind that we don't know";
  }
}

// Stripe's shape is required even of a refusal: a firewall's 403 says nothing about the key.
void read_refusal(int status, const json& body, Probe& probe) {
  const json& error = integrations::value_at(body, "error");
  const bool shaped = error.is_object() && !integrations::string_at(error, "type").empty();
  if (!shaped) {
    probe.note = fmt::format("a {} that isn't of Stripe's shape (a proxy or a firewall?)", status);
    return;
  }
  const std::string message = integrations::string_at(error, "message");
  if (status == 403) {
    probe.answer = Answer::denied;
    probe.account = account_in(message);
    probe.missing_permissions = permissions_in(message);
  } else {
    read_unauthorized(integrations::string_at(error, "code"), message, probe);
  }
}

std::string note_for(int status, const json& body) {
  const std::string code = integrations::string_at(integrations::value_at(body, "error"), "code");
  if (status == 429) return code == "lock_timeout" ? "the object was locked (429)" : "rate limited (429)";
  if (status >= 500) return fmt::format("Stripe has a server error ({})", status);
  if (status == 404) return "Stripe doesn't know this endpoint (404)";
  return fmt::format("an answer that says nothing about the key ({})", status);
}

net::Request request_for(const std::string& base, const Endpoint& endpoint, storage::SharedSecret key) {
  return {.method = "GET",
          .url = base + target_of(endpoint),
          .headers = {{"Accept", "application/json"}, {"Stripe-Version", std::string(kVersion)}},
          .body = "",
          .bearer = std::move(key),
          .secret_body = nullptr};
}

// For the metrics: any verdict on the key is a call that worked.
std::string outcome_for(const Probe& probe) {
  if (probe.answer != Answer::inconclusive) return "ok";
  if (probe.status >= 200 && probe.status < 300)
    return std::string(name_of(integrations::Failure::not_understood));
  return integrations::outcome_of(probe.status, Effect::none);
}

}  // namespace

Probe read_answer(const std::string& endpoint, int status, const std::string& request_id,
                  const std::string& body) {
  Probe probe;
  probe.status = status;
  probe.request_id = integrations::request_id_from(request_id);
  const json parsed = integrations::parse_json(body);
  if (status == 200) {
    read_success(endpoint, parsed, probe);
  } else if (status == 401 || status == 403) {
    read_refusal(status, parsed, probe);
  } else {
    probe.note = note_for(status, parsed);
  }
  return probe;
}

Stripe::Stripe(net::HttpClient& http, const storage::Clock& clock, std::string base, Observer observer)
    : http_(http), clock_(clock), base_(std::move(base)), observer_(std::move(observer)) {}

boost::asio::awaitable<Probe> Stripe::probe(storage::SharedSecret key, std::string endpoint) {
  Probe probe;
  std::string outcome(name_of(integrations::Failure::unreachable));
  const auto parsed = parse_endpoint(endpoint);
  if (!parsed || !key) {
    probe.note = "not something that can be asked: " + std::string(parsed ? "no key" : "not a GET");
  } else {
    try {
      const net::Response response = co_await http_.send(request_for(base_, *parsed, std::move(key)), kLimit);
      probe = read_answer(endpoint, response.status, response.header("Request-Id"), response.body);
      outcome = outcome_for(probe);
    } catch (const net::NetError& error) {
      probe.note = fmt::format("no answer: {}", error.what());
    }
    if (observer_) observer_(endpoint, outcome);
  }
  probe.endpoint = std::move(endpoint);
  probe.at = clock_.now();
  co_return probe;
}

}  // namespace keyturn::stripe
