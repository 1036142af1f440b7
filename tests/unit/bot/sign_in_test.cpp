// Sign in with Slack, seen from the form: attempts that count once, and sessions for one person and one link.
#include "bot/intake/sign_in.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "integrations/error.h"
#include "integrations/net/url.h"
#include "storage/fingerprint.h"

namespace keyturn::bot {
namespace {

using namespace std::chrono_literals;
using boost::asio::awaitable;
using Identity = std::expected<slack::Identity, std::string>;

const std::string kLink = storage::sha256_hex("the link's token");
const std::string kOtherLink = storage::sha256_hex("another link's token");

struct FakeClock final : storage::Clock {
  storage::TimePoint time{std::chrono::hours(500'000)};
  storage::TimePoint now() const override { return time; }
};

slack::OpenIdClient client(const std::string& redirect_uri) {
  return {.origin = "https://slack.com",
          .client_id = "25259531569.1115258246291",
          .redirect_uri = redirect_uri,
          .team = "T0RAXX"};
}

// A form, and a Slack that says who it is told to.
struct SignInPage {
  explicit SignInPage(const std::string& redirect_uri = "https://keyturn.example.com/form")
      : sign_in(
            client(redirect_uri),
            [this](std::string code, std::string nonce) {
              return exchange(std::move(code), std::move(nonce));
            },
            clock) {}

  awaitable<Identity> exchange(std::string code, std::string nonce) {
    exchanged.push_back(code + " " + nonce);
    if (const auto once = std::exchange(during, nullptr)) once();
    if (failure) std::rethrow_exception(failure);
    co_return identity;
  }

  // What comes of an attempt, with what Slack sends back for it.
  std::expected<std::string, std::string> finish(const std::string& state, const std::string& link = kLink,
                                                 const std::string& code = "a-code") {
    boost::asio::io_context io;
    std::expected<std::string, std::string> result;
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, sign_in.finish(link, state, code), [&](std::exception_ptr error, auto outcome) {
      thrown = error;
      result = std::move(outcome);
    });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
    return result;
  }

  // A session's cookie as the browser sends it back: "name=value".
  std::string signed_in(const std::string& link = kLink) {
    const auto cookie = finish(state_of(sign_in.begin(link)), link);
    REQUIRE(cookie);
    return cookie->substr(0, cookie->find(';'));
  }

  static std::string parameter(const std::string& url, const std::string& name) {
    const auto start = url.find("&" + name + "=");
    REQUIRE(start != std::string::npos);
    const auto value = start + name.size() + 2;
    return net::percent_decode(url.substr(value, url.find('&', value) - value));
  }
  static std::string state_of(const std::string& url) { return parameter(url, "state"); }

  FakeClock clock;
  std::vector<std::string> exchanged;
  std::function<void()> during;  // while Slack is being asked
  std::exception_ptr failure;
  Identity identity = slack::Identity{.user = "U0ADMIN", .team = "T0RAXX"};
  SignIn sign_in;
};

}  // namespace

TEST_CASE("the browser goes to Slack with a state and a nonce that nobody can guess, each time others") {
  SignInPage form;
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const std::string url = form.sign_in.begin(kLink);
    CHECK(url.starts_with("https://slack.com/openid/connect/authorize?"));
    CHECK(url.find("scope=openid&") != std::string::npos);
    for (const char* name : {"state", "nonce"}) {
      const std::string value = SignInPage::parameter(url, name);
      CHECK(value.size() >= 22);  // 128 bits in base64url
      CHECK(seen.insert(value).second);
    }
    CHECK(url.find(kLink) == std::string::npos);
  }
}

TEST_CASE("who comes back is signed in for this link, by a cookie that only this host gets back") {
  SignInPage form;
  const std::string url = form.sign_in.begin(kLink);
  const auto cookie = form.finish(SignInPage::state_of(url));
  REQUIRE(cookie);
  CHECK(form.exchanged == std::vector<std::string>{"a-code " + SignInPage::parameter(url, "nonce")});
  const auto end = cookie->find(';');
  CHECK(cookie->substr(end) == "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=900");
  const std::string pair = cookie->substr(0, end);
  CHECK(pair.starts_with("__Host-keyturn="));
  CHECK(pair.size() == std::string("__Host-keyturn=").size() + 43);  // 256 bits in base64url
  CHECK(form.sign_in.user(pair, kLink) == "U0ADMIN");
  CHECK_FALSE(form.sign_in.user(pair, kOtherLink));
}

TEST_CASE("over plain http, in a sandbox, the cookie makes no promise that a browser wouldn't take") {
  SignInPage form("http://127.0.0.1:4000/form");
  const auto cookie = form.finish(SignInPage::state_of(form.sign_in.begin(kLink)));
  REQUIRE(cookie);
  CHECK(cookie->starts_with("keyturn="));
  CHECK(cookie->substr(cookie->find(';')) == "; Path=/; HttpOnly; SameSite=Strict; Max-Age=900");
  CHECK(form.sign_in.user(cookie->substr(0, cookie->find(';')), kLink) == "U0ADMIN");
}

TEST_CASE("a state counts once, for its link, for ten minutes") {
  SignInPage form;
  const std::string state = SignInPage::state_of(form.sign_in.begin(kLink));
  SECTION("an unknown one") { CHECK_FALSE(form.finish(state + "x")); }
  SECTION("none") { CHECK_FALSE(form.finish("")); }
  SECTION("a second time") {
    CHECK(form.finish(state));
    CHECK_FALSE(form.finish(state));
  }
  SECTION("a second time, after Slack said no") {
    form.identity = std::unexpected("Slack says that the code is unknown, used up or too old");
    CHECK_FALSE(form.finish(state));
    form.identity = slack::Identity{.user = "U0ADMIN", .team = "T0RAXX"};
    CHECK_FALSE(form.finish(state));
  }
  SECTION("a second time, while the first is under way") {
    std::optional<bool> second;
    form.during = [&] { second = form.finish(state).has_value(); };
    CHECK(form.finish(state));
    CHECK(second == false);
  }
  SECTION("for another link, which spends it") {
    CHECK_FALSE(form.finish(state, kOtherLink));
    CHECK_FALSE(form.finish(state));
  }
  SECTION("just in time") {
    form.clock.time += 10min - 1ms;
    CHECK(form.finish(state));
  }
  SECTION("too late") {
    form.clock.time += 10min;
    CHECK_FALSE(form.finish(state));
    CHECK(form.exchanged.empty());
  }
}

TEST_CASE("Slack is not asked about a sign-in that isn't one") {
  SignInPage form;
  CHECK_FALSE(form.finish("unknown"));
  CHECK_FALSE(form.finish(SignInPage::state_of(form.sign_in.begin(kLink)), kLink, ""));
  CHECK_FALSE(form.finish(SignInPage::state_of(form.sign_in.begin(kLink)), kLink, std::string(513, 'a')));
  CHECK_FALSE(form.finish(SignInPage::state_of(form.sign_in.begin(kLink)), kOtherLink));
  CHECK(form.exchanged.empty());
}

TEST_CASE("the oldest of a thousand attempts makes room, and so does the oldest session") {
  SignInPage form;
  SECTION("attempts") {
    const std::string oldest = SignInPage::state_of(form.sign_in.begin(kLink));
    const std::string second = SignInPage::state_of(form.sign_in.begin(kLink));
    for (int i = 0; i < 999; ++i) form.sign_in.begin(kOtherLink);
    CHECK_FALSE(form.finish(oldest));
    CHECK(form.finish(second));
  }
  SECTION("sessions") {
    const std::string oldest = form.signed_in();
    const std::string second = form.signed_in();
    for (int i = 0; i < 999; ++i) form.signed_in(kOtherLink);
    CHECK_FALSE(form.sign_in.user(oldest, kLink));
    CHECK(form.sign_in.user(second, kLink) == "U0ADMIN");
  }
}

TEST_CASE("a session ends after fifteen minutes, whatever the browser does") {
  SignInPage form;
  const std::string cookie = form.signed_in();
  form.clock.time += 15min - 1ms;
  CHECK(form.sign_in.user(cookie, kLink) == "U0ADMIN");
  form.clock.time += 1ms;
  CHECK_FALSE(form.sign_in.user(cookie, kLink));
}

TEST_CASE("sessions know their own person, also when two have the same link") {
  SignInPage form;
  const std::string ada = form.signed_in();
  form.identity = slack::Identity{.user = "U0GRACE", .team = "T0RAXX"};
  const std::string grace = form.signed_in();
  CHECK(form.sign_in.user(ada, kLink) == "U0ADMIN");
  CHECK(form.sign_in.user(grace, kLink) == "U0GRACE");
}

TEST_CASE("only the whole cookie of that name counts, wherever it stands in the header") {
  SignInPage form;
  const std::string cookie = form.signed_in();
  const std::string value = cookie.substr(cookie.find('=') + 1);
  for (const std::string& header :
       {cookie, "a=b; " + cookie, cookie + "; a=b", "a=b;" + cookie + ";c=d", "  " + cookie + "\t",
        "__Host-keyturn=other; " + cookie, cookie + "; __Host-keyturn=other", ";; =;" + cookie}) {
    CAPTURE(header);
    CHECK(form.sign_in.user(header, kLink) == "U0ADMIN");
  }
  for (const std::string& header : std::vector<std::string>{
           "", value, "keyturn=" + value, "__host-keyturn=" + value, "x__Host-keyturn=" + value,
           "__Host-keyturn=", cookie + "x", cookie.substr(0, cookie.size() - 1), "a=\"" + cookie + "\"",
           "__Host-keyturn=" + storage::sha256_hex(value)}) {
    CAPTURE(header);
    CHECK_FALSE(form.sign_in.user(header, kLink));
  }
}

TEST_CASE("a refusal by Slack is said without its reason, and billing is said to be untouched") {
  SignInPage form;
  form.identity = std::unexpected("Slack refused our client id or client secret (bad_client_secret)");
  const auto refused = form.finish(SignInPage::state_of(form.sign_in.begin(kLink)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().find("did not confirm who you are") != std::string::npos);
  CHECK(refused.error().find("billing is untouched") != std::string::npos);
  CHECK(refused.error().find("bad_client_secret") == std::string::npos);
}

TEST_CASE("a Slack that doesn't answer signs nobody in, and is said to be that") {
  SignInPage form;
  form.failure =
      std::make_exception_ptr(integrations::ApiError({.system = integrations::System::slack,
                                                      .failure = integrations::Failure::unreachable,
                                                      .operation = "check a sign-in",
                                                      .reason = "no answer came",
                                                      .status = 0,
                                                      .request_id = "",
                                                      .retry_after = std::nullopt}));
  const auto refused = form.finish(SignInPage::state_of(form.sign_in.begin(kLink)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().find("could not be asked who you are") != std::string::npos);
}

}  // namespace keyturn::bot
