// The emulated Slack's "Sign in with Slack", without any network.
#include "deploy/sandbox/slack_openid.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <memory>

#include "deploy/sandbox/slack_world.h"
#include "integrations/net/url.h"
#include "storage/base64url.h"
#include "tests/unit/sandbox/fixture.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Query = std::map<std::string, std::string>;

const std::string kBack = "http://127.0.0.1:4100/form";

std::string decoded(std::string_view text) { return storage::from_base64url(text).value(); }

// The claims of a token, when its signature is that key's (of a JSON Web Key Set).
json verified(const std::string& token, const json& keys) {
  const auto freed = [](auto* thing, auto free) {
    return std::unique_ptr<std::remove_pointer_t<decltype(thing)>, decltype(free)>(thing, free);
  };
  const auto number = [&](const char* name) {
    const std::string bytes = decoded(keys.at("keys").at(0).at(name).get<std::string>());
    return freed(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                           static_cast<int>(bytes.size()), nullptr),
                 &BN_free);
  };
  const auto n = number("n");
  const auto e = number("e");
  const auto builder = freed(OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free);
  REQUIRE(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1);
  REQUIRE(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1);
  const auto parameters = freed(OSSL_PARAM_BLD_to_param(builder.get()), &OSSL_PARAM_free);
  const auto maker = freed(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY* raw = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(maker.get()) == 1);
  REQUIRE(EVP_PKEY_fromdata(maker.get(), &raw, EVP_PKEY_PUBLIC_KEY, parameters.get()) == 1);
  const auto key = freed(raw, &EVP_PKEY_free);

  const auto second = token.find('.');
  const auto third = token.rfind('.');
  const std::string signed_text = token.substr(0, third);
  const std::string signature = decoded(token.substr(third + 1));
  const json header = json::parse(decoded(token.substr(0, second)));
  CHECK(header.at("alg") == "RS256");
  CHECK(header.at("kid") == keys.at("keys").at(0).at("kid"));
  const auto context = freed(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  REQUIRE(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1);
  REQUIRE(EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                           signature.size(), reinterpret_cast<const unsigned char*>(signed_text.data()),
                           signed_text.size()) == 1);
  return json::parse(decoded(token.substr(second + 1, third - second - 1)));
}

struct Slack {
  Slack() {
    world.connect("127.0.0.1:4001");
    world.allow_redirect(kBack);
  }

  net::Response get(const std::string& path, const Query& query = {}) {
    net::ServerRequest made = request("GET", path);
    made.query = query;
    return world.answer(made);
  }

  static Query asked(Query more = {}) {
    more.merge(Query{{"response_type", "code"},
                     {"scope", "openid"},
                     {"client_id", kClientId},
                     {"state", "st&te"},
                     {"team", "T0RAXX"},
                     {"nonce", "n0nce"},
                     {"redirect_uri", kBack}});
    return more;
  }
  net::Response authorize(Query more = {}) {
    return get("/openid/connect/authorize", asked(std::move(more)));
  }

  std::string code_for(const std::string& user) {
    const std::string location = authorize({{"as", user}}).header("Location");
    REQUIRE(location.starts_with(kBack + "?code="));
    const auto start = kBack.size() + std::string("?code=").size();
    return net::percent_decode(location.substr(start, location.find('&') - start));
  }

  using Fields = std::vector<std::pair<std::string, std::string>>;
  json exchange(const Fields& fields, net::Headers headers = {}) {
    headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    return ask(world, request("POST", "/api/openid.connect.token", headers, net::form_encode(fields))).body;
  }
  Fields fields(const std::string& code) {
    return {{"client_id", kClientId},
            {"client_secret", world.client_secret()},
            {"code", code},
            {"redirect_uri", kBack},
            {"grant_type", "authorization_code"}};
  }
  // The same with one of them changed; an empty value leaves it out.
  Fields fields(const std::string& code, const std::string& name, const std::string& value) {
    Fields changed = fields(code);
    std::erase_if(changed, [&](const auto& field) { return field.first == name; });
    if (!value.empty()) changed.emplace_back(name, value);
    return changed;
  }
  json keys() { return json::parse(get("/openid/connect/keys").body); }

  boost::asio::io_context io;
  FakeClock clock;
  SlackWorld world{io.get_executor(), clock};
};

}  // namespace

