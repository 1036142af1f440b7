#include "deploy/sandbox/rendered_blocks.h"

#include <catch2/catch.hpp>

#include "deploy/sandbox/bot_settings.h"
#include "deploy/sandbox/world.h"

using namespace keyturn::sandbox;
using nlohmann::json;

TEST_CASE("Slack's markup reads as plain words") {
  CHECK(plain_words("*rotated* by <@U0ADMIN> at <!date^1700000000^{time}|22:13 UTC>") ==
        "rotated by @U0ADMIN at 22:13 UTC");
  CHECK(plain_words("<https://example.com/a|the dashboard> &amp; &lt;more&gt;") == "the dashboard & <more>");
  CHECK(plain_words("a < b") == "a < b");
}

TEST_CASE("a bare link is told without its fragment") {
  CHECK(plain_words("<https://example.com/form#token>") == "https://example.com/form");
}

TEST_CASE("the form's link is found in text and in a button's url, fragment and all") {
  const std::string prefix = "http://127.0.0.1:1/form";
  const json text = {{"blocks", json::array({{{"text", {{"text", "here: <" + prefix + "#abc-_1|open>"}}}}})}};
  CHECK(link_in(text, prefix) == prefix + "#abc-_1");
  const json button = {{"blocks", json::array({{{"elements", json::array({{{"url", prefix + "#abc"}}})}}})}};
  CHECK(link_in(button, prefix) == prefix + "#abc");
  CHECK_FALSE(link_in(text, "http://elsewhere").has_value());
}

TEST_CASE("every box is ticked and every text filled") {
  const json checkboxes = {{"type", "checkboxes"},
                           {"action_id", "confirmations"},
                           {"options", json::array({{{"value", "0"}}, {{"value", "1"}}})}};
  const json message = {
      {"blocks", json::array({{{"type", "input"}, {"block_id", "prerequisites"}, {"element", checkboxes}},
                              {{"type", "input"},
                               {"block_id", "reason"},
                               {"element", {{"type", "plain_text_input"}, {"action_id", "reason"}}}}})}};
  const json state = everything_ticked(message, "rehearsal");
  CHECK(state["prerequisites"]["confirmations"] == json::array({"0", "1"}));
  CHECK(state["reason"]["reason"] == "rehearsal");
}

TEST_CASE("the bot's settings name every place") {
  Places places;
  for (const char* name :
       {"slack", "stripe", "infisical", "heroku", "billing", "billing_staging", "control"}) {
    places[name] = std::string("http://127.0.0.1:1000/") + name;
  }
  places["form"] = "http://127.0.0.1:2000";
  places["metrics"] = "http://127.0.0.1:3000";
  const std::string toml =
      settings_toml({.places = places, .folder = "/tmp/x", .infisical_identity = "id", .quick = true});
  for (const auto& [name, url] : places) {
    const std::string& wanted = name == "metrics" ? "port = 3000" : url;
    CHECK(toml.find(wanted) != std::string::npos);
  }
  CHECK(toml.find("grace = \"40s\"") != std::string::npos);
}

TEST_CASE("further apps that use the live key stand in the settings, behind the first one") {
  Places places;
  for (const char* name : {"slack", "stripe", "infisical", "heroku", "billing", "billing_staging", "control",
                           "form", "metrics"}) {
    places[name] = std::string("http://127.0.0.1:1000/") + name;
  }
  const std::string toml = settings_toml({.places = places,
                                          .folder = "/tmp/x",
                                          .infisical_identity = "id",
                                          .quick = true,
                                          .further_apps = further_apps(2)});
  const auto first = toml.find("app = \"raxx-api-prod\"");
  const auto second = toml.find("app = \"raxx-worker-002\"");
  CHECK(first < second);
  CHECK(second < toml.find("app = \"raxx-worker-003\""));
  CHECK(toml.find("raxx-worker-004") == std::string::npos);
}
