#include "deploy/sandbox/infisical_world.h"

#include <catch2/catch.hpp>

#include "tests/unit/sandbox/fixture.h"

using namespace keyturn::sandbox;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* kProject = "11111111-2222-4333-8444-555555555555";
constexpr const char* kName = "STRIPE_RESTRICTED_KEY";

struct InfisicalFixture {
  FakeClock clock;
  InfisicalWorld infisical{clock, SandboxTiming{}, kProject};
  InfisicalWorld::Identity& bot = infisical.add_identity("keyturn");
  std::string token;

  InfisicalFixture() {
    infisical.add_environment("prod");
    infisical.put("prod", kName, "first", "seed");
    infisical.put("prod", kName, "second");
    infisical.put("prod", kName, "third", "rotated");
    token = log_in(bot.client_secret).body.at("accessToken");
  }

  Answer log_in(const std::string& secret) {
    return ask(infisical, request("POST", "/api/v1/auth/universal-auth/login", {},
                                  json{{"clientId", bot.client_id}, {"clientSecret", secret}}.dump()));
  }
  Answer get(const std::map<std::string, std::string>& more = {}, const std::string& name = kName,
             bool v3 = false) {
    auto made = request("GET", (v3 ? "/api/v3/secrets/raw/" : "/api/v4/secrets/") + name,
                        {{"Authorization", "Bearer " + token}});
    made.query = {{v3 ? "workspaceId" : "projectId", kProject}, {"environment", "prod"}, {"secretPath", "/"}};
    for (const auto& [key, value] : more) made.query[key] = value;
    return ask(infisical, made);
  }
  Answer send(const std::string& method, json body, const std::string& name = kName) {
    body.update({{"projectId", kProject}, {"environment", "prod"}});
    return ask(infisical, request(method, "/api/v4/secrets/" + name, {{"Authorization", "Bearer " + token}},
                                  body.dump()));
  }
};

}  // namespace

TEST_CASE_METHOD(InfisicalFixture, "the newest version is read, with what only the newest one says") {
  const Answer answer = get();
  REQUIRE(answer.status == 200);
  const json& secret = answer.body.at("secret");
  CHECK(secret.at("secretValue") == "third");
  CHECK(secret.at("version") == 3);
  CHECK(secret.at("isRotatedSecret") == false);
  CHECK(secret.at("secretValueHidden") == false);
  CHECK(secret.at("workspace") == kProject);
  CHECK(secret.contains("tags"));
}

TEST_CASE_METHOD(InfisicalFixture,
                 "an old version is read by number, and a missing one sounds like a missing secret") {
  const Answer first = get({{"version", "1"}});
  REQUIRE(first.status == 200);
  CHECK(first.body.at("secret").at("secretValue") == "first");
  CHECK(first.body.at("secret").at("version") == 1);
  CHECK_FALSE(first.body.at("secret").contains("tags"));
  const Answer missing = get({{"version", "99"}});
  CHECK(missing.status == 404);
  CHECK(missing.body.at("message") == "Secret with name 'STRIPE_RESTRICTED_KEY' not found");
  CHECK(missing.body.at("error") == "NotFound");
  CHECK(missing.body.contains("reqId"));
}

TEST_CASE_METHOD(InfisicalFixture, "v3 raw answers the same as v4") {
  CHECK(get({}, kName, /*v3=*/true).body == get().body);
  CHECK(get({{"version", "2"}}, kName, /*v3=*/true).body == get({{"version", "2"}}).body);
}

TEST_CASE_METHOD(InfisicalFixture, "an old server has no route for v4, and says so without a request id") {
  infisical.fault({{"kind", "v3_only"}, {"on", true}});
  const Answer answer = get();
  CHECK(answer.status == 404);
  CHECK_FALSE(answer.body.contains("reqId"));
  CHECK(answer.body.at("error") == "Not Found");
  CHECK(get({}, kName, /*v3=*/true).status == 200);
}

