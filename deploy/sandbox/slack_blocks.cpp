#include "deploy/sandbox/slack_blocks.h"

#include <algorithm>
#include <set>

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using Names = std::set<std::string, std::less<>>;

constexpr std::size_t kMessageBlocks = 50;
constexpr std::size_t kViewBlocks = 100;
constexpr std::size_t kViewBytes = 250UL * 1000;

std::string text_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Walks one payload and collects what Slack would complain about, each with its JSON pointer.
class Checker {
 public:
  void blocks(const json& blocks, const std::string& at, std::size_t most) {
    if (!blocks.is_array()) return complain("must be an array", at);
    if (blocks.size() > most) complain(fmt::format("no more than {} items allowed", most), at);
    Names ids;
    for (std::size_t i = 0; i < blocks.size(); ++i) block(blocks[i], fmt::format("{}/{}", at, i), ids);
  }

  void view(const json& view) {
    if (!view.is_object()) return complain("must be an object", "/view");
    const std::string type = text_at(view, "type");
    if (type != "modal" && type != "home") return complain("unsupported type: " + type, "/view/type");
    if (view.dump().size() > kViewBytes) complain("view is too large", "/view");
    limited_string(view, "private_metadata", 3000, "/view");
    limited_string(view, "callback_id", 255, "/view");
    limited_string(view, "external_id", 255, "/view");
    if (type == "modal") modal_parts(view);
    if (!view.contains("blocks")) return complain("missing required field: blocks", "/view");
    blocks(view["blocks"], "/view/blocks", kViewBlocks);
  }

  std::vector<std::string> take() { return std::move(problems_); }

 private:
  void complain(const std::string& what, const std::string& at) {
    problems_.push_back(fmt::format("[ERROR] {} [json-pointer:{}]", what, at));
  }

  void only(const json& object, const std::string& at, const Names& known) {
    for (const auto& [name, value] : object.items()) {
      if (!known.contains(name)) complain("invalid additional property: " + name, at);
    }
  }

  bool required(const json& object, const char* name, const std::string& at) {
    if (object.contains(name)) return true;
    complain(fmt::format("missing required field: {}", name), at);
    return false;
  }

  void length(std::string_view text, std::size_t least, std::size_t most, const std::string& at) {
    const std::size_t count = length_in_code_points(text);
    if (count < least) complain(fmt::format("must be more than {} characters", least - 1), at);
    if (count > most) complain(fmt::format("must be less than {} characters", most + 1), at);
  }

  void limited_string(const json& object, const char* name, std::size_t most, const std::string& at) {
    const auto found = object.find(name);
    if (found == object.end()) return;
    if (!found->is_string()) return complain("must be a string", fmt::format("{}/{}", at, name));
    length(found->get_ref<const std::string&>(), 0, most, fmt::format("{}/{}", at, name));
  }

  // A text object; `types` is "plain_text", "mrkdwn" or "both".
  void text(const json& object, const std::string& at, std::string_view types, std::size_t most) {
    if (!object.is_object()) return complain("must be a valid object", at);
    const std::string type = text_at(object, "type");
    const bool plain = type == "plain_text";
    if (!(plain && types != "mrkdwn") && !(type == "mrkdwn" && types != "plain_text")) {
      return complain("must be a valid enum value", at + "/type");
    }
    only(object, at, plain ? Names{"type", "text", "emoji"} : Names{"type", "text", "verbatim"});
    if (!required(object, "text", at)) return;
    if (!object["text"].is_string()) return complain("must be a string", at + "/text");
    length(object["text"].get_ref<const std::string&>(), 1, most, at + "/text");
  }

  void optional_text(const json& object, const char* name, const std::string& at, std::string_view types,
                     std::size_t most) {
    if (object.contains(name)) text(object[name], fmt::format("{}/{}", at, name), types, most);
  }

  void modal_parts(const json& view) {
    if (required(view, "title", "/view")) text(view["title"], "/view/title", "plain_text", 24);
    optional_text(view, "submit", "/view", "plain_text", 24);
    optional_text(view, "close", "/view", "plain_text", 24);
    const bool has_input = view.contains("blocks") && view["blocks"].is_array() &&
                           std::ranges::any_of(view["blocks"], [](const json& block) {
                             return block.is_object() && text_at(block, "type") == "input";
                           });
    if (has_input && !view.contains("submit")) complain("missing required field: submit", "/view");
  }

