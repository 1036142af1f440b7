// What Infisical's answers mean: the recorded ones of a real server, and the ones that nobody should send.
#include "integrations/infisical/answers.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "tests/unit/infisical/sample.h"

using namespace keyturn;
using namespace keyturn::infisical;
using integrations::ApiError;
using integrations::ApprovalPending;
using integrations::Failure;
using integrations::SecretWritten;
using test::sample;

namespace {

const std::string kName = "STRIPE_RESTRICTED_KEY";

// What the reader threw; fails the test when it threw nothing.
ApiError::Details failure_of(const std::function<void()>& reading) {
  try {
    reading();
  } catch (const ApiError& error) {
    return error.details();
  }
  FAIL("nothing was thrown");
  throw std::logic_error("not reached");
}

ApiError::Details failed_read(net::Response response, std::optional<int> version = std::nullopt) {
  return failure_of([&] { read_secret(response, kName, version); });
}
ApiError::Details failed_write(net::Response response) {
  return failure_of([&] { read_written(response); });
}
ApiError::Details failed_login(net::Response response) {
  return failure_of([&] { read_login(response); });
}

}  // namespace

TEST_CASE("the live secret is read with its value, id and version, and the body keeps no copy") {
  for (const std::string name : {"secret", "secret_v3"}) {
    net::Response response = sample(name);
    const auto secret = read_secret(response, kName, std::nullopt);
    REQUIRE(secret.value);
    CHECK(secret.value->expose() == "rk_test_<C3333>");
    CHECK(secret.id == "755748ec-4218-41bb-b4cc-778496fd68a5");
    CHECK(secret.version == 3);
    CHECK_FALSE(secret.hidden);
    CHECK_FALSE(secret.rotated_by_store);
    CHECK_FALSE(secret.is_reference);
    CHECK(response.body.find("C3333") == std::string::npos);
  }
}

TEST_CASE("a version is read when it is the one that was asked for") {
  net::Response response = sample("secret_version_1");
  CHECK(read_secret(response, kName, 1).value->expose() == "rk_test_<A1111>");
  const auto other = failed_read(sample("secret"), 1);
  CHECK(other.failure == Failure::not_understood);
  CHECK(other.reason == "asked for version 1, got version 3");
}

TEST_CASE("a hidden value is never taken for the value") {
  net::Response response = sample("secret_hidden");
  const auto secret = read_secret(response, kName, std::nullopt);
  CHECK(secret.hidden);
  CHECK(secret.value == nullptr);
  net::Response unmarked = test::changed_secret("secret_hidden", "secretValueHidden", false);
  CHECK(read_secret(unmarked, kName, std::nullopt).hidden);
}

TEST_CASE(
    "a redacted version, which is an empty value under 200, is no value, and an empty newest one is "
    "refused") {
  net::Response redacted = sample("secret_redacted");
  const auto old = read_secret(redacted, kName, 2);
  CHECK(old.value == nullptr);
  CHECK_FALSE(old.hidden);
  CHECK(failed_read(test::changed_secret("secret", "secretValue", "")).reason ==
        "the stored value is empty (as after a redaction)");
}

TEST_CASE("somebody's personal override is never taken for the value") {
  const auto details = failed_read(test::changed_secret("secret", "type", "personal"));
  CHECK(details.failure == Failure::not_understood);
  CHECK(details.reason == "asked for the value that all share, got a personal one");
}

TEST_CASE("a reference and a secret that the store rotates are told") {
  net::Response reference = test::changed_secret("reference", "secretKey", kName);
  CHECK(read_secret(reference, kName, std::nullopt).is_reference);
  net::Response rotated = test::changed_secret("secret", "isRotatedSecret", true);
  CHECK(read_secret(rotated, kName, std::nullopt).rotated_by_store);
}

TEST_CASE("an answer about another secret is not understood") {
  CHECK(failed_read(test::changed_secret("secret", "secretKey", "OTHER_KEY")).failure ==
        Failure::not_understood);
  CHECK(failed_read(test::changed_secret("secret", "version", "3")).failure == Failure::not_understood);
  CHECK(failed_read(test::changed_secret("secret", "id", nullptr)).failure == Failure::not_understood);
  CHECK(failed_read(test::changed_secret("secret", "secretValue", 5)).failure == Failure::not_understood);
}

