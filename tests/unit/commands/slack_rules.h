// Slack's limits on messages (docs.slack.dev/reference/block-kit/blocks), as a check over what we send.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "commands/views/messages.h"

namespace keyturn::test {

class SlackRules {
 public:
  // What is wrong with the message; empty: nothing.
  static std::vector<std::string> broken_by(const commands::views::Message& message) {
    SlackRules rules;
    rules.check(message);
    return rules.broken_;
  }

 private:
  using json = nlohmann::json;

  void require(bool holds, const std::string& what) {
    if (!holds) broken_.push_back(what);
  }

  // Slack counts characters; bytes are never fewer.
  void text(const json& object, std::size_t limit, const std::string& where) {
    const auto content = object.value("text", "");
    require(!content.empty(), where + " is empty");
    require(content.size() <= limit, where + " has " + std::to_string(content.size()) + " bytes");
    for (const char* ping : {"<!channel", "<!here", "<!everyone", "<!subteam"}) {
      require(content.find(ping) == std::string::npos, where + " pings with " + ping);
    }
    if (object.value("type", "") == "mrkdwn")
      require(object.value("verbatim", false), where + " is not verbatim");
  }

  void element(const json& element, std::set<std::string>& action_ids) {
    const auto action = element.value("action_id", "");
    require(!action.empty() && action.size() <= 255, "an action_id of " + std::to_string(action.size()));
    require(action_ids.insert(action).second, "action_id twice: " + action);
    if (element.value("type", "") == "button") {
      text(element.at("text"), 75, "button");
      require(element.value("value", "").size() <= 2000, "a button's value");
      if (element.contains("confirm")) {
        text(element.at("confirm").at("title"), 100, "confirm title");
        text(element.at("confirm").at("text"), 300, "confirm text");
        text(element.at("confirm").at("confirm"), 30, "confirm");
        text(element.at("confirm").at("deny"), 30, "deny");
      }
    }
    if (element.value("type", "") == "checkboxes") {
      require(element.at("options").size() <= 10, "more than 10 boxes");
      for (const json& option : element.at("options")) {
        text(option.at("text"), 75, "option");
        require(option.value("value", "").size() <= 75, "an option's value");
      }
    }
    if (element.contains("placeholder")) text(element.at("placeholder"), 150, "placeholder");
  }

  void block(const json& block) {
    const auto type = block.value("type", "");
    std::set<std::string> action_ids;
    if (block.contains("block_id")) {
      const std::string id = block.at("block_id");
      require(id.size() <= 255 && block_ids_.insert(id).second, "block_id twice: " + id);
    }
    if (type == "header") {
      text(block.at("text"), 150, "header");
      require(block.at("text").value("type", "") == "plain_text", "a header that is not plain");
    } else if (type == "section") {
      text(block.at("text"), 3000, "section");
    } else if (type == "context") {
      require(block.at("elements").size() <= 10, "more than 10 context elements");
      for (const json& part : block.at("elements")) text(part, 3000, "context");
    } else if (type == "actions") {
      require(!block.at("elements").empty() && block.at("elements").size() <= 25, "a number of actions");
      for (const json& part : block.at("elements")) element(part, action_ids);
    } else if (type == "input") {
      text(block.at("label"), 2000, "label");
      element(block.at("element"), action_ids);
    } else {
      require(type == "divider", "a block of type " + type);
    }
  }

  void check(const commands::views::Message& message) {
    require(!message.text.empty(), "no text for notifications");
    require(!message.slot.empty(), "no slot");
    require(message.blocks.is_array() && !message.blocks.empty(), "no blocks");
    require(message.blocks.size() <= 50, std::to_string(message.blocks.size()) + " blocks");
    for (const json& each : message.blocks) block(each);
    try {
      (void)message.blocks.dump();
    } catch (const json::exception&) {
      broken_.emplace_back("not UTF-8");
    }
  }

  std::vector<std::string> broken_;
  std::set<std::string> block_ids_;
};

}  // namespace keyturn::test
