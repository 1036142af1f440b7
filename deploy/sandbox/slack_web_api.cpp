#include "deploy/sandbox/slack_web_api.h"

#include <algorithm>

#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/slack_blocks.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestUpdate = 4000;
constexpr std::size_t kLongestMetadata = 8000;

json refused(const std::string& error) { return {{"ok", false}, {"error", error}}; }

json refused(const std::string& error, const std::vector<std::string>& messages) {
  return {{"ok", false}, {"error", error}, {"response_metadata", {{"messages", messages}}}};
}

json missing(const std::string& argument) {
  return refused("invalid_arguments", {"[ERROR] missing required field: " + argument});
}

// JSON booleans, and what forms say.
std::optional<bool> flag_of(const json& arguments, const char* name) {
  const auto found = arguments.find(name);
  if (found == arguments.end()) return std::nullopt;
  if (found->is_boolean()) return found->get<bool>();
  return *found == "true" || *found == "1";
}

int number_of(const json& arguments, const char* name, int otherwise) {
  const auto found = arguments.find(name);
  if (found == arguments.end()) return otherwise;
  if (found->is_number_integer()) return found->get<int>();
  return found->is_string() ? std::atoi(found->get<std::string>().c_str()) : otherwise;
}

// Arrays and objects that a form carries as JSON text come as they are from a JSON body.
std::optional<json> structure_of(const json& arguments, const char* name) {
  const auto found = arguments.find(name);
  if (found == arguments.end()) return json();
  if (!found->is_string()) return *found;
  json parsed = json::parse(found->get<std::string>(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed;
}

struct Content {
  json refusal;  // null: fine
  Message message;
  bool has_blocks = false, has_metadata = false;
};

Content blocks_refused(const std::vector<std::string>& problems) {
  json errors = json::array();
  for (const std::string& problem : problems) errors.push_back(problem);
  json refusal = refused("invalid_blocks", problems);
  refusal["errors"] = errors;
  return {.refusal = refusal, .message = {}};
}

std::optional<std::string> metadata_problem(const json& metadata) {
  if (!metadata.is_object()) return "invalid_metadata_format";
  if (metadata.empty()) return std::nullopt;  // an empty object removes what was there
  if (!metadata.contains("event_type") || !metadata["event_type"].is_string())
    return "invalid_metadata_format";
  if (!metadata.contains("event_payload") || !metadata["event_payload"].is_object())
    return "invalid_metadata_format";
  if (metadata.dump().size() > kLongestMetadata) return "metadata_too_large";
  return std::nullopt;
}

// What a message says: text, blocks, metadata, flags.
Content read_content(const json& arguments) {
  Content content;
  Message& message = content.message;
  message.text = text_of(arguments, "text");
  const auto blocks = structure_of(arguments, "blocks");
  if (!blocks) return {.refusal = refused("invalid_blocks_format"), .message = {}};
  if (!blocks->is_null()) {
    const auto problems = problems_of_message_blocks(*blocks);
    if (!problems.empty()) return blocks_refused(problems);
    message.blocks = *blocks;
    content.has_blocks = true;
  }
  const auto metadata = structure_of(arguments, "metadata");
  if (!metadata) return {.refusal = refused("invalid_metadata_format"), .message = {}};
  if (!metadata->is_null()) {
    if (const auto problem = metadata_problem(*metadata))
      return {.refusal = refused(*problem), .message = {}};
    if (!metadata->empty()) message.metadata = *metadata;
    content.has_metadata = true;
  }
  if (message.text.empty() && message.blocks.empty()) return {.refusal = refused("no_text"), .message = {}};
  message.unfurl_links = flag_of(arguments, "unfurl_links");
  message.unfurl_media = flag_of(arguments, "unfurl_media");
  message.thread_ts = text_of(arguments, "thread_ts");
  message.user = kBotUser;
  message.bot_id = kBot;
  return content;
}

bool is_member(const Conversation& conversation, const std::string& user) {
  return std::ranges::find(conversation.members, user) != conversation.members.end();
}

void change(Message& message, Content content) {
  message.text = content.message.text;
  if (content.has_blocks) message.blocks = content.message.blocks;  // without the field, the old ones stay
  name_unnamed_blocks(message.blocks, std::hash<std::string>()(message.ts));
  if (content.has_metadata) message.metadata = content.message.metadata;
  ++message.edits;
}

}  // namespace

const std::map<std::string_view, SlackWebApi::Method>& SlackWebApi::methods() {
  using Api = SlackWebApi;
  static const std::map<std::string_view, Method> kMethods = {
      {"apps.connections.open", {&Api::connections_open, false, SlackToken::app, ""}},
      {"auth.test", {&Api::auth_test, true, SlackToken::bot, ""}},
      {"chat.postMessage", {&Api::post_message, true, SlackToken::bot, "chat:write"}},
      {"chat.postEphemeral", {&Api::post_ephemeral, true, SlackToken::bot, "chat:write"}},
      {"chat.update", {&Api::update_message, true, SlackToken::bot, "chat:write"}},
      {"chat.getPermalink", {&Api::permalink, false, SlackToken::bot, ""}},
      {"chat.delete", {&Api::delete_message, true, SlackToken::bot, "chat:write"}},
      {"conversations.open", {&Api::open_conversation, true, SlackToken::bot, "im:write"}},
      {"conversations.info", {&Api::conversation_info, false, SlackToken::bot, "channels:read"}},
      {"conversations.history", {&Api::history, true, SlackToken::bot, "channels:history"}},
      {"users.info", {&Api::user_info, false, SlackToken::bot, "users:read"}},
      {"usergroups.users.list", {&Api::group_users, false, SlackToken::bot, "usergroups:read"}},
      {"bots.info", {&Api::bot_info, false, SlackToken::bot, "users:read"}},
      {"views.open", {&Api::open_view, true, SlackToken::bot, ""}},
      {"views.update", {&Api::update_view, true, SlackToken::bot, ""}},
      {"views.publish", {&Api::publish_view, true, SlackToken::bot, ""}},
  };
  return kMethods;
}

bool SlackWebApi::takes_json(std::string_view method) {
  const auto found = methods().find(method);
  return found != methods().end() && found->second.json_input;
}

json SlackWebApi::call(const std::string& method, SlackToken token, const json& arguments) {
  const auto found = methods().find(method);
  if (found == methods().end()) return {{"ok", false}, {"error", "unknown_method"}, {"req_method", method}};
  if (token == SlackToken::none) return refused("not_authed");
  if (token == SlackToken::unknown) return refused("invalid_auth");
  const bool both = method == "auth.test";
  if (token != found->second.token && !both) return refused("not_allowed_token_type");
  const std::string needed(found->second.scope);
  if (!needed.empty() && !workspace_.scopes.contains(needed)) {
    return {{"ok", false}, {"error", "missing_scope"}, {"needed", needed}, {"provided", granted(token)}};
  }
  return (this->*found->second.run)(arguments);
}

std::string SlackWebApi::granted(SlackToken token) const {
  if (token == SlackToken::app) return "connections:write";
  return token == SlackToken::bot ? fmt::format("{}", fmt::join(workspace_.scopes, ",")) : "";
}

json SlackWebApi::connections_open(const json&) {
  return {{"ok", true},
          {"url", fmt::format("ws://{}/link/?ticket={}&app_id={}", authority_, sockets_.new_ticket(), kApp)}};
}

json SlackWebApi::auth_test(const json&) {
  return {{"ok", true},
          {"url", "https://raxx.slack.com/"},
          {"team", "Raxx"},
          {"team_id", kTeam},
          {"user", "keyturn"},
          {"user_id", kBotUser},
          {"bot_id", kBot},
          {"app_id", kApp},
          {"app_name", "Keyturn"},
          {"is_enterprise_install", false}};
}

// A channel where the bot may post; a user's id means the direct message with that person.
Conversation* SlackWebApi::place_to_post(const std::string& channel, std::string& error) {
  const Person* person = workspace_.people.find(channel);
  if (person != nullptr && !person->deleted && !person->bot)
    return &workspace_.conversations.direct_with(channel);
  Conversation* conversation = workspace_.conversations.find(channel);
  if (conversation == nullptr) {
    error = "channel_not_found";
  } else if (conversation->archived) {
    error = "is_archived";
  } else if (!conversation->bot_is_member) {
    error = "not_in_channel";
  } else {
    return conversation;
  }
  return nullptr;
}

json SlackWebApi::post_message(const json& arguments) {
  const std::string channel = text_of(arguments, "channel");
  if (channel.empty()) return missing("channel");
  std::string error;
  Conversation* conversation = place_to_post(channel, error);
  if (conversation == nullptr) return refused(error);
  Content content = read_content(arguments);
  if (!content.refusal.is_null()) return content.refusal;
  const bool text_missing = content.message.text.empty();
  const std::string ts = post(workspace_, *conversation, std::move(content.message));
  json answer = {{"ok", true},
                 {"channel", conversation->id},
                 {"ts", ts},
                 {"message", message_object(conversation->messages.back(), /*with_metadata=*/true)}};
  if (text_missing) answer["response_metadata"] = {{"warnings", {"missing_text_in_message"}}};
  return answer;
}

json SlackWebApi::post_ephemeral(const json& arguments) {
  const std::string user = text_of(arguments, "user");
  if (user.empty()) return missing("user");
  std::string error;
  Conversation* conversation = place_to_post(text_of(arguments, "channel"), error);
  if (conversation == nullptr) return refused(error);
  if (!is_member(*conversation, user)) return refused("user_not_in_channel");
  Content content = read_content(arguments);
  if (!content.refusal.is_null()) return content.refusal;
  content.message.only_for = user;
  content.message.metadata = nullptr;
  return {{"ok", true}, {"message_ts", post(workspace_, *conversation, std::move(content.message))}};
}

json SlackWebApi::update_message(const json& arguments) {
  Conversation* conversation = workspace_.conversations.find(text_of(arguments, "channel"));
  if (conversation == nullptr) return refused("channel_not_found");
  Message* message = conversation->find(text_of(arguments, "ts"));
  if (message == nullptr) return refused("message_not_found");
  if (message->bot_id != kBot) return refused("cant_update_message");
  if (length_in_code_points(text_of(arguments, "text")) > kLongestUpdate) return refused("msg_too_long");
  Content content = read_content(arguments);
  if (!content.refusal.is_null()) return content.refusal;
  change(*message, std::move(content));
  return {{"ok", true},
          {"channel", conversation->id},
          {"ts", message->ts},
          {"text", message->text},
          {"message", message_object(*message, /*with_metadata=*/true)}};
}

json SlackWebApi::delete_message(const json& arguments) {
  Conversation* conversation = workspace_.conversations.find(text_of(arguments, "channel"));
  if (conversation == nullptr) return refused("channel_not_found");
  const std::string ts = text_of(arguments, "ts");
  const Message* message = conversation->find(ts);
  if (message == nullptr) return refused("message_not_found");
  if (message->bot_id != kBot) return refused("cant_delete_message");
  std::erase_if(conversation->messages, [&](const Message& candidate) { return candidate.ts == ts; });
  return {{"ok", true}, {"channel", conversation->id}, {"ts", ts}};
}

json SlackWebApi::open_conversation(const json& arguments) {
  const std::string user = text_of(arguments, "users");
  if (user.empty()) return refused("users_list_not_supplied");
  const Person* person = workspace_.people.find(user);
  if (person == nullptr) return refused("user_not_found");
  if (person->deleted) return refused("user_disabled");
  if (person->bot) return refused("cannot_dm_bot");
  const Conversation& conversation = workspace_.conversations.direct_with(user);
  return {{"ok", true}, {"channel", {{"id", conversation.id}}}};
}

json SlackWebApi::conversation_info(const json& arguments) {
  const Conversation* conversation = workspace_.conversations.find(text_of(arguments, "channel"));
  if (conversation == nullptr) return refused("channel_not_found");
  return {{"ok", true}, {"channel", conversation_object(*conversation)}};
}

json SlackWebApi::history(const json& arguments) {
  const Conversation* conversation = workspace_.conversations.find(text_of(arguments, "channel"));
  if (conversation == nullptr) return refused("channel_not_found");
  if (!conversation->is_direct() && !conversation->bot_is_member) return refused("not_in_channel");
  // A ts is "seconds.microseconds" of fixed width: text order is time order.
  const std::string oldest = text_of(arguments, "oldest");
  const std::string latest = text_of(arguments, "latest");
  const bool inclusive = flag_of(arguments, "inclusive").value_or(false);
  const auto limit = static_cast<std::size_t>(std::clamp(number_of(arguments, "limit", 100), 1, 999));
  json messages = json::array();
  bool more = false;
  for (auto message = conversation->messages.rbegin(); message != conversation->messages.rend(); ++message) {
    if (!latest.empty() && (message->ts > latest || (message->ts == latest && !inclusive))) continue;
    if (!oldest.empty() && (message->ts < oldest || (message->ts == oldest && !inclusive))) break;
    if (messages.size() == limit) {
      more = true;
      break;
    }
    messages.push_back(message_object(*message, flag_of(arguments, "include_all_metadata").value_or(false)));
  }
  return {{"ok", true}, {"messages", messages}, {"has_more", more}};
}

json SlackWebApi::user_info(const json& arguments) {
  const std::string user = text_of(arguments, "user");
  if (user.empty()) return missing("user");
  const Person* person = workspace_.people.find(user);
  if (person == nullptr) return refused("user_not_found");
  return {{"ok", true}, {"user", user_object(*person)}};
}

// https://docs.slack.dev/reference/methods/chat.getPermalink
json SlackWebApi::permalink(const json& arguments) {
  Conversation* conversation = workspace_.conversations.find(text_of(arguments, "channel"));
  if (conversation == nullptr) return refused("channel_not_found");
  std::string ts = text_of(arguments, "message_ts");
  if (conversation->find(ts) == nullptr) return refused("message_not_found");
  std::erase(ts, '.');
  return {{"ok", true},
          {"channel", conversation->id},
          {"permalink", "https://raxx.slack.com/archives/" + conversation->id + "/p" + ts}};
}

json SlackWebApi::group_users(const json& arguments) {
  const std::string group = text_of(arguments, "usergroup");
  if (group.empty()) return missing("usergroup");
  const auto users = workspace_.people.group(group);
  if (!users) return refused("no_such_subteam");
  return {{"ok", true}, {"users", *users}};
}

json SlackWebApi::bot_info(const json& arguments) {
  if (text_of(arguments, "bot") != kBot) return refused("bot_not_found");
  return {{"ok", true},
          {"bot",
           {{"id", kBot}, {"deleted", false}, {"name", "keyturn"}, {"app_id", kApp}, {"user_id", kBotUser}}}};
}

json SlackWebApi::stamped_view(json view, const std::string& id, const std::string& user) {
  name_unnamed_blocks(view["blocks"], std::hash<std::string>()(id));
  view["id"] = id;
  view["team_id"] = kTeam;
  view["app_id"] = kApp;
  view["bot_id"] = kBot;
  view["root_view_id"] = id;
  view["previous_view_id"] = nullptr;
  view["hash"] =
      fmt::format("{}.{}", workspace_.clock.now().time_since_epoch().count() / 1000, random_text(8));
  view["state"] = {{"values", json::object()}};
  view["user"] = user;  // ours, for the page; Slack has no such field
  for (const char* name : {"private_metadata", "callback_id", "external_id"}) {
    if (!view.contains(name)) view[name] = "";
  }
  return view;
}

json SlackWebApi::open_view(const json& arguments) {
  const std::string trigger = text_of(arguments, "trigger_id");
  if (trigger.empty()) return missing("trigger_id");
  const auto view = structure_of(arguments, "view");
  if (!view || view->is_null()) return missing("view");
  const auto problems = problems_of_view(*view);
  if (!problems.empty()) return refused("invalid_arguments", problems);
  if (text_of(*view, "type") != "modal") return refused("invalid_arguments", {"[ERROR] must be a modal"});
  const std::string error = workspace_.triggers.spend(trigger, workspace_.clock.now());
  if (!error.empty()) return refused(error);
  const std::string id = "V" + random_text(10);
  workspace_.views[id] = stamped_view(*view, id, "");
  return {{"ok", true}, {"view", workspace_.views[id]}};
}

json SlackWebApi::update_view(const json& arguments) {
  const auto found = workspace_.views.find(text_of(arguments, "view_id"));
  if (found == workspace_.views.end()) return refused("not_found");
  const std::string hash = text_of(arguments, "hash");
  if (!hash.empty() && hash != text_of(found->second, "hash")) return refused("hash_conflict");
  const auto view = structure_of(arguments, "view");
  if (!view || view->is_null()) return missing("view");
  const auto problems = problems_of_view(*view);
  if (!problems.empty()) return refused("invalid_arguments", problems);
  found->second = stamped_view(*view, found->first, text_of(found->second, "user"));
  return {{"ok", true}, {"view", found->second}};
}

json SlackWebApi::publish_view(const json& arguments) {
  const std::string user = text_of(arguments, "user_id");
  const Person* person = workspace_.people.find(user);
  if (person == nullptr || person->bot) return refused("user_not_found");
  const auto view = structure_of(arguments, "view");
  if (!view || view->is_null()) return missing("view");
  const auto problems = problems_of_view(*view);
  if (!problems.empty()) return refused("invalid_arguments", problems);
  if (text_of(*view, "type") != "home") return refused("invalid_arguments", {"[ERROR] must be a home tab"});
  const auto before = workspace_.homes.find(user);
  const std::string hash = text_of(arguments, "hash");
  if (!hash.empty() && before != workspace_.homes.end() && hash != text_of(before->second, "hash")) {
    return refused("hash_conflict");
  }
  const std::string id =
      before == workspace_.homes.end() ? "V" + random_text(10) : text_of(before->second, "id");
  workspace_.homes[user] = stamped_view(*view, id, user);
  return {{"ok", true}, {"view", workspace_.homes[user]}};
}

std::string SlackWebApi::respond(const std::string& path, const json& message) {
  if (!message.is_object()) return "invalid_payload";
  const auto use = workspace_.response_urls.use(path, workspace_.clock.now());
  if (!use.error.empty()) return use.error;
  Conversation* conversation = workspace_.conversations.find(use.place.channel);
  if (conversation == nullptr) return "channel_not_found";
  if (flag_of(message, "delete_original").value_or(false)) {
    const auto is_original = [&](const Message& candidate) { return candidate.ts == use.place.message_ts; };
    std::erase_if(conversation->messages, is_original);
    std::erase_if(conversation->ephemerals, is_original);
    return {};
  }
  Content content = read_content(message);
  if (!content.refusal.is_null()) return text_of(content.refusal, "error");
  if (flag_of(message, "replace_original").value_or(false) && !use.place.message_ts.empty()) {
    Message* original = use.place.ephemeral ? conversation->find_ephemeral(use.place.message_ts)
                                            : conversation->find(use.place.message_ts);
    if (original != nullptr) return change(*original, std::move(content)), "";
  }
  if (text_of(message, "response_type") != "in_channel") content.message.only_for = use.place.user;
  post(workspace_, *conversation, std::move(content.message));
  return {};
}

}  // namespace keyturn::sandbox
