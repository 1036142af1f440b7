#include "bot/intake/intake.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bot/intake/assets.h"
#include "bot/intake/protocol.h"
#include "tests/unit/bot/exchanges.h"

namespace keyturn::bot {
namespace {

using commands::FormClosed;
using commands::FormInfo;
using commands::FormReceived;
using commands::FormRefused;
using Json = nlohmann::json;

const std::string kKey = std::string("rk_") + "live_" + std::string(99, 'Q');
const storage::TimePoint kNow = *storage::from_iso8601("2026-11-23T19:16:05.000Z");

class SetClock final : public storage::Clock {
 public:
  storage::TimePoint now() const override { return time; }
  storage::TimePoint time = kNow;
};

class ScriptedDesk final : public commands::FormDesk {
 public:
  boost::asio::awaitable<std::variant<FormInfo, FormClosed>> look(std::string token,
                                                                  std::string peer) override {
    tokens.push_back(token);
    peers.push_back(peer);
    co_return on_look;
  }
  boost::asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> submit(
      commands::FormSubmission form) override {
    submissions.push_back(std::move(form));
    if (broken) throw std::runtime_error("disk full");
    co_return on_submit;
  }

  std::variant<FormInfo, FormClosed> on_look = FormInfo{.target = "stripe prod",
                                                        .secret_name = "STRIPE_RESTRICTED_KEY",
                                                        .dashboard_key_name = "raxx-api-prod restricted",
                                                        .operator_name = "U0123ABCD",
                                                        .recommended_grace = std::chrono::hours(24),
                                                        .expires_at = kNow + std::chrono::minutes(15),
                                                        .attempts_left = 5};
  std::variant<FormReceived, FormRefused, FormClosed> on_submit =
      FormReceived{.fingerprint = "9f2c-41aa-07be-5d13", .old_key_expires_at = kNow + std::chrono::hours(24)};
  bool broken = false;
  std::vector<std::string> tokens, peers;
  std::vector<commands::FormSubmission> submissions;
};

struct Form {
  explicit Form(bool hsts = false, IntakeOptions options = {})
      : intake(
            desk, hsts, [this](const std::string& event) { events.push_back(event); }, with_clock(options)) {}
  IntakeOptions with_clock(IntakeOptions options) {
    options.clock = &clock;
    return options;
  }
  net::Response send(std::string method, std::string path, std::string body = "", net::Headers headers = {}) {
    if (method == "POST") headers.emplace_back("Content-Type", "application/json");
    return run(intake.handler(),
               request(std::move(method), std::move(path), std::move(body), std::move(headers)));
  }