TEST_CASE("what isn't JSON of that shape is not understood") {
  for (const std::string body :
       {"", "<html>log in</html>", "[]", "{}", R"({"secret":[]})", R"({"secret":{"id":"a)"}) {
    CHECK(failed_read({200, {}, body}).failure == Failure::not_understood);
  }
  CHECK(failed_read({502, {}, "<html>"}).failure == Failure::busy);
  CHECK(failed_read({302, {}, ""}).failure == Failure::not_understood);
}

TEST_CASE("refusals say what is wrong in our words, with the request id") {
  const auto missing = failed_read(sample("secret_missing"));
  CHECK(missing.failure == Failure::not_found);
  CHECK(missing.reason == "the secret, or that version of it, was not found");
  CHECK(missing.request_id == "req-AiIXXq7j3xfnZe");
  CHECK(failed_read(sample("folder_missing")).reason == "the environment or the folder was not found");
  CHECK(failed_read(sample("route_missing")).reason ==
        "the server doesn't have this API (is the address right?)");
  const auto stranger = failed_read(sample("not_a_member"));
  CHECK(stranger.failure == Failure::forbidden);
  CHECK(stranger.reason == "the machine identity is not a member of the project");
  CHECK(failed_write(sample("edit_forbidden")).reason == "the machine identity doesn't have the permission");
  CHECK(failed_write(sample("validation")).failure == Failure::refused);
  const auto rotated =
      failed_write({400, {}, R"({"reqId":"req-1","message":"Cannot update rotated secret name or value"})"});
  CHECK(rotated.reason == "the store rotates this secret itself and refuses our writes");
}

TEST_CASE("a rate limit says how long to wait, by header or in words") {
  const std::string body =
      R"({"reqId":"req-1","statusCode":429,"message":"Rate limit exceeded. Please try again in 42 seconds","error":"RateLimitExceeded"})";
  CHECK(failed_read({429, {}, body}).retry_after == std::chrono::seconds(42));
  CHECK(failed_read({429, {{"Retry-After", "7"}}, body}).retry_after == std::chrono::seconds(7));
  CHECK(failed_read({429, {}, body}).failure == Failure::busy);
  CHECK_FALSE(failed_read({429, {}, R"({"message":"try again in a while"})"}).retry_after);
}

TEST_CASE("the token's refusal is told apart from a missing permission") {
  CHECK(token_was_refused(sample("token_expired")));
  CHECK(token_was_refused(sample("token_malformed")));
  CHECK(token_was_refused(sample("token_revoked")));
  CHECK_FALSE(token_was_refused(sample("edit_forbidden")));
  CHECK_FALSE(token_was_refused(sample("not_a_member")));
  CHECK_FALSE(token_was_refused({403, {}, "<html>"}));
}

TEST_CASE("a router's 404 is told apart from a missing secret's") {
  CHECK(route_is_missing(sample("route_missing")));
  CHECK_FALSE(route_is_missing(sample("secret_missing")));
  CHECK_FALSE(route_is_missing({404, {}, "<html>"}));
}

TEST_CASE("a login gives the token and its life, and leaves no copy of it") {
  net::Response response = sample("login");
  const Session session = read_login(response);
  CHECK(session.token->expose() == "<jwt>");
  CHECK(session.life == std::chrono::hours(1));
  CHECK(response.body.find("jwt") == std::string::npos);
}

TEST_CASE("refused logins are told apart in words, and all of them are unauthorized") {
  for (const std::string name : {"login_refused", "login_locked", "login_used_up"}) {
    CHECK(failed_login(sample(name)).failure == Failure::unauthorized);
  }
  CHECK(failed_login(sample("login_refused")).reason == "the client id or client secret was refused");
  CHECK(failed_login(sample("login_locked")).reason.starts_with("the identity is locked"));
  CHECK(failed_login({200, {}, R"({"accessToken":"","expiresIn":3600})"}).failure == Failure::not_understood);
  CHECK(failed_login({200, {}, R"({"accessToken":"x","expiresIn":"3600"})"}).failure ==
        Failure::not_understood);
  CHECK(failed_login({200, {}, "<html>"}).failure == Failure::not_understood);
}

