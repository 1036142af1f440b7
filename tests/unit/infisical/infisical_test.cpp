// The calls to Infisical over a real socket: logins, fallbacks, and what a torn answer means.
#include "integrations/infisical/infisical.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/infisical/sample.h"
#include "tests/unit/scripted_vendor.h"

using namespace keyturn;
using infisical::Infisical;
using integrations::ApiError;
using integrations::Failure;
using integrations::StoredSecret;
using test::sample;

namespace {

constexpr auto kLoginPath = "/api/v1/auth/universal-auth/login";
constexpr auto kSecretPath = "/api/v4/secrets/STRIPE_RESTRICTED_KEY";

const integrations::SecretAddress kAddress{
    .project = "p-1", .environment = "prod", .path = "/", .name = "STRIPE_RESTRICTED_KEY"};

// A server where paths have samples; a path with several gives them one after the other, and then the last
// for ever.
struct Store {
  std::map<std::string, std::vector<std::string>> samples;
  test::FakeClock clock;
  std::vector<std::string> observed;
  test::ScriptedVendor vendor{[this](const net::ServerRequest& request) { return answer(request); }};
  Infisical client{
      vendor.client(),
      clock,
      vendor.base(),
      {.client_id = "me", .client_secret = storage::share(storage::Secret::copy_of("client-secret"))},
      [this](const std::string& operation, const std::string& outcome) {
        observed.push_back(operation + ": " + outcome);
      }};

  net::Response answer(const net::ServerRequest& request) {
    auto& left = samples[request.path];
    if (left.empty())
      return {404, {}, R"({"message":"Route )" + request.method + R"(: not found","error":"Not Found"})"};
    const std::string name = left.front();
    if (left.size() > 1) left.erase(left.begin());
    return name == "reset" ? net::Response(test::kReset, {}, "") : sample(name);
  }

  StoredSecret read(std::optional<int> version = std::nullopt) {
    return vendor.run(client.read(kAddress, version));
  }

  std::variant<integrations::SecretWritten, integrations::ApprovalPending> write(const std::string& value) {
    return vendor.run(
        client.write(kAddress, storage::share(storage::Secret::copy_of(value)), "by the bot", "rot_1"));
  }

  Failure failed_read() {
    try {
      read();
    } catch (const ApiError& error) {
      return error.failure();
    }
    FAIL("nothing was thrown");
    return Failure::refused;
  }

  int calls(const std::string& path) const {
    int count = 0;
    for (const auto& line : vendor.lines()) count += line.find(path) != std::string::npos ? 1 : 0;
    return count;
  }
};

}  // namespace

TEST_CASE("one login serves many reads, until a minute before it expires") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"secret"}}}};
  CHECK(store.read().value->expose() == "rk_test_<C3333>");
  store.read();
  store.clock.time += std::chrono::minutes(58);
  store.read();
  CHECK(store.calls(kLoginPath) == 1);
  store.clock.time += std::chrono::minutes(1);
  store.read();
  CHECK(store.calls(kLoginPath) == 2);
  CHECK(store.observed.front() == "log in: ok");
  CHECK(store.observed.back() == "read the secret: ok");
}

TEST_CASE("a read asks for the raw value and nothing imported, with the token as bearer") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"secret_version_1"}}}};
  store.read(1);
  const auto& seen = store.vendor.seen();
  CHECK(seen[0].line == std::string("POST ") + kLoginPath);
  CHECK(nlohmann::json::parse(seen[0].body) ==
        nlohmann::json({{"clientId", "me"}, {"clientSecret", "client-secret"}}));
  CHECK(seen[1].line == std::string("GET ") + kSecretPath +
                            "?projectId=p-1&environment=prod&secretPath=%2F&type=shared&viewSecretValue=true"
                            "&expandSecretReferences=false&includeImports=false&version=1");
  CHECK(seen[1].header("Authorization") == "Bearer <jwt>");
}

TEST_CASE("two calls at once wait for one login") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"secret"}}}};
  using namespace boost::asio::experimental::awaitable_operators;
  store.vendor.run([](Store& of) -> boost::asio::awaitable<void> {
    co_await (of.client.read(kAddress, std::nullopt) && of.client.read(kAddress, std::nullopt) &&
              of.client.syncs("p-1"));
  }(store));
  CHECK(store.calls(kLoginPath) == 1);
  CHECK(store.calls(kSecretPath) == 2);
}

TEST_CASE("a token that is refused is replaced once, and the call repeated once") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"token_expired", "secret"}}}};
  CHECK(store.read().version == 3);
  CHECK(store.calls(kLoginPath) == 2);

  Store stubborn{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"token_revoked"}}}};
  CHECK(stubborn.failed_read() == Failure::unauthorized);
  CHECK(stubborn.calls(kLoginPath) == 2);
  CHECK(stubborn.calls(kSecretPath) == 2);
}

TEST_CASE("a missing permission is no reason to log in again") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"not_a_member"}}}};
  CHECK(store.failed_read() == Failure::forbidden);
  CHECK(store.calls(kLoginPath) == 1);
}

