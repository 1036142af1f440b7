#include "storage/fingerprint.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>
#include <span>
#include <stdexcept>

namespace keyturn::storage {
namespace {

constexpr std::size_t kDigestBytes = 32;
using Digest = std::array<unsigned char, kDigestBytes>;

struct DigestFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// The chain of a whole journal is hashed at every start, so the algorithm is fetched once and the context
// reused.
Digest sha256(std::string_view bytes) {
  static EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, DigestFree> context(EVP_MD_CTX_new());
  Digest digest{};
  if (EVP_DigestInit_ex2(context.get(), kSha256, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL refused to compute a SHA-256");
  }
  return digest;
}

Digest hmac_sha256(const Secret& key, std::string_view bytes) {
  Digest digest{};
  unsigned length = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (HMAC(EVP_sha256(), key.expose().data(), static_cast<int>(key.size()), data, bytes.size(), digest.data(),
           &length) == nullptr) {
    throw std::runtime_error("OpenSSL refused to compute an HMAC");
  }
  return digest;
}

std::string hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string text(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kHexDigits[bytes[i] >> 4U];
    text[2 * i + 1] = kHexDigits[bytes[i] & 15U];
  }
  return text;
}

}  // namespace

Fingerprinter::Fingerprinter(const SealingKey& key) : key_(key.derive("keyturn/fingerprint/v1")) {}

std::string Fingerprinter::of(const Secret& secret) const {
  const Digest digest = hmac_sha256(key_, secret.expose());
  std::string text = hex(std::span(digest).first(8));
  for (const std::size_t position : {12U, 8U, 4U}) text.insert(position, 1, '-');
  return text;
}

std::string sha256_hex(std::string_view bytes) { return hex(sha256(bytes)); }

}  // namespace keyturn::storage
