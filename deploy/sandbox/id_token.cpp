#include "deploy/sandbox/id_token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <array>
#include <stdexcept>

#include "deploy/sandbox/random_text.h"
#include "storage/base64url.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using storage::to_base64url;

constexpr unsigned kBits = 2048;

void must(bool done) {
  if (!done) throw std::runtime_error("OpenSSL refused to sign");
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct Freed {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};

std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  must(EVP_PKEY_get_bn_param(key, name, &raw) == 1);
  const std::unique_ptr<BIGNUM, Freed> number(raw);
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(raw)), '\0');
  BN_bn2bin(raw, reinterpret_cast<unsigned char*>(bytes.data()));
  return to_base64url(bytes);
}

}  // namespace

struct IdTokenSigner::Key {
  std::unique_ptr<EVP_PKEY, Freed> pair{EVP_RSA_gen(kBits)};
  std::string id = random_text(16);
};

IdTokenSigner::IdTokenSigner() = default;
IdTokenSigner::~IdTokenSigner() = default;

IdTokenSigner::Key& IdTokenSigner::key() {
  if (!key_) {
    key_ = std::make_unique<Key>();
    must(key_->pair != nullptr);
  }
  return *key_;
}

std::string IdTokenSigner::sign(const json& claims) {
  const Key& pair = key();
  const json header = {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", pair.id}};
  const std::string signed_text = to_base64url(header.dump()) + "." + to_base64url(claims.dump());
  const std::unique_ptr<EVP_MD_CTX, Freed> context(EVP_MD_CTX_new());
  must(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, pair.pair.get()) == 1);
  std::size_t size = kBits / 8;
  std::string signature(size, '\0');
  must(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                      bytes_of(signed_text), signed_text.size()) == 1);
  signature.resize(size);
  return signed_text + "." + to_base64url(signature);
}

json IdTokenSigner::public_keys() {
  const Key& pair = key();
  return {{"keys", json::array({{{"kty", "RSA"},
                                 {"alg", "RS256"},
                                 {"use", "sig"},
                                 {"kid", pair.id},
                                 {"n", number_of(pair.pair.get(), OSSL_PKEY_PARAM_RSA_N)},
                                 {"e", number_of(pair.pair.get(), OSSL_PKEY_PARAM_RSA_E)}}})}};
}

std::string access_token_hash(std::string_view access_token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  must(EVP_Digest(access_token.data(), access_token.size(), digest.data(), &size, EVP_sha256(), nullptr) ==
       1);
  return to_base64url({reinterpret_cast<const char*>(digest.data()), size / 2});
}

}  // namespace keyturn::sandbox
