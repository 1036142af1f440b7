#include "integrations/slack/web_api.h"

#include <catch2/catch.hpp>

#include "integrations/slack/wire.h"
#include "tests/unit/slack/fake_slack.h"

namespace keyturn::slack {
namespace {

using integrations::ApiError;
using integrations::Failure;
using namespace std::chrono_literals;

net::Response answer(int status, std::string body, net::Headers headers = {}) {
  return {status, std::move(headers), std::move(body)};
}

Failure failure_of(const std::string& method, const net::Response& response) {
  const Verdict verdict = judge(method, response);
  REQUIRE(std::holds_alternative<ApiError::Details>(verdict));
  return std::get<ApiError::Details>(verdict).failure;
}

Failure failure_of_word(const std::string& method, const std::string& word) {
  return failure_of(method, answer(200, json({{"ok", false}, {"error", word}}).dump()));
}

}  // namespace

TEST_CASE("methods that take JSON get JSON, the others a form") {
  const json arguments = {{"channel", "C1"}, {"text", "a & b"},
                          {"count", 3},      {"flag", true},
                          {"none", nullptr}, {"blocks", json::array({{{"type", "divider"}}})}};
  SECTION("JSON") {
    const auto request = request_for("https://slack.com/api", "chat.postMessage", arguments);
    CHECK(request.method == "POST");
    CHECK(request.url == "https://slack.com/api/chat.postMessage");
    CHECK(net::find_header(request.headers, "content-type") == "application/json; charset=utf-8");
    const json body = json::parse(request.body);
    CHECK(body["blocks"][0]["type"] == "divider");
    CHECK_FALSE(body.contains("none"));
  }
  SECTION("form") {
    const auto request = request_for("https://slack.com/api", "users.info", arguments);
    CHECK(net::find_header(request.headers, "content-type") == "application/x-www-form-urlencoded");
    CHECK(request.body ==
          "blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D&channel=C1&count=3&flag=true&text=a%20%26%20b");
  }
  SECTION("which is which") {
    for (const char* method :
         {"users.info", "usergroups.users.list", "conversations.info", "apps.connections.open"}) {
      CHECK(request_for("b", method, json::object()).headers[0].second ==
            "application/x-www-form-urlencoded");
    }
    for (const char* method : {"views.open", "views.publish", "conversations.open", "conversations.history",
                               "chat.update", "auth.test"}) {
      CHECK(request_for("b", method, json::object()).headers[0].second == "application/json; charset=utf-8");
    }
  }
  SECTION("broken UTF-8 is replaced, not thrown at the caller") {
    CHECK_NOTHROW(request_for("b", "chat.postMessage", json{{"text", "\xff"}}));
  }
}

TEST_CASE("only ok:true with status 200 is success") {
  CHECK(std::holds_alternative<json>(judge("auth.test", answer(200, R"({"ok":true})"))));
  for (const char* body : {"", "ok", "null", "[]", "{}", R"({"ok":"true"})", R"({"ok":1})",
                           "<html>sign in</html>", R"({"ok":false})"}) {
    CHECK(failure_of("auth.test", answer(200, body)) == Failure::not_understood);
  }
  CHECK(failure_of("auth.test", answer(502, R"({"ok":true})")) == Failure::busy);
  CHECK(failure_of("auth.test", answer(302, "")) == Failure::not_understood);
  CHECK(failure_of("auth.test", answer(404, "<html>")) == Failure::not_understood);
}

TEST_CASE("error words mean what Slack's reference says") {
  CHECK(failure_of_word("chat.postMessage", "invalid_auth") == Failure::unauthorized);
  CHECK(failure_of_word("chat.postMessage", "token_revoked") == Failure::unauthorized);
  CHECK(failure_of_word("chat.postMessage", "missing_scope") == Failure::forbidden);
  CHECK(failure_of_word("chat.postMessage", "not_in_channel") == Failure::forbidden);
  CHECK(failure_of_word("chat.postMessage", "restricted_action_read_only_channel") == Failure::forbidden);
  CHECK(failure_of_word("chat.postMessage", "channel_not_found") == Failure::not_found);
  CHECK(failure_of_word("usergroups.users.list", "no_such_subteam") == Failure::not_found);
  CHECK(failure_of_word("chat.postMessage", "service_unavailable") == Failure::busy);
  CHECK(failure_of_word("chat.postMessage", "invalid_blocks") == Failure::refused);
  CHECK(failure_of_word("views.open", "expired_trigger_id") == Failure::refused);
}

TEST_CASE("a failure after which a post may have happened is ambiguous, for a question it is not") {
  for (const char* word : {"internal_error", "fatal_error"}) {
    CHECK(failure_of_word("chat.postMessage", word) == Failure::ambiguous);
    CHECK(failure_of_word("users.info", word) == Failure::busy);
    CHECK(failure_of_word("views.publish", word) == Failure::busy);
  }
  CHECK(failure_of("chat.postMessage", answer(502, "")) == Failure::ambiguous);
  CHECK(failure_of("chat.postMessage", answer(503, "")) == Failure::busy);
  CHECK(failure_of("users.info", answer(502, "")) == Failure::busy);
}

TEST_CASE("an error word that isn't one stays out of our words") {
  const Verdict verdict =
      judge("auth.test", answer(200, json({{"ok", false}, {"error", "<b>x</b>\n"}}).dump()));
  CHECK(std::get<ApiError::Details>(verdict).reason == "an error without a name");
}

TEST_CASE("a rate limit says how long, thirty seconds where it doesn't") {
  const auto pause = [](const net::Response& response) {
    return std::get<Wait>(judge("auth.test", response)).duration;
  };
  CHECK(pause(answer(429, "", {{"Retry-After", "7"}})) == 7s);
  CHECK(pause(answer(429, "")) == 30s);
  CHECK(pause(answer(429, "", {{"retry-after", "soon"}})) == 30s);
  CHECK(pause(answer(429, "", {{"Retry-After", "-1"}})) == 30s);
  CHECK(pause(answer(200, R"({"ok":false,"error":"ratelimited"})", {{"Retry-After", "2"}})) == 2s);
  CHECK(pause(answer(200, R"({"ok":false,"error":"rate_limited"})")) == 30s);
}

TEST_CASE("replies go to Slack's hooks and to the sandbox's own host, nowhere else") {
  const std::string slack = "https://slack.com/api";
  CHECK(may_reply_to("https://hooks.slack.com/commands/T1/2/x", slack));
  for (const char* url :
       {"http://hooks.slack.com/commands/x", "https://hooks.slack.com:8443/x",
        "https://hooks.slack.com.evil.example/x", "https://evil.example/hooks.slack.com",
        "https://hooks.slack.com@evil.example/", "http://169.254.169.254/", "file:///etc/passwd", ""}) {
    CHECK_FALSE(may_reply_to(url, slack));
  }
  CHECK(may_reply_to("http://127.0.0.1:4000/respond/1", "http://127.0.0.1:4000/api"));
  CHECK_FALSE(may_reply_to("http://127.0.0.1:4001/respond/1", "http://127.0.0.1:4000/api"));
}

TEST_CASE("the socket's URL must be Slack's") {
  CHECK(may_connect_to("wss://wss-primary.slack.com/link/?ticket=1", false));
  CHECK(may_connect_to("wss://wss-primary.slack-gov.com/link/", false));
  CHECK_FALSE(may_connect_to("ws://wss-primary.slack.com/link/", false));
  CHECK_FALSE(may_connect_to("wss://evilslack.com/", false));
  CHECK_FALSE(may_connect_to("wss://slack.com.evil.example/", false));
  CHECK_FALSE(may_connect_to("https://wss-primary.slack.com/", false));
  CHECK_FALSE(may_connect_to("ws://127.0.0.1:4000/", false));
  CHECK(may_connect_to("ws://127.0.0.1:4000/", true));
  CHECK_FALSE(may_connect_to("ws://10.0.0.1:4000/", true));
}

namespace {

struct Calls {
  net::Loop loop;
  FakeSlack slack{loop};
  net::HttpClient http{loop.executor(), {.allow_plain_loopback = true}};
  std::vector<std::string> outcomes;
  WebApi api{http, slack.base(), storage::share(storage::Secret::copy_of("xoxb-fake")),
             [this](const std::string& method, const std::string& outcome) {
               outcomes.push_back(method + " " + outcome);
             }};
};

awaitable<void> fails(WebApi& api, std::string method, std::optional<ApiError>& failure) {
  try {
    co_await api.call(method, json::object(), 2s);
  } catch (const ApiError& error) {
    failure = error;
  }
}

awaitable<void> fails_to_reply(WebApi& api, std::string url, std::optional<ApiError>& failure) {
  try {
    co_await api.respond(url, json{{"text", "x"}});
  } catch (const ApiError& error) {
    failure = error;
  }
}

}  // namespace

TEST_CASE("a call carries the token and gives the answer's object") {
  Calls calls;
  calls.slack.answers.push_back(answer(200, R"({"ok":true,"ts":"1.2"})"));
  json result;
  calls.loop.run([](Calls& c, json& out) -> awaitable<void> {
    out = co_await c.api.call("chat.postMessage", json{{"channel", "C1"}});
  }(calls, result));
  CHECK(result["ts"] == "1.2");
  REQUIRE(calls.slack.seen.size() == 1);
  CHECK(calls.slack.seen[0].path == "/api/chat.postMessage");
  CHECK(calls.slack.seen[0].authorization == "Bearer xoxb-fake");
  CHECK(calls.outcomes == std::vector<std::string>{"chat.postMessage ok"});
}

TEST_CASE("a 429 is waited out where there is time, and thrown where there isn't") {
  Calls calls;
  SECTION("time") {
    calls.slack.answers.push_back(answer(429, "", {{"Retry-After", "0"}}));
    calls.loop.run(
        [](Calls& c) -> awaitable<void> { co_await c.api.call("users.info", json::object(), 5s); }(calls));
    CHECK(calls.slack.seen.size() == 2);
  }
  SECTION("no time") {
    calls.slack.answers.push_back(answer(429, "", {{"Retry-After", "60"}}));
    std::optional<ApiError> failure;
    calls.loop.run(fails(calls.api, "users.info", failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::busy);
    CHECK(failure->details().retry_after == 60s);
    CHECK(calls.outcomes == std::vector<std::string>{"users.info busy"});
  }
}

TEST_CASE("no connection is unreachable, and no answer to a post is ambiguous") {
  Calls calls;
  std::optional<ApiError> failure;
  SECTION("nobody listens") {
    WebApi nobody(calls.http, "http://127.0.0.1:1/api", nullptr, {});
    calls.loop.run(fails(nobody, "chat.postMessage", failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::unreachable);
  }
  SECTION("a post that was sent and not answered") {
    calls.slack.hang_up = true;
    calls.loop.run(fails(calls.api, "chat.postMessage", failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::ambiguous);
    CHECK_FALSE(failure->can_retry());
  }
  SECTION("a question that was sent and not answered can be asked again") {
    calls.slack.hang_up = true;
    calls.loop.run(fails(calls.api, "users.info", failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::unreachable);
    CHECK(failure->can_retry());
  }
}

TEST_CASE("a refusal says Slack's word and request id, and the observer hears the word") {
  Calls calls;
  calls.slack.answers.push_back(
      answer(200, R"({"ok":false,"error":"channel_not_found"})", {{"x-slack-req-id", "abc123"}}));
  std::optional<ApiError> failure;
  calls.loop.run(fails(calls.api, "chat.postMessage", failure));
  REQUIRE(failure);
  CHECK(failure->details().reason == "channel_not_found");
  CHECK(failure->details().request_id == "abc123");
  CHECK(std::string(failure->what()) ==
        "Slack: post a message: channel_not_found (not_found, HTTP 200, request abc123)");
  CHECK(calls.outcomes == std::vector<std::string>{"chat.postMessage channel_not_found"});
}

TEST_CASE("a reply is posted without the token, and its link never shows in an error") {
  Calls calls;
  const std::string url = calls.slack.origin() + "/respond/capability";
  SECTION("taken") {
    calls.slack.answers.push_back(answer(200, "ok"));
    calls.loop.run(calls.api.respond(url, json{{"text", "hi"}}));
    REQUIRE(calls.slack.seen.size() == 1);
    CHECK(calls.slack.seen[0].authorization.empty());
    CHECK(json::parse(calls.slack.seen[0].body)["text"] == "hi");
  }
  SECTION("used up") {
    calls.slack.answers.push_back(answer(404, "used_url"));
    std::optional<ApiError> failure;
    calls.loop.run(fails_to_reply(calls.api, url, failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::refused);
    CHECK(std::string(failure->what()).find("capability") == std::string::npos);
  }
  SECTION("a stranger's host") {
    std::optional<ApiError> failure;
    calls.loop.run(fails_to_reply(calls.api, "http://127.0.0.1:9/respond/capability", failure));
    REQUIRE(failure);
    CHECK(failure->failure() == Failure::refused);
    CHECK(std::string(failure->what()).find("capability") == std::string::npos);
    CHECK(calls.slack.seen.empty());
  }
}

TEST_CASE("the granted scopes are read from the header, and only what scopes are made of") {
  const net::Headers headers = {{"x-oauth-scopes", "chat:write, users:read,users:read.email"}};
  CHECK(granted_scopes(headers) == std::set<std::string>{"chat:write", "users:read", "users:read.email"});
  CHECK(granted_scopes({{"X-OAuth-Scopes", ""}}) == std::set<std::string>());
  CHECK_FALSE(granted_scopes({}));
  const auto odd = granted_scopes({{"X-OAuth-Scopes", "\x1b[31mchat:write"}});
  CHECK(odd == std::set<std::string>{"31mchat:write"});
}

}  // namespace keyturn::slack
