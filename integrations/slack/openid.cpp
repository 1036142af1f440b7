// The exchange of a code, and what makes an ID token good. See openid.h.
#include "integrations/slack/openid.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "integrations/http_failure.h"
#include "integrations/net/url.h"
#include "integrations/secret_json.h"
#include "integrations/slack/wire.h"
#include "storage/base64url.h"

namespace keyturn::slack {
namespace {

using boost::asio::awaitable;
using integrations::ApiError;
using integrations::Failure;
using integrations::string_at;
using integrations::value_at;
using nlohmann::json;
using storage::TimePoint;

constexpr const char* kMethod = "openid.connect.token";
constexpr std::chrono::seconds kLimit{10};
// How far Slack's clock and ours may be apart. An ID token lives for five minutes, and ours is seconds old.
constexpr std::chrono::seconds kSkew{300};
constexpr std::size_t kLongestIdToken = 16UL * 1024;
// Later than any time that is meant (the year 5138), and far from where arithmetic on it overflows.
constexpr std::int64_t kLatestSecond = 100'000'000'000;

constexpr const char* kUserClaim = "https://slack.com/user_id";
constexpr const char* kTeamClaim = "https://slack.com/team_id";

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// A part of the token as the object that it must be; null for anything else.
json object_in(std::string_view part) {
  auto text = storage::from_base64url(part);
  if (!text) return {};
  json object = integrations::parse_json(*text);
  storage::wipe(*text);
  return object.is_object() ? object : json();
}

// header.payload.signature: exactly three, none of them empty.
std::optional<std::array<std::string_view, 3>> parts_of(std::string_view token) {
  std::array<std::string_view, 3> parts;
  std::size_t start = 0;
  for (std::size_t index = 0; index < parts.size(); ++index) {
    const bool last = index + 1 == parts.size();
    const std::size_t end = last ? token.size() : token.find('.', start);
    if (end == std::string_view::npos || end <= start) return std::nullopt;
    parts[index] = token.substr(start, end - start);
    start = end + 1;
  }
  return parts;
}

std::optional<TimePoint> time_at(const json& claims, std::string_view name) {
  const json& value = value_at(claims, name);
  if (!value.is_number_integer()) return std::nullopt;
  const auto seconds = value.get<std::int64_t>();
  if (seconds < 0 || seconds > kLatestSecond) return std::nullopt;
  return TimePoint(std::chrono::seconds(seconds));
}

// We trust no other audience, so a token that is for others too is not for us (3.1.3.7, points 3 to 5).
bool is_for(const json& claims, const std::string& client_id) {
  const json& audience = value_at(claims, "aud");
  const bool sole =
      audience == client_id || (audience.is_array() && audience.size() == 1 && audience.front() == client_id);
  return sole && (!claims.contains("azp") || claims.at("azp") == client_id);
}

bool is_user_id(std::string_view id) {
  const auto in_id = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return id.size() > 1 && (id.front() == 'U' || id.front() == 'W') && std::ranges::all_of(id, in_id);
}

// What is wrong with it; empty when nothing is.
std::string problem_of_header(const json& header) {
  if (header.is_null()) return "the ID token's header is not readable";
  // RFC 7515, 4.1.11: what must be understood, and isn't here.
  if (header.contains("crit")) return "the ID token asks for something that we don't know";
  if (string_at(header, "alg") != "RS256") return "the ID token is not signed the way that Slack signs";
  return {};
}

std::string problem_of_times(const json& claims, TimePoint now) {
  const auto expires = time_at(claims, "exp");
  const auto issued = time_at(claims, "iat");
  if (!expires || !issued) return "the ID token doesn't say from when to when it is good";
  if (*expires + kSkew <= now) return "the ID token has expired (is this machine's clock right?)";
  if (*issued > now + kSkew || *issued + kSkew < now) {
    return "the ID token was not issued just now (is this machine's clock right?)";
  }
  return {};
}

std::string problem_of_claims(const OpenIdClient& client, const json& claims, std::string_view nonce,
                              TimePoint now) {
  if (claims.is_null()) return "the ID token's claims are not readable";
  if (string_at(claims, "iss") != client.origin) return "the ID token was issued by somebody else than Slack";
  if (!is_for(claims, client.client_id)) return "the ID token is meant for another app";
  if (auto problem = problem_of_times(claims, now); !problem.empty()) return problem;
  // An empty nonce would be one that anybody can guess.
  if (nonce.empty() || !same(string_at(claims, "nonce"), nonce)) {
    return "the ID token belongs to another sign-in";
  }
  if (!is_user_id(string_at(claims, kUserClaim))) return "the ID token names no user";
  if (string_at(claims, kTeamClaim) != client.team) return "the person belongs to another workspace";
  return {};
}

// Whether the very same sign-in could have ended otherwise, or may have happened: then it's no refusal.
bool says_nothing(Failure failure) {
  switch (failure) {
    case Failure::unreachable:
    case Failure::ambiguous:
    case Failure::busy:
      return true;
    case Failure::unauthorized:
    case Failure::forbidden:
    case Failure::not_found:
    case Failure::refused:
    case Failure::not_understood:
      return false;
  }
  return true;
}

// `word` is an error word out of the reference, or our own clause where there was none (see wire.h).
std::string reason_for(const std::string& word) {
  if (word == "invalid_code") return "Slack says that the code is unknown, used up or too old";
  if (word == "bad_client_secret" || word == "invalid_client_id") {
    return "Slack refused our client id or client secret (" + word + ")";
  }
  if (word == "bad_redirect_uri") return "Slack knows another address to come back to (bad_redirect_uri)";
  return "Slack did not take the code: " + word;
}

// In pieces, into memory that was set aside for it: growing would leave copies of a secret behind.
void append_field(std::string& form, std::string_view name, std::string_view value) {
  if (!form.empty()) form += '&';
  form.append(name).append("=");
  for (std::size_t at = 0; at < value.size(); ++at) form += net::percent_encode(value.substr(at, 1));
}

}  // namespace

std::string authorize_url(const OpenIdClient& client, std::string_view state, std::string_view nonce) {
  return client.origin + "/openid/connect/authorize?" +
         net::form_encode({{"response_type", "code"},
                           {"scope", "openid"},
                           {"client_id", client.client_id},
                           {"state", std::string(state)},
                           {"team", client.team},
                           {"nonce", std::string(nonce)},
                           {"redirect_uri", client.redirect_uri}});
}

std::expected<Identity, std::string> read_id_token(const OpenIdClient& client, std::string_view id_token,
                                                   std::string_view nonce, TimePoint now) {
  const auto parts = id_token.size() <= kLongestIdToken ? parts_of(id_token) : std::nullopt;
  if (!parts || !storage::from_base64url((*parts)[2])) {
    return std::unexpected("what came as an ID token is none");
  }
  const json claims = object_in((*parts)[1]);
  std::string problem = problem_of_header(object_in((*parts)[0]));
  if (problem.empty()) problem = problem_of_claims(client, claims, nonce, now);
  if (!problem.empty()) return std::unexpected(std::move(problem));
  return Identity{.user = string_at(claims, kUserClaim), .team = string_at(claims, kTeamClaim)};
}

OpenId::OpenId(net::HttpClient& http, const storage::Clock& clock, OpenIdClient client,
               storage::SharedSecret client_secret, Observer observer)
    : http_(http),
      clock_(clock),
      client_(std::move(client)),
      client_secret_(std::move(client_secret)),
      observer_(std::move(observer)) {}

awaitable<std::expected<Identity, std::string>> OpenId::exchange(std::string code, std::string nonce) {
  try {
    net::Response response = co_await send(std::move(code));
    co_return judged(std::move(response), nonce);
  } catch (const ApiError& error) {
    observe(std::string(name_of(error.failure())));
    throw;
  }
}

awaitable<net::Response> OpenId::send(std::string code) {
  net::Request request;
  request.method = "POST";
  request.url = client_.origin + "/api/" + kMethod;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.secret_body = body_for(code);
  storage::wipe(code);
  try {
    co_return co_await http_.send(std::move(request), kLimit);
  } catch (const net::NetError& error) {
    // A code is good for one exchange, so a lost answer can't be asked for again.
    throw integrations::no_answer({.system = integrations::System::slack,
                                   .operation = "check a sign-in",
                                   .effect = integrations::Effect::write},
                                  error);
  }
}

storage::SharedSecret OpenId::body_for(std::string_view code) const {
  std::string form;
  const std::string_view secret = client_secret_->expose();
  form.reserve(3 * (client_.client_id.size() + secret.size() + code.size() + client_.redirect_uri.size()) +
               128);
  append_field(form, "client_id", client_.client_id);
  append_field(form, "client_secret", secret);
  append_field(form, "code", code);
  append_field(form, "redirect_uri", client_.redirect_uri);
  append_field(form, "grant_type", "authorization_code");
  return storage::share(storage::Secret::take(form));
}

std::expected<Identity, std::string> OpenId::judged(net::Response response, std::string_view nonce) const {
  // Before anything parses the text, and whatever else it says.
  const auto id_token = integrations::take_string(response.body, "id_token");
  integrations::take_string(response.body, "access_token");
  integrations::take_string(response.body, "refresh_token");
  Verdict verdict = judge(kMethod, response);
  if (auto* wait = std::get_if<Wait>(&verdict)) throw ApiError(std::move(wait->otherwise));
  if (auto* refusal = std::get_if<ApiError::Details>(&verdict)) {
    if (says_nothing(refusal->failure)) throw ApiError(std::move(*refusal));
    observe(refusal->status == 200 ? refusal->reason : std::string(name_of(refusal->failure)));
    return std::unexpected(reason_for(refusal->reason));
  }
  auto identity = id_token ? read_id_token(client_, id_token->expose(), nonce, clock_.now())
                           : std::unexpected(std::string("Slack's answer holds no ID token"));
  observe(identity ? "ok" : "refused");
  return identity;
}

void OpenId::observe(const std::string& outcome) const {
  if (observer_) observer_(kMethod, outcome);
}

}  // namespace keyturn::slack
