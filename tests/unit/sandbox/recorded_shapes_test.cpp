// The emulators' answers beside those of the real systems: the same status, the same members, each of the
// same type. Infisical's were recorded from a real server (tests/unit/infisical/samples). Of Heroku's there
// is no recording: they are the examples of its API reference
// (devcenter.heroku.com/articles/platform-api-reference).
#include <catch2/catch.hpp>

#include "deploy/sandbox/heroku_world.h"
#include "deploy/sandbox/infisical_world.h"
#include "tests/unit/infisical/sample.h"
#include "tests/unit/sandbox/fixture.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr const char* kProject = "11111111-2222-4333-8444-555555555555";
constexpr const char* kName = "STRIPE_RESTRICTED_KEY";

// What differs, as "secret.version: number, not string". Null says nothing about a type, and of a list the
// first item stands for all.
void compare(const json& real, const json& ours, const std::string& where, std::vector<std::string>& found) {
  if (real.is_null() || ours.is_null()) return;
  const bool numbers = real.is_number() && ours.is_number();
  if (!numbers && real.type() != ours.type()) {
    found.push_back(where + ": " + real.type_name() + ", not " + ours.type_name());
    return;
  }
  if (real.is_array() && !real.empty() && !ours.empty())
    return compare(real.front(), ours.front(), where + "[]", found);
  if (!real.is_object()) return;
  for (const auto& [name, value] : real.items()) {
    if (!ours.contains(name)) found.push_back(where + "." + name + ": missing");
    if (ours.contains(name)) compare(value, ours.at(name), where + "." + name, found);
  }
  for (const auto& [name, value] : ours.items()) {
    if (!real.contains(name)) found.push_back(where + "." + name + ": the real one has no such member");
  }
}

std::vector<std::string> differences(const json& real, const json& ours) {
  std::vector<std::string> found;
  compare(real, ours, "", found);
  return found;
}

struct Recorded {
  Recorded() {
    infisical.add_environment("prod");
    for (const char* value : {"first", "second", "third"}) infisical.put("prod", kName, value, "seed");
    login = ask(infisical,
                request("POST", "/api/v1/auth/universal-auth/login", {}, credentials(bot.client_secret)));
    token = login.body.value("accessToken", "");
  }
  std::string credentials(const std::string& secret) const {
    return json{{"clientId", bot.client_id}, {"clientSecret", secret}}.dump();
  }
  Answer get(const std::string& path, std::map<std::string, std::string> query) {
    auto made = request("GET", path, {{"Authorization", "Bearer " + token}});
    made.query = std::move(query);
    return ask(infisical, made);
  }
  Answer secret(const std::string& name = kName, std::map<std::string, std::string> more = {}) {
    more.insert({{"projectId", kProject}, {"environment", "prod"}, {"secretPath", "/"}});
    return get("/api/v4/secrets/" + name, more);
  }
  Answer secret_v3() {
    return get(std::string("/api/v3/secrets/raw/") + kName,
               {{"workspaceId", kProject}, {"environment", "prod"}, {"secretPath", "/"}});
  }
  Answer write(const std::string& value) {
    const json body{
        {"projectId", kProject}, {"environment", "prod"}, {"secretPath", "/"}, {"secretValue", value}};
    return ask(infisical, request("PATCH", std::string("/api/v4/secrets/") + kName,
                                  {{"Authorization", "Bearer " + token}}, body.dump()));
  }
  static void check(const std::string& name, const Answer& ours) {
    const net::Response real = test::sample(name);
    INFO(name);
    CHECK(ours.status == real.status);
    CHECK(differences(json::parse(real.body), ours.body) == std::vector<std::string>{});
  }

  FakeClock clock;
  InfisicalWorld infisical{clock, SandboxTiming{}, kProject};
  InfisicalWorld::Identity& bot = infisical.add_identity("keyturn");
  Answer login;
  std::string token;
};

}  // namespace

