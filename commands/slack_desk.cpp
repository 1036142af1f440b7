#include "commands/slack_desk.h"

#include <algorithm>

#include "integrations/error.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using rotation::OperatorChecked;

namespace {
constexpr std::string_view kMetadata = "keyturn_rotation";

bool flag(const json& user, const char* name) {
  const auto found = user.find(name);
  return found != user.end() && found->is_boolean() && found->get<bool>();
}

std::string text_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Grid: the person's home may be another workspace, as long as ours is among theirs.
bool belongs(const json& user, const std::string& team) {
  if (text_at(user, "team_id") == team) return true;
  const auto enterprise = user.find("enterprise_user");
  if (enterprise == user.end() || !enterprise->is_object()) return false;
  const auto teams = enterprise->find("teams");
  return teams != enterprise->end() && teams->is_array() &&
         std::ranges::find(*teams, json(team)) != teams->end();
}
}  // namespace

OperatorChecked read_account(const json& user, const std::string& team) {
  if (!user.is_object() || text_at(user, "id").empty())
    return {.allowed = false, .reason = "Slack did not say who this is.", .name = {}};
  if (flag(user, "deleted"))
    return {.allowed = false, .reason = "This Slack account is deactivated.", .name = {}};
  if (flag(user, "is_bot")) return {.allowed = false, .reason = "A bot can't rotate a key.", .name = {}};
  if (flag(user, "is_restricted") || flag(user, "is_ultra_restricted"))
    return {.allowed = false, .reason = "A guest can't rotate a key.", .name = {}};
  if (flag(user, "is_stranger") || !belongs(user, team)) {
    return {.allowed = false, .reason = "This account belongs to another workspace.", .name = {}};
  }
  return {.allowed = true, .reason = {}, .name = text_at(user, "real_name")};
}

SlackDesk::SlackDesk(slack::WebApi& api, std::string team) : api_(api), team_(std::move(team)) {}

asio::awaitable<OperatorChecked> SlackDesk::check(std::string user) {
  const json answer = co_await api_.call("users.info", json{{"user", user}});
  co_return read_account(answer.value("user", json::object()), team_);
}

asio::awaitable<std::string> SlackDesk::dm(std::string user) {
  if (const auto known = dms_.find(user); known != dms_.end()) co_return known->second;
  const json answer = co_await api_.call("conversations.open", json{{"users", user}});
  const std::string channel = text_at(answer.value("channel", json::object()), "id");
  dms_[user] = channel;
  co_return channel;
}

asio::awaitable<std::string> SlackDesk::post(std::string channel, views::Message message,
                                             std::string rotation) {
  const json metadata = {{"event_type", kMetadata},
                         {"event_payload", {{"rotation", rotation}, {"slot", message.slot}}}};
  const json answer = co_await api_.call("chat.postMessage", json{{"channel", channel},
                                                                  {"text", message.text},
                                                                  {"blocks", message.blocks},
                                                                  {"metadata", metadata},
                                                                  {"unfurl_links", false},
                                                                  {"unfurl_media", false}});
  co_return text_at(answer, "ts");
}

asio::awaitable<std::string> SlackDesk::link_to(std::string channel, std::string ts) {
  const json answer = co_await api_.call("chat.getPermalink", json{{"channel", channel}, {"message_ts", ts}});
  co_return text_at(answer, "permalink");
}

asio::awaitable<void> SlackDesk::update(std::string channel, std::string ts, views::Message message) {
  co_await api_.call(
      "chat.update",
      json{{"channel", channel}, {"ts", ts}, {"text", message.text}, {"blocks", message.blocks}});
}

asio::awaitable<std::optional<std::string>> SlackDesk::find(std::string channel, std::string slot,
                                                            std::string rotation) {
  const json answer = co_await api_.call(
      "conversations.history", json{{"channel", channel}, {"limit", 100}, {"include_all_metadata", true}});
  for (const json& message : answer.value("messages", json::array())) {
    const json payload = message.value("metadata", json::object()).value("event_payload", json::object());
    if (text_at(payload, "rotation") == rotation && text_at(payload, "slot") == slot)
      co_return text_at(message, "ts");
  }
  co_return std::nullopt;
}

asio::awaitable<rotation::FormSent> SlackDesk::send_form(std::shared_ptr<const rotation::State> state,
                                                         Invitation invitation) {
  const std::string channel = co_await dm(state->operator_id);
  std::string ts = co_await post(channel, views::instructions(*state, invitation), state->id);
  co_return rotation::FormSent{.channel = channel, .ts = std::move(ts)};
}

}  // namespace keyturn::commands
