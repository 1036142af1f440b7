// What Heroku's answers mean, with the shapes of its API reference, and the ones that nobody should send.
#include "integrations/heroku/answers.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>

using namespace keyturn;
using namespace keyturn::heroku;
using integrations::ApiError;
using integrations::Failure;
using integrations::ReleaseStatus;

namespace {

const std::string kVariable = "STRIPE_RESTRICTED_KEY";

const std::string kRelease =
    R"({"addon_plan_names":[],"app":{"id":"01234567","name":"example"},"created_at":"2012-01-01T12:00:00Z",)"
    R"("current":true,"description":"Set X config vars","id":"01234567-89ab","status":"succeeded",)"
    R"("user":{"email":"username@example.com","id":"0123"},"version":)";

const std::string kDyno =
    R"({"command":"bundle exec puma","name":"web.1","release":{"id":"0123","version":42},"size":"Basic",)"
    R"("state":"up","type":"web"})";

ApiError::Details failure_of(const std::function<void()>& reading) {
  try {
    reading();
  } catch (const ApiError& error) {
    return error.details();
  }
  FAIL("nothing was thrown");
  throw std::logic_error("not reached");
}

ApiError::Details failed_config(net::Response response) {
  return failure_of([&] { read_config(response, kVariable); });
}

}  // namespace

TEST_CASE("an account is whose the token is, with the calls that are left to it") {
  const net::Response response(200, {{"RateLimit-Remaining", "4321"}}, R"({"email":"bot@raxx.example"})");
  const Account account = read_account(response);
  CHECK(account.email == "bot@raxx.example");
  CHECK(account.quota_remaining == 4321);
  CHECK_THROWS_AS(read_account(net::Response(200, {}, "<html>")), integrations::ApiError);
  CHECK_THROWS_AS(read_account(net::Response(401, {}, R"({"id":"unauthorized"})")), integrations::ApiError);
}

TEST_CASE("an app is read with its generation and what is left of the quota") {
  const auto app =
      read_app({200,
                {{"RateLimit-Remaining", "4499"}, {"Request-Id", "0123-abc,4567"}},
                R"({"name":"example","maintenance":true,"generation":{"id":"1","name":"cedar"}})"});
  CHECK(app.name == "example");
  CHECK(app.maintenance);
  CHECK(app.generation == "cedar");
  CHECK(app.quota_remaining == 4499);
  CHECK(app.request_id == "0123-abc");
}

TEST_CASE("of a configuration only the one variable is kept") {
  net::Response response(
      200, {{"Request-Id", "r-1"}},
      R"({"DATABASE_URL":"postgres://secret","STRIPE_RESTRICTED_KEY":"rk_test_<A>","EMPTY":null})");
  const auto config = read_config(response, kVariable);
  CHECK(config.value->expose() == "rk_test_<A>");
  CHECK(config.request_id == "r-1");
  CHECK(response.body.find("postgres") == std::string::npos);
  CHECK(response.body.find("<A>") == std::string::npos);
}

TEST_CASE("a variable that isn't set is nothing, and not an empty value") {
  net::Response absent(200, {}, R"({"OTHER":"x"})");
  CHECK(read_config(absent, kVariable).value == nullptr);
  net::Response null(200, {}, R"({"STRIPE_RESTRICTED_KEY":null})");
  CHECK(read_config(null, kVariable).value == nullptr);
}

TEST_CASE("what is no configuration is not understood") {
  for (const std::string body :
       {"<html>", "", "[]", R"({"STRIPE_RESTRICTED_KEY":5})", R"({"A":{"B":"C"}})",
        R"({"STRIPE_RESTRICTED_KEY":"a","STRIPE_RESTRICTED_KEY":"b"})", R"({"STRIPE_RESTRICTED_KEY":"a)"}) {
    CHECK(failed_config({200, {}, body}).failure == Failure::not_understood);
  }
}

TEST_CASE("refusals say what is wrong in our words") {
  const auto missing =
      failed_config({404,
                     {{"Request-Id", "r-2"}},
                     R"({"resource":"app","id":"not_found","message":"Couldn't find that app."})"});
  CHECK(missing.failure == Failure::not_found);
  CHECK(missing.reason == "the app was not found");
  CHECK(missing.request_id == "r-2");
  CHECK(failed_config({401, {}, R"({"id":"unauthorized","message":"Invalid credentials provided."})"})
            .failure == Failure::unauthorized);
  CHECK(failed_config({403, {}, R"({"id":"two_factor","message":"x"})"}).reason ==
        "Heroku asks for a second factor, which a bot hasn't got");
  CHECK(failed_config({403, {}, R"({"id":"forbidden","message":"You do not have access to the app x."})"})
            .failure == Failure::forbidden);
  CHECK(failed_config({429, {}, R"({"id":"rate_limit","message":"Your account reached"})"}).failure ==
        Failure::busy);
  CHECK(failed_config({503, {}, "<html>"}).failure == Failure::busy);
}

TEST_CASE("a change counts when the answer shows the new value") {
  const auto value = storage::Secret::copy_of("rk_test_<B>");
  net::Response changed(200, {{"Request-Id", "r-3"}},
                        R"({"STRIPE_RESTRICTED_KEY":"rk_test_<B>","OTHER":"x"})");
  CHECK(read_changed(changed, kVariable, value) == "r-3");
  for (const std::string body : {R"({"STRIPE_RESTRICTED_KEY":"rk_test_<A>"})", "{}", "<html>", ""}) {
    net::Response other(200, {}, body);
    CHECK(failure_of([&] { read_changed(other, kVariable, value); }).failure == Failure::ambiguous);
  }
  net::Response invalid(422, {}, R"({"id":"invalid_params","message":"x"})");
  CHECK(failure_of([&] { read_changed(invalid, kVariable, value); }).failure == Failure::refused);
  net::Response broken(502, {}, "");
  CHECK(failure_of([&] { read_changed(broken, kVariable, value); }).failure == Failure::ambiguous);
}

TEST_CASE("releases are read from a whole list or a range of it, newest first") {
  const net::Response response(206, {{"Next-Range", "version ]41..; order=desc,max=2"}},
                               "[" + kRelease + "41}," + kRelease + "42}]");
  const auto releases = read_releases(response);
  REQUIRE(releases.size() == 2);
  CHECK(releases[0].version == 42);
  CHECK(releases[0].status == ReleaseStatus::succeeded);
  CHECK(releases[0].current);
  CHECK(releases[0].user == "username@example.com");
  CHECK(releases[0].description == "Set X config vars");
  CHECK(read_releases({200, {}, "[]"}).empty());
}

TEST_CASE("how long a release took is known of one that succeeded, and of no other") {
  const auto took = [](const std::string& status, const std::string& began, const std::string& ended) {
    const std::string row = R"([{"id":"a","version":1,"status":")" + status + R"(","created_at":")" + began +
                            R"(","updated_at":")" + ended + R"("}])";
    return read_releases({200, {}, row})[0].took;
  };
  CHECK(took("succeeded", "2012-01-01T12:00:00Z", "2012-01-01T12:02:30Z") == std::chrono::seconds(150));
  CHECK_FALSE(took("pending", "2012-01-01T12:00:00Z", "2012-01-01T12:02:30Z"));
  CHECK_FALSE(took("succeeded", "2012-01-01T12:00:00Z", "2012-01-09T12:00:00Z"));  // touched later
  CHECK_FALSE(took("succeeded", "2012-01-01T12:00:00Z", "2012-01-01T11:00:00Z"));
  CHECK_FALSE(took("succeeded", "yesterday", "2012-01-01T12:00:00Z"));
}