TEST_CASE("a write is read by what the body holds, not by its status") {
  net::Response written = sample("written");
  CHECK(std::get<SecretWritten>(read_written(written)).version == 2);
  net::Response written_v3 = sample("written_v3");
  CHECK(std::get<SecretWritten>(read_written(written_v3)).version == 4);
  net::Response pending{
      200,
      {},
      R"({"approval":{"id":"a1","policyId":"p1","hasMerged":false,"status":"open","slug":"abc-1"}})"};
  CHECK(std::get<ApprovalPending>(read_written(pending)).slug == "abc-1");
}

TEST_CASE("a write without a clear answer is ambiguous") {
  CHECK(failed_write({200, {}, "<html>"}).failure == Failure::ambiguous);
  CHECK(failed_write({200, {}, R"({"secret":{}})"}).failure == Failure::ambiguous);
  CHECK(failed_write({200, {}, "{}"}).failure == Failure::ambiguous);
  CHECK(failed_write({504, {}, "<html>"}).failure == Failure::ambiguous);
}

TEST_CASE("syncs are listed with where they write, and a strange one isn't overlooked") {
  CHECK(read_syncs(sample("no_syncs")).empty());
  CHECK(read_syncs(sample("route_missing")).empty());
  const auto syncs = read_syncs(
      {200,
       {},
       R"({"secretSyncs":[{"id":"s1","destination":"heroku","isAutoSyncEnabled":true,)"
       R"("destinationConfig":{"app":"0123-id","appName":"raxx-api-prod"},"environment":{"slug":"prod"},)"
       R"("folder":{"path":"/"},"syncOptions":{"recursive":true,"keySchema":"{{secretKey}}_2",)"
       R"("disableSecretDeletion":true},"syncStatus":"failed","lastSyncJobId":"job-1","lastSyncedAt":)"
       R"("2026-11-27T16:25:11.648Z"},)"
       R"({"id":"s2","destination":"github","environment":null,"folder":null}]})"});
  REQUIRE(syncs.size() == 2);
  CHECK(syncs[0].app == "raxx-api-prod");
  CHECK(syncs[0].environment == "prod");
  CHECK(syncs[0].path == "/");
  CHECK(syncs[0].automatic);
  CHECK(syncs[0].recursive);
  CHECK(syncs[0].app_id == "0123-id");
  CHECK(syncs[0].key_schema == "{{secretKey}}_2");
  CHECK_FALSE(syncs[0].deletes);
  CHECK(syncs[0].has_run);
  CHECK(syncs[0].status == integrations::SyncStatus::failed);
  CHECK(syncs[0].last_run == "job-1");
  CHECK_FALSE(syncs[1].automatic);
  CHECK(syncs[1].deletes);  // what isn't said to be left alone is not
  CHECK_FALSE(syncs[1].has_run);
  CHECK(syncs[1].status == integrations::SyncStatus::unknown);
  CHECK(failure_of([] {
          read_syncs(
              {200, {}, R"({"secretSyncs":[{"destination":"heroku","syncOptions":{"keySchema":1}}]})"});
        }).failure == Failure::not_understood);
  CHECK(failure_of([] { read_syncs({200, {}, R"({"secretSyncs":[{"id":"s1"}]})"}); }).failure ==
        Failure::not_understood);
  CHECK(failure_of([] { read_syncs({200, {}, R"({"secretSyncs":{}})"}); }).failure ==
        Failure::not_understood);
}

TEST_CASE("any bytes are either understood or a failure of ours, and never in its words") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    const std::string marked = std::string(bytes.begin(), bytes.end()) + "\"secretValue\":\"canary\"";
    for (const int status : {200, 400, 401, 403, 404, 429, 500}) {
      net::Response response(status, {}, marked);
      try {
        read_secret(response, kName, std::nullopt);
      } catch (const ApiError& error) {
        RC_ASSERT(std::string(error.what()).find("canary") == std::string::npos);
      }
    }
  }));
}
