#include "storage/ids.h"

#include <openssl/rand.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

#include "storage/base64url.h"

namespace keyturn::storage {
namespace {

// Crockford's base32 in lower case: no i, l, o or u, so that an id can be read out over a phone.
constexpr std::string_view kReadable = "0123456789abcdefghjkmnpqrstvwxyz";

template <std::size_t Size>
std::array<std::uint8_t, Size> random_bytes() {
  std::array<std::uint8_t, Size> bytes{};
  if (RAND_bytes(bytes.data(), Size) != 1) throw std::runtime_error("the system's random source failed");
  return bytes;
}

std::string compact_time(TimePoint time) {
  std::string text = to_iso8601(time);  // 2026-11-23T19:16:05.123Z
  text.resize(text.find('.'));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

}  // namespace

std::string new_rotation_id(TimePoint now) {
  std::string suffix;
  for (const std::uint8_t byte : random_bytes<8>())
    suffix += kReadable[byte % kReadable.size()];  // 256 / 32: even
  return fmt::format("rot_{}_{}", compact_time(now), suffix);
}

Secret new_token() {
  const auto random = Secret::random(32);
  return Secret::filled(base64url_size(random.size()),
                        [&](std::span<char> out) { to_base64url(random.expose(), out); });
}

std::string new_uuid() {
  auto bytes = random_bytes<16>();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);  // variant of RFC 9562
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

}  // namespace keyturn::storage
