#include "deploy/sandbox/slack_conversations.h"

#include <algorithm>

#include "deploy/sandbox/slack_people.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

Message* find_in(std::deque<Message>& messages, const std::string& ts) {
  const auto found = std::ranges::find(messages, ts, &Message::ts);
  return found == messages.end() ? nullptr : &*found;
}

json states_of(const std::deque<Message>& messages) {
  json list = json::array();
  for (const Message& message : messages) list.push_back(message_state(message));
  return list;
}

}  // namespace

Message* Conversation::find(const std::string& ts) { return find_in(messages, ts); }
Message* Conversation::find_ephemeral(const std::string& ts) { return find_in(ephemerals, ts); }

Conversations::Conversations() {
  const std::vector<std::string> everybody = {"U0ADMIN", "U0GRACE", "U0MEMBER", "U0GUEST", kBotUser};
  conversations_[kOpsChannel] = {.id = kOpsChannel, .name = "billing-ops", .members = everybody};
  conversations_["C0RANDOM"] = {.id = "C0RANDOM",
                                .name = "random",
                                .bot_is_member = false,
                                .members = {"U0ADMIN", "U0GRACE", "U0MEMBER"}};
  conversations_["C0OLDOPS"] = {.id = "C0OLDOPS", .name = "old-ops", .archived = true, .members = everybody};
}

Conversation* Conversations::find(const std::string& id) {
  const auto found = conversations_.find(id);
  return found == conversations_.end() ? nullptr : &found->second;
}

Conversation& Conversations::direct_with(const std::string& user) {
  const std::string id = "D" + user.substr(1);
  const auto [place, fresh] = conversations_.try_emplace(id);
  if (fresh) place->second = {.id = id, .name = "directmessage", .with = user, .members = {user, kBotUser}};
  return place->second;
}

std::string Conversations::next_ts(storage::TimePoint now) {
  const std::int64_t micros = now.time_since_epoch().count() * 1000;
  last_ts_ = std::max(last_ts_ + 1, micros);
  return fmt::format("{}.{:06}", last_ts_ / 1'000'000, last_ts_ % 1'000'000);
}

json message_object(const Message& message, bool with_metadata) {
  json object = {{"type", "message"}, {"user", message.user}, {"text", message.text},
                 {"ts", message.ts},  {"team", kTeam},        {"blocks", message.blocks}};
  if (!message.bot_id.empty()) {
    object["bot_id"] = message.bot_id;
    object["app_id"] = kApp;
  }
  if (!message.thread_ts.empty()) object["thread_ts"] = message.thread_ts;
  if (message.edits > 0) object["edited"] = {{"user", message.user}, {"ts", message.ts}};
  if (with_metadata && !message.metadata.is_null()) object["metadata"] = message.metadata;
  return object;
}

json message_state(const Message& message) {
  json state = message_object(message, /*with_metadata=*/true);
  state.erase("edited");
  state["metadata"] = message.metadata;
  state["edits"] = message.edits;
  state["at"] = storage::to_iso8601(message.at);
  state["unfurl_links"] = message.unfurl_links ? json(*message.unfurl_links) : json();
  state["unfurl_media"] = message.unfurl_media ? json(*message.unfurl_media) : json();
  if (!message.only_for.empty()) state["only_for"] = message.only_for;
  return state;
}

json conversation_state(const Conversation& conversation) {
  return {{"id", conversation.id},
          {"name", conversation.name},
          {"is_im", conversation.is_direct()},
          {"user", conversation.with},
          {"members", conversation.members},
          {"messages", states_of(conversation.messages)},
          {"ephemerals", states_of(conversation.ephemerals)}};
}

json conversation_object(const Conversation& conversation) {
  json object = {{"id", conversation.id},
                 {"is_archived", conversation.archived},
                 {"is_im", conversation.is_direct()},
                 {"is_private", false},
                 {"is_ext_shared", false},
                 {"is_org_shared", false}};
  if (conversation.is_direct()) {
    object["user"] = conversation.with;
  } else {
    object["name"] = conversation.name;
    object["is_channel"] = true;
    object["is_member"] = conversation.bot_is_member;
    object["num_members"] = conversation.members.size();
  }
  return object;
}

}  // namespace keyturn::sandbox