TEST_CASE("the sign-in page offers everybody who could sign in, as buttons of a form") {
  Slack slack;
  const net::Response page = slack.authorize();
  CHECK(page.status == 200);
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(page.body.find("<html lang=\"en\">") != std::string::npos);
  for (const char* user : {"U0ADMIN", "U0GRACE", "U0MEMBER", "U0GUEST"}) {
    CHECK(page.body.find(std::string("<button name=\"as\" value=\"") + user + "\">") != std::string::npos);
  }
  for (const char* user : {"U0GONE", "U0STRANGER", "U0KEYTURN"}) {
    CHECK(page.body.find(user) == std::string::npos);
  }
  CHECK(page.body.find("name=\"state\" value=\"st&amp;te\"") != std::string::npos);
  CHECK(page.body.find("error=access_denied&amp;state=st%26te") != std::string::npos);
}

TEST_CASE("what the app sent never becomes markup") {
  Slack slack;
  const net::Response page = slack.authorize({{"state", "\"><script>x</script>"}});
  CHECK(page.status == 200);
  CHECK(page.body.find("value=\"&quot;&gt;&lt;script&gt;x&lt;/script&gt;\">") != std::string::npos);
}

TEST_CASE("whoever was chosen goes back with a code and the state") {
  Slack slack;
  const net::Response back = slack.authorize({{"as", "U0ADMIN"}});
  CHECK(back.status == 302);
  const std::string location = back.header("Location");
  CHECK(location.starts_with(kBack + "?code="));
  CHECK(location.ends_with("&state=st%26te"));
  CHECK(slack.authorize({{"as", "U0ADMIN"}}).header("Location") != location);
}

TEST_CASE("a sign-in that the app asked for wrongly goes nowhere") {
  Slack slack;
  const std::vector<std::pair<Query, std::string>> wrong = {
      {{{"client_id", "1.2"}}, "invalid_client_id"},
      {{{"redirect_uri", "http://127.0.0.1:4100/formless"}}, "bad_redirect_uri"},
      {{{"redirect_uri", "http://evil.example/form"}}, "bad_redirect_uri"},
      {{{"response_type", "token"}}, "invalid_response_type"},
      {{{"scope", "profile"}}, "invalid_scope"},
      {{{"scope", "openid chat:write"}}, "invalid_scope"},
      {{{"as", "U0GONE"}}, "user_not_found"},
      {{{"as", "U0KEYTURN"}}, "user_not_found"},
      {{{"as", "U0NOBODY"}}, "user_not_found"}};
  for (Query query : {Query{}, Query{{"as", "U0ADMIN"}}}) {
    for (const auto& [more, error] : wrong) {
      CAPTURE(error);
      Query asked = more;
      asked.merge(Query(query));
      const net::Response page = slack.authorize(asked);
      CHECK(page.status == 400);
      CHECK(page.header("Location").empty());
      CHECK(page.body.find("<code>" + error + "</code>") != std::string::npos);
    }
  }
  CHECK(slack.authorize({{"scope", "openid profile email"}}).status == 200);
  CHECK(slack.authorize({{"redirect_uri", kBack + "/below"}}).status == 200);
  CHECK(slack.world.answer(request("POST", "/openid/connect/authorize")).status == 405);
}

TEST_CASE("a code is exchanged for a signed ID token with what Slack says of a person") {
  Slack slack;
  const json answer = slack.exchange(slack.fields(slack.code_for("U0ADMIN")));
  REQUIRE(answer.at("ok") == true);
  CHECK(answer.at("token_type") == "Bearer");
  CHECK(answer.at("access_token").get<std::string>().starts_with("xoxp-"));
  const json claims = verified(answer.at("id_token"), slack.keys());
  const std::int64_t now = slack.clock.now().time_since_epoch().count() / 1000;
  CHECK(claims == json{{"iss", "http://127.0.0.1:4001"},
                       {"sub", "U0ADMIN"},
                       {"aud", kClientId},
                       {"exp", now + 300},
                       {"iat", now},
                       {"auth_time", now},
                       {"nonce", "n0nce"},
                       {"at_hash", access_token_hash(answer.at("access_token").get<std::string>())},
                       {"https://slack.com/team_id", "T0RAXX"},
                       {"https://slack.com/user_id", "U0ADMIN"}});
}

