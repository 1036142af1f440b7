// What Slack delivers over the socket, read tolerantly: any field may be missing, numbers may be strings,
// booleans may be the strings "true" and "false". Everything in here is a stranger's input until a command
// has authorised it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace keyturn::slack {

struct SlashCommand {
  std::string team, channel, user, command, text, response_url, trigger, app;
};

struct Click {  // block_actions: one entry of `actions`, with where it was clicked
  std::string team, user_team, user, channel, message_ts, view, response_url, trigger, app;
  std::string action_id, block_id, value, action_ts;
  nlohmann::json state;  // state.values: {block_id: {action_id: {...}}}
};

struct OtherEvent {  // events_api, view_submission, view_closed, and types we have never heard of
  std::string type;  // the inner event's type, or the payload's
  std::string user, channel, team;
  nlohmann::json payload;
};

struct Envelope {
  std::string id;
  bool accepts_response_payload = false;
  int retry_attempt = 0;
  // "slash:<trigger>", "click:<user>:<...>", "submission:<view>:...", "event:<event_id>": the same for
  // every redelivery. Where Slack sent nothing to build one from, "envelope:<id>".
  std::string dedupe_key;
  std::variant<SlashCommand, std::vector<Click>, OtherEvent> content;
};

// An envelope if `message` is one (it has an envelope_id). Never throws for what is in `message`. By value,
// because the parts that are kept are moved out of it.
std::optional<Envelope> parse_envelope(nlohmann::json message);

}  // namespace keyturn::slack
