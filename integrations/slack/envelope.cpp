// Reads envelopes. See envelope.h.
#include "integrations/slack/envelope.h"

#include <charconv>
#include <utility>

namespace keyturn::slack {
namespace {

using nlohmann::json;

const json kAbsent;

const json& member(const json& object, const char* name) {
  if (!object.is_object()) return kAbsent;
  auto found = object.find(name);
  return found == object.end() ? kAbsent : *found;
}

json* find_member(json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

// Moves the member out of its object; null where there is none.
json taken(json& object, const char* name) {
  json* found = find_member(object, name);
  return found != nullptr ? std::move(*found) : json();
}

// Ids and timestamps are strings, but have been seen as numbers.
std::string text_in(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (value.is_number()) return value.dump();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return {};
}

std::string text(const json& object, const char* name) { return text_in(member(object, name)); }

std::string first_of(std::string preferred, std::string otherwise) {
  return preferred.empty() ? std::move(otherwise) : std::move(preferred);
}

bool truth(const json& object, const char* name) { return text(object, name) == "true"; }

int number(const json& object, const char* name) {
  const std::string digits = text(object, name);
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// The id of what is named either by an object ({"id": "U1"}) or plainly ("U1").
std::string id_of(const json& object, const char* name) {
  const json& value = member(object, name);
  return value.is_object() ? text(value, "id") : text_in(value);
}

// Slash commands name the team "team_id", interactions {"team": {"id": ...}}; org-wide installs may have
// neither.
std::string team_of(const json& payload) {
  return first_of(text(payload, "team_id"), id_of(payload, "team"));
}

SlashCommand read_command(const json& payload) {
  return {.team = team_of(payload),
          .channel = text(payload, "channel_id"),
          .user = text(payload, "user_id"),
          .command = text(payload, "command"),
          .text = text(payload, "text"),
          .response_url = text(payload, "response_url"),
          .trigger = text(payload, "trigger_id"),
          .app = text(payload, "api_app_id")};
}

// Buttons carry `value`; a select carries selected_option.value, and others selected_<something>.
std::string value_of(const json& action) {
  if (member(action, "value").is_string()) return text(action, "value");
  for (const char* name : {"selected_user", "selected_channel", "selected_conversation", "selected_date"}) {
    if (std::string selected = text(action, name); !selected.empty()) return selected;
  }
  return text(member(action, "selected_option"), "value");
}

// Where and by whom: what all actions of one payload share.
Click read_place(const json& payload) {
  const json& user = member(payload, "user");
  const json& container = member(payload, "container");
  return {.team = team_of(payload),
          .user_team = text(user, "team_id"),
          .user = id_of(payload, "user"),
          .channel = first_of(id_of(payload, "channel"), text(container, "channel_id")),
          .message_ts = first_of(text(container, "message_ts"), text(member(payload, "message"), "ts")),
          .view = first_of(text(container, "view_id"), text(member(payload, "view"), "id")),
          .response_url = text(payload, "response_url"),
          .trigger = text(payload, "trigger_id"),
          .app = text(payload, "api_app_id")};
}

json take_state(json& payload) {
  json* state = find_member(payload, "state");
  if (state == nullptr || !state->is_object()) {
    json* view = find_member(payload, "view");
    state = view != nullptr ? find_member(*view, "state") : nullptr;
  }
  return state != nullptr ? taken(*state, "values") : json();
}

std::vector<Click> read_clicks(json& payload) {
  std::vector<Click> clicks;
  const json& actions = member(payload, "actions");
  if (!actions.is_array()) return clicks;
  const Click place = read_place(payload);
  for (const json& action : actions) {
    Click click = place;
    click.action_id = text(action, "action_id");
    click.block_id = text(action, "block_id");
    click.value = value_of(action);
    click.action_ts = text(action, "action_ts");
    clicks.push_back(std::move(click));
  }
  const json state = take_state(payload);
  for (Click& click : clicks) click.state = state;
  return clicks;
}

OtherEvent read_other(const std::string& envelope_type, json payload) {
  const json& event = member(payload, "event");  // some callbacks have none (app_rate_limited)
  const json& where = event.is_object() ? event : payload;
  OtherEvent other;
  other.type = first_of(text(event, "type"), first_of(text(payload, "type"), envelope_type));
  other.user = id_of(where, "user");
  other.channel = id_of(where, "channel");
  other.team = first_of(team_of(payload), team_of(where));
  other.payload = std::move(payload);
  return other;
}

// ---- what is the same in every redelivery

std::string key_of(const SlashCommand& command) {
  return command.trigger.empty() ? std::string() : "slash:" + command.trigger;
}

std::string key_of(const std::vector<Click>& clicks) {
  if (clicks.empty()) return {};
  const Click& click = clicks.front();
  // The moment of the click names it better than its trigger: a second click on the same button has another
  // one.
  if (!click.action_ts.empty()) {
    return "click:" + click.user + ":" + first_of(click.message_ts, click.view) + ":" + click.action_id +
           ":" + click.action_ts;
  }
  return click.trigger.empty() ? std::string() : "click:" + click.trigger;
}

std::string key_of(const OtherEvent& other) {
  if (std::string event = text(other.payload, "event_id"); !event.empty()) return "event:" + event;
  const json& view = member(other.payload, "view");
  const std::string id = text(view, "id");
  if (id.empty()) return {};
  if (other.type == "view_submission") {
    // With the trigger: a form that came back with errors and is sent again keeps its hash.
    return "submission:" + id + ":" + text(view, "hash") + ":" + text(other.payload, "trigger_id");
  }
  if (other.type == "view_closed") return "closed:" + id;
  return {};
}

}  // namespace

std::optional<Envelope> parse_envelope(json message) {
  Envelope envelope;
  envelope.id = text(message, "envelope_id");
  if (envelope.id.empty()) return std::nullopt;
  envelope.accepts_response_payload = truth(message, "accepts_response_payload");
  envelope.retry_attempt = number(message, "retry_attempt");

  const std::string type = text(message, "type");
  json payload = taken(message, "payload");
  if (type == "slash_commands") {
    envelope.content = read_command(payload);
  } else if (type == "interactive" && text(payload, "type") == "block_actions") {
    envelope.content = read_clicks(payload);
  } else {
    envelope.content = read_other(type, std::move(payload));
  }
  envelope.dedupe_key =
      first_of(std::visit([](const auto& content) { return key_of(content); }, envelope.content),
               "envelope:" + envelope.id);
  return envelope;
}

}  // namespace keyturn::slack
