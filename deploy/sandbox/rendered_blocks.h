// Messages as the lines of text that a person reads, and what can be done in them. Pure: the player reads
// through this.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace keyturn::sandbox {

// The lines of a message's blocks, Slack's markup turned into plain words; its text where there are no
// blocks. Context blocks (the small print, which changes all the time) are left out.
std::vector<std::string> lines_of(const nlohmann::json& message);

// "<!date^1^..|at noon>" -> "at noon", "<@U0ADMIN>" -> "@U0ADMIN", "<url|label>" -> "label", entities
// decoded. A link alone is shortened to its part before "#": what follows may be a capability.
std::string plain_words(const std::string& mrkdwn);

// The first link in the message (or of a button's url) that starts with `prefix`.
std::optional<std::string> link_in(const nlohmann::json& message, const std::string& prefix);

// Whether a button or input with that action id stands in the message.
bool has_element(const nlohmann::json& message, const std::string& action_id);

// state for a click: every checkbox ticked, every text filled with `words`.
nlohmann::json everything_ticked(const nlohmann::json& message, const std::string& words);

}  // namespace keyturn::sandbox
