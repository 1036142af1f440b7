#include "commands/views/blocks.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <cmath>

namespace keyturn::commands::views {
namespace {

// Slack's limits: https://docs.slack.dev/reference/block-kit/blocks
constexpr std::size_t kSectionText = 2900;
constexpr std::size_t kHeaderText = 145;
constexpr std::size_t kButtonText = 70;
constexpr std::size_t kOptionText = 75;

json plain_text(std::string text, std::size_t limit) {
  return {{"type", "plain_text"}, {"text", cut(std::move(text), limit)}, {"emoji", false}};
}

json mrkdwn(std::string text) {
  return {{"type", "mrkdwn"}, {"text", cut(std::move(text), kSectionText)}, {"verbatim", true}};
}

std::string slack_date(storage::TimePoint time, std::string_view format) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::string fallback = storage::to_iso8601(time).substr(0, 19);
  std::ranges::replace(fallback, 'T', ' ');
  return fmt::format("<!date^{}^{}|{} UTC>", seconds, format, fallback);
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string cut(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  constexpr std::string_view kMissing = "…";
  std::size_t end = limit - kMissing.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;  // not inside a character
  const auto entity = text.rfind('&', end);
  if (entity != std::string::npos && end - entity < 5 && text.find(';', entity) >= end) end = entity;
  text.resize(end);
  return text.append(kMissing);
}

json header(const std::string& plain) {
  return {{"type", "header"}, {"text", plain_text(plain, kHeaderText)}};
}

json section(const std::string& text) { return {{"type", "section"}, {"text", mrkdwn(text)}}; }

json context(const std::string& text) {
  return {{"type", "context"}, {"elements", json::array({mrkdwn(text)})}};
}

json divider() { return {{"type", "divider"}}; }

json actions(const std::string& block_id, const std::vector<Button>& buttons) {
  json elements = json::array();
  for (const Button& button : buttons) {
    json element = {{"type", "button"},
                    {"action_id", button.action_id},
                    {"text", plain_text(button.text, kButtonText)},
                    {"value", button.value}};
    if (!button.style.empty()) element["style"] = button.style;
    if (!button.confirm.empty()) {
      element["confirm"] = {{"title", plain_text("Are you sure?", 100)},
                            {"text", plain_text(button.confirm, 300)},
                            {"confirm", plain_text("Yes", 30)},
                            {"deny", plain_text("No", 30)}};
    }
    elements.push_back(std::move(element));
  }
  return {{"type", "actions"}, {"block_id", block_id}, {"elements", std::move(elements)}};
}

json checkboxes(const std::string& block_id, const std::string& action_id, const std::string& label,
                const std::vector<std::string>& options) {
  json list = json::array();
  for (std::size_t i = 0; i < options.size(); ++i) {
    list.push_back({{"text", plain_text(options[i], kOptionText)}, {"value", std::to_string(i)}});
  }
  return {{"type", "input"},
          {"block_id", block_id},
          {"label", plain_text(label, 2000)},
          {"element", {{"type", "checkboxes"}, {"action_id", action_id}, {"options", std::move(list)}}}};
}

json text_input(const std::string& block_id, const std::string& action_id, const std::string& label,
                const std::string& placeholder) {
  return {{"type", "input"},
          {"block_id", block_id},
          {"label", plain_text(label, 2000)},
          {"element",
           {{"type", "plain_text_input"},
            {"action_id", action_id},
            {"max_length", 300},
            {"placeholder", plain_text(placeholder, 150)}}}};
}

std::string date(storage::TimePoint time) { return slack_date(time, "{date_short_pretty} {time}"); }
std::string time_of_day(storage::TimePoint time) { return slack_date(time, "{time_secs}"); }

std::string progress_bar(double fraction) {
  const double bounded = std::clamp(fraction, 0.0, 1.0);
  const int full = static_cast<int>(std::floor(bounded * 10));
  std::string bar;
  for (int i = 0; i < 10; ++i) bar += i < full ? "▰" : "▱";
  return fmt::format("{} {} %", bar, static_cast<int>(std::floor(bounded * 100)));
}

std::string mention(const std::string& user) { return "<@" + escape(user) + ">"; }

}  // namespace keyturn::commands::views
