// Secrets in and out of JSON texts, and what an HTTP status means; shared by every vendor's client.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <string>

#include "integrations/http_failure.h"
#include "integrations/net/http_client.h"
#include "integrations/provider.h"
#include "integrations/secret_json.h"

using namespace keyturn;
using integrations::Effect;
using integrations::Failure;
using integrations::take_string;
using storage::Secret;

TEST_CASE("a secret is cut out of a JSON text, which stays whole and keeps no byte of it") {
  std::string json = R"({"secret":{"secretValue" : "hidden-value","version":3}})";
  const std::size_t size = json.size();
  const auto taken = take_string(json, "secretValue");
  REQUIRE(taken);
  CHECK(taken->expose() == "hidden-value");
  CHECK(json.size() == size);
  CHECK(json.find("hidden") == std::string::npos);
  CHECK(integrations::parse_json(json) ==
        nlohmann::json::parse(R"({"secret":{"secretValue":"","version":3}})"));
}

TEST_CASE("a value that looks like the name isn't taken for it") {
  std::string json = R"({"a":"KEY","b":["KEY"],"KEY":"value"})";
  CHECK(take_string(json, "KEY")->expose() == "value");
}

TEST_CASE("what is no string, not there, or there twice isn't taken") {
  for (std::string json : {R"({"KEY":null})", R"({"KEY":5})", R"({"other":"x"})", R"({"KEY":"a","KEY":"b"})",
                           "", "<html>", R"({"KEY)", R"({"KEY":)"}) {
    CHECK_FALSE(take_string(json, "KEY"));
  }
}

TEST_CASE("a text cut off inside the secret keeps no piece of it") {
  std::string json = R"({"KEY":"abcdefgh)";
  CHECK_FALSE(take_string(json, "KEY"));
  CHECK(json.find("abc") == std::string::npos);
  CHECK(integrations::parse_json(json).is_discarded());
}

TEST_CASE("escapes in a secret are decoded") {
  std::string json = R"({"KEY":"a\"b\\c\n\u00e9"})";
  CHECK(take_string(json, "KEY")->expose() == "a\"b\\c\n\xC3\xA9");
}

TEST_CASE("blanking leaves names, numbers and shape") {
  std::string json = R"({"A":"one","B":null,"C":{"D":"two \" three"},"E":["x",1]})";
  integrations::blank_strings(json);
  CHECK(integrations::parse_json(json) ==
        nlohmann::json::parse(R"({"A":"","B":null,"C":{"D":""},"E":["",1]})"));
}

TEST_CASE("a body with a secret in it parses back to what went in") {
  const Secret secret = Secret::copy_of("quote \" backslash \\ newline \n end");
  const Secret body = integrations::json_with_secrets({{"clientId", "me"}}, {{"KEY", &secret}});
  CHECK(nlohmann::json::parse(body.expose()) ==
        nlohmann::json({{"clientId", "me"}, {"KEY", std::string(secret.expose())}}));
  const Secret alone =
      integrations::json_with_secrets(nlohmann::json::object(), {{"K", &secret}, {"L", &secret}});
  CHECK(nlohmann::json::parse(alone.expose()).size() == 2);
}

TEST_CASE("any secret survives the way out and in, and any bytes are taken without a throw") {
  CHECK(rc::check([](const std::string& value) {
    const Secret secret = Secret::copy_of(value);
    std::string json(integrations::json_with_secrets(nlohmann::json::object(), {{"K", &secret}}).expose());
    if (integrations::parse_json(json).is_discarded()) return;  // not UTF-8
    RC_ASSERT(take_string(json, "K")->expose() == value);
  }));
  CHECK(rc::check([](std::string json) {
    take_string(json, "K");
    integrations::blank_strings(json);
  }));
}

TEST_CASE("numbers that don't fit are no numbers") {
  CHECK_FALSE(integrations::int_at(nlohmann::json::parse(R"({"n":18446744073709551615})"), "n"));
  CHECK_FALSE(integrations::int_at(nlohmann::json::parse(R"({"n":3.5})"), "n"));
  CHECK_FALSE(integrations::int_at(nlohmann::json::parse("[]"), "n"));
  CHECK(integrations::int_at(nlohmann::json::parse(R"({"n":-7})"), "n") == -7);
}

TEST_CASE("a server error to a write is ambiguous, and to a read only busy") {
  CHECK(integrations::failure_of(502, Effect::write) == Failure::ambiguous);
  CHECK(integrations::failure_of(502, Effect::none) == Failure::busy);
  CHECK(integrations::failure_of(429, Effect::write) == Failure::busy);
  CHECK(integrations::failure_of(302, Effect::none) == Failure::not_understood);
  CHECK(integrations::failure_of(422, Effect::write) == Failure::refused);
}

TEST_CASE("no answer to a write that was sent is ambiguous, and nothing otherwise") {
  using integrations::Call;
  const Call write{.system = integrations::System::heroku, .operation = "set", .effect = Effect::write};
  const Call read{.system = integrations::System::heroku, .operation = "get", .effect = Effect::none};
  CHECK(integrations::no_answer(write, net::NetError("x", true)).failure() == Failure::ambiguous);
  CHECK(integrations::no_answer(write, net::NetError("x", false)).failure() == Failure::unreachable);
  CHECK(integrations::no_answer(read, net::NetError("x", true)).failure() == Failure::unreachable);
}

TEST_CASE("a request id is cut to what ids are made of") {
  CHECK(integrations::request_id_from("req_AbC123, other") == "req_AbC123");
  CHECK(integrations::request_id_from("<!channel> x") == "channel");
  CHECK(integrations::request_id_from(std::string(200, 'a')).size() == 64);
}

TEST_CASE("every answer of a provider is found again by its name") {
  using integrations::Answer;
  for (const Answer answer : {Answer::granted, Answer::denied, Answer::expired, Answer::unknown_key,
                              Answer::address, Answer::inconclusive}) {
    CHECK(integrations::answer_named(name_of(answer)) == answer);
  }
  CHECK_FALSE(integrations::answer_named("alive"));
}
