// AES in Galois/counter mode, for a key and a nonce that the caller answers for: sealed boxes draw theirs at
// random, HPKE derives them. AES-128 for a key of 16 bytes, AES-256 for one of 32. Thread: any. Failure:
// throws std::runtime_error when OpenSSL refuses what it never should.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/secret.h"

namespace keyturn::storage {

inline constexpr std::size_t kNonceBytes = 12;
inline constexpr std::size_t kTagBytes = 16;

// ciphertext(n) | tag(16). A nonce must never be used twice with one key.
std::string encrypt(const Secret& key, std::string_view nonce, std::string_view plain,
                    std::string_view associated_data);

// Nothing when the tag does not match: another key, nonce or associated data, or changed bytes.
std::optional<Secret> decrypt(const Secret& key, std::string_view nonce, std::string_view sealed,
                              std::string_view associated_data);

}  // namespace keyturn::storage