TEST_CASE_METHOD(InfisicalFixture,
                 "a write makes a version, even of the same value, and its answer only echoes") {
  const Answer written = send("PATCH", {{"secretValue", "third"}});
  REQUIRE(written.status == 200);
  CHECK(written.body.at("secret").at("version") == 4);
  CHECK(written.body.at("secret").at("secretComment") == "");  // though "rotated" is kept
  CHECK(get().body.at("secret").at("secretComment") == "rotated");
  const Answer comment = send("PATCH", {{"secretComment", "only"}});
  CHECK(comment.body.at("secret").at("secretValue") == "");
  CHECK(get().body.at("secret").at("secretValue") == "third");
  CHECK(get().body.at("secret").at("version") == 5);
}

TEST_CASE_METHOD(InfisicalFixture, "values are trimmed, and keep at most one newline at the end") {
  send("PATCH", {{"secretValue", "  padded \t"}});
  CHECK(get().body.at("secret").at("secretValue") == "padded");
  send("PATCH", {{"secretValue", "  key \n\n"}});
  CHECK(get().body.at("secret").at("secretValue") == "key\n");
}

TEST_CASE_METHOD(InfisicalFixture, "references are expanded unless the raw text is asked for") {
  infisical.put("prod", "ALIAS", "<${STRIPE_RESTRICTED_KEY}>");
  CHECK(get({}, "ALIAS").body.at("secret").at("secretValue") == "<third>");
  CHECK(get({{"expandSecretReferences", "false"}}, "ALIAS").body.at("secret").at("secretValue") ==
        "<${STRIPE_RESTRICTED_KEY}>");
}

TEST_CASE_METHOD(InfisicalFixture, "a deleted namesake answers for the living secret's early versions") {
  infisical.remove("prod", kName);
  CHECK(get().status == 404);
  CHECK(get({{"version", "2"}}).status == 200);
  infisical.put("prod", kName, "second life");
  const json living = get().body.at("secret");
  const json versioned = get({{"version", "1"}}).body.at("secret");
  CHECK(living.at("version") == 1);
  CHECK(versioned.at("secretValue") == "first");
  CHECK(versioned.at("id") != living.at("id"));
}

TEST_CASE_METHOD(InfisicalFixture,
                 "a policy turns a write into a change request: 200, and nothing has changed") {
  infisical.fault({{"kind", "approval_policy"}, {"environment", "prod"}});
  const Answer answer = send("PATCH", {{"secretValue", "fourth"}});
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.body.contains("secret"));
  CHECK(answer.body.at("approval").at("status") == "open");
  CHECK_FALSE(answer.body.at("approval").at("slug").get<std::string>().empty());
  CHECK(get().body.at("secret").at("version") == 3);
}

TEST_CASE_METHOD(InfisicalFixture,
                 "hidden values, read-only identities and rotated secrets are said in Infisical's way") {
  infisical.fault({{"kind", "hidden_value"}});
  CHECK(get().body.at("secret").at("secretValue") == "<hidden-by-infisical>");
  CHECK(get().body.at("secret").at("secretValueHidden") == true);
  infisical.fault({{"kind", "rotated_secret"}, {"name", kName}, {"environment", "prod"}});
  CHECK(send("PATCH", {{"secretValue", "x"}}).status == 400);
  infisical.fault({{"kind", "clear"}});
  bot.read_only = true;
  const Answer refused = send("PATCH", {{"secretValue", "x"}});
  CHECK(refused.status == 403);
  CHECK(refused.body.at("error") == "PermissionDenied");
  CHECK(refused.body.at("message") == "You are not allowed to edit on secrets");
}

TEST_CASE_METHOD(InfisicalFixture, "three wrong secrets lock the right one out for five minutes") {
  for (int i = 0; i < 3; ++i) CHECK(log_in("wrong").body.at("message") == "Invalid credentials");
  const Answer locked = log_in(bot.client_secret);
  CHECK(locked.status == 401);
  CHECK(locked.body.at("message") ==
        "This identity auth method is temporarily locked, please try again later");
  clock.pass(5min);
  CHECK(log_in(bot.client_secret).status == 200);
}