  void block(const json& block, const std::string& at, Names& ids) {
    if (!block.is_object()) return complain("must be a valid object", at);
    limited_string(block, "block_id", 255, at);
    const std::string id = text_at(block, "block_id");
    if (!id.empty() && !ids.insert(id).second) complain("`block_id` already exists: " + id, at + "/block_id");
    const std::string type = text_at(block, "type");
    if (type == "section") return section(block, at);
    if (type == "header") return header(block, at);
    if (type == "context") return context(block, at);
    if (type == "actions") return actions(block, at);
    if (type == "input") return input(block, at);
    if (type == "image") return image_block(block, at);
    if (type == "divider") return only(block, at, {"type", "block_id"});
    complain("unsupported type: " + type, at + "/type");
  }

  void section(const json& block, const std::string& at) {
    only(block, at, {"type", "block_id", "text", "fields", "accessory", "expand"});
    if (!block.contains("text") && !block.contains("fields")) complain("missing required field: text", at);
    optional_text(block, "text", at, "both", 3000);
    if (block.contains("fields")) fields(block["fields"], at + "/fields");
    Names actions;
    if (block.contains("accessory")) element(block["accessory"], at + "/accessory", "accessory", actions);
  }

  void fields(const json& fields, const std::string& at) {
    if (!fields.is_array() || fields.empty()) return complain("must be a non-empty array", at);
    if (fields.size() > 10) complain("no more than 10 items allowed", at);
    for (std::size_t i = 0; i < fields.size(); ++i)
      text(fields[i], fmt::format("{}/{}", at, i), "both", 2000);
  }

  void header(const json& block, const std::string& at) {
    only(block, at, {"type", "block_id", "text"});
    if (required(block, "text", at)) text(block["text"], at + "/text", "plain_text", 150);
  }

  void context(const json& block, const std::string& at) {
    only(block, at, {"type", "block_id", "elements"});
    if (!elements_present(block, at, 10)) return;
    for (std::size_t i = 0; i < block["elements"].size(); ++i) {
      const std::string here = fmt::format("{}/elements/{}", at, i);
      const json& item = block["elements"][i];
      if (item.is_object() && text_at(item, "type") == "image") {
        image(item, here);
      } else {
        text(item, here, "both", 3000);
      }
    }
  }

  void actions(const json& block, const std::string& at) {
    only(block, at, {"type", "block_id", "elements"});
    if (!elements_present(block, at, 25)) return;
    Names seen;
    for (std::size_t i = 0; i < block["elements"].size(); ++i) {
      element(block["elements"][i], fmt::format("{}/elements/{}", at, i), "actions", seen);
    }
  }

  bool elements_present(const json& block, const std::string& at, std::size_t most) {
    if (!required(block, "elements", at)) return false;
    const json& elements = block["elements"];
    if (!elements.is_array() || elements.empty()) {
      complain("must be a non-empty array", at + "/elements");
      return false;
    }
    if (elements.size() > most)
      complain(fmt::format("no more than {} items allowed", most), at + "/elements");
    return true;
  }

  void input(const json& block, const std::string& at) {
    only(block, at, {"type", "block_id", "label", "element", "hint", "optional", "dispatch_action"});
    if (required(block, "label", at)) text(block["label"], at + "/label", "plain_text", 2000);
    optional_text(block, "hint", at, "plain_text", 2000);
    Names seen;
    if (required(block, "element", at)) element(block["element"], at + "/element", "input", seen);
  }

  void image_block(const json& block, const std::string& at) {
    optional_text(block, "title", at, "plain_text", 2000);
    json bare = block;
    bare.erase("title");
    bare.erase("block_id");
    image(bare, at);
  }

  void image(const json& image, const std::string& at) {
    only(image, at, {"type", "image_url", "alt_text", "slack_file"});
    if (required(image, "alt_text", at)) limited_string(image, "alt_text", 2000, at);
    if (!image.contains("slack_file")) required(image, "image_url", at);
    limited_string(image, "image_url", 3000, at);
  }

  // `place` is where the element stands: "accessory", "actions" or "input".
  void element(const json& element, const std::string& at, std::string_view place, Names& seen) {
    if (!element.is_object()) return complain("must be a valid object", at);
    const std::string type = text_at(element, "type");
    if (type == "image" && place == "accessory") return image(element, at);
    limited_string(element, "action_id", 255, at);
    const std::string id = text_at(element, "action_id");
    if (!id.empty() && !seen.insert(id).second)
      complain("`action_id` already exists: " + id, at + "/action_id");
    if (element.contains("confirm")) confirmation(element["confirm"], at + "/confirm");
    if (type == "button" && place != "input") return button(element, at);
    if (type == "overflow" && place != "input") return choices(element, at, 2, 5, {"confirm"});
    if (type == "plain_text_input" && place == "input") return text_input(element, at);
    if (type == "checkboxes")
      return choices(element, at, 1, 10, {"initial_options", "confirm", "focus_on_load"});
    if (type == "radio_buttons")
      return choices(element, at, 1, 10, {"initial_option", "confirm", "focus_on_load"});
    if (type == "static_select") {
      optional_text(element, "placeholder", at, "plain_text", 150);
      return choices(element, at, 1, 100, {"placeholder", "initial_option", "confirm", "focus_on_load"});
    }
    complain("unsupported type: " + type, at + "/type");
  }

