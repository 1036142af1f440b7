#include "bot/intake/protocol.h"

#include <nlohmann/json.hpp>

#include "integrations/stripe/key_format.h"
#include "storage/base64url.h"
#include "storage/flat_object.h"

namespace keyturn::bot {

namespace {

using Json = nlohmann::ordered_json;
using storage::FlatObject;
using storage::to_iso8601;

constexpr std::size_t kLongestToken = 200;
constexpr std::size_t kLongestFromSlack = 2048;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::unexpected<Malformed> malformed(std::string sentence) {
  return std::unexpected(Malformed{std::move(sentence)});
}

std::unexpected<Malformed> not_understood() {
  return malformed(
      "The page sent something that Keyturn doesn't understand. Open the link again from your direct "
      "message.");
}

std::expected<std::string, Malformed> take_token(FlatObject& object) {
  const auto token = object.take_text("token");
  if (!token || token->empty() || token->size() > kLongestToken) {
    return malformed("The link is incomplete. Open it again from your direct message.");
  }
  return std::string(token->expose());
}

std::optional<std::string> take_bytes(FlatObject& object, std::string_view name) {
  const auto text = object.take_text(name);
  return text ? storage::from_base64url(text->expose()) : std::nullopt;
}

std::int64_t whole_seconds(storage::Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

std::expected<std::string, Malformed> read_token(std::string_view body) {
  auto object = FlatObject::parse(body);
  if (!object) return not_understood();
  return take_token(*object);
}

std::expected<commands::SealedSubmission, Malformed> read_submission(std::string_view body) {
  auto object = FlatObject::parse(body);
  if (!object) return not_understood();
  auto token = take_token(*object);
  if (!token) return std::unexpected(token.error());
  auto encapsulated = take_bytes(*object, "enc");
  auto ciphertext = take_bytes(*object, "ciphertext");
  if (!encapsulated || !ciphertext) return not_understood();
  return commands::SealedSubmission{
      .token = *std::move(token),
      .message = {.encapsulated_key = *std::move(encapsulated), .ciphertext = *std::move(ciphertext)},
      .visitor = {}};
}

std::expected<SignInReturn, Malformed> read_sign_in(std::string_view body) {
  auto object = FlatObject::parse(body);
  if (!object) return not_understood();
  auto token = take_token(*object);
  if (!token) return std::unexpected(token.error());
  const auto code = object->take_text("code");
  const auto state = object->take_text("state");
  if (!code || !state || code->size() > kLongestFromSlack || state->size() > kLongestFromSlack) {
    return not_understood();
  }
  return SignInReturn{
      .token = *std::move(token), .code = std::string(code->expose()), .state = std::string(state->expose())};
}

std::string to_json(const commands::FormInfo& info, storage::TimePoint now) {
  Json before = Json::array();
  for (const auto& opening : info.opened_before) {
    before.push_back({{"at", to_iso8601(opening.at)}, {"peer", opening.peer}});
  }
  return dumped({{"state", "open"},
                 {"target", info.target},
                 {"rotation", info.rotation},
                 {"secret_name", info.secret_name},
                 {"dashboard_key_name", info.dashboard_key_name},
                 {"operator", info.operator_name},
                 {"operator_id", info.operator_id},
                 {"mode", info.mode == integrations::Mode::live ? "live" : "test"},
                 {"compromise", info.compromise},
                 {"recovery", info.recovery},
                 {"recommended_grace_seconds", whole_seconds(info.recommended_grace)},
                 {"expires_at", to_iso8601(info.expires_at)},
                 {"now", to_iso8601(now)},
                 {"attempts_left", info.attempts_left},
                 {"public_key", info.public_key},
                 {"asks", info.asks_code ? "code" : "nothing"},
                 {"opened_before", std::move(before)},
                 {"rules", Json::parse(stripe::pasted_rules_json(info.mode))}});
}

std::string to_json(commands::FormClosed closed) {
  Json json = {{"state", name_of(closed)}};
  if (closed == commands::FormClosed::used) json["follow"] = true;
  return dumped(json);
}

std::string to_json(const commands::FormReceived& received) {
  return dumped({{"state", "received"},
                 {"fingerprint", received.fingerprint},
                 {"old_key_expires_at", to_iso8601(received.old_key_expires_at)}});
}

std::string to_json(const commands::FormRefused& refused) {
  return dumped({{"state", "refused"},
                 {"code", refused.code},
                 {"sentence", refused.sentence},
                 {"attempts_left", refused.attempts_left},
                 {"alarm", refused.alarm}});
}

std::string to_json(const commands::FormProgress& progress, storage::TimePoint now) {
  Json lines = Json::array();
  for (const auto& line : progress.lines) lines.push_back({{"mark", line.mark}, {"text", line.text}});
  Json json = {{"state", "progress"},
               {"stage", progress.stage},
               {"headline", progress.headline},
               {"billing", progress.billing},
               {"lines", std::move(lines)},
               {"sentence", progress.sentence},
               {"needs_person", progress.needs_person},
               {"done", progress.done},
               {"outcome", progress.outcome},
               {"now", to_iso8601(now)},
               {"next_seconds", whole_seconds(progress.next)}};
  if (progress.old_key_expires_at) json["old_key_expires_at"] = to_iso8601(*progress.old_key_expires_at);
  return dumped(json);
}

std::string to_json(const commands::SignInNeeded& needed, const std::string& authorize) {
  Json json = {{"state", "sign_in"}, {"operator", needed.operator_name}, {"authorize", authorize}};
  if (needed.another_person) {
    json["sentence"] = "You are signed in to Slack as somebody else. Only " + needed.operator_name +
                       " can hand over this key.";
  }
  return dumped(json);
}

std::string to_json(std::string_view state, std::string_view sentence) {
  return dumped({{"state", state}, {"sentence", sentence}});
}

}  // namespace keyturn::bot
