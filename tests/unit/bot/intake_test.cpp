#include "bot/intake/intake.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bot/intake/assets.h"
#include "bot/intake/protocol.h"
#include "bot/intake/sign_in.h"
#include "storage/base64url.h"
#include "tests/unit/bot/exchanges.h"

namespace keyturn::bot {
namespace {

using commands::FormClosed;
using commands::FormInfo;
using commands::FormReceived;
using commands::FormRefused;
using commands::FormVisitor;
using commands::SignInNeeded;
using Json = nlohmann::json;

const std::string kSealed(160, 'Q');  // base64url, as far as this floor looks
const storage::TimePoint kNow = *storage::from_iso8601("2026-11-23T19:16:05.000Z");

class SetClock final : public storage::Clock {
 public:
  storage::TimePoint now() const override { return time; }
  storage::TimePoint time = kNow;
};

class ScriptedDesk final : public commands::FormDesk {
 public:
  boost::asio::awaitable<commands::FormLook> look(std::string token, FormVisitor visitor) override {
    tokens.push_back(token);
    visitors.push_back(visitor);
    co_return on_look;
  }
  boost::asio::awaitable<commands::FormAnswer> submit(commands::SealedSubmission form) override {
    submissions.push_back(std::move(form));
    if (broken) throw std::runtime_error("disk full");
    co_return on_submit;
  }
  std::optional<commands::FormProgress> progress(std::string_view token) const override {
    return token == "tok" ? on_progress : std::nullopt;
  }

