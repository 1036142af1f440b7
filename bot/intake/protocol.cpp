#include "bot/intake/protocol.h"

#include <nlohmann/json.hpp>

#include "bot/intake/flat_object.h"
#include "integrations/stripe/key_format.h"

namespace keyturn::bot {

namespace {

using Json = nlohmann::ordered_json;
using storage::to_iso8601;

constexpr std::size_t kLongestToken = 200;
constexpr std::size_t kLongestPaste = 4096;
constexpr std::int64_t kLongestGraceSeconds = 7L * 24 * 3600;  // the longest that Stripe's dashboard offers

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::unexpected<Malformed> malformed(std::string sentence) {
  return std::unexpected(Malformed{std::move(sentence)});
}

std::expected<std::string, Malformed> take_token(FlatObject& object) {
  const auto token = object.take_text("token");
  if (!token || token->empty() || token->size() > kLongestToken) {
    return malformed("The link is incomplete. Open it again from your direct message.");
  }
  return std::string(token->expose());
}

std::int64_t seconds(storage::Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

std::unexpected<Malformed> not_understood() {
  return malformed(
      "The page sent something that Keyturn doesn't understand. Open the link again from your direct "
      "message.");
}

}  // namespace

std::expected<std::string, Malformed> read_look(std::string_view body) {
  auto object = FlatObject::parse(body);
  if (!object) return not_understood();
  return take_token(*object);
}

std::expected<commands::FormSubmission, Malformed> read_submission(std::string_view body) {
  auto object = FlatObject::parse(body);
  if (!object) return not_understood();
  const auto token = take_token(*object);
  if (!token) return std::unexpected(token.error());
  auto key = object->take_text("key");
  if (!key) return malformed("The key is missing. Paste it and try again.");
  if (key->size() > kLongestPaste)
    return malformed("That is too long to be a key. Copy only the key and try again.");
  const auto grace = object->integer("grace_seconds");
  if (!grace || *grace < 0 || *grace > kLongestGraceSeconds) {
    return malformed("Choose the expiration that you chose in the dashboard: from now to 7 days.");
  }
  const auto rotated_text = object->take_text("rotated_at");
  const auto rotated_at = rotated_text ? storage::from_iso8601(rotated_text->expose()) : std::nullopt;
  if (!rotated_at) return malformed("Say when you clicked \"Rotate API key\".");
  return commands::FormSubmission{.token = *token,
                                  .pasted = storage::share(std::move(*key)),
                                  .grace_chosen = std::chrono::seconds(*grace),
                                  .rotated_at = *rotated_at};
}

std::string to_json(const commands::FormInfo& info, storage::TimePoint now) {
  return dumped({{"state", "open"},
                 {"target", info.target},
                 {"secret_name", info.secret_name},
                 {"dashboard_key_name", info.dashboard_key_name},
                 {"operator", info.operator_name},
                 {"mode", info.mode == integrations::Mode::live ? "live" : "test"},
                 {"compromise", info.compromise},
                 {"recommended_grace_seconds", seconds(info.recommended_grace)},
                 {"expires_at", to_iso8601(info.expires_at)},
                 {"now", to_iso8601(now)},
                 {"attempts_left", info.attempts_left},
                 {"rules", Json::parse(stripe::pasted_rules_json(info.mode))}});
}

std::string to_json(commands::FormClosed closed) { return dumped({{"state", name_of(closed)}}); }

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

std::string to_json(std::string_view state, std::string_view sentence) {
  return dumped({{"state", state}, {"sentence", sentence}});
}

std::string_view name_of(commands::FormClosed closed) {
  switch (closed) {
    case commands::FormClosed::unknown:
      return "unknown";
    case commands::FormClosed::expired:
      return "expired";
    case commands::FormClosed::used:
      return "used";
    case commands::FormClosed::locked:
      return "locked";
  }
  return "unknown";
}

}  // namespace keyturn::bot
