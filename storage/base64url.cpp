#include "storage/base64url.h"

namespace keyturn::storage {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

void to_base64url(std::string_view bytes, std::span<char> out) {
  unsigned pending = 0;
  unsigned pending_bits = 0;
  std::size_t written = 0;
  for (const char byte : bytes) {
    pending = (pending << 8U) | static_cast<unsigned char>(byte);
    pending_bits += 8;
    while (pending_bits >= 6) {
      pending_bits -= 6;
      out[written++] = kDigits[(pending >> pending_bits) & 63U];
    }
    pending &= (1U << pending_bits) - 1;
  }
  if (pending_bits > 0) out[written] = kDigits[(pending << (6 - pending_bits)) & 63U];
}

std::string to_base64url(std::string_view bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  to_base64url(bytes, text);
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  unsigned pending = 0;
  unsigned pending_bits = 0;
  for (const char digit : text) {
    const auto value = kDigits.find(digit);
    if (value == std::string_view::npos) return std::nullopt;
    pending = (pending << 6U) | static_cast<unsigned>(value);
    pending_bits += 6;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    bytes.push_back(static_cast<char>(pending >> pending_bits));
    pending &= (1U << pending_bits) - 1;
  }
  // A digit too many, or bits that stand for nothing: another text than the one that we'd make.
  if (pending_bits >= 6 || pending != 0) return std::nullopt;
  return bytes;
}

}  // namespace keyturn::storage
