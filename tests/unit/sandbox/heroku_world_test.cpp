#include "deploy/sandbox/heroku_world.h"

#include <catch2/catch.hpp>

#include "deploy/sandbox/heroku_answers.h"
#include "tests/unit/sandbox/fixture.h"

using namespace keyturn::sandbox;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* kApp = "raxx-api-prod";

struct HerokuFixture {
  FakeClock clock;
  SandboxTiming timing{.release_pending = 300ms, .dyno_stops = 100ms, .dyno_starts = 1000ms};
  HerokuWorld heroku{clock, timing};
  HerokuApp& app = heroku.add_app(kApp, {{"KEY", "old"}, {"OTHER", "kept"}}, {"web.1", "web.2"});

  Answer call(const std::string& method, const std::string& path, const std::string& body = "",
              keyturn::net::Headers more = {}) {
    keyturn::net::Headers all{{"Authorization", "Bearer " + heroku.token()},
                              {"Accept", "application/vnd.heroku+json; version=3"},
                              {"Host", "127.0.0.1:9"}};
    all.insert(all.end(), more.begin(), more.end());
    return ask(heroku, request(method, "/apps/" + std::string(kApp) + path, std::move(all), body));
  }
  std::string states() {
    std::string text;
    for (const json& row : call("GET", "/dynos").body)
      text += row.at("state").get<std::string>() + " v" +
              std::to_string(row.at("release").at("version").get<int>()) + " ";
    return text;
  }
  std::string log() const {
    std::string text;
    for (const LogEntry& entry : app.log) text += entry.line + "\n";
    return text;
  }
};

}  // namespace

TEST_CASE_METHOD(HerokuFixture, "a config var makes a release, and the dynos follow one after the other") {
  const Answer patched = call("PATCH", "/config-vars", R"({"KEY":"new"})");
  CHECK(patched.status == 200);
  CHECK(patched.body == json{{"KEY", "new"}, {"OTHER", "kept"}});
  const json newest = call("GET", "/releases/42").body;
  CHECK(newest.at("status") == "pending");
  CHECK(newest.at("current") == false);
  CHECK(states() == "up v41 up v41 ");

  clock.pass(300ms);
  CHECK(call("GET", "/releases/42").body.at("status") == "succeeded");
  CHECK(call("GET", "/releases/42").body.at("current") == true);
  CHECK(states() == "up v41 up v41 ");
  clock.pass(100ms);
  CHECK(states() == "starting v42 up v41 ");
  CHECK(heroku.running(kApp, "web")->config.at("KEY") == "old");
  clock.pass(1s);
  CHECK(states() == "up v42 up v41 ");
  clock.pass(100ms);
  CHECK(states() == "up v42 starting v42 ");
  CHECK(heroku.running(kApp, "web")->config.at("KEY") == "new");
  clock.pass(1s);
  CHECK(states() == "up v42 up v42 ");
}

TEST_CASE_METHOD(HerokuFixture, "time that nobody looked at is made up for") {
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  clock.pass(1min);
  CHECK(states() == "up v42 up v42 ");
  CHECK_THAT(log(), Catch::Contains("app[api]: Set KEY config vars by user ") &&
                        Catch::Contains("app[api]: Release v42 created by user ") &&
                        Catch::Contains("heroku[web.2]: State changed from up to starting") &&
                        Catch::Contains("heroku[web.2]: State changed from starting to up") &&
                        !Catch::Contains("new"));
}

TEST_CASE_METHOD(HerokuFixture, "the same value again makes no release") {
  CHECK(call("PATCH", "/config-vars", R"({"KEY":"old"})").status == 200);
  CHECK(app.releases.size() == 1);
}

TEST_CASE_METHOD(HerokuFixture, "a release that fails moves no dyno") {
  heroku.fault({{"kind", "release_fails"}});
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  clock.pass(1min);
  CHECK(call("GET", "/releases/42").body.at("status") == "failed");
  CHECK(call("GET", "/releases/41").body.at("current") == true);
  CHECK(states() == "up v41 up v41 ");
}

TEST_CASE_METHOD(HerokuFixture,
                 "the same code can be released again, with the configuration of a release that failed") {
  heroku.fault({{"kind", "release_fails"}});
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  clock.pass(10s);
  const std::string slug = call("GET", "/releases/41").body.at("slug").at("id");
  const Answer made = call("POST", "/releases", json{{"slug", slug}, {"description", "again"}}.dump());
  CHECK(made.status == 201);
  CHECK(made.body.at("version") == 43);
  clock.pass(10s);
  CHECK(states() == "up v43 up v43 ");
  CHECK(app.dynos.front().config.at("KEY") == "new");
  CHECK(call("POST", "/releases", R"({"slug":"another"})").status == 404);
}

TEST_CASE_METHOD(HerokuFixture, "a dyno may crash, or never come up") {
  heroku.fault({{"kind", "dyno_crashes"}});
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  clock.pass(1min);
  CHECK(states() == "crashed v42 crashed v42 ");
  CHECK(heroku.running(kApp, "web") == nullptr);
  heroku.fault({{"kind", "clear"}});
  heroku.fault({{"kind", "dyno_stuck"}});
  call("PATCH", "/config-vars", R"({"KEY":"newer"})");
  clock.pass(1min);
  CHECK(states() == "starting v43 crashed v42 ");
}

TEST_CASE_METHOD(HerokuFixture, "restarted together, the app is away for a moment") {
  heroku.fault({{"kind", "restart_together"}});
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  clock.pass(450ms);
  CHECK(states() == "starting v42 starting v42 ");
  CHECK(heroku.running(kApp, "web") == nullptr);
}

