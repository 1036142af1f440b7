#include "deploy/sandbox/slack_interactions.h"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "deploy/sandbox/random_text.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr const char* kVerificationToken =
    "sandbox-verification-token";  // deprecated by Slack, sent all the same

json team_object() { return {{"id", kTeam}, {"domain", "raxx"}}; }

json user_of(const Person& person) {
  return {{"id", person.id}, {"username", person.name}, {"name", person.name}, {"team_id", person.team}};
}

// Calls `visit` for every element of every block.
void each_element(const json& blocks,
                  const std::function<void(const json& block, const json& element)>& visit) {
  for (const json& block : blocks) {
    if (block.contains("accessory")) visit(block, block["accessory"]);
    if (block.contains("element")) visit(block, block["element"]);
    const auto elements = block.find("elements");
    if (elements == block.end() || text_of(block, "type") != "actions") continue;
    for (const json& element : *elements) visit(block, element);
  }
}

json options_with(const json& element, const json& values) {
  json chosen = json::array();
  for (const json& option : element.value("options", json::array())) {
    if (std::ranges::find(values, option.at("value")) != values.end()) chosen.push_back(option);
  }
  return chosen;
}

// One entry of state.values; null for an element that holds nothing (a button). `given` null: as it starts.
json input_state(const json& element, const json& given) {
  const std::string type = text_of(element, "type");
  if (given.is_object()) return given;  // as Slack has it already
  if (type == "checkboxes") {
    const json chosen =
        given.is_array() ? options_with(element, given) : element.value("initial_options", json::array());
    return {{"type", type}, {"selected_options", chosen}};
  }
  if (type == "static_select" || type == "radio_buttons") {
    const json chosen = given.is_string() ? options_with(element, json::array({given})) : json::array();
    const json initial = element.value("initial_option", json());
    return {{"type", type}, {"selected_option", chosen.empty() ? initial : chosen.front()}};
  }
  if (type == "plain_text_input") {
    return {{"type", type}, {"value", given.is_string() ? given : element.value("initial_value", json())}};
  }
  return nullptr;
}

const json& given_for(const json& given, const std::string& block, const std::string& action) {
  static const json kNothing;
  if (!given.is_object() || !given.contains(block)) return kNothing;
  const json& in_block = given.at(block);
  return in_block.is_object() && in_block.contains(action) ? in_block.at(action) : kNothing;
}

// The entry of `actions` for a click on `element`.
json action_entry(const FoundElement& found, const json& values, const std::string& action_ts) {
  const json& element = *found.element;
  const std::string type = text_of(element, "type");
  json action = {{"type", type},
                 {"action_id", text_of(element, "action_id")},
                 {"block_id", text_of(*found.block, "block_id")},
                 {"action_ts", action_ts}};
  if (type == "button") {
    for (const char* name : {"text", "value", "style", "url"}) {
      if (element.contains(name)) action[name] = element[name];
    }
    return action;
  }
  const json& state = given_for(values, text_of(*found.block, "block_id"), text_of(element, "action_id"));
  for (const char* name : {"selected_options", "selected_option", "value"}) {
    if (state.is_object() && state.contains(name)) action[name] = state[name];
  }
  return action;
}

}  // namespace

FoundElement find_element(const json& blocks, const std::string& action, const std::string& block) {
  FoundElement found;
  each_element(blocks, [&](const json& candidate, const json& element) {
    if (found.element != nullptr || text_of(element, "action_id") != action) return;
    if (!block.empty() && text_of(candidate, "block_id") != block) return;
    found = {.block = &candidate, .element = &element};
  });
  return found;
}

json state_values(const json& blocks, const json& given) {
  json values = json::object();
  each_element(blocks, [&](const json& block, const json& element) {
    const std::string block_id = text_of(block, "block_id");
    const std::string action_id = text_of(element, "action_id");
    json state = input_state(element, given_for(given, block_id, action_id));
    if (!state.is_null()) values[block_id][action_id] = std::move(state);
  });
  return values;
}

const Person& Interactions::person_of(const json& wish) {
  const Person* person = std::as_const(workspace_.people).find(text_of(wish, "user"));
  if (person == nullptr) throw std::invalid_argument("nobody has the id " + text_of(wish, "user"));
  return *person;
}