TEST_CASE("a refused login is not repeated for a minute, because repeating it locks the identity") {
  Store store{.samples = {{kLoginPath, {"login_refused", "login"}}, {kSecretPath, {"secret"}}}};
  CHECK(store.failed_read() == Failure::unauthorized);
  store.clock.time += std::chrono::seconds(59);
  CHECK(store.failed_read() == Failure::unauthorized);
  CHECK(store.calls(kLoginPath) == 1);
  store.clock.time += std::chrono::seconds(1);
  CHECK(store.read().version == 3);
  CHECK(store.calls(kLoginPath) == 2);
}

TEST_CASE("a login that was refused while the clock was a year ahead is tried again once it is set back") {
  Store store{.samples = {{kLoginPath, {"login_refused", "login"}}, {kSecretPath, {"secret"}}}};
  store.clock.time += std::chrono::days(365);
  CHECK(store.failed_read() == Failure::unauthorized);
  store.clock.time -= std::chrono::days(365);
  CHECK(store.read().version == 3);
  CHECK(store.calls(kLoginPath) == 2);
}

TEST_CASE("a server without v4 is asked by v3, and then at once") {
  const std::string v3 = "/api/v3/secrets/raw/STRIPE_RESTRICTED_KEY";
  Store store{.samples = {{kLoginPath, {"login"}}, {v3, {"secret_v3", "secret_v3", "written_v3"}}}};
  CHECK(store.read().version == 3);
  CHECK(store.read().version == 3);
  CHECK(std::get<integrations::SecretWritten>(store.write("rk_test_new")).version == 4);
  CHECK(store.calls(kSecretPath) == 1);
  CHECK(store.vendor.seen()[2].line.find("workspaceId=p-1") != std::string::npos);
  CHECK(nlohmann::json::parse(store.vendor.seen().back().body)["workspaceId"] == "p-1");
}

TEST_CASE("a secret that is missing is no reason to try v3") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"secret_missing"}}}};
  CHECK(store.failed_read() == Failure::not_found);
  CHECK(store.calls("/api/v3/") == 0);
}

TEST_CASE("a secret that an import brings is refused with its place, and its value is not asked for") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"secret_missing", "secret_hidden"}}}};
  CHECK(store.failed_read() == Failure::refused);
  CHECK(store.vendor.seen()[2].line.find(
            "viewSecretValue=false&expandSecretReferences=false&includeImports=true") != std::string::npos);
}

TEST_CASE("a write sends the value with the comment and the rotation") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"written"}}}};
  CHECK(std::get<integrations::SecretWritten>(store.write("rk_test_new")).version == 2);
  const auto& sent = store.vendor.seen().back();
  CHECK(sent.line == std::string("PATCH ") + kSecretPath);
  CHECK(sent.header("Content-Type") == "application/json");
  CHECK(nlohmann::json::parse(sent.body) ==
        nlohmann::json::parse(
            R"({"projectId":"p-1","environment":"prod","secretPath":"/","type":"shared",)"
            R"("secretValue":"rk_test_new","secretComment":"by the bot",)"
            R"("secretMetadata":[{"key":"rotation_id","value":"rot_1","isEncrypted":false}]})"));
}

TEST_CASE("a write that was sent and never answered is ambiguous, and a read of that kind is not") {
  Store store{.samples = {{kLoginPath, {"login"}}, {kSecretPath, {"reset"}}}};
  try {
    store.write("rk_test_new");
    FAIL("nothing was thrown");
  } catch (const ApiError& error) {
    CHECK(error.failure() == Failure::ambiguous);
    CHECK_FALSE(error.can_retry());
  }
  CHECK(store.observed.back() == "write the secret: ambiguous");
  CHECK(store.failed_read() == Failure::unreachable);
}

TEST_CASE("a write whose login got no answer has not happened") {
  Store store{.samples = {{kLoginPath, {"reset"}}}};
  CHECK_THROWS_MATCHES(
      store.write("rk_test_new"), ApiError,
      Catch::Matchers::Predicate<ApiError>(
          [](const ApiError& error) { return error.failure() == Failure::unreachable; }, ""));
}

TEST_CASE("an empty value is refused before anything is sent") {
  Store store;
  CHECK_THROWS_AS(store.write(""), ApiError);
  CHECK(store.vendor.seen().empty());
}

TEST_CASE("logging out revokes the token once, and throws nothing") {
  Store store{.samples = {{kLoginPath, {"login"}},
                          {kSecretPath, {"secret"}},
                          {"/api/v1/auth/token/revoke", {"reset"}}}};
  store.vendor.run(store.client.log_out());
  CHECK(store.vendor.seen().empty());
  store.read();
  store.vendor.run(store.client.log_out());
  store.vendor.run(store.client.log_out());
  CHECK(store.calls("/token/revoke") >= 1);
  CHECK(nlohmann::json::parse(store.vendor.seen().back().body)["accessToken"] == "<jwt>");
  store.read();
  CHECK(store.calls(kLoginPath) == 2);
}