TEST_CASE_METHOD(HerokuFixture, "a foreign release follows ours when it was ordered") {
  heroku.fault({{"kind", "foreign_release"}, {"app", kApp}});
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  REQUIRE(app.releases.size() == 3);
  CHECK(app.releases[1].user == heroku.email());
  CHECK(app.releases[2].user != heroku.email());
  clock.pass(1min);
  CHECK(states() == "up v43 up v43 ");
}

TEST_CASE_METHOD(HerokuFixture, "a release list obeys its range, with 206 while there is more") {
  call("PATCH", "/config-vars", R"({"KEY":"a"})");
  call("PATCH", "/config-vars", R"({"KEY":"b"})");
  const Answer first = call("GET", "/releases", "", {{"Range", "version ..; order=desc,max=1"}});
  CHECK(first.status == 206);
  REQUIRE(first.body.size() == 1);
  CHECK(first.body.at(0).at("version") == 43);
  CHECK(first.header("Content-Range") == "version 43..43; order=desc,max=1");
  const Answer second = call("GET", "/releases", "", {{"Range", first.header("Next-Range")}});
  CHECK(second.body.at(0).at("version") == 42);
  CHECK(call("GET", "/releases", "", {{"Range", "version ..; max=15, order=desc"}}).status == 200);
  CHECK(call("GET", "/releases", "", {{"Range", "nonsense"}}).status == 416);
  CHECK(call("GET", "/releases").body.at(0).at("version") == 41);
}

TEST_CASE_METHOD(HerokuFixture, "the variables of an old release can be read") {
  call("PATCH", "/config-vars", R"({"KEY":"new"})");
  CHECK(call("GET", "/releases/41/config-vars").body.at("KEY") == "old");
}

TEST_CASE_METHOD(HerokuFixture, "If-Match refuses a change on top of somebody else's") {
  const std::string tag = call("GET", "/config-vars").header("ETag");
  CHECK(call("GET", "/config-vars", "", {{"If-None-Match", tag}}).status == 304);
  heroku.set_config(kApp, "OTHER", "changed", "somebody@raxx.example");
  CHECK(call("PATCH", "/config-vars", R"({"KEY":"new"})", {{"If-Match", tag}}).status == 412);
  CHECK(app.config.at("KEY") == "old");
}

TEST_CASE_METHOD(HerokuFixture, "null removes a variable, and other types are refused whole") {
  CHECK(call("PATCH", "/config-vars", R"({"OTHER":null})").body == json{{"KEY", "old"}});
  CHECK(call("PATCH", "/config-vars", R"({"KEY":"x","N":5})").status == 422);
  CHECK(call("PATCH", "/config-vars", R"({"HEROKU_X":"5"})").status == 422);
  CHECK(call("PATCH", "/config-vars", "KEY=x").status == 400);
  CHECK(app.config.at("KEY") == "old");
}

TEST_CASE_METHOD(HerokuFixture, "callers are refused in Heroku's words") {
  const auto bare = [&](keyturn::net::Headers headers) {
    return ask(heroku, request("GET", "/apps/" + std::string(kApp), std::move(headers)));
  };
  const Answer unknown = bare({{"Authorization", "Bearer wrong"}});
  CHECK(unknown.status == 401);
  CHECK(unknown.body.at("id") == "unauthorized");
  CHECK(bare({{"Authorization", "Bearer " + heroku.token()}, {"Accept", "application/json"}}).status == 406);
  CHECK(ask(heroku, request("GET", "/apps/other",
                            {{"Authorization", "Bearer " + heroku.token()},
                             {"Accept", "application/vnd.heroku+json; version=3.sdk"}}))
            .body.at("message") == "Couldn't find that app.");
  heroku.fault({{"kind", "forbidden"}, {"app", kApp}});
  CHECK(call("GET", "").body.at("message") == "You do not have access to the app raxx-api-prod.");
  heroku.fault({{"kind", "quota"}, {"remaining", 0}});
  CHECK(call("GET", "").status == 429);
}

TEST_CASE_METHOD(HerokuFixture, "every answer says what is left of the quota, and has a request id") {
  const Answer first = call("GET", "");
  const Answer second = call("GET", "");
  CHECK(std::stoi(first.header("RateLimit-Remaining")) ==
        std::stoi(second.header("RateLimit-Remaining")) + 1);
  CHECK_FALSE(first.header("Request-Id").empty());
  CHECK(first.header("Request-Id") != second.header("Request-Id"));
  CHECK(first.body.at("generation").at("name") == "cedar");
}

TEST_CASE_METHOD(HerokuFixture, "a log session answers a URL where the request went") {
  const Answer opened = call("POST", "/log-sessions", R"({"lines":5,"tail":true})");
  CHECK(opened.status == 201);
  CHECK_THAT(opened.body.at("logplex_url").get<std::string>(),
             Catch::StartsWith("http://127.0.0.1:9/sessions/"));
}

TEST_CASE("a range is read whatever the order of its keys") {
  CHECK(read_range("version ..; order=desc,max=1")->limit == 1);
  CHECK(read_range("version ..; max=15, order=desc")->descending);
  CHECK(read_range("version ]41..; order=desc,max=1")->after == 41);
  CHECK(read_range("")->limit == 200);
  CHECK_FALSE(read_range("version ..; max=0"));
  CHECK_FALSE(read_range("version ..; order=sideways"));
  CHECK_FALSE(read_range("colour ..; max=1"));
}