Conversation& Interactions::conversation_of(const json& wish) {
  const std::string id = text_of(wish, "channel");
  if (Conversation* found = workspace_.conversations.find(id)) return *found;
  const std::string user = id.empty() ? "" : "U" + id.substr(1);
  if (id.starts_with("D") && workspace_.people.find(user) != nullptr)
    return workspace_.conversations.direct_with(user);
  throw std::invalid_argument("there is no channel " + id);
}

std::string Interactions::response_url(const char* family, ResponsePlace place) {
  return origin_ + workspace_.response_urls.mint(family, std::move(place), workspace_.clock.now());
}

json Interactions::common(const char* type, const Person& person) {
  return {{"type", type},
          {"team", team_object()},
          {"user", user_of(person)},
          {"api_app_id", kApp},
          {"token", kVerificationToken},
          {"enterprise", nullptr},
          {"is_enterprise_install", false}};
}

// "Escape channels, users, and links sent to your app" is on: "@grace" arrives as "<@U0GRACE|grace>" when
// Slack knows that name, and as it was typed when it doesn't.
std::string Interactions::with_mentions(std::string text) const {
  for (const auto& [id, person] : workspace_.people.all()) {
    const std::string typed = "@" + person.name;
    const std::string sent = fmt::format("<@{}|{}>", id, person.name);
    for (std::size_t at = text.find(typed); at != std::string::npos;
         at = text.find(typed, at + sent.size())) {
      const std::size_t end = at + typed.size();
      const bool whole = (at == 0 || text[at - 1] == ' ') && (end == text.size() || text[end] == ' ');
      if (whole) text.replace(at, typed.size(), sent);
    }
  }
  return text;
}

Interaction Interactions::command(const json& wish) {
  const Person& person = person_of(wish);
  const Conversation& conversation = conversation_of(wish);
  json payload = {{"token", kVerificationToken},
                  {"team_id", person.team},
                  {"team_domain", "raxx"},
                  {"channel_id", conversation.id},
                  {"channel_name", conversation.name},
                  {"user_id", person.id},
                  {"user_name", person.name},
                  {"command", wish.value("command", "/rotate")},
                  {"text", with_mentions(wish.value("text", ""))},
                  {"api_app_id", kApp},
                  {"is_enterprise_install", "false"},
                  {"response_url", response_url("commands", {.channel = conversation.id, .user = person.id})},
                  {"trigger_id", workspace_.triggers.mint(workspace_.clock.now())}};
  return {.type = "slash_commands", .payload = std::move(payload), .accepts_response_payload = true};
}

Interaction Interactions::click(const json& wish) {
  const Person& person = person_of(wish);
  if (wish.value("home", false)) return home_click(wish, person);
  Conversation& conversation = conversation_of(wish);
  const std::string ts = text_of(wish, "ts");
  const Message* message = conversation.find(ts);
  const bool ephemeral = message == nullptr;
  if (ephemeral) message = conversation.find_ephemeral(ts);
  if (message == nullptr) throw std::invalid_argument("there is no message " + ts + " in " + conversation.id);
  const auto found = find_element(message->blocks, text_of(wish, "action_id"), text_of(wish, "block_id"));
  if (found.element == nullptr)
    throw std::invalid_argument("the message has no " + text_of(wish, "action_id"));

  json& given = workspace_.inputs[conversation.id + "/" + ts + "/" + person.id];
  if (given.is_null()) given = json::object();
  given.merge_patch(wish.value("state", json::object()));
  const bool holds_something = !input_state(*found.element, json()).is_null();
  if (holds_something && wish.contains("value")) {
    given[text_of(*found.block, "block_id")][text_of(*found.element, "action_id")] = wish["value"];
  }
  const json values = state_values(message->blocks, given);
  const auto now = workspace_.clock.now();
  json payload = common("block_actions", person);
  payload["container"] = {
      {"type", "message"}, {"message_ts", ts}, {"channel_id", conversation.id}, {"is_ephemeral", ephemeral}};
  payload["trigger_id"] = workspace_.triggers.mint(now);
  payload["channel"] = {{"id", conversation.id}, {"name", conversation.name}};
  payload["message"] = message_object(*message, /*with_metadata=*/true);
  payload["state"] = {{"values", values}};
  payload["response_url"] = response_url(
      "actions", {.channel = conversation.id, .user = person.id, .message_ts = ts, .ephemeral = ephemeral});
  payload["actions"] = json::array({action_entry(found, values, workspace_.conversations.next_ts(now))});
  return {.type = "interactive", .payload = std::move(payload)};
}