  SetClock clock;
  ScriptedDesk desk;
  std::vector<std::string> events;
  Intake intake;
};

std::string submission(const std::string& key = kKey) {
  return Json{
      {"token", "tok"}, {"key", key}, {"grace_seconds", 86400}, {"rotated_at", "2026-11-23T19:15:00Z"}}
      .dump();
}

TEST_CASE("the page, its script and its style come with headers that let nothing else in") {
  Form form(/*hsts=*/true);
  for (const char* path : {"/form", "/form/form.js", "/form/style.css"}) {
    CAPTURE(path);
    const net::Response response = form.send("GET", path);
    CHECK(response.status == 200);
    CHECK_FALSE(response.body.empty());
    CHECK(response.header("Content-Security-Policy")
              .starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                           "form-action 'none'; "
                           "base-uri 'none'; frame-ancestors 'none'"));
    CHECK(response.header("Cache-Control") == "no-store");
    CHECK(response.header("Referrer-Policy") == "no-referrer");
    CHECK(response.header("X-Content-Type-Options") == "nosniff");
    CHECK(response.header("X-Frame-Options") == "DENY");
    CHECK(response.header("Cross-Origin-Opener-Policy") == "same-origin");
    CHECK(response.header("Cross-Origin-Resource-Policy") == "same-origin");
    CHECK(response.header("X-Robots-Tag") == "noindex, nofollow");
    CHECK_FALSE(response.header("Permissions-Policy").empty());
    CHECK(response.header("Strict-Transport-Security") == "max-age=31536000");
    CHECK(form.send("HEAD", path).body.empty());
  }
  CHECK(form.desk.tokens.empty());
  CHECK(Form().send("GET", "/form").header("Strict-Transport-Security").empty());
}

TEST_CASE("nothing in the page needs what its policy forbids") {
  const std::string page(assets::page_html());
  for (const char* forbidden :
       {"style=", "onclick", "onload", "<style", "javascript:", "http://", "https://"}) {
    CAPTURE(forbidden);
    CHECK(page.find(forbidden) == std::string::npos);
  }
  const std::string script(assets::form_js());
  for (const char* forbidden :
       {"innerHTML", "outerHTML", "eval(", "document.write", "localStorage", "sessionStorage", "console."}) {
    CAPTURE(forbidden);
    CHECK(script.find(forbidden) == std::string::npos);
  }
}

TEST_CASE("what isn't in the table is 404, and a wrong method is 405 with the right one") {
  Form form;
  CHECK(form.send("GET", "/").status == 404);
  CHECK(form.send("GET", "/form/").status == 404);
  CHECK(form.send("GET", "/form/page.html").status == 404);
  CHECK(form.send("POST", "/form/other", "{}").status == 404);
  const net::Response page = form.send("POST", "/form", "{}");
  CHECK(page.status == 405);
  CHECK(page.header("Allow") == "GET, HEAD");
  for (const char* method : {"GET", "HEAD", "PUT", "OPTIONS"}) {
    const net::Response look = form.send(method, "/form/look");
    CHECK(look.status == 405);
    CHECK(look.header("Allow") == "POST");
    CHECK(look.header("X-Frame-Options") == "DENY");
  }
  CHECK(form.desk.tokens.empty());
}

TEST_CASE("a look shows what the form is for, the clock and the rules for a paste") {
  Form form;
  const net::Response response = form.send("POST", "/form/look", R"({"token":"tok"})");
  CHECK(response.status == 200);
  CHECK(response.header("Content-Type") == "application/json");
  Json json = Json::parse(response.body);
  CHECK(json.at("rules").at("prefixes").is_array());
  CHECK(json.at("rules").at("advice").contains("master_key"));
  json.erase("rules");
  CHECK(json == Json{{"state", "open"},
                     {"target", "stripe prod"},
                     {"secret_name", "STRIPE_RESTRICTED_KEY"},
                     {"dashboard_key_name", "raxx-api-prod restricted"},
                     {"operator", "U0123ABCD"},
                     {"mode", "live"},
                     {"compromise", false},
                     {"recommended_grace_seconds", 86400},
                     {"expires_at", "2026-11-23T19:31:05.000Z"},
                     {"now", "2026-11-23T19:16:05.000Z"},
                     {"attempts_left", 5}});
  CHECK(form.desk.tokens == std::vector<std::string>{"tok"});
  CHECK(form.desk.peers == std::vector<std::string>{"203.0.113.7"});
  CHECK(form.events == std::vector<std::string>{"looked"});
}

TEST_CASE("a closed link says why") {
  const std::vector<std::pair<FormClosed, std::string>> reasons = {{FormClosed::unknown, "unknown"},
                                                                   {FormClosed::expired, "expired"},
                                                                   {FormClosed::used, "used"},
                                                                   {FormClosed::locked, "locked"}};
  for (const auto& [closed, name] : reasons) {
    Form form;
    form.desk.on_look = closed;
    form.desk.on_submit = closed;
    const net::Response look = form.send("POST", "/form/look", R"({"token":"tok"})");
    CHECK(look.status == 200);
    CHECK(Json::parse(look.body) == Json{{"state", name}});
    const net::Response submit = form.send("POST", "/form/submit", submission());
    CHECK(submit.status == 410);
    CHECK(Json::parse(submit.body) == Json{{"state", name}});
    CHECK(form.events == std::vector<std::string>{"closed", "closed"});
  }
}

TEST_CASE("a submission reaches the desk as it was meant, and its answer the page") {
  Form form;
  const net::Response response = form.send("POST", "/form/submit", submission());
  CHECK(response.status == 200);
  CHECK(Json::parse(response.body) == Json{{"state", "received"},
                                           {"fingerprint", "9f2c-41aa-07be-5d13"},
                                           {"old_key_expires_at", "2026-11-24T19:16:05.000Z"}});
  REQUIRE(form.desk.submissions.size() == 1);
  const commands::FormSubmission& sent = form.desk.submissions.front();
  CHECK(sent.token == "tok");
  CHECK(sent.pasted->expose() == kKey);
  CHECK(sent.grace_chosen == std::chrono::hours(24));
  CHECK(sent.rotated_at == storage::from_iso8601("2026-11-23T19:15:00Z"));
  CHECK(sent.peer == "203.0.113.7");
  CHECK(form.events == std::vector<std::string>{"received"});
}

TEST_CASE("a refused key is answered with what it was, and how many tries are left") {
  Form form;
  form.desk.on_submit = FormRefused{
      .code = "master_key", .sentence = "This is the secret key.", .attempts_left = 4, .alarm = true};
  const net::Response response = form.send("POST", "/form/submit", submission());
  CHECK(response.status == 422);
  CHECK(Json::parse(response.body) == Json{{"state", "refused"},
                                           {"code", "master_key"},
                                           {"sentence", "This is the secret key."},
                                           {"attempts_left", 4},
                                           {"alarm", true}});
}

TEST_CASE("a desk that fails is never answered with received") {
  Form form;
  form.desk.broken = true;
  const net::Response response = form.send("POST", "/form/submit", submission());
  CHECK(response.status == 503);
  CHECK(Json::parse(response.body).at("state") == "unavailable");
  CHECK(response.body.find("disk full") == std::string::npos);
  CHECK(form.events == std::vector<std::string>{"unavailable"});
}

TEST_CASE("a malformed submission is refused before the desk hears of it, without repeating the key") {
  const auto with = [](const char* name, const Json& value) {
    Json json = Json::parse(submission());
    value.is_null() ? static_cast<void>(json.erase(name)) : static_cast<void>(json[name] = value);
    return json.dump();
  };
  const std::vector<std::string> bodies = {"",
                                           "[]",
                                           "null",
                                           "{",
                                           submission() + submission(),
                                           with("token", nullptr),
                                           with("token", ""),
                                           with("token", std::string(201, 'a')),
                                           with("key", nullptr),
                                           with("key", 7),
                                           with("key", std::string(5000, 'k')),
                                           with("grace_seconds", nullptr),
                                           with("grace_seconds", -1),
                                           with("grace_seconds", 604801),
                                           with("grace_seconds", 1.5),
                                           with("grace_seconds", "86400"),
                                           with("rotated_at", nullptr),
                                           with("rotated_at", "yesterday"),
                                           with("rotated_at", 0),
                                           with("nested", Json::array({1}))};
  for (const std::string& body : bodies) {
    CAPTURE(body);
    Form form;
    const net::Response response = form.send("POST", "/form/submit", body);
    CHECK(response.status == 400);
    const Json json = Json::parse(response.body);
    CHECK(json.at("state") == "malformed");
    CHECK_FALSE(json.at("sentence").get<std::string>().empty());
    CHECK(response.body.find("QQQQ") == std::string::npos);
    CHECK(form.desk.submissions.empty());
    CHECK(form.events == std::vector<std::string>{"malformed"});
  }
}

TEST_CASE("only JSON that says so, and not too much of it, is read") {
  Form form;
  const auto post = [&](const std::string& type, const std::string& body) {
    return run(form.intake.handler(), request("POST", "/form/submit", body, {{"Content-Type", type}})).status;
  };
  CHECK(post("text/plain", submission()) == 415);
  CHECK(post("application/x-www-form-urlencoded", submission()) == 415);
  CHECK(post("", submission()) == 415);
  CHECK(post("application/json", submission(std::string(17000, 'k'))) == 413);
  CHECK(form.desk.submissions.empty());
  CHECK(post("Application/JSON; charset=utf-8", submission()) == 200);
}

TEST_CASE("a post from another site is refused") {
  const auto status = [](net::Headers headers) {
    Form form;
    return form.send("POST", "/form/look", R"({"token":"tok"})", std::move(headers)).status;
  };
  CHECK(status({{"Sec-Fetch-Site", "cross-site"}}) == 403);
  CHECK(status({{"Sec-Fetch-Site", "same-site"}}) == 403);
  CHECK(status({{"Sec-Fetch-Site", "none"}}) == 403);
  CHECK(status({{"Sec-Fetch-Site", "same-origin"}, {"Origin", "null"}}) == 200);
  CHECK(status({{"Origin", "https://evil.example"}, {"Host", "keyturn.example.com"}}) == 403);
  CHECK(status({{"Origin", "null"}, {"Host", "keyturn.example.com"}}) == 403);
  CHECK(status({{"Origin", "https://keyturn.example.com"}, {"Host", "keyturn.example.com"}}) == 200);
  CHECK(status({}) == 200);
}

TEST_CASE("the thirty-first post of a minute from one peer is refused, another peer's isn't") {
  Form form;
  for (int i = 0; i < 30; ++i) CHECK(form.send("POST", "/form/look", R"({"token":"tok"})").status == 200);
  const net::Response response = form.send("POST", "/form/submit", submission());
  CHECK(response.status == 429);
  CHECK(response.header("Retry-After") == "60");
  CHECK(form.desk.submissions.empty());
  CHECK(form.send("GET", "/form").status == 200);
  auto other = request("POST", "/form/look", R"({"token":"tok"})", {{"Content-Type", "application/json"}});
  other->peer = "198.51.100.9";
  CHECK(run(form.intake.handler(), other).status == 200);
  form.clock.time += std::chrono::minutes(1);
  CHECK(form.send("POST", "/form/look", R"({"token":"tok"})").status == 200);
}

TEST_CASE(
    "behind a proxy the peer is the address that the proxy appended, else the header is the client's own "
    "word") {
  const net::Headers headers = {{"X-Forwarded-For", "10.9.9.9"},
                                {"x-forwarded-for", "10.8.8.8, 198.51.100.4"}};
  Form proxied(/*hsts=*/false, {.behind_proxy = true});
  proxied.send("POST", "/form/look", R"({"token":"tok"})", headers);
  CHECK(proxied.desk.peers == std::vector<std::string>{"198.51.100.4"});
  Form direct;
  direct.send("POST", "/form/look", R"({"token":"tok"})", headers);
  CHECK(direct.desk.peers == std::vector<std::string>{"203.0.113.7"});
}

}  // namespace
}  // namespace keyturn::bot
