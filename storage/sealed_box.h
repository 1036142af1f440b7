// Secrets at rest: AES-256-GCM under a fresh data key, which is itself wrapped (AES-256-GCM) by the sealing
// key. Destroying the wrapped data key destroys the secret. The associated data binds a box to its rotation
// and purpose, so that a box copied to another row doesn't open.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "storage/secret.h"

namespace keyturn::storage {

// The one key that everything at rest depends on: 32 bytes, given to the process at its start.
class SealingKey {
 public:
  // From 64 hex digits or the base64 of 32 bytes, surrounding white space ignored; the error says what was
  // expected, never what was given.
  static std::expected<SealingKey, std::string> parse(const Secret& text);

  // A 32-byte key for one purpose (HKDF-SHA256 with `purpose` as info), so that no key serves two ends.
  Secret derive(std::string_view purpose) const;

 private:
  explicit SealingKey(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

// Raw bytes, ready for two BLOB columns. wrapped_key: nonce(12) | ciphertext(32) | tag(16);
// ciphertext: nonce(12) | ciphertext(n) | tag(16).
struct SealedBox {
  std::string wrapped_key;
  std::string ciphertext;
};

enum class UnsealError {
  wrong_key_or_tampered,  // the tag did not match: another sealing key, another row, or changed bytes
  malformed,              // too short to be a box
};

SealedBox seal(const SealingKey& key, const Secret& plain, std::string_view associated_data);
std::expected<Secret, UnsealError> unseal(const SealingKey& key, const SealedBox& box,
                                          std::string_view associated_data);

}  // namespace keyturn::storage
