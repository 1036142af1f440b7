// Says whether Slack would take a message's blocks or a view, with the messages it would refuse them with.
// The limits are those of docs.slack.dev/reference/block-kit and of the official @slack/types; lengths are
// counted in code points. Pure. Knows the blocks and elements that an app like ours can send; any other type
// is refused, as a typo would be.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace keyturn::sandbox {

// Slack's response_metadata.messages: "must be less than 3001 characters [json-pointer:/blocks/0/text/text]".
// Empty: the blocks are fine.
std::vector<std::string> problems_of_message_blocks(const nlohmann::json& blocks);

// The same for a modal or a home tab.
std::vector<std::string> problems_of_view(const nlohmann::json& view);

// Slack names every block that came without a block_id; `seed` makes the names differ between messages.
void name_unnamed_blocks(nlohmann::json& blocks, std::uint64_t seed);

std::size_t length_in_code_points(std::string_view text);

}  // namespace keyturn::sandbox
