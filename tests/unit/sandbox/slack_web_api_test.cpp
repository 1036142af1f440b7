// The Web API and the interactions of the emulated Slack, without any network.
#include "deploy/sandbox/slack_web_api.h"

#include <catch2/catch.hpp>

#include <boost/asio/io_context.hpp>
#include <set>

#include "deploy/sandbox/slack_interactions.h"
#include "deploy/sandbox/slack_world.h"
#include "tests/unit/sandbox/fixture.h"

using namespace keyturn::sandbox;
using nlohmann::json;

namespace {

struct WebApi {
  boost::asio::io_context io;
  FakeClock clock;
  Traffic traffic;
  Workspace workspace{clock};
  SlackSockets sockets{io.get_executor(), clock, traffic};
  SlackWebApi api{workspace, sockets};
  Interactions interactions{workspace};

  json call(const std::string& method, const json& arguments) {
    return api.call(method, SlackToken::bot, arguments);
  }
};

const json kForm = json::array(
    {{{"type", "input"},
      {"block_id", "prerequisites"},
      {"label", {{"type", "plain_text"}, {"text", "Boxes"}}},
      {"element",
       {{"type", "checkboxes"},
        {"action_id", "confirmations"},
        {"options", json::array({{{"text", {{"type", "plain_text"}, {"text", "SSO"}}}, {"value", "0"}},
                                 {{"text", {{"type", "plain_text"}, {"text", "Code"}}}, {"value", "1"}}})}}}},
     {{"type", "actions"},
      {"block_id", "ready_actions"},
      {"elements", json::array({{{"type", "button"},
                                 {"action_id", "rotation_ready"},
                                 {"value", "rot_1"},
                                 {"text", {{"type", "plain_text"}, {"text", "Ready"}}}}})}}});

}  // namespace

TEST_CASE("a wrong token is refused before anything is looked at") {
  WebApi slack;
  CHECK(slack.api.call("auth.test", SlackToken::none, {})["error"] == "not_authed");
  CHECK(slack.api.call("auth.test", SlackToken::unknown, {})["error"] == "invalid_auth");
  CHECK(slack.api.call("chat.postMessage", SlackToken::app, {})["error"] == "not_allowed_token_type");
  CHECK(slack.api.call("apps.connections.open", SlackToken::bot, {})["error"] == "not_allowed_token_type");
}

TEST_CASE("a method whose scope was not granted is refused, and the refusal says which") {
  WebApi slack;
  slack.workspace.scopes = {"chat:write", "users:read"};
  CHECK(slack.api.granted(SlackToken::bot) == "chat:write,users:read");
  CHECK(slack.api.granted(SlackToken::app) == "connections:write");
  const json refusal = slack.api.call("conversations.open", SlackToken::bot, {{"users", "U0ADMIN"}});
  CHECK(refusal["error"] == "missing_scope");
  CHECK(refusal["needed"] == "im:write");
  CHECK(refusal["provided"] == "chat:write,users:read");
  CHECK(slack.api.call("users.info", SlackToken::bot, {{"user", "U0ADMIN"}})["ok"] == true);
}

TEST_CASE("a posted message keeps its metadata and unfurl flags, and its ts is unique") {
  WebApi slack;
  const json arguments = {
      {"channel", "C0OPS"},
      {"text", "hello"},
      {"unfurl_links", false},
      {"unfurl_media", false},
      {"metadata", {{"event_type", "rotation"}, {"event_payload", {{"slot", "summary"}}}}}};
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    const json answer = slack.call("chat.postMessage", arguments);
    REQUIRE(answer["ok"] == true);
    CHECK(seen.insert(answer["ts"]).second);
  }
  const json state = message_state(slack.workspace.conversations.find("C0OPS")->messages.front());
  CHECK(state["unfurl_links"] == false);
  CHECK(state["unfurl_media"] == false);
  CHECK(state["metadata"]["event_payload"]["slot"] == "summary");
}

TEST_CASE("where the bot may not post, it is told why") {
  WebApi slack;
  const auto error = [&](const char* channel) {
    return slack.call("chat.postMessage", {{"channel", channel}, {"text", "x"}})["error"];
  };
  CHECK(error("C0NOWHERE") == "channel_not_found");
  CHECK(error("C0RANDOM") == "not_in_channel");
  CHECK(error("C0OLDOPS") == "is_archived");
  CHECK(slack.call("chat.postMessage", {{"channel", "C0OPS"}})["error"] == "no_text");
}

TEST_CASE("bad blocks are refused with the places") {
  WebApi slack;
  const json answer =
      slack.call("chat.postMessage", {{"channel", "C0OPS"}, {"blocks", json::array({{{"type", "x"}}})}});
  CHECK(answer["error"] == "invalid_blocks");
  CHECK(answer["response_metadata"]["messages"].size() == 1);
  CHECK(slack.call("chat.postMessage", {{"channel", "C0OPS"}, {"blocks", "[oops"}})["error"] ==
        "invalid_blocks_format");
}

