// HKDF with SHA-256 (RFC 5869), extract and expand in one step: a key for one purpose out of a master key.
// Thread: any. Failure: throws std::runtime_error when OpenSSL refuses, which it doesn't for sizes up to
// 8160.
#pragma once

#include <cstddef>
#include <string_view>

#include "storage/secret.h"

namespace keyturn::storage {

Secret hkdf_sha256(const Secret& key, std::string_view salt, std::string_view info, std::size_t size);

}  // namespace keyturn::storage