TEST_CASE_METHOD(InfisicalFixture, "wrong secrets far apart don't lock") {
  for (int i = 0; i < 6; ++i) {
    log_in("wrong");
    clock.pass(31s);
  }
  CHECK(log_in(bot.client_secret).status == 200);
}

TEST_CASE_METHOD(InfisicalFixture,
                 "a token is missing, malformed, expired or revoked, each in its own words") {
  const std::string good = token;
  token = "garbage";
  CHECK(get().status == 403);
  CHECK(get().body.at("error") == "TokenError");
  token = good;
  clock.pass(1h);
  CHECK(get().status == 403);
  CHECK(get().body.at("message") == "Your token has expired. Please re-authenticate.");
  token = log_in(bot.client_secret).body.at("accessToken");
  const auto revoke = request("POST", "/api/v1/auth/token/revoke", {}, json{{"accessToken", token}}.dump());
  CHECK(ask(infisical, revoke).status == 200);
  CHECK(get().status == 401);
  CHECK(get().body.at("message") == "Failed to authorize: token has been revoked");
  const Answer missing = ask(infisical, request("GET", std::string("/api/v4/secrets/") + kName));
  CHECK(missing.status == 401);
  CHECK(missing.body.at("message") == "Token missing");
}

TEST_CASE_METHOD(InfisicalFixture, "a renewed token lives no longer than the first one could have") {
  const auto renew = [&] {
    const Answer answer =
        ask(infisical, request("POST", "/api/v1/auth/token/renew", {}, json{{"accessToken", token}}.dump()));
    if (answer.status == 200) token = answer.body.at("accessToken");
    return answer;
  };
  clock.pass(59min);
  CHECK(renew().body.at("expiresIn") == 3600);
  clock.pass(31min);
  CHECK(renew().body.at("expiresIn") == 1800);
  clock.pass(30min);
  CHECK(renew().status == 403);  // expired
}

TEST_CASE_METHOD(InfisicalFixture,
                 "what is missing in a request is listed, and wrong addresses are told apart") {
  const Answer empty = ask(infisical, request("POST", "/api/v1/auth/universal-auth/login", {},
                                              json{{"clientId", bot.client_id}}.dump()));
  CHECK(empty.status == 422);
  CHECK(empty.body.at("message").at(0).at("path") == json::array({"clientSecret"}));
  CHECK(empty.body.at("error") == "ValidationFailure");
  const Answer wrong = send("PATCH", {{"secretValue", 5}});
  CHECK(wrong.status == 422);
  CHECK(wrong.body.at("message").at(0).at("message") == "Expected string, received number");
  CHECK(get({{"environment", "nope"}}).body.at("message") ==
        "Folder with path '/' in environment with slug 'nope' not found");
  CHECK(get({{"projectId", "other"}}).status == 404);
  bot.member = false;
  CHECK(get().body.at("error") == "ProjectMembershipNotFound");
}

TEST_CASE_METHOD(InfisicalFixture, "an identity may not list a secret's history") {
  const Answer answer = ask(infisical, request("GET", "/api/v1/secret/some-id/secret-versions",
                                               {{"Authorization", "Bearer " + token}}));
  CHECK(answer.status == 403);
  CHECK_THAT(answer.body.at("error").get<std::string>(),
             Catch::StartsWith("Forbidden access to /api/v1/secret/"));
}

TEST_CASE_METHOD(InfisicalFixture, "a secret can be made once, and only an existing one updated") {
  CHECK(send("POST", {{"secretValue", "x"}}).body.at("message") == "Secret already exists");
  CHECK(send("POST", {{"secretValue", "x"}}, "OTHER").body.at("secret").at("version") == 1);
  CHECK(send("POST", json::object(), "THIRD").status == 422);
  CHECK(send("PATCH", {{"secretValue", "x"}}, "NOPE").body.at("message") ==
        "Secret with name NOPE not found");
}

