#include "integrations/slack/envelope.h"

#include <catch2/catch.hpp>

namespace keyturn::slack {
namespace {

using nlohmann::json;

Envelope read(const char* text) {
  auto envelope = parse_envelope(json::parse(text));
  REQUIRE(envelope.has_value());
  return std::move(*envelope);
}

// As in docs.slack.dev "Using Socket Mode" and the official SDKs' own test servers.
constexpr const char* kSlash =
    R"({"envelope_id":"1d3c79ab","type":"slash_commands","accepts_response_payload":true,
  "payload":{"token":"t","team_id":"T111","team_domain":"x","channel_id":"C111","channel_name":"random","user_id":"U111",
  "user_name":"x","command":"\/rotate","text":"stripe prod","api_app_id":"A111","is_enterprise_install":"false",
  "response_url":"https:\/\/hooks.slack.com\/commands\/T111\/111\/xxx","trigger_id":"111.222.xxx"}})";

constexpr const char* kClick = R"({"envelope_id":"e2","type":"interactive","accepts_response_payload":false,
  "payload":{"type":"block_actions","user":{"id":"U111","team_id":"T999"},"api_app_id":"A111",
  "container":{"type":"message","message_ts":"1605853634.000400","channel_id":"C111"},"trigger_id":"111.222.xxx",
  "team":{"id":"T111"},"enterprise":null,"channel":{"id":"C111","name":"random"},
  "message":{"ts":"1605853634.000400"},"state":{"values":{"b":{"a":{"value":"x"}}}},
  "response_url":"https://hooks.slack.com/actions/T111/111/xxx",
  "actions":[{"action_id":"approve","block_id":"b1","value":"rot_123","type":"button","action_ts":"1605853645.582706"}]}})";

constexpr const char* kModalClick =
    R"({"envelope_id":"e3","type":"interactive","accepts_response_payload":false,
  "payload":{"type":"block_actions","user":{"id":"U1"},"container":{"type":"view","view_id":"V1"},"trigger_id":"37.1",
  "team":null,"view":{"id":"V1","state":{"values":{"b":{}}}},
  "actions":[{"type":"static_select","action_id":"a","block_id":"block",
  "selected_option":{"text":{"type":"plain_text","text":"prod"},"value":"prod"},"action_ts":"1700000001.1"}]}})";

constexpr const char* kMention = R"({"envelope_id":"e4","type":"events_api","accepts_response_payload":false,
  "retry_attempt":1,"retry_reason":"http_timeout","payload":{"team_id":"T111","type":"event_callback","event_id":"Ev111",
  "event":{"type":"app_mention","text":"hi","user":"U222","channel":"C111","ts":"1610241741.000200"}}})";

}  // namespace

TEST_CASE("a slash command is read with its escaped slashes") {
  const Envelope envelope = read(kSlash);
  const auto& command = std::get<SlashCommand>(envelope.content);
  CHECK(envelope.id == "1d3c79ab");
  CHECK(envelope.accepts_response_payload);
  CHECK(command.command == "/rotate");
  CHECK(command.text == "stripe prod");
  CHECK(command.team == "T111");
  CHECK(command.user == "U111");
  CHECK(command.channel == "C111");
  CHECK(command.app == "A111");
  CHECK(command.response_url == "https://hooks.slack.com/commands/T111/111/xxx");
  CHECK(envelope.dedupe_key == "slash:111.222.xxx");
}

TEST_CASE("a click in a message says who clicked what, and where") {
  const Envelope envelope = read(kClick);
  const auto& clicks = std::get<std::vector<Click>>(envelope.content);
  REQUIRE(clicks.size() == 1);
  CHECK(clicks[0].user == "U111");
  CHECK(clicks[0].user_team == "T999");
  CHECK(clicks[0].team == "T111");
  CHECK(clicks[0].channel == "C111");
  CHECK(clicks[0].message_ts == "1605853634.000400");
  CHECK(clicks[0].action_id == "approve");
  CHECK(clicks[0].value == "rot_123");
  CHECK(clicks[0].state["b"]["a"]["value"] == "x");
  CHECK(envelope.dedupe_key == "click:U111:1605853634.000400:approve:1605853645.582706");
}