TEST_CASE("shapes that differ are told apart") {
  const json real{{"a", 1}, {"b", {{"c", "x"}}}, {"d", nullptr}};
  CHECK(differences(real, {{"a", 2}, {"b", {{"c", "y"}}}, {"d", 3}}).empty());
  CHECK(differences(real, {{"a", "2"}, {"b", {{"e", "y"}}}, {"d", 3}}) ==
        std::vector<std::string>{".a: number, not string", ".b.c: missing",
                                 ".b.e: the real one has no such member"});
}

TEST_CASE_METHOD(Recorded, "the emulated Infisical answers as a real one was recorded to") {
  check("login", login);
  check("secret", secret());
  check("secret_version_1", secret(kName, {{"version", "1"}}));
  check("secret_missing", secret("NO_SUCH_SECRET"));
  check("secret_v3", secret_v3());
  check("no_syncs", get("/api/v1/secret-syncs", {{"projectId", kProject}}));
  check("route_missing", get("/api/v9/nowhere", {}));
  check("written", write("fourth"));
}

TEST_CASE_METHOD(Recorded, "and refuses as a real one was recorded to") {
  check("login_refused",
        ask(infisical, request("POST", "/api/v1/auth/universal-auth/login", {}, credentials("wrong"))));
  infisical.fault({{"kind", "read_only"}});
  check("edit_forbidden", write("fourth"));
  infisical.fault({{"kind", "clear"}});
  infisical.fault({{"kind", "hidden_value"}});
  check("secret_hidden", secret());
  infisical.fault({{"kind", "clear"}});
  token = "no token";
  check("token_malformed", secret());
}

TEST_CASE("the emulated Heroku answers in the shapes of its API reference") {
  FakeClock clock;
  HerokuWorld heroku{clock, SandboxTiming{}};
  heroku.add_app("raxx-api-prod", {{"KEY", "old"}}, {"web.1"});
  const auto call = [&](const std::string& method, const std::string& path, const std::string& body = "") {
    return ask(heroku, request(method, "/apps/raxx-api-prod" + path,
                               {{"Authorization", "Bearer " + heroku.token()},
                                {"Accept", "application/vnd.heroku+json; version=3"},
                                {"Host", "127.0.0.1:9"}},
                               body));
  };
  const json id{{"id", "01234567-89ab-cdef-0123-456789abcdef"}, {"name", "example"}};
  const auto check = [](const char* what, const json& real, const Answer& ours, int status) {
    INFO(what);
    CHECK(ours.status == status);
    CHECK(differences(real, ours.body) == std::vector<std::string>{});
  };
  check("config vars", {{"KEY", "value"}}, call("GET", "/config-vars"), 200);
  check("config vars, changed", {{"KEY", "value"}}, call("PATCH", "/config-vars", R"({"KEY":"new"})"), 200);
  check("releases",
        json::array({{{"addon_plan_names", json::array()},
                      {"app", id},
                      {"artifacts", json::array()},
                      {"created_at", "2012-01-01T12:00:00Z"},
                      {"current", true},
                      {"description", "Set X config vars"},
                      {"eligible_for_rollback", true},
                      {"id", id.at("id")},
                      {"output_stream_url", nullptr},
                      {"slug", nullptr},
                      {"status", "succeeded"},
                      {"updated_at", "2012-01-01T12:00:00Z"},
                      {"user", {{"email", "username@example.com"}, {"id", id.at("id")}}},
                      {"version", 11}}}),
        call("GET", "/releases"), 200);
  check("dynos",
        json::array({{{"attach_url", nullptr},
                      {"command", "bundle exec puma"},
                      {"created_at", "2012-01-01T12:00:00Z"},
                      {"id", id.at("id")},
                      {"name", "web.1"},
                      {"release", {{"id", id.at("id")}, {"version", 42}}},
                      {"app", id},
                      {"size", "Basic"},
                      {"state", "up"},
                      {"type", "web"},
                      {"updated_at", "2012-01-01T12:00:00Z"}}}),
        call("GET", "/dynos"), 200);
  check("log session",
        {{"created_at", "2012-01-01T12:00:00Z"},
         {"id", id.at("id")},
         {"logplex_url", "https://logplex.heroku.com/sessions/01234567"},
         {"updated_at", "2012-01-01T12:00:00Z"}},
        call("POST", "/log-sessions", R"({"tail":true})"), 201);
}

}  // namespace keyturn::sandbox
