#include "deploy/sandbox/rendered_blocks.h"

#include <algorithm>

#include "deploy/sandbox/slack_interactions.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

void add_lines(const std::string& mrkdwn, std::vector<std::string>& lines) {
  const std::string words = plain_words(mrkdwn);
  std::size_t start = 0;
  while (start < words.size()) {
    const std::size_t end = std::min(words.find('\n', start), words.size());
    if (end > start) lines.push_back(words.substr(start, end - start));
    start = end + 1;
  }
}

void add_text(const json& object, const char* name, std::vector<std::string>& lines) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_object()) add_lines(found->value("text", ""), lines);
}

void add_element(const json& element, std::vector<std::string>& lines) {
  const std::string type = element.value("type", "");
  if (type == "button") lines.push_back("[ " + element["text"].value("text", "") + " ]");
  for (const json& option : element.value("options", json::array())) {
    lines.push_back("[ ] " + plain_words(option["text"].value("text", "")));
  }
}

void add_block(const json& block, std::vector<std::string>& lines) {
  add_text(block, "text", lines);
  add_text(block, "label", lines);
  for (const json& field : block.value("fields", json::array())) add_lines(field.value("text", ""), lines);
  if (block.contains("accessory")) add_element(block["accessory"], lines);
  if (block.contains("element")) add_element(block["element"], lines);
  for (const json& element : block.value("elements", json::array())) add_element(element, lines);
}

// What "<...>" reads as.
std::string tag_words(const std::string& tag) {
  const std::size_t bar = tag.find('|');
  if (bar != std::string::npos) return tag.substr(bar + 1);
  if (tag.starts_with("!")) return "@" + tag.substr(1);
  return tag.substr(0, tag.find('#', 1));
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::string plain_words(const std::string& mrkdwn) {
  std::string words;
  std::size_t at = 0;
  while (at < mrkdwn.size()) {
    const std::size_t open = mrkdwn.find('<', at);
    const std::size_t close = open == std::string::npos ? open : mrkdwn.find('>', open);
    if (close == std::string::npos) break;
    words += mrkdwn.substr(at, open - at) + tag_words(mrkdwn.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  words += mrkdwn.substr(at);
  std::erase_if(words, [](char sign) { return sign == '*' || sign == '`'; });
  replace_all(words, "&lt;", "<");
  replace_all(words, "&gt;", ">");
  replace_all(words, "&amp;", "&");
  return words;
}

std::vector<std::string> lines_of(const json& message) {
  std::vector<std::string> lines;
  for (const json& block : message.value("blocks", json::array())) {
    if (block.value("type", "") != "context") add_block(block, lines);
  }
  if (lines.empty()) add_lines(message.value("text", ""), lines);
  return lines;
}

std::optional<std::string> link_in(const json& message, const std::string& prefix) {
  const std::string text = message.dump();
  const std::size_t start = text.find(prefix);
  if (start == std::string::npos) return std::nullopt;
  return text.substr(start, text.find_first_of("|>\"\\ ", start) - start);
}

bool has_element(const json& message, const std::string& action_id) {
  return find_element(message.value("blocks", json::array()), action_id, "").element != nullptr;
}

json everything_ticked(const json& message, const std::string& words) {
  json state = json::object();
  for (const json& block : message.value("blocks", json::array())) {
    if (!block.contains("element") && !block.contains("elements")) continue;
    json elements = block.value("elements", json::array());
    if (block.contains("element")) elements.push_back(block["element"]);
    for (const json& element : elements) {
      const std::string type = element.value("type", "");
      json& given = state[block.value("block_id", "")];
      if (type == "checkboxes") {
        json ticked = json::array();
        for (const json& option : element["options"]) ticked.push_back(option["value"]);
        given[element.value("action_id", "")] = ticked;
      } else if (type == "plain_text_input") {
        given[element.value("action_id", "")] = words;
      }
    }
  }
  return state;
}

}  // namespace keyturn::sandbox