TEST_CASE("a status of a release that we don't know is unknown, and never success") {
  CHECK(read_releases({200, {}, R"([{"id":"a","version":1,"status":"sucCeeded"}])"})[0].status ==
        ReleaseStatus::unknown);
  CHECK(read_releases({200, {}, R"([{"id":"a","version":1}])"})[0].status == ReleaseStatus::unknown);
  CHECK(read_releases({200, {}, R"([{"id":"a","version":1,"status":"pending"}])"})[0].status ==
        ReleaseStatus::pending);
}

TEST_CASE("a list with a strange row is not understood, rather than shorter") {
  CHECK(failure_of([] { read_releases({200, {}, R"([{"id":"a"}])"}); }).failure == Failure::not_understood);
  CHECK(failure_of([] { read_releases({200, {}, R"({"id":"a"})"}); }).failure == Failure::not_understood);
  CHECK(failure_of([] { read_dynos({200, {}, "[" + kDyno + ",{}]"}); }).failure == Failure::not_understood);
  CHECK(failure_of([] { read_dynos({200, {}, "[" + kDyno}); }).failure == Failure::not_understood);
}

TEST_CASE("dynos are read with the release they run") {
  const auto dynos =
      read_dynos({200, {}, "[" + kDyno + R"(,{"name":"run.1","type":"run","state":"up","release":null}])"});
  REQUIRE(dynos.size() == 2);
  CHECK(dynos[0].name == "web.1");
  CHECK(dynos[0].state == "up");
  CHECK(dynos[0].release == 42);
  CHECK(dynos[1].release == 0);
}

TEST_CASE("only a 206 has more to come") {
  CHECK(next_range({206, {{"Next-Range", "id ]5.."}}, ""}) == "id ]5..");
  CHECK_FALSE(next_range({206, {}, ""}));
  CHECK_FALSE(next_range({200, {{"Next-Range", "id ]5.."}}, ""}));
}

TEST_CASE("a log session gives its URL") {
  CHECK(read_log_session({201, {}, R"({"logplex_url":"https://logs.example/s?srv=1"})"}) ==
        "https://logs.example/s?srv=1");
  CHECK(failure_of([] { read_log_session({201, {}, "{}"}); }).failure == Failure::not_understood);
  CHECK(failure_of([] { read_log_session({403, {}, "{}"}); }).failure == Failure::forbidden);
  CHECK(failure_of([] { check_log_stream(403); }).failure == Failure::not_found);
  CHECK(failure_of([] { check_log_stream(500); }).failure == Failure::busy);
  CHECK_NOTHROW(check_log_stream(200));
}

TEST_CASE("any bytes are either understood or a failure of ours") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    const std::string body(bytes.begin(), bytes.end());
    for (const int status : {200, 206, 404, 500}) {
      net::Response response(status, {}, body);
      CHECK_THROWS_AS(read_config(response, kVariable), ApiError);
      CHECK_THROWS_AS(read_dynos({status, {}, body}), ApiError);
    }
  }));
}
