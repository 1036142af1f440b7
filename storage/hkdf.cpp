#include "storage/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace keyturn::storage {
namespace {

struct DerivationFree {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

// OpenSSL's parameters aren't const, though it only reads these.
OSSL_PARAM octets(const char* name, std::string_view bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
}

// `mode`: OSSL_KDF_PARAM_MODE's words (EVP_KDF-HKDF(7ossl)).
Secret derive(const char* mode, const Secret& key, std::string_view salt, std::string_view info,
              std::size_t size) {
  static EVP_KDF* const kHkdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);  // fetched once: a fetch is slow
  const std::unique_ptr<EVP_KDF_CTX, DerivationFree> context(EVP_KDF_CTX_new(kHkdf));
  if (!context) throw std::runtime_error("OpenSSL has no HKDF");
  std::array<char, 7> digest = {"SHA256"};
  const std::array parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, const_cast<char*>(mode), 0),
      octets(OSSL_KDF_PARAM_KEY, key.expose()),
      octets(OSSL_KDF_PARAM_INFO, info),
      // A salt of no bytes is the same as none (RFC 5869, 2.2), and OpenSSL wants none.
      salt.empty() ? OSSL_PARAM_construct_end() : octets(OSSL_KDF_PARAM_SALT, salt),
      OSSL_PARAM_construct_end(),
  };
  return Secret::filled(size, [&](std::span<char> out) {
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    if (EVP_KDF_derive(context.get(), bytes, out.size(), parameters.data()) == 1) return;
    ERR_clear_error();
    throw std::runtime_error("OpenSSL refused to derive a key");
  });
}

}  // namespace

Secret hkdf_sha256(const Secret& key, std::string_view salt, std::string_view info, std::size_t size) {
  return derive("EXTRACT_AND_EXPAND", key, salt, info, size);
}

Secret hkdf_extract(const Secret& key, std::string_view salt) {
  constexpr std::size_t kHashBytes = 32;
  return derive("EXTRACT_ONLY", key, salt, /*info=*/{}, kHashBytes);
}

Secret hkdf_expand(const Secret& pseudorandom_key, std::string_view info, std::size_t size) {
  return derive("EXPAND_ONLY", pseudorandom_key, /*salt=*/{}, info, size);
}

}  // namespace keyturn::storage