  commands::FormLook on_look = FormInfo{.rotation = "rot_1",
                                        .operator_id = "U0123ABCD",
                                        .public_key = "BPub",
                                        .target = "stripe prod",
                                        .secret_name = "STRIPE_RESTRICTED_KEY",
                                        .dashboard_key_name = "raxx-api-prod restricted",
                                        .operator_name = "Ada",
                                        .recommended_grace = std::chrono::hours(24),
                                        .expires_at = kNow + std::chrono::minutes(15),
                                        .attempts_left = 5,
                                        .opened_before = {{kNow - std::chrono::minutes(1), "198.51.100.4"}}};
  commands::FormAnswer on_submit =
      FormReceived{.fingerprint = "9f2c-41aa-07be-5d13", .old_key_expires_at = kNow + std::chrono::hours(24)};
  std::optional<commands::FormProgress> on_progress;
  bool broken = false;
  std::vector<std::string> tokens;
  std::vector<FormVisitor> visitors;
  std::vector<commands::SealedSubmission> submissions;
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

std::string submission(const std::string& sealed = kSealed) {
  return Json{{"token", "tok"}, {"enc", "BEnc"}, {"ciphertext", sealed}}.dump();
}

TEST_CASE("the page, its script and its style come with headers that let nothing else in") {
  Form form(/*hsts=*/true);
  for (const char* path :
       {"/form", "/form/form.js", "/form/hpke.js", "/form/progress.js", "/form/style.css"}) {
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
    CHECK(response.header("Cross-Origin-Embedder-Policy") == "require-corp");
    CHECK(response.header("Set-Cookie").empty());
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
  for (const auto script :
       {assets::form_js(), assets::clipboard_js(), assets::closed_js(), assets::expiration_js(),
        assets::hpke_js(), assets::key_field_js(), assets::link_js(), assets::message_js(), assets::page_js(),
        assets::paste_js(), assets::progress_js(), assets::server_js(), assets::stop_js(),
        assets::words_js()}) {
    for (const char* forbidden : {"innerHTML", "outerHTML", "eval(", "document.write", "localStorage",
                                  "console.", "http://", "https://", "document.cookie"}) {
      CAPTURE(forbidden);
      CHECK(script.find(forbidden) == std::string_view::npos);
    }
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
  CHECK(json ==
        Json{{"state", "open"},
             {"target", "stripe prod"},
             {"secret_name", "STRIPE_RESTRICTED_KEY"},
             {"dashboard_key_name", "raxx-api-prod restricted"},
             {"rotation", "rot_1"},
             {"operator", "Ada"},
             {"operator_id", "U0123ABCD"},
             {"public_key", "BPub"},
             {"asks", "code"},
             {"opened_before", Json::array({{{"at", "2026-11-23T19:15:05.000Z"}, {"peer", "198.51.100.4"}}})},
             {"mode", "live"},
             {"compromise", false},
             {"recovery", false},
             {"recommended_grace_seconds", 86400},
             {"expires_at", "2026-11-23T19:31:05.000Z"},
             {"now", "2026-11-23T19:16:05.000Z"},
             {"attempts_left", 5}});
  CHECK(form.desk.tokens == std::vector<std::string>{"tok"});
  REQUIRE(form.desk.visitors.size() == 1);
  CHECK(form.desk.visitors.front().peer == "203.0.113.7");
  CHECK(form.desk.visitors.front().signed_in_as.empty());
  CHECK(form.events == std::vector<std::string>{"looked"});
}

TEST_CASE("a closed link says why") {
  const std::vector<std::pair<FormClosed, std::string>> reasons = {{FormClosed::unknown, "unknown"},
                                                                   {FormClosed::expired, "expired"},
                                                                   {FormClosed::used, "used"},
                                                                   {FormClosed::locked, "locked"},
                                                                   {FormClosed::cancelled, "cancelled"}};
  for (const auto& [closed, name] : reasons) {
    Form form;
    form.desk.on_look = closed;
    form.desk.on_submit = closed;
    const net::Response look = form.send("POST", "/form/look", R"({"token":"tok"})");
    CHECK(look.status == 200);
    Json said{{"state", name}};
    if (closed == FormClosed::used) said["follow"] = true;
    CHECK(Json::parse(look.body) == said);
    const net::Response submit = form.send("POST", "/form/submit", submission());
    CHECK(submit.status == 410);
    CHECK(Json::parse(submit.body) == said);
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
  const commands::SealedSubmission& sent = form.desk.submissions.front();
  CHECK(sent.token == "tok");
  CHECK(sent.message.encapsulated_key == storage::from_base64url("BEnc"));
  CHECK(sent.message.ciphertext == storage::from_base64url(kSealed));
  CHECK(sent.visitor.peer == "203.0.113.7");
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

TEST_CASE("whatever isn't sealed is refused before the desk hears of it, and not repeated") {
  const auto with = [](const char* name, const Json& value) {
    Json json = Json::parse(submission());
    value.is_null() ? static_cast<void>(json.erase(name)) : static_cast<void>(json[name] = value);
    return json.dump();
  };
  const std::vector<std::string> bodies = {
      "", "[]", "null", "{", submission() + submission(), with("token", nullptr), with("token", ""),
      with("token", std::string(201, 'a')), with("enc", nullptr), with("enc", 7),
      with("enc", "no base64 at all"), with("enc", "Zg=="), with("ciphertext", nullptr),
      with("ciphertext", "+/"),
      // What a page before this one sent: a key in the clear.
      R"({"token":"tok","key":"QQQQ","grace_seconds":1,"rotated_at":"x"})", with("nested", Json::array({1}))};
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
  auto other = request("POST", "/form/look", R"({"token":"other"})", {{"Content-Type", "application/json"}});
  other->peer = "198.51.100.9";
  CHECK(run(form.intake.handler(), other).status == 200);
  form.clock.time += std::chrono::minutes(1);
  CHECK(form.send("POST", "/form/look", R"({"token":"tok"})").status == 200);
}

// In IPv6 one customer has more addresses than tries could be counted for.
TEST_CASE("all addresses of one network of IPv6 have thirty posts a minute together") {
  Form form;
  const auto look = [&](const std::string& peer) {
    auto post = request("POST", "/form/look", Json{{"token", "token for " + peer}}.dump(),
                        {{"Content-Type", "application/json"}});
    post->peer = peer;
    return run(form.intake.handler(), post).status;
  };
  for (int i = 1; i <= 30; ++i) CHECK(look("2001:db8:0:1::" + std::to_string(i)) == 200);
  CHECK(look("2001:db8:0:1:ffff::1") == 429);
  CHECK(look("2001:db8:0:2::1") == 200);
  // The desk is told the very address.
  CHECK(form.desk.visitors.front().peer == "2001:db8:0:1::1");
}

TEST_CASE("one link may be tried thirty times a minute, from however many addresses") {
  Form form;
  const auto look = [&](int address, const std::string& token) {
    auto post =
        request("POST", "/form/look", Json{{"token", token}}.dump(), {{"Content-Type", "application/json"}});
    post->peer = "198.51.100." + std::to_string(address);
    return run(form.intake.handler(), post).status;
  };
  for (int i = 0; i < 30; ++i) CHECK(look(i, "tok") == 200);
  CHECK(look(40, "tok") == 429);
  CHECK(look(40, "another") == 200);
}

TEST_CASE("a page that follows the rotation doesn't use up the tries of the one that hands a key over") {
  Form form;
  form.desk.on_progress = commands::FormProgress{.stage = "verifying",
                                                 .headline = "verifying",
                                                 .billing = "Billing runs on the new key.",
                                                 .lines = {{"done", "stored"}},
                                                 .old_key_expires_at = kNow,
                                                 .next = std::chrono::seconds(2)};
  for (int i = 0; i < 100; ++i) {
    const net::Response response = form.send("POST", "/form/progress", R"({"token":"tok"})");
    REQUIRE(response.status == 200);
    const Json json = Json::parse(response.body);
    CHECK(json.at("state") == "progress");
    CHECK(json.at("lines").at(0) == Json{{"mark", "done"}, {"text", "stored"}});
    CHECK(json.at("old_key_expires_at") == "2026-11-23T19:16:05.000Z");
    CHECK(json.at("next_seconds") == 2);
  }
  CHECK(form.send("POST", "/form/submit", submission()).status == 200);
  const net::Response other = form.send("POST", "/form/progress", R"({"token":"other"})");
  CHECK(Json::parse(other.body) == Json{{"state", "unknown"}});
  for (int i = 0; i < 30; ++i) form.send("POST", "/form/progress", R"({"token":"tok"})");
  CHECK(form.send("POST", "/form/progress", R"({"token":"tok"})").status == 429);
}

// Slack's part of a sign-in, always answering with one person.
struct SignedInForm {
  explicit SignedInForm(std::string user)
      : sign_in(
            {.origin = "https://slack.example",
             .client_id = "1.2",
             .redirect_uri = "https://keyturn.example.com/form",
             .team = "T1"},
            [user](std::string,
                   std::string) -> boost::asio::awaitable<std::expected<slack::Identity, std::string>> {
              co_return slack::Identity{.user = user, .team = "T1"};
            },
            clock),
        form(/*hsts=*/true, {.sign_in = &sign_in}) {}
  SetClock clock;
  SignIn sign_in;
  Form form;
};

TEST_CASE(
    "with sign-in, a look sends the browser to Slack, and what comes back opens a session for this link") {
  SignedInForm signed_in("U0123ABCD");
  Form& form = signed_in.form;
  form.desk.on_look = SignInNeeded{.operator_name = "Ada", .another_person = false};
  const Json needed = Json::parse(form.send("POST", "/form/look", R"({"token":"tok"})").body);
  CHECK(needed.at("state") == "sign_in");
  CHECK(needed.at("operator") == "Ada");
  const std::string authorize = needed.at("authorize");
  CHECK(authorize.starts_with("https://slack.example/openid/connect/authorize?"));
  const auto begin = authorize.find("state=") + 6;
  const std::string state = authorize.substr(begin, authorize.find('&', begin) - begin);

  const auto answer =
      form.send("POST", "/form/sign-in", Json{{"token", "tok"}, {"code", "c"}, {"state", state}}.dump());
  CHECK(answer.status == 200);
  const std::string cookie = answer.header("Set-Cookie");
  for (const char* attribute : {"__Host-", "Secure", "HttpOnly", "SameSite=Strict"}) {
    CHECK(cookie.find(attribute) != std::string::npos);
  }
  const std::string session = cookie.substr(0, cookie.find(';'));
  form.send("POST", "/form/look", R"({"token":"tok"})", {{"Cookie", session}});
  CHECK(form.desk.visitors.back().signed_in_as == "U0123ABCD");
  form.send("POST", "/form/submit", submission(), {{"Cookie", session}});
  CHECK(form.desk.submissions.back().visitor.signed_in_as == "U0123ABCD");
  form.send("POST", "/form/look", R"({"token":"another"})", {{"Cookie", session}});
  CHECK(form.desk.visitors.back().signed_in_as.empty());
  // The attempt is spent.
  CHECK(form.send("POST", "/form/sign-in", Json{{"token", "tok"}, {"code", "c"}, {"state", state}}.dump())
            .status == 403);
}

TEST_CASE("without sign-in there is nothing to sign in to") {
  Form form;
  CHECK(form.send("POST", "/form/sign-in", R"({"token":"tok","code":"c","state":"s"})").status == 404);
  form.send("POST", "/form/look", R"({"token":"tok"})", {{"Cookie", "keyturn=x"}});
  CHECK(form.desk.visitors.back().signed_in_as.empty());
}

TEST_CASE(
    "behind a proxy the peer is the address that the proxy appended, else the header is the client's own "
    "word") {
  const net::Headers headers = {{"X-Forwarded-For", "10.9.9.9"},
                                {"x-forwarded-for", "10.8.8.8, 198.51.100.4"}};
  Form proxied(/*hsts=*/false, {.behind_proxy = true});
  proxied.send("POST", "/form/look", R"({"token":"tok"})", headers);
  CHECK(proxied.desk.visitors.at(0).peer == "198.51.100.4");
  Form direct;
  direct.send("POST", "/form/look", R"({"token":"tok"})", headers);
  CHECK(direct.desk.visitors.at(0).peer == "203.0.113.7");
}

// It goes into the journal, and to the next one who opens the link.
TEST_CASE("what a proxy forwards is taken for a peer only when it is an address") {
  for (const std::string& forwarded :
       {std::string("unknown"), "198.51.100.4 (" + std::string(9000, 'x'), std::string("rm -rf"),
        std::string("198.51.100.4,"), std::string("198.51.100.400"), std::string()}) {
    Form form(/*hsts=*/false, {.behind_proxy = true});
    form.send("POST", "/form/look", R"({"token":"tok"})", {{"X-Forwarded-For", forwarded}});
    CHECK(form.desk.visitors.at(0).peer == "203.0.113.7");
  }
  Form form(/*hsts=*/false, {.behind_proxy = true});
  form.send("POST", "/form/look", R"({"token":"tok"})", {{"X-Forwarded-For", "2001:DB8:0::5"}});
  CHECK(form.desk.visitors.at(0).peer == "2001:db8::5");
}

}  // namespace
}  // namespace keyturn::bot
