// Block Kit, as far as our messages need it: https://docs.slack.dev/reference/block-kit/blocks
// Texts are cut to Slack's limits here, so that a long line never makes a whole message invalid.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "storage/clock.h"

namespace keyturn::commands::views {

using nlohmann::json;

// For text from outside: & < > become entities, so that it can neither ping anyone nor look like a link of
// ours.
std::string escape(std::string_view text);

// At most `limit` bytes, never in the middle of a character or an entity, with "…" where something is
// missing.
std::string cut(std::string text, std::size_t limit);

json header(const std::string& plain);
json section(const std::string& mrkdwn);
json context(const std::string& mrkdwn);
json divider();

struct Button {
  std::string action_id, text, value;
  std::string style;    // "", "primary", "danger"
  std::string confirm;  // a question before it is sent; empty: none
};
json actions(const std::string& block_id, const std::vector<Button>& buttons);
json checkboxes(const std::string& block_id, const std::string& action_id, const std::string& label,
                const std::vector<std::string>& options);
json text_input(const std::string& block_id, const std::string& action_id, const std::string& label,
                const std::string& placeholder);

// "<!date^...>": shown in the reader's own zone; UTC where it can't be.
std::string date(storage::TimePoint time);
std::string time_of_day(storage::TimePoint time);

// "▰▰▰▰▱▱▱▱▱▱ 40 %"
std::string progress_bar(double fraction);

std::string mention(const std::string& user);  // "<@U...>"

}  // namespace keyturn::commands::views