  void button(const json& button, const std::string& at) {
    only(button, at,
         {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"});
    if (required(button, "text", at)) text(button["text"], at + "/text", "plain_text", 75);
    limited_string(button, "value", 2000, at);
    limited_string(button, "url", 3000, at);
    limited_string(button, "accessibility_label", 75, at);
    if (!button.contains("style")) return;
    const std::string style = text_at(button, "style");
    if (style != "primary" && style != "danger") complain("must be a valid enum value", at + "/style");
  }

  void text_input(const json& element, const std::string& at) {
    only(element, at,
         {"type", "action_id", "initial_value", "multiline", "min_length", "max_length", "placeholder",
          "dispatch_action_config", "focus_on_load"});
    optional_text(element, "placeholder", at, "plain_text", 150);
    limited_string(element, "initial_value", 3000, at);
  }

  void choices(const json& element, const std::string& at, std::size_t least, std::size_t most, Names known) {
    known.insert({"type", "action_id", "options"});
    only(element, at, known);
    if (!required(element, "options", at)) return;
    const json& options = element["options"];
    if (!options.is_array() || options.size() < least) {
      return complain(fmt::format("must have at least {} items", least), at + "/options");
    }
    if (options.size() > most) complain(fmt::format("no more than {} items allowed", most), at + "/options");
    const bool marked =
        text_at(element, "type") == "checkboxes" || text_at(element, "type") == "radio_buttons";
    for (std::size_t i = 0; i < options.size(); ++i)
      option(options[i], fmt::format("{}/options/{}", at, i), marked);
    initial_options(element, options, at);
  }

  void initial_options(const json& element, const json& options, const std::string& at) {
    if (!element.contains("initial_options")) return;
    const json& initial = element["initial_options"];
    if (!initial.is_array() || initial.empty())
      return complain("must be a non-empty array", at + "/initial_options");
    for (const json& chosen : initial) {
      if (std::ranges::find(options, chosen) == options.end()) {
        complain("initial_options must be among the options", at + "/initial_options");
      }
    }
  }

  void option(const json& option, const std::string& at, bool marked) {
    if (!option.is_object()) return complain("must be a valid object", at);
    only(option, at, {"text", "value", "description", "url"});
    const char* types = marked ? "both" : "plain_text";  // selects and overflows take plain text only
    if (required(option, "text", at)) text(option["text"], at + "/text", types, 75);
    if (required(option, "value", at)) limited_string(option, "value", 75, at);
    optional_text(option, "description", at, types, 75);
  }

  void confirmation(const json& confirm, const std::string& at) {
    if (!confirm.is_object()) return complain("must be a valid object", at);
    only(confirm, at, {"title", "text", "confirm", "deny", "style"});
    if (required(confirm, "title", at)) text(confirm["title"], at + "/title", "plain_text", 100);
    if (required(confirm, "text", at)) text(confirm["text"], at + "/text", "both", 300);
    if (required(confirm, "confirm", at)) text(confirm["confirm"], at + "/confirm", "plain_text", 30);
    if (required(confirm, "deny", at)) text(confirm["deny"], at + "/deny", "plain_text", 30);
  }

  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> problems_of_message_blocks(const json& blocks) {
  Checker checker;
  checker.blocks(blocks, "/blocks", kMessageBlocks);
  return checker.take();
}

std::vector<std::string> problems_of_view(const json& view) {
  Checker checker;
  checker.view(view);
  return checker.take();
}

void name_unnamed_blocks(json& blocks, std::uint64_t seed) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::uint64_t state = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  for (json& block : blocks) {
    if (!block.is_object() || block.contains("block_id")) continue;
    std::string name;
    for (int i = 0; i < 5; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      name += kLetters[(state >> 40U) % kLetters.size()];
    }
    block["block_id"] = name;
  }
}

std::size_t length_in_code_points(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

}  // namespace keyturn::sandbox
