// HPKE in base mode, one message a key (RFC 9180): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The
// form's page seals with it in the browser (bot/intake/hpke.js) and the bot opens; OpenSSL has its own only
// from 3.2 on, and Debian 12 brings 3.0. Thread: any. Failure: what doesn't open is no exception but nothing;
// std::runtime_error when OpenSSL refuses what it never should.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/secret.h"

namespace keyturn::storage::hpke {

// The AEAD's identifier (RFC 9180, 7.3). The other one is there because the RFC's vectors for P-256 use it.
enum class Aead : std::uint16_t { aes_128_gcm = 1, aes_256_gcm = 2 };

struct KeyPair {
  Secret private_key;      // the scalar, 32 bytes, most significant first
  std::string public_key;  // the uncompressed point, 65 bytes
};

struct Message {
  std::string encapsulated_key;  // "enc": the sender's ephemeral public key, 65 bytes
  std::string ciphertext;        // with its tag
};

// What both sides know, and what binds a message to its place.
struct Context {
  std::string_view info;
  std::string_view associated_data;
  Aead aead = Aead::aes_256_gcm;
};

KeyPair generate();

// Throws std::invalid_argument when `public_key` is no point of the curve.
Message seal(std::string_view public_key, std::string_view plain, const Context& context);
// With an ephemeral key of the caller's: only for test vectors.
Message seal_with(const KeyPair& ephemeral, std::string_view public_key, std::string_view plain,
                  const Context& context);

// Nothing for another recipient, another context, changed bytes, or what was never a message.
std::optional<Secret> open(const KeyPair& recipient, const Message& message, const Context& context);

}  // namespace keyturn::storage::hpke
