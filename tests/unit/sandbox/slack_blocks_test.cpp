#include "deploy/sandbox/slack_blocks.h"

#include <catch2/catch.hpp>

using keyturn::sandbox::name_unnamed_blocks;
using keyturn::sandbox::problems_of_message_blocks;
using keyturn::sandbox::problems_of_view;
using nlohmann::json;

namespace {

json text(const char* type, const std::string& words) { return {{"type", type}, {"text", words}}; }
json section(const std::string& words) { return {{"type", "section"}, {"text", text("mrkdwn", words)}}; }

json button(const std::string& action, const std::string& words) {
  return {{"type", "button"}, {"action_id", action}, {"text", text("plain_text", words)}};
}

json actions(const json& elements) { return {{"type", "actions"}, {"elements", elements}}; }

json option(const std::string& value) {
  return {{"text", text("plain_text", "I can sign in")}, {"value", value}};
}

bool fine(const json& block) { return problems_of_message_blocks(json::array({block})).empty(); }

}  // namespace

TEST_CASE("blocks as a bot sends them are fine") {
  const json blocks =
      json::array({{{"type", "header"}, {"text", text("plain_text", "Rotation")}},
                   section("*bold* <https://example.com|link>"),
                   {{"type", "divider"}},
                   {{"type", "context"}, {"elements", json::array({text("mrkdwn", "as of now")})}},
                   {{"type", "input"},
                    {"block_id", "prerequisites"},
                    {"label", text("plain_text", "Before the dashboard")},
                    {"element",
                     {{"type", "checkboxes"},
                      {"action_id", "confirmations"},
                      {"options", json::array({option("0"), option("1")})}}}},
                   actions(json::array({button("rotation_ready", "I'm ready")}))});
  CHECK(problems_of_message_blocks(blocks).empty());
}

TEST_CASE("a section of 3001 characters is refused with its pointer") {
  CHECK(fine(section(std::string(3000, 'x'))));
  const auto problems = problems_of_message_blocks(json::array({section(std::string(3001, 'x'))}));
  REQUIRE(problems.size() == 1);
  CHECK(problems[0] == "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]");
}

TEST_CASE("lengths are counted in characters, not bytes") {
  std::string words;
  for (int i = 0; i < 150; ++i) words += "é";
  CHECK(fine({{"type", "header"}, {"text", text("plain_text", words)}}));
  CHECK_FALSE(fine({{"type", "header"}, {"text", text("plain_text", words + "é")}}));
}

TEST_CASE("an empty text is refused") { CHECK_FALSE(fine(section(""))); }

TEST_CASE("a message holds 50 blocks and not one more") {
  json blocks = json::array();
  for (int i = 0; i < 50; ++i) blocks.push_back({{"type", "divider"}});
  CHECK(problems_of_message_blocks(blocks).empty());
  blocks.push_back({{"type", "divider"}});
  CHECK(problems_of_message_blocks(blocks).size() == 1);
}

TEST_CASE("a header takes plain text only") {
  CHECK_FALSE(fine({{"type", "header"}, {"text", text("mrkdwn", "*bold*")}}));
}

TEST_CASE("a button's limits hold") {
  CHECK(fine(actions(json::array({button("a", std::string(75, 'x'))}))));
  CHECK_FALSE(fine(actions(json::array({button("a", std::string(76, 'x'))}))));
  json wrong = button("a", "Go");
  wrong["style"] = "green";
  CHECK_FALSE(fine(actions(json::array({wrong}))));
  json long_value = button("a", "Go");
  long_value["value"] = std::string(2001, 'x');
  CHECK_FALSE(fine(actions(json::array({long_value}))));
}

TEST_CASE("two elements of one block can't share an action id") {
  CHECK_FALSE(fine(actions(json::array({button("same", "One"), button("same", "Two")}))));
}

TEST_CASE("two blocks of one message can't share a block id") {
  json one = section("one");
  one["block_id"] = "same";
  CHECK(problems_of_message_blocks(json::array({one})).empty());
  CHECK(problems_of_message_blocks(json::array({one, one})).size() == 1);
}

TEST_CASE("a property that no block has is refused as a typo would be") {
  json block = section("text");
  block["colour"] = "red";
  CHECK_FALSE(fine(block));
}

TEST_CASE("eleven checkboxes are one too many") {
  json options = json::array();
  for (int i = 0; i < 11; ++i) options.push_back(option(std::to_string(i)));
  CHECK_FALSE(
      fine(actions(json::array({{{"type", "checkboxes"}, {"action_id", "a"}, {"options", options}}}))));
}

TEST_CASE("a modal with an input needs a submit button and a short title") {
  const json input = {{"type", "input"},
                      {"label", text("plain_text", "Reason")},
                      {"element", {{"type", "plain_text_input"}, {"action_id", "reason"}}}};
  json modal = {{"type", "modal"}, {"title", text("plain_text", "Rotate")}, {"blocks", json::array({input})}};
  CHECK_FALSE(problems_of_view(modal).empty());
  modal["submit"] = text("plain_text", "Start");
  CHECK(problems_of_view(modal).empty());
  modal["title"] = text("plain_text", std::string(25, 'x'));
  CHECK_FALSE(problems_of_view(modal).empty());
}

TEST_CASE("what isn't an array of blocks is refused and nothing throws") {
  CHECK_FALSE(problems_of_message_blocks("text").empty());
  CHECK_FALSE(problems_of_message_blocks(json::array({1})).empty());
  CHECK_FALSE(problems_of_message_blocks(json::array({{{"type", 7}}})).empty());
  CHECK_FALSE(problems_of_view(json::array()).empty());
}

TEST_CASE("blocks without a name get one, and named ones keep theirs") {
  json blocks = json::array({section("one"), section("two")});
  blocks[0]["block_id"] = "mine";
  name_unnamed_blocks(blocks, 7);
  CHECK(blocks[0]["block_id"] == "mine");
  CHECK(blocks[1]["block_id"].get<std::string>().size() == 5);
}