TEST_CASE("an update counts as an edit, keeps old metadata, and refuses what it can't change") {
  WebApi slack;
  const json metadata = {{"event_type", "rotation"}, {"event_payload", json::object()}};
  const json posted =
      slack.call("chat.postMessage", {{"channel", "C0OPS"}, {"text", "one"}, {"metadata", metadata}});
  const json ts = posted["ts"];
  CHECK(slack.call("chat.update", {{"channel", "C0OPS"}, {"ts", ts}, {"text", "two"}})["ok"] == true);
  const json state = message_state(slack.workspace.conversations.find("C0OPS")->messages.front());
  CHECK(state["text"] == "two");
  CHECK(state["edits"] == 1);
  CHECK(state["metadata"] == metadata);
  CHECK(slack.call("chat.update", {{"channel", "C0OPS"}, {"ts", "1.1"}, {"text", "x"}})["error"] ==
        "message_not_found");
  CHECK(slack.call("chat.update", {{"channel", "U0ADMIN"}, {"ts", ts}, {"text", "x"}})["error"] ==
        "channel_not_found");
  CHECK(slack.call("chat.update",
                   {{"channel", "C0OPS"}, {"ts", ts}, {"text", std::string(4001, 'x')}})["error"] ==
        "msg_too_long");
}

TEST_CASE("direct messages open with living people only") {
  WebApi slack;
  CHECK(slack.call("conversations.open", {{"users", "U0ADMIN"}})["channel"]["id"] == "D0ADMIN");
  CHECK(slack.call("conversations.open", {{"users", "U0GONE"}})["error"] == "user_disabled");
  CHECK(slack.call("conversations.open", {{"users", "U0NOBODY"}})["error"] == "user_not_found");
}

TEST_CASE("history is newest first, within bounds, and shows metadata only when asked") {
  WebApi slack;
  const json metadata = {{"event_type", "rotation"}, {"event_payload", json::object()}};
  std::vector<std::string> posted;
  for (const char* words : {"one", "two", "three"}) {
    slack.clock.pass(std::chrono::seconds(1));
    posted.push_back(slack.call("chat.postMessage",
                                {{"channel", "C0OPS"}, {"text", words}, {"metadata", metadata}})["ts"]);
  }
  const json all =
      slack.call("conversations.history", {{"channel", "C0OPS"}, {"include_all_metadata", true}});
  REQUIRE(all["messages"].size() == 3);
  CHECK(all["messages"][0]["text"] == "three");
  CHECK(all["messages"][0]["metadata"] == metadata);
  const json later = slack.call("conversations.history", {{"channel", "C0OPS"}, {"oldest", posted[1]}});
  REQUIRE(later["messages"].size() == 1);
  CHECK_FALSE(later["messages"][0].contains("metadata"));
  CHECK(slack.call("conversations.history", {{"channel", "C0OPS"}, {"limit", 2}})["has_more"] == true);
}

TEST_CASE("methods that read forms don't see a JSON body") {
  keyturn::net::ServerRequest request;
  request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  request.body = R"({"user":"U0ADMIN"})";
  CHECK(read_slack_arguments(request, SlackWebApi::takes_json("users.info")).values.empty());
  CHECK(read_slack_arguments(request, SlackWebApi::takes_json("chat.postMessage")).values["user"] ==
        "U0ADMIN");
  request.body = "{";
  CHECK(read_slack_arguments(request, /*takes_json=*/true).error == "invalid_json");
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = "user=U0ADMIN&text=a+b%26c";
  CHECK(read_slack_arguments(request, /*takes_json=*/true).values["text"] == "a b&c");
}

TEST_CASE("a click carries the message, the ticked boxes, and remembers them for the next click") {
  WebApi slack;
  const json ts =
      slack.call("chat.postMessage", {{"channel", "C0OPS"}, {"text", "tick"}, {"blocks", kForm}})["ts"];
  const json click = {{"user", "U0ADMIN"},
                      {"channel", "C0OPS"},
                      {"ts", ts},
                      {"action_id", "rotation_ready"},
                      {"state", {{"prerequisites", {{"confirmations", json::array({"1"})}}}}}};
  const json payload = slack.interactions.click(click).payload;
  CHECK(payload["type"] == "block_actions");
  CHECK(payload["container"]["message_ts"] == ts);
  CHECK(payload["message"]["blocks"] == kForm);
  CHECK(payload["actions"][0]["value"] == "rot_1");
  CHECK(payload["actions"][0]["block_id"] == "ready_actions");
  const json ticked = payload["state"]["values"]["prerequisites"]["confirmations"]["selected_options"];
  REQUIRE(ticked.size() == 1);
  CHECK(ticked[0]["value"] == "1");

  json again = click;
  again.erase("state");
  const json later = slack.interactions.click(again).payload;
  CHECK(later["state"]["values"]["prerequisites"]["confirmations"]["selected_options"] == ticked);
}

TEST_CASE("a click on what isn't there is refused in words") {
  WebApi slack;
  CHECK_THROWS_AS(slack.interactions.click(
                      {{"user", "U0ADMIN"}, {"channel", "C0OPS"}, {"ts", "1.1"}, {"action_id", "x"}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(slack.interactions.command({{"user", "U0NOBODY"}, {"channel", "C0OPS"}, {"text", ""}}),
                  std::invalid_argument);
}

TEST_CASE("a command's response URL answers its author alone, unless told otherwise") {
  WebApi slack;
  const json payload =
      slack.interactions.command({{"user", "U0ADMIN"}, {"channel", "C0OPS"}, {"text", "help"}}).payload;
  CHECK(payload["is_enterprise_install"] == "false");
  const std::string path = payload["response_url"];
  CHECK(slack.api.respond(path, {{"text", "only you"}}).empty());
  CHECK(slack.api.respond(path, {{"text", "all"}, {"response_type", "in_channel"}}).empty());
  const Conversation& channel = *slack.workspace.conversations.find("C0OPS");
  REQUIRE(channel.ephemerals.size() == 1);
  CHECK(channel.ephemerals.front().only_for == "U0ADMIN");
  CHECK(channel.messages.size() == 1);
}
