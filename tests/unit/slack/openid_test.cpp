// Sign in with Slack: what makes an ID token good, and what an exchange sends, takes and gives away.
#include "integrations/slack/openid.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "integrations/error.h"
#include "storage/base64url.h"
#include "tests/unit/scripted_vendor.h"

namespace keyturn::slack {
namespace {

using integrations::ApiError;
using integrations::Failure;
using nlohmann::json;
using storage::to_base64url;
using namespace std::chrono_literals;

const std::string kNonce = "n0nce-n0nce-n0nce-n0nce-n0nce";
const std::string kCode = "4724469134.4644010092847.c0dec0dec0de";
// Made at run time, and with what a form must escape: real ones are hex.
const std::string kSecret = std::string("sh+h &") + "e1b9e11dfcd1";
const std::string kAccessToken = std::string("xoxp") + "-1234-taken-along";
const std::string kRefreshToken = std::string("xoxe") + "-1-taken-along";

OpenIdClient client_at(const std::string& origin) {
  return {.origin = origin,
          .client_id = "25259531569.1115258246291",
          .redirect_uri = "https://keyturn.example.com/form",
          .team = "T0RAXX"};
}

const OpenIdClient kClient = client_at("https://slack.com");

std::int64_t seconds(storage::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

const storage::TimePoint kNow = test::FakeClock().now();

// The reference's example, for the scope `openid`.
json claims_at(storage::TimePoint issued, const OpenIdClient& client = kClient) {
  return {{"iss", client.origin},
          {"sub", "U0ADMIN"},
          {"aud", client.client_id},
          {"exp", seconds(issued + 5min)},
          {"iat", seconds(issued)},
          {"auth_time", seconds(issued)},
          {"nonce", kNonce},
          {"at_hash", "tUbyWGBHe0V32FJEupkgVQ"},
          {"https://slack.com/team_id", "T0RAXX"},
          {"https://slack.com/user_id", "U0ADMIN"}};
}

std::string token_of(const json& claims, const json& header = {{"alg", "RS256"}, {"typ", "JWT"}}) {
  return to_base64url(header.dump()) + "." + to_base64url(claims.dump()) + "." + to_base64url("signed");
}

std::expected<Identity, std::string> read(const std::string& token, const std::string& nonce = kNonce) {
  return read_id_token(kClient, token, nonce, kNow);
}

// The reason for refusing; "taken" when it wasn't.
std::string refusal(const std::string& token) {
  const auto identity = read(token);
  return identity ? "taken" : identity.error();
}

std::string refusal_with(const std::string& claim, const json& value) {
  json claims = claims_at(kNow);
  claims[claim] = value;
  return refusal(token_of(claims));
}

std::string refusal_without(const std::string& claim) {
  json claims = claims_at(kNow);
  claims.erase(claim);
  return refusal(token_of(claims));
}

}  // namespace

TEST_CASE("the browser is sent to Slack's own page, with everything percent-encoded") {
  CHECK(authorize_url(kClient, "st&te", "non ce") ==
        "https://slack.com/openid/connect/authorize?response_type=code&scope=openid"
        "&client_id=25259531569.1115258246291&state=st%26te&team=T0RAXX&nonce=non%20ce"
        "&redirect_uri=https%3A%2F%2Fkeyturn.example.com%2Fform");
}

TEST_CASE("an ID token like the reference's names the person") {
  const auto identity = read(token_of(claims_at(kNow)));
  REQUIRE(identity);
  CHECK(identity->user == "U0ADMIN");
  CHECK(identity->team == "T0RAXX");
}

TEST_CASE("an ID token for another app, another sign-in or another workspace is refused") {
  CHECK(refusal_with("iss", "https://slack.com.evil.example") ==
        "the ID token was issued by somebody else than Slack");
  CHECK(refusal_with("iss", "https://slack.com/") == "the ID token was issued by somebody else than Slack");
  CHECK(refusal_with("aud", "1.2") == "the ID token is meant for another app");
  CHECK(refusal_with("nonce", kNonce + "x") == "the ID token belongs to another sign-in");
  CHECK(refusal_with("nonce", kNonce.substr(1) + "x") == "the ID token belongs to another sign-in");
  CHECK(refusal_with("https://slack.com/team_id", "T0OTHER") == "the person belongs to another workspace");
  CHECK(refusal_with("https://slack.com/user_id", "") == "the ID token names no user");
  CHECK(refusal_with("https://slack.com/user_id", "T0RAXX") == "the ID token names no user");
  CHECK(refusal_with("https://slack.com/user_id", "U0ADMIN\n") == "the ID token names no user");
}

TEST_CASE("an ID token that leaves a claim out, or gives it another type, is refused") {
  for (const char* claim :
       {"iss", "aud", "exp", "iat", "nonce", "https://slack.com/team_id", "https://slack.com/user_id"}) {
    CAPTURE(claim);
    CHECK(refusal_without(claim) != "taken");
    for (const json& value : {json(), json(true), json(-1), json(1.5), json::object(), json::array()}) {
      CAPTURE(value);
      CHECK(refusal_with(claim, value) != "taken");
    }
  }
}

TEST_CASE("no nonce of ours is never the nonce of a token") {
  json claims = claims_at(kNow);
  claims["nonce"] = "";
  CHECK_FALSE(read(token_of(claims), ""));
  claims.erase("nonce");
  CHECK_FALSE(read(token_of(claims), ""));
}

TEST_CASE("an audience of several is only ours when we are all of it") {
  const std::string ours = kClient.client_id;
  CHECK(refusal_with("aud", json::array({ours})) == "taken");
  CHECK(refusal_with("aud", json::array({ours, "1.2"})) == "the ID token is meant for another app");
  CHECK(refusal_with("aud", json::array({"1.2"})) == "the ID token is meant for another app");
  CHECK(refusal_with("azp", ours) == "taken");
  CHECK(refusal_with("azp", "1.2") == "the ID token is meant for another app");
}

TEST_CASE("clocks may be five minutes apart, and no more") {
  const auto at = [](storage::Duration offset) { return refusal(token_of(claims_at(kNow + offset))); };
  const std::string not_now = "the ID token was not issued just now (is this machine's clock right?)";
  CHECK(at(5min) == "taken");
  CHECK(at(5min + 1s) == not_now);
  CHECK(at(-5min) == "taken");
  CHECK(at(-5min - 1s) == not_now);
  const std::string expired = "the ID token has expired (is this machine's clock right?)";
  CHECK(refusal_with("exp", seconds(kNow - 5min + 1s)) == "taken");
  CHECK(refusal_with("exp", seconds(kNow - 5min)) == expired);
  // Times that would run over in milliseconds, or turn negative.
  for (const json& far :
       {json(std::numeric_limits<std::int64_t>::max()), json(std::numeric_limits<std::uint64_t>::max()),
        json(std::numeric_limits<std::int64_t>::min())}) {
    CHECK(refusal_with("exp", far) == "the ID token doesn't say from when to when it is good");
    CHECK(refusal_with("iat", far) == "the ID token doesn't say from when to when it is good");
  }
}

TEST_CASE("only a token that says RS256, and asks for nothing that we don't know, is read") {
  const json claims = claims_at(kNow);
  CHECK(refusal(token_of(claims, {{"alg", "none"}})) ==
        "the ID token is not signed the way that Slack signs");
  CHECK(refusal(token_of(claims, {{"alg", "HS256"}})) ==
        "the ID token is not signed the way that Slack signs");
  CHECK(refusal(token_of(claims, {{"typ", "JWT"}})) == "the ID token is not signed the way that Slack signs");
  CHECK(refusal(token_of(claims, {{"alg", "RS256"}, {"crit", {"exp"}}})) ==
        "the ID token asks for something that we don't know");
  CHECK(refusal(token_of(claims, json::array())) == "the ID token's header is not readable");
  CHECK(refusal(token_of(json::array())) == "the ID token's claims are not readable");
}

TEST_CASE("a token is three parts in base64url, and anything else is none") {
  const std::string good = token_of(claims_at(kNow));
  REQUIRE(refusal(good) == "taken");
  const std::string header = good.substr(0, good.find('.'));
  const std::string claims = good.substr(header.size() + 1, good.rfind('.') - header.size() - 1);
  const std::string none = "what came as an ID token is none";
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), header, header + "." + claims,
        header + "." + claims + ".", header + ".." + claims, "." + claims + ".c2ln", good + ".c2ln",
        good + "=", good + "\n", header + "." + claims + "." + std::string(20'000, 'A')}) {
    CAPTURE(token);
    CHECK(refusal(token) == none);
  }
  CHECK(refusal(header + "." + claims + "=.c2ln") == "the ID token's claims are not readable");
  CHECK(refusal("!" + header + "." + claims + ".c2ln") == "the ID token's header is not readable");
}

TEST_CASE("whatever comes as an ID token is refused without an exception") {
  CHECK(rc::check([](const std::string& header, const std::string& claims) {
    RC_ASSERT_FALSE(read(header + "." + claims + ".c2ln"));
    RC_ASSERT_FALSE(read(to_base64url(header) + "." + to_base64url(claims) + ".c2ln"));
  }));
}

namespace {

// One exchange with a Slack that answers by script.
struct Exchange {
  explicit Exchange(std::function<net::Response(const OpenIdClient&)> script)
      : vendor([this, script](const net::ServerRequest&) { return script(client); }),
        client(client_at(vendor.base())),
        openid(vendor.client(), clock, client, storage::share(storage::Secret::copy_of(kSecret)),
               [this](const std::string& method, const std::string& outcome) {
                 outcomes.push_back(method + " " + outcome);
               }) {}