TEST_CASE("the hash of an access token is the one of the standard's example") {
  // OpenID Connect Core 1.0, A.3: this access token, and the at_hash in the ID token beside it.
  CHECK(access_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ");
}

TEST_CASE("a stranger's ID token says that they belong to another workspace") {
  Slack slack;
  const json answer = slack.exchange(slack.fields(slack.code_for("U0STRANGER")));
  CHECK(verified(answer.at("id_token"), slack.keys()).at("https://slack.com/team_id") == "T0OTHER");
}

TEST_CASE("a code is good once, for ten minutes, at the address that it was asked for") {
  Slack slack;
  const std::string code = slack.code_for("U0ADMIN");
  SECTION("once") {
    CHECK(slack.exchange(slack.fields(code)).at("ok") == true);
    CHECK(slack.exchange(slack.fields(code)).at("error") == "invalid_code");
  }
  SECTION("just in time") {
    slack.clock.pass(10min - 1ms);
    CHECK(slack.exchange(slack.fields(code)).at("ok") == true);
  }
  SECTION("too late") {
    slack.clock.pass(10min);
    CHECK(slack.exchange(slack.fields(code)).at("error") == "invalid_code");
  }
  SECTION("elsewhere, which spends it") {
    CHECK(slack.exchange(slack.fields(code, "redirect_uri", kBack + "/x")).at("error") == "bad_redirect_uri");
    CHECK(slack.exchange(slack.fields(code)).at("error") == "invalid_code");
  }
  SECTION("without the address that was sent before") {
    CHECK(slack.exchange(slack.fields(code, "redirect_uri", "")).at("error") == "bad_redirect_uri");
  }
}

TEST_CASE("the app's id and secret are asked for before the code, and a wrong one spends nothing") {
  Slack slack;
  const std::string code = slack.code_for("U0ADMIN");
  CHECK(slack.exchange(slack.fields(code, "client_id", "1.2")).at("error") == "invalid_client_id");
  CHECK(slack.exchange(slack.fields(code, "client_id", "")).at("error") == "invalid_client_id");
  CHECK(slack.exchange(slack.fields(code, "client_secret", "wrong")).at("error") == "bad_client_secret");
  CHECK(slack.exchange(slack.fields(code, "client_secret", "")).at("error") == "bad_client_secret");
  CHECK(slack.exchange(slack.fields(code, "grant_type", "password")).at("error") == "invalid_grant_type");
  CHECK(slack.exchange(slack.fields("unknown")).at("error") == "invalid_code");
  CHECK(slack.exchange(slack.fields(code)).at("ok") == true);
}

TEST_CASE("the secret may come in a header, and everything as JSON") {
  Slack slack;
  SECTION("client_secret_basic") {
    // Standard base64, padded, as clients send it.
    std::string basic =
        storage::to_base64url(net::percent_encode(kClientId) + ":" + slack.world.client_secret());
    basic.append((4 - basic.size() % 4) % 4, '=');
    const Slack::Fields fields = {{"code", slack.code_for("U0ADMIN")}, {"redirect_uri", kBack}};
    CHECK(slack.exchange(fields, {{"Authorization", "Basic !"}}).at("error") == "invalid_client_id");
    CHECK(slack.exchange(fields, {{"Authorization", "Basic " + basic}}).at("ok") == true);
  }
  SECTION("JSON") {
    json body = json::object();
    for (const auto& [name, value] : slack.fields(slack.code_for("U0ADMIN"))) body[name] = value;
    const auto answer = ask(slack.world, request("POST", "/api/openid.connect.token",
                                                 {{"Content-Type", "application/json"}}, body.dump()));
    CHECK(answer.body.at("ok") == true);
  }
}

TEST_CASE("an error can be ordered for the exchange as for any method") {
  Slack slack;
  slack.world.fault({{"kind", "error"}, {"method", "openid.connect.token"}, {"error", "invalid_code"}});
  const std::string code = slack.code_for("U0ADMIN");
  CHECK(slack.exchange(slack.fields(code)).at("error") == "invalid_code");
  CHECK(slack.exchange(slack.fields(code)).at("ok") == true);
}

TEST_CASE("the configuration names the places that are there") {
  Slack slack;
  const json configuration = json::parse(slack.get("/.well-known/openid-configuration").body);
  CHECK(configuration.at("issuer") == "http://127.0.0.1:4001");
  CHECK(configuration.at("authorization_endpoint") == "http://127.0.0.1:4001/openid/connect/authorize");
  CHECK(configuration.at("token_endpoint") == "http://127.0.0.1:4001/api/openid.connect.token");
  CHECK(configuration.at("jwks_uri") == "http://127.0.0.1:4001/openid/connect/keys");
}

}  // namespace keyturn::sandbox
