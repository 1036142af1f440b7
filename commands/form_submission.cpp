#include "commands/form_submission.h"

#include "storage/flat_object.h"

namespace keyturn::commands {

namespace {

constexpr std::size_t kLongestPaste = 4096;
constexpr std::size_t kLongestCode = 64;
constexpr std::int64_t kLongestGraceSeconds = 7L * 24 * 3600;  // the longest that Stripe's dashboard offers

}  // namespace

std::string form_binding(std::string_view rotation, std::string_view operator_id, std::string_view token) {
  std::string bound(rotation);
  bound.append("\n").append(operator_id).append("\n").append(token);
  return bound;
}

std::expected<Handover, std::string> read_handover(const storage::Secret& plain) {
  auto object = storage::FlatObject::parse(plain.expose());
  if (!object) {
    return std::unexpected(
        "The page sent something that Keyturn doesn't understand. Open the link again from your direct "
        "message.");
  }
  auto key = object->take_text("key");
  if (!key) return std::unexpected("The key is missing. Paste it and try again.");
  if (key->size() > kLongestPaste) {
    return std::unexpected("That is too long to be a key. Copy only the key and try again.");
  }
  const auto code = object->take_text("code");
  if (code && code->size() > kLongestCode) return std::unexpected("The code has six digits.");
  const auto grace = object->integer("grace_seconds");
  if (!grace || *grace < 0 || *grace > kLongestGraceSeconds) {
    return std::unexpected("Choose the expiration that you chose in the dashboard: from now to 7 days.");
  }
  const auto rotated_text = object->take_text("rotated_at");
  const auto rotated_at = rotated_text ? storage::from_iso8601(rotated_text->expose()) : std::nullopt;
  if (!rotated_at) return std::unexpected("Say when you clicked \"Rotate API key\".");
  return Handover{.pasted = *std::move(key),
                  .code = code ? std::string(code->expose()) : std::string(),
                  .grace_chosen = std::chrono::seconds(*grace),
                  .rotated_at = *rotated_at};
}

std::string digits_of(std::string_view typed) {
  std::string digits;
  for (const char c : typed) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  return digits;
}

}  // namespace keyturn::commands