  std::expected<Identity, std::string> run() { return vendor.run(openid.exchange(kCode, kNonce)); }

  // What was thrown; fails the test when nothing was.
  ApiError failure() {
    try {
      const auto identity = run();
      FAIL("nothing was thrown: " << (identity ? "an identity" : identity.error()));
    } catch (const ApiError& error) {
      return error;
    }
    throw std::logic_error("unreachable");
  }

  test::FakeClock clock;
  std::vector<std::string> outcomes;
  test::ScriptedVendor vendor;
  OpenIdClient client;
  OpenId openid;
};

net::Response answer(const json& body, int status = 200, net::Headers headers = {}) {
  return {status, std::move(headers), body.dump()};
}

json tokens(const OpenIdClient& client) {
  return {{"ok", true},
          {"access_token", kAccessToken},
          {"token_type", "Bearer"},
          {"refresh_token", kRefreshToken},
          {"id_token", token_of(claims_at(kNow, client))}};
}

std::function<net::Response(const OpenIdClient&)> error_word(const std::string& word) {
  return [word](const OpenIdClient&) { return answer({{"ok", false}, {"error", word}}); };
}

bool gives_something_away(const std::string& text) {
  return text.find(kCode) != std::string::npos || text.find(kNonce) != std::string::npos ||
         text.find(kSecret) != std::string::npos || text.find("taken-along") != std::string::npos ||
         text.find("e1b9e11dfcd1") != std::string::npos;
}

}  // namespace

TEST_CASE("a code is exchanged in a form, with the secret in the body and nowhere else") {
  Exchange exchange([](const OpenIdClient& client) { return answer(tokens(client)); });
  const auto identity = exchange.run();
  REQUIRE(identity);
  CHECK(identity->user == "U0ADMIN");
  CHECK(identity->team == "T0RAXX");
  REQUIRE(exchange.vendor.seen().size() == 1);
  const auto& seen = exchange.vendor.seen().front();
  CHECK(seen.line == "POST /api/openid.connect.token");
  CHECK(seen.header("Content-Type") == "application/x-www-form-urlencoded");
  CHECK(seen.header("Authorization").empty());
  CHECK(seen.body ==
        "client_id=25259531569.1115258246291&client_secret=sh%2Bh%20%26e1b9e11dfcd1"
        "&code=4724469134.4644010092847.c0dec0dec0de&redirect_uri=https%3A%2F%2Fkeyturn.example.com%2Fform"
        "&grant_type=authorization_code");
  CHECK(exchange.outcomes == std::vector<std::string>{"openid.connect.token ok"});
}

TEST_CASE("an ID token that isn't good is refused, and so is an answer without one, or with two") {
  SECTION("of another issuer") {
    Exchange exchange([](const OpenIdClient&) { return answer(tokens(kClient)); });
    const auto identity = exchange.run();
    REQUIRE_FALSE(identity);
    CHECK(identity.error() == "the ID token was issued by somebody else than Slack");
    CHECK(exchange.outcomes == std::vector<std::string>{"openid.connect.token refused"});
  }
  SECTION("yesterday's") {
    Exchange exchange([](const OpenIdClient& client) { return answer(tokens(client)); });
    exchange.clock.time += 24h;
    CHECK(exchange.run().error() == "the ID token has expired (is this machine's clock right?)");
  }
  SECTION("none") {
    Exchange exchange(
        [](const OpenIdClient&) { return answer({{"ok", true}, {"access_token", kAccessToken}}); });
    CHECK(exchange.run().error() == "Slack's answer holds no ID token");
  }
  SECTION("two") {
    Exchange exchange([](const OpenIdClient& client) {
      json twice = tokens(client);
      twice["more"] = {{"id_token", twice["id_token"]}};
      return answer(twice);
    });
    CHECK(exchange.run().error() == "Slack's answer holds no ID token");
  }
}

TEST_CASE("what Slack says no to is a reason in our words") {
  const std::vector<std::pair<std::string, std::string>> words = {
      {"invalid_code", "Slack says that the code is unknown, used up or too old"},
      {"bad_client_secret", "Slack refused our client id or client secret (bad_client_secret)"},
      {"invalid_client_id", "Slack refused our client id or client secret (invalid_client_id)"},
      {"bad_redirect_uri", "Slack knows another address to come back to (bad_redirect_uri)"},
      {"invalid_grant_type", "Slack did not take the code: invalid_grant_type"},
      {"<b>" + kCode, "Slack did not take the code: an error without a name"}};
  for (const auto& [word, reason] : words) {
    CAPTURE(word);
    Exchange exchange(error_word(word));
    const auto identity = exchange.run();
    REQUIRE_FALSE(identity);
    CHECK(identity.error() == reason);
  }
  Exchange exchange(error_word("invalid_code"));
  CHECK_FALSE(exchange.run());
  CHECK(exchange.outcomes == std::vector<std::string>{"openid.connect.token invalid_code"});
}

TEST_CASE("an ID token beside ok:false, or with a status that is no success, counts for nothing") {
  SECTION("ok:false") {
    Exchange exchange([](const OpenIdClient& client) {
      json body = tokens(client);
      body["ok"] = false;
      return answer(body);
    });
    CHECK(exchange.run().error() == "Slack did not take the code: an error without a name");
  }
  SECTION("no ok at all") {
    Exchange exchange([](const OpenIdClient& client) {
      json body = tokens(client);
      body.erase("ok");
      return answer(body);
    });
    CHECK(exchange.run().error() == "Slack did not take the code: an answer of unknown shape");
  }
  SECTION("status 404") {
    Exchange exchange([](const OpenIdClient& client) { return answer(tokens(client), 404); });
    CHECK(exchange.run().error() == "Slack did not take the code: http 404");
    CHECK(exchange.outcomes == std::vector<std::string>{"openid.connect.token not_understood"});
  }
  SECTION("a proxy's page, and a torn answer") {
    for (const std::string body : {"<html>sign in</html>", R"({"ok":true,"id_token":"eyJ)"}) {
      Exchange exchange([&body](const OpenIdClient&) { return net::Response{200, {}, body}; });
      CHECK(exchange.run().error() == "Slack did not take the code: an answer of unknown shape");
    }
  }
}

TEST_CASE("no answer, a server error and a rate limit are failures, not refusals") {
  SECTION("no answer: the code may be spent") {
    Exchange exchange([](const OpenIdClient&) { return net::Response{test::kReset, {}, ""}; });
    const ApiError error = exchange.failure();
    CHECK(error.failure() == Failure::ambiguous);
    CHECK(error.details().operation == "check a sign-in");
    CHECK(exchange.outcomes == std::vector<std::string>{"openid.connect.token ambiguous"});
  }
  SECTION("a server error") {
    Exchange exchange([](const OpenIdClient& client) { return answer(tokens(client), 502); });
    CHECK(exchange.failure().failure() == Failure::ambiguous);
  }
  SECTION("a rate limit is not waited out while a person waits") {
    Exchange exchange([](const OpenIdClient&) { return answer({}, 429, {{"Retry-After", "7"}}); });
    const ApiError error = exchange.failure();
    CHECK(error.failure() == Failure::busy);
    CHECK(error.details().retry_after == 7s);
  }
  SECTION("nobody listens") {
    test::FakeClock clock;
    Exchange exchange(error_word("unused"));
    OpenId nobody(exchange.vendor.client(), clock, client_at("http://127.0.0.1:1"),
                  storage::share(storage::Secret::copy_of(kSecret)), {});
    CHECK_THROWS_AS(exchange.vendor.run(nobody.exchange(kCode, kNonce)), ApiError);
  }
}

TEST_CASE("no code, token, nonce or secret gets into a reason, an error or an outcome") {
  const std::vector<std::function<net::Response(const OpenIdClient&)>> scripts = {
      error_word("invalid_code"),
      error_word(kCode),
      error_word(kAccessToken + " " + kSecret),
      [](const OpenIdClient&) { return answer(tokens(kClient)); },
      [](const OpenIdClient& client) { return answer(tokens(client), 500); },
      [](const OpenIdClient& client) { return answer(tokens(client), 429); },
      [](const OpenIdClient&) { return net::Response{test::kReset, {}, ""}; },
      [](const OpenIdClient&) { return net::Response{200, {}, kSecret + kCode + kAccessToken}; }};
  for (const auto& script : scripts) {
    Exchange exchange(script);
    std::string said;
    try {
      const auto identity = exchange.run();
      REQUIRE_FALSE(identity);
      said = identity.error();
    } catch (const ApiError& error) {
      said = error.what();
    }
    CHECK_FALSE(said.empty());
    CHECK_FALSE(gives_something_away(said));
    REQUIRE(exchange.outcomes.size() == 1);
    CHECK_FALSE(gives_something_away(exchange.outcomes.front()));
  }
}

}  // namespace keyturn::slack