TEST_CASE_METHOD(InfisicalFixture, "secret syncs are listed once there are some") {
  auto made = request("GET", "/api/v1/secret-syncs", {{"Authorization", "Bearer " + token}});
  made.query["projectId"] = kProject;
  CHECK(ask(infisical, made).body == json{{"secretSyncs", json::array()}});
  infisical.fault({{"kind", "heroku_sync"}, {"app", "raxx-api-prod"}, {"environment", "prod"}});
  const json row = ask(infisical, made).body.at("secretSyncs").at(0);
  CHECK(row.at("destination") == "heroku");
  CHECK(row.at("isAutoSyncEnabled") == true);
  CHECK(row.at("environment").at("slug") == "prod");
  CHECK(row.at("syncStatus") == "succeeded");
  CHECK(row.at("syncOptions").at("disableSecretDeletion") == true);
  CHECK(row.at("destinationConfig").at("appName") == "raxx-api-prod");
}

TEST_CASE("a sync runs once the writes have been quiet, and is running until its last try") {
  FakeClock clock;
  const SandboxTiming timing;
  SecretSync sync(json{{"kind", "heroku_sync"}, {"app", "a"}, {"environment", "prod"}}, 3, clock.now());
  const auto field = [&](const char* name) { return sync.row(kProject).at(name); };
  const json first_run = field("lastSyncJobId");
  const json first_time = field("lastSyncedAt");
  CHECK_FALSE(sync.due(3, clock.now(), timing));  // what was there counts as copied
  CHECK_FALSE(sync.due(4, clock.now(), timing));
  CHECK(field("syncStatus") == "succeeded");  // the old one still
  clock.pass(timing.sync_debounce - 1ms);
  CHECK_FALSE(sync.due(5, clock.now(), timing));  // another write: the wait begins anew
  clock.pass(timing.sync_debounce);
  CHECK_FALSE(sync.due(5, clock.now(), timing));
  CHECK(field("syncStatus") == "pending");
  clock.pass(timing.sync_queue);
  for (int tries = 1; tries <= 5; ++tries) {
    REQUIRE(sync.due(5, clock.now(), timing));
    CHECK(field("syncStatus") == "running");
    CHECK(field("lastSyncJobId") == first_run);
    sync.tried(/*worked=*/false, clock.now(), timing);
    CHECK_FALSE(sync.due(5, clock.now(), timing));
    clock.pass(timing.sync_retry * 8);
  }
  CHECK(field("syncStatus") == "failed");
  CHECK(field("lastSyncJobId") != first_run);
  CHECK(field("lastSyncedAt") == first_time);
  CHECK_FALSE(field("lastSyncMessage").is_null());
  sync.trigger(clock.now());
  CHECK(field("syncStatus") == "pending");
  REQUIRE(sync.due(5, clock.now(), timing));
  sync.tried(/*worked=*/true, clock.now(), timing);
  CHECK(field("syncStatus") == "succeeded");
  CHECK(field("lastSyncedAt") != first_time);
  CHECK(field("lastSyncMessage").is_null());
}

TEST_CASE("a sync sets every secret under its schema, and removes only what is the schema's") {
  FakeClock clock;
  const std::map<std::string, std::string> secrets{{"KEY", "k"}};
  const std::map<std::string, std::string> config{{"KEY", "old"}, {"OTHER", "o"}, {"prod_GONE", "g"}};
  const auto change = [&](json knob) {
    knob.update({{"app", "a"}, {"environment", "prod"}});
    return SecretSync(knob, 0, clock.now()).change(secrets, config);
  };
  using Changes = std::map<std::string, std::optional<std::string>>;
  CHECK(change(json::object()) == Changes{{"KEY", "k"}});
  CHECK(change({{"deletes", true}}) ==
        Changes{{"KEY", "k"}, {"OTHER", std::nullopt}, {"prod_GONE", std::nullopt}});
  CHECK(change({{"deletes", true}, {"key_schema", "{{environment}}_{{secretKey}}"}}) ==
        Changes{{"prod_KEY", "k"}, {"prod_GONE", std::nullopt}});
}
