#include "deploy/sandbox/evidence.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "deploy/sandbox/world.h"
#include "integrations/net/url.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr storage::Duration kLimit = std::chrono::seconds(5);

json parsed(const std::string& body) { return json::parse(body, nullptr, /*allow_exceptions=*/false); }

// The text at the pointer; empty when there is none.
std::string text_at(const json& body, const char* pointer) {
  const json::json_pointer where(pointer);
  return body.is_object() && body.contains(where) && body.at(where).is_string() ? body.at(where) : json("");
}

}  // namespace

boost::asio::awaitable<net::Response> Evidence::get(std::string url, std::string bearer) {
  net::Request request;
  request.url = std::move(url);
  request.headers = {{"Accept", "application/vnd.heroku+json; version=3, application/json"}};
  if (!bearer.empty()) request.bearer = storage::share(storage::Secret::take(bearer));
  try {
    co_return co_await http_.send(std::move(request), kLimit);
  } catch (const net::NetError& error) {
    co_return net::Response(0, {}, error.what());
  }
}

boost::asio::awaitable<std::string> Evidence::key_in_infisical() {
  const json& login = places_.at("infisical");
  net::Request request{.method = "POST", .url = place("infisical") + "/api/v1/auth/universal-auth/login"};
  request.headers = {{"Content-Type", "application/json"}};
  request.body =
      json{{"clientId", login.at("client_id")}, {"clientSecret", login.at("client_secret")}}.dump();
  try {
    const net::Response session = co_await http_.send(std::move(request), kLimit);
    const std::string path = fmt::format(
        "/api/v4/secrets/{}?projectId={}&environment=prod&secretPath={}&viewSecretValue=true", kVariable,
        net::percent_encode(login.at("project").get<std::string>()), net::percent_encode("/"));
    const net::Response secret =
        co_await get(place("infisical") + path, text_at(parsed(session.body), "/accessToken"));
    co_return text_at(parsed(secret.body), "/secret/secretValue");
  } catch (const net::NetError&) {
    co_return std::string();
  }
}

boost::asio::awaitable<Fact> Evidence::old_key_is_dead(std::string key) {
  const auto answer = co_await get(place("stripe") + "/v1/customers?limit=1", std::move(key));
  const std::string code = text_at(parsed(answer.body), "/error/code");
  co_return Fact{.holds = answer.status == 401 && code == "api_key_expired",
                 .what = "Stripe refuses the old key as expired",
                 .found = fmt::format("{} {}", answer.status, code)};
}

boost::asio::awaitable<Fact> Evidence::new_key_works(std::string key) {
  const auto answer = co_await get(place("stripe") + "/v1/customers?limit=1", std::move(key));
  const std::string object = text_at(parsed(answer.body), "/object");
  co_return Fact{.holds = answer.status == 200 && object == "list",
                 .what = "Stripe answers the new key",
                 .found = fmt::format("{} {}", answer.status, object)};
}

boost::asio::awaitable<Fact> Evidence::infisical_has(std::string key) {
  const std::string stored = co_await key_in_infisical();
  co_return Fact{.holds = !key.empty() && stored == key,
                 .what = "Infisical's newest version is the new key",
                 .found = stored.empty()  ? "not readable"
                          : stored == key ? "the new key"
                                          : "another value"};
}

boost::asio::awaitable<Fact> Evidence::heroku_has(std::string key) {
  const auto answer = co_await get(fmt::format("{}/apps/{}/config-vars", place("heroku"), kProductionApp),
                                   places_.at("heroku").at("token").get<std::string>());
  const json config = parsed(answer.body);
  const bool same = !key.empty() && config.is_object() && config.value(kVariable, "") == key;
  co_return Fact{.holds = answer.status == 200 && same,
                 .what = std::string(kProductionApp) + " is configured with the new key",
                 .found = fmt::format("{}, {}", answer.status, same ? "the new key" : "another value")};
}

boost::asio::awaitable<Fact> Evidence::billing_is_healthy() {
  const auto answer = co_await get(place("billing") + "/api/billing/subscription", "");
  const std::string status = text_at(parsed(answer.body), "/status");
  co_return Fact{.holds = answer.status == 200 && status == "active",
                 .what = "the billing endpoint is healthy",
                 .found = fmt::format("{} {}", answer.status, status)};
}

boost::asio::awaitable<Fact> Evidence::slack_never_saw(std::vector<std::string> keys) {
  const auto answer = co_await get(place("control") + "/traffic", "");
  const bool seen = std::ranges::any_of(keys, [&](const std::string& key) {
    return key.empty() || answer.body.find(key) != std::string::npos;
  });
  co_return Fact{.holds = answer.status == 200 && !seen,
                 .what = "no key passed through Slack",
                 .found = fmt::format("{} bytes searched", answer.body.size())};
}

boost::asio::awaitable<std::vector<Fact>> Evidence::collect(std::string old_key, std::string new_key) {
  std::vector<Fact> facts;
  facts.push_back({.holds = !old_key.empty() && !new_key.empty() && old_key != new_key,
                   .what = "the new key is another one",
                   .found = new_key.empty() ? "there is no new key" : "it is"});
  facts.push_back(co_await old_key_is_dead(old_key));
  facts.push_back(co_await new_key_works(new_key));
  facts.push_back(co_await infisical_has(new_key));
  facts.push_back(co_await heroku_has(new_key));
  facts.push_back(co_await billing_is_healthy());
  facts.push_back(co_await slack_never_saw({old_key, new_key}));
  co_return facts;
}

}  // namespace keyturn::sandbox
