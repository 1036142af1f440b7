#include "storage/sealed_box.h"

#include <openssl/rand.h>

#include <optional>
#include <stdexcept>

#include "storage/aead.h"
#include "storage/hkdf.h"

namespace keyturn::storage {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kOverhead = kNonceBytes + kTagBytes;

constexpr std::string_view kWrapPurpose = "keyturn/wrap/v1";

// nonce | ciphertext | tag, under a fresh random nonce.
std::string seal_bytes(const Secret& key, std::string_view plain, std::string_view associated_data) {
  std::string nonce(kNonceBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), kNonceBytes) != 1) {
    throw std::runtime_error("the system's random source failed");
  }
  return nonce + encrypt(key, nonce, plain, associated_data);
}

std::expected<Secret, UnsealError> unseal_bytes(const Secret& key, std::string_view sealed,
                                                std::string_view associated_data) {
  if (sealed.size() < kOverhead) return std::unexpected(UnsealError::malformed);
  auto plain = decrypt(key, sealed.substr(0, kNonceBytes), sealed.substr(kNonceBytes), associated_data);
  if (!plain) return std::unexpected(UnsealError::wrong_key_or_tampered);
  return *std::move(plain);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::optional<unsigned> hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a' + 10);
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A' + 10);
  return std::nullopt;
}

std::optional<unsigned> base64_value(char digit) {
  if (digit >= 'A' && digit <= 'Z') return static_cast<unsigned>(digit - 'A');
  if (digit >= 'a' && digit <= 'z') return static_cast<unsigned>(digit - 'a' + 26);
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0' + 52);
  if (digit == '+') return 62;
  if (digit == '/') return 63;
  return std::nullopt;
}

// Digits of `Bits` bits each, most significant first, into exactly `out`. True only if every digit is one and
// the bits left over are zero. Our own few lines instead of OpenSSL's decoder, because they write straight
// into locked memory and refuse what that one forgives.
template <unsigned Bits, typename Value>
bool decode(std::string_view digits, std::span<char> out, Value value_of) {
  unsigned pending = 0;
  unsigned pending_bits = 0;
  std::size_t written = 0;
  for (const char digit : digits) {
    const auto value = value_of(digit);
    if (!value) return false;
    pending = (pending << Bits) | *value;
    pending_bits += Bits;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    if (written == out.size()) return false;
    out[written++] = static_cast<char>(pending >> pending_bits);
    pending &= (1U << pending_bits) - 1;
  }
  return written == out.size() && pending == 0;
}

bool decode_key(std::string_view text, std::span<char> out) {
  if (text.size() == 2 * kKeyBytes) return decode<4>(text, out, hex_value);
  if (text.size() == 44 && text.ends_with('=')) return decode<6>(text.substr(0, 43), out, base64_value);
  return false;
}

}  // namespace

std::expected<SealingKey, std::string> SealingKey::parse(const Secret& text) {
  bool decoded = false;
  auto key = Secret::filled(kKeyBytes,
                            [&](std::span<char> out) { decoded = decode_key(trimmed(text.expose()), out); });
  if (decoded) return SealingKey(std::move(key));
  return std::unexpected(
      "the sealing key must be 64 hex digits or the base64 of 32 bytes (make one with `openssl rand -hex "
      "32`)");
}

Secret SealingKey::derive(std::string_view purpose) const {
  return hkdf_sha256(key_, /*salt=*/{}, /*info=*/purpose, kKeyBytes);
}

SealedBox seal(const SealingKey& key, const Secret& plain, std::string_view associated_data) {
  const auto data_key = Secret::random(kKeyBytes);
  return {
      .wrapped_key = seal_bytes(key.derive(kWrapPurpose), data_key.expose(), associated_data),
      .ciphertext = seal_bytes(data_key, plain.expose(), associated_data),
  };
}

std::expected<Secret, UnsealError> unseal(const SealingKey& key, const SealedBox& box,
                                          std::string_view associated_data) {
  if (box.wrapped_key.size() != kKeyBytes + kOverhead) return std::unexpected(UnsealError::malformed);
  const auto data_key = unseal_bytes(key.derive(kWrapPurpose), box.wrapped_key, associated_data);
  if (!data_key) return std::unexpected(data_key.error());
  return unseal_bytes(*data_key, box.ciphertext, associated_data);
}

}  // namespace keyturn::storage
