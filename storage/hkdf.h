// HKDF with SHA-256 (RFC 5869): a key for one purpose out of a master key, and its two halves apart.
// Thread: any. Failure: throws std::runtime_error when OpenSSL refuses, which it doesn't for sizes up to
// 8160.
#pragma once

#include <cstddef>
#include <string_view>

#include "storage/secret.h"

namespace keyturn::storage {

// Extract and expand in one step.
Secret hkdf_sha256(const Secret& key, std::string_view salt, std::string_view info, std::size_t size);

// A pseudorandom key of 32 bytes; the salt may be a secret.
Secret hkdf_extract(const Secret& key, std::string_view salt);
Secret hkdf_expand(const Secret& pseudorandom_key, std::string_view info, std::size_t size);

}  // namespace keyturn::storage
