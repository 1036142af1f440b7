// The calls to Heroku over a real socket: headers, ranges, torn answers, and the log that is followed.
#include "integrations/heroku/heroku.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/scripted_vendor.h"

using namespace keyturn;
using heroku::Heroku;
using integrations::ApiError;
using integrations::Failure;
using integrations::LogEnded;
using integrations::LogLine;
using net::Response;
using net::ServerRequest;

namespace {

struct Platform {
  explicit Platform(test::ScriptedVendor::Script script) : vendor(std::move(script)) {}

  std::vector<std::string> observed;
  test::ScriptedVendor vendor;
  Heroku client{vendor.client(), vendor.base(), storage::share(storage::Secret::copy_of("our-token")),
                [this](const std::string& operation, const std::string& outcome) {
                  observed.push_back(operation + ": " + outcome);
                }};

  Failure failed_change(const std::string& value) {
    try {
      vendor.run(client.set_config("raxx-api-prod", "KEY", storage::share(storage::Secret::copy_of(value))));
    } catch (const ApiError& error) {
      return error.failure();
    }
    FAIL("nothing was thrown");
    return Failure::refused;
  }
};

// A log session whose URL is on the same server, and the stream behind it.
Response log_script(const ServerRequest& request, const std::string& type, const std::string& stream) {
  if (request.path == "/session") return {200, {{"Content-Type", type}}, stream};
  return {201, {}, R"({"logplex_url":"http://)" + request.header("Host") + R"(/session?srv=1"})"};
}

std::vector<std::string> follow(Platform& platform) {
  auto log = platform.vendor.run(platform.client.follow_log("raxx-api-prod", 100));
  std::vector<std::string> texts;
  while (true) {
    const auto next = platform.vendor.run(log->next(std::chrono::seconds(5)));
    if (std::holds_alternative<LogEnded>(next)) return texts;
    texts.push_back(std::get<LogLine>(next).text);
  }
}

}  // namespace

TEST_CASE("every call says which version of the API it speaks, and carries the token") {
  Platform platform([](const ServerRequest&) { return Response(200, {}, R"({"name":"raxx-api-prod"})"); });
  CHECK(platform.vendor.run(platform.client.info("raxx-api-prod")).name == "raxx-api-prod");
  const auto& sent = platform.vendor.seen().front();
  CHECK(sent.line == "GET /apps/raxx-api-prod");
  CHECK(sent.header("Accept") == "application/vnd.heroku+json; version=3");
  CHECK(sent.header("Authorization") == "Bearer our-token");
  CHECK(platform.observed == std::vector<std::string>{"look at the app: ok"});
}

TEST_CASE("one variable is set by a patch of that one alone") {
  Platform platform([](const ServerRequest&) {
    return Response(200, {{"Request-Id", "r-1"}}, R"({"KEY":"new","A":"b"})");
  });
  const auto value = storage::share(storage::Secret::copy_of("new"));
  CHECK(platform.vendor.run(platform.client.set_config("raxx-api-prod", "KEY", value)) == "r-1");
  const auto& sent = platform.vendor.seen().front();
  CHECK(sent.line == "PATCH /apps/raxx-api-prod/config-vars");
  CHECK(sent.body == R"({"KEY":"new"})");
  CHECK(sent.header("Content-Type") == "application/json");
}

TEST_CASE("a change that was sent and never answered is ambiguous") {
  Platform platform([](const ServerRequest&) { return Response(test::kReset, {}, ""); });
  CHECK(platform.failed_change("new") == Failure::ambiguous);
  CHECK(platform.vendor.seen().size() == 1);
  CHECK(platform.observed == std::vector<std::string>{"set the config var: ambiguous"});
}

TEST_CASE("code is released again by its slug, and only a 201 with a release in it is one") {
  Platform platform([](const ServerRequest& request) {
    const bool good = request.body.find("code-1") != std::string::npos;
    return Response(good ? 201 : 200, {},
                    R"({"id":"r-43","version":43,"status":"pending","slug":{"id":"code-1"}})");
  });
  const auto made = platform.vendor.run(platform.client.release_again("raxx-api-prod", "code-1"));
  CHECK(made.version == 43);
  CHECK(made.slug == "code-1");
  CHECK(platform.vendor.seen().front().line == "POST /apps/raxx-api-prod/releases");
  CHECK_THROWS_AS(platform.vendor.run(platform.client.release_again("raxx-api-prod", "code-2")), ApiError);
}

TEST_CASE("an empty value is never set, because it would stop the app") {
  Platform platform([](const ServerRequest&) { return Response(200, {}, "{}"); });
  CHECK(platform.failed_change("") == Failure::refused);
  CHECK(platform.vendor.seen().empty());
}

TEST_CASE("the newest releases are asked for as a range, and a 206 is an answer") {
  Platform platform([](const ServerRequest&) {
    return Response(206, {{"Next-Range", "version ]41..; order=desc,max=1"}},
                    R"([{"id":"a","version":42,"status":"pending","current":false}])");
  });
  const auto releases = platform.vendor.run(platform.client.releases("raxx-api-prod", 1));
  REQUIRE(releases.size() == 1);
  CHECK(releases[0].version == 42);
  CHECK(platform.vendor.seen().front().header("Range") == "version ..; order=desc,max=1");
}

TEST_CASE("dynos are read to the last page") {
  Platform platform([](const ServerRequest& request) {
    const bool first = request.header("Range").empty();
    const std::string name = first ? "web.1" : "web.2";
    const std::string row =
        R"([{"name":")" + name + R"(","type":"web","state":"up","release":{"version":42}}])";
    return first ? Response(206, {{"Next-Range", "name ]web.1.."}}, row) : Response(200, {}, row);
  });
  const auto dynos = platform.vendor.run(platform.client.dynos("raxx-api-prod"));
  REQUIRE(dynos.size() == 2);
  CHECK(dynos[1].name == "web.2");
  CHECK(platform.vendor.seen()[1].header("Range") == "name ]web.1..");
}

TEST_CASE("a list of dynos without an end is no list") {
  Platform platform([](const ServerRequest&) {
    return Response(206, {{"Next-Range", "name ]web.1.."}},
                    R"([{"name":"web.1","type":"web","state":"up"}])");
  });
  CHECK_THROWS_AS(platform.vendor.run(platform.client.dynos("raxx-api-prod")), ApiError);
}

TEST_CASE("the log is followed in plain lines, and our token never goes to the log's address") {
  Platform platform([](const ServerRequest& request) {
    return log_script(request, "text/plain", "2012-01-01T12:00:00.000000+00:00 app[web.1]: one\nhalf a line");
  });
  CHECK(follow(platform) == std::vector<std::string>{"one", "half a line"});
  const auto& session = platform.vendor.seen()[0];
  CHECK(session.line == "POST /apps/raxx-api-prod/log-sessions");
  CHECK(nlohmann::json::parse(session.body) == nlohmann::json({{"tail", true}, {"lines", 100}}));
  const auto& stream = platform.vendor.seen()[1];
  CHECK(stream.line == "GET /session?srv=1");
  CHECK(stream.header("Authorization").empty());
}

TEST_CASE("the log is followed in server-sent events as well") {
  Platform platform([](const ServerRequest& request) {
    return log_script(request, "text/event-stream; charset=utf-8",
                      ": hi\n\nid: 1\ndata: one\n\nid: 2\ndata: two\n\n");
  });
  CHECK(follow(platform) == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a log session that is gone when it is opened is a failure, and not a quiet log") {
  Platform platform([](const ServerRequest& request) {
    if (request.path == "/session") return Response(404, {}, "Not found");
    return log_script(request, "", "");
  });
  CHECK_THROWS_AS(follow(platform), ApiError);
}