TEST_CASE("a select in a modal gives its option's value, and the modal's state") {
  const Envelope envelope = read(kModalClick);
  const auto& clicks = std::get<std::vector<Click>>(envelope.content);
  REQUIRE(clicks.size() == 1);
  CHECK(clicks[0].value == "prod");
  CHECK(clicks[0].view == "V1");
  CHECK(clicks[0].channel.empty());
  CHECK(clicks[0].team.empty());
  CHECK(clicks[0].state.contains("b"));
}

TEST_CASE("an event is deduplicated by its event id, whatever its retry") {
  const Envelope envelope = read(kMention);
  const auto& event = std::get<OtherEvent>(envelope.content);
  CHECK(event.type == "app_mention");
  CHECK(event.user == "U222");
  CHECK(event.channel == "C111");
  CHECK(event.team == "T111");
  CHECK(event.payload["event"]["text"] == "hi");
  CHECK(envelope.retry_attempt == 1);
  CHECK(envelope.dedupe_key == "event:Ev111");
}

TEST_CASE("a corrected form that is sent again is not a duplicate of the first one") {
  const auto submission = [](const std::string& trigger) {
    json message = {{"envelope_id", "e"}, {"type", "interactive"}};
    message["payload"] = {{"type", "view_submission"}, {"trigger_id", trigger}};
    message["payload"]["view"] = {{"id", "V1"}, {"hash", "158.cd"}};
    return parse_envelope(message)->dedupe_key;
  };
  CHECK(submission("1.1") == submission("1.1"));
  CHECK(submission("1.1") != submission("1.2"));
}

TEST_CASE("an event without an inner event is still an envelope") {
  const Envelope envelope = read(R"({"envelope_id":"e","type":"events_api",
    "payload":{"type":"app_rate_limited","team_id":"T1","minute_rate_limited":1518467820}})");
  CHECK(std::get<OtherEvent>(envelope.content).type == "app_rate_limited");
  CHECK(envelope.dedupe_key == "envelope:e");
}

TEST_CASE("odd shapes are read as far as they go") {
  SECTION("booleans and numbers as strings, ids as numbers") {
    const Envelope envelope =
        read(R"({"envelope_id":"e","type":"slash_commands","accepts_response_payload":"true",
      "retry_attempt":"2","payload":{"trigger_id":12,"text":null,"user_id":["U1"]}})");
    CHECK(envelope.accepts_response_payload);
    CHECK(envelope.retry_attempt == 2);
    CHECK(std::get<SlashCommand>(envelope.content).trigger == "12");
    CHECK(std::get<SlashCommand>(envelope.content).text.empty());
    CHECK(std::get<SlashCommand>(envelope.content).user.empty());
  }
  SECTION("a user that is an object") {
    const Envelope envelope = read(R"({"envelope_id":"e","type":"events_api",
      "payload":{"type":"event_callback","event":{"type":"user_change","user":{"id":"U9"}}}})");
    CHECK(std::get<OtherEvent>(envelope.content).user == "U9");
  }
  SECTION("a type nobody has heard of, and no payload") {
    CHECK(std::get<OtherEvent>(read(R"({"envelope_id":"e","type":"carrier_pigeon"})").content).type ==
          "carrier_pigeon");
  }
  SECTION("payloads and actions that are no objects") {
    CHECK_NOTHROW(read(R"({"envelope_id":"e","type":"slash_commands","payload":[1]})"));
    CHECK_NOTHROW(read(
        R"({"envelope_id":"e","type":"interactive","payload":{"type":"block_actions","actions":[1,null]}})"));
    CHECK_NOTHROW(
        read(R"({"envelope_id":"e","type":"interactive","payload":{"type":"block_actions","actions":{}}})"));
    CHECK_NOTHROW(read(R"({"envelope_id":"e","type":"events_api","payload":"x"})"));
  }
}

TEST_CASE("what has no envelope id is no envelope") {
  CHECK_FALSE(parse_envelope(json::parse(R"({"type":"hello"})")));
  CHECK_FALSE(parse_envelope(json::parse(R"({"envelope_id":""})")));
  CHECK_FALSE(parse_envelope(json::parse("[]")));
  CHECK_FALSE(parse_envelope(json()));
}

}  // namespace keyturn::slack