Interaction Interactions::home_click(const json& wish, const Person& person) {
  const auto home = workspace_.homes.find(person.id);
  if (home == workspace_.homes.end())
    throw std::invalid_argument("the bot has published no home tab for " + person.id);
  const auto found =
      find_element(home->second["blocks"], text_of(wish, "action_id"), text_of(wish, "block_id"));
  if (found.element == nullptr)
    throw std::invalid_argument("the home tab has no " + text_of(wish, "action_id"));
  const json values = state_values(home->second["blocks"], wish.value("state", json::object()));
  const auto now = workspace_.clock.now();
  json payload = common("block_actions", person);
  payload["container"] = {{"type", "view"}, {"view_id", home->second["id"]}};
  payload["trigger_id"] = workspace_.triggers.mint(now);
  payload["view"] = home->second;
  payload["view"]["state"] = {{"values", values}};
  payload["actions"] = json::array({action_entry(found, values, workspace_.conversations.next_ts(now))});
  return {.type = "interactive", .payload = std::move(payload)};
}

Interaction Interactions::submit(const json& wish) {
  const Person& person = person_of(wish);
  const auto view = workspace_.views.find(text_of(wish, "view_id"));
  if (view == workspace_.views.end())
    throw std::invalid_argument("there is no open view " + text_of(wish, "view_id"));
  json payload = common("view_submission", person);
  payload["trigger_id"] = workspace_.triggers.mint(workspace_.clock.now());
  payload["view"] = view->second;
  payload["view"]["state"] = {
      {"values", state_values(view->second["blocks"], wish.value("values", json::object()))}};
  payload["response_urls"] = json::array();
  return {.type = "interactive", .payload = std::move(payload), .accepts_response_payload = true};
}

Interaction Interactions::event(json inner) {
  const auto now = workspace_.clock.now();
  const json authorization = {{"enterprise_id", nullptr},
                              {"team_id", kTeam},
                              {"user_id", kBotUser},
                              {"is_bot", true},
                              {"is_enterprise_install", false}};
  inner["event_ts"] = workspace_.conversations.next_ts(now);
  json payload = {{"token", kVerificationToken},
                  {"team_id", kTeam},
                  {"api_app_id", kApp},
                  {"type", "event_callback"},
                  {"event_id", fmt::format("Ev{:06}{}", ++events_, random_text(4))},
                  {"event_time", now.time_since_epoch().count() / 1000},
                  {"authorizations", json::array({authorization})},
                  {"is_ext_shared_channel", false},
                  {"event", std::move(inner)}};
  return {.type = "events_api", .payload = std::move(payload)};
}

Interaction Interactions::home(const json& wish) {
  const Person& person = person_of(wish);
  json inner = {{"type", "app_home_opened"},
                {"user", person.id},
                {"channel", workspace_.conversations.direct_with(person.id).id},
                {"tab", "home"}};
  const auto home = workspace_.homes.find(person.id);
  if (home != workspace_.homes.end()) inner["view"] = home->second;
  return event(std::move(inner));
}

Interaction Interactions::say(const json& wish) {
  const Person& person = person_of(wish);
  Conversation& conversation = conversation_of(wish);
  Message message;
  message.user = person.id;
  message.text = text_of(wish, "text");
  const std::string ts = post(workspace_, conversation, std::move(message));
  const bool direct = conversation.is_direct();
  json inner = {{"type", direct ? "message" : "app_mention"},
                {"user", person.id},
                {"team", person.team},
                {"text", text_of(wish, "text")},
                {"channel", conversation.id},
                {"ts", ts}};
  if (direct) inner["channel_type"] = "im";
  return event(std::move(inner));
}

Interaction Interactions::change_person(const json& wish) {
  Person* person = workspace_.people.find(person_of(wish).id);
  const json changes = wish.value("set", json::object());
  person->deleted = changes.value("deleted", person->deleted);
  person->restricted = changes.value("restricted", person->restricted);
  person->stranger = changes.value("stranger", person->stranger);
  person->team = changes.value("team", person->team);
  return event({{"type", "user_change"}, {"user", user_object(*person)}});
}

}  // namespace keyturn::sandbox
