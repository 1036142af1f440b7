#include "storage/hpke.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include <memory>
#include <stdexcept>

#include "storage/aead.h"
#include "storage/hkdf.h"

namespace keyturn::storage::hpke {
namespace {

constexpr std::size_t kScalarBytes = 32;
constexpr std::size_t kPointBytes = 65;
constexpr std::size_t kSharedBytes = 32;

template <auto Free>
struct Freed {
  void operator()(auto* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_clear_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Parameters =
    std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;  // clears what came from a secure number

[[noreturn]] void refused() {
  ERR_clear_error();
  throw std::runtime_error("OpenSSL refused an operation on P-256");
}

std::string in_two_bytes(unsigned value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 255U)};
}

// ---- labeled HKDF (RFC 9180, 4)

Secret labeled_extract(std::string_view salt, std::string_view suite, std::string_view label,
                       std::string_view input) {
  std::string labeled = "HPKE-v1";
  labeled.append(suite).append(label);
  const std::size_t size = labeled.size() + input.size();
  // The input may be the Diffie-Hellman secret, so the whole stands in locked memory.
  const Secret key = Secret::filled(size, [&](std::span<char> out) {
    labeled.copy(out.data(), labeled.size());
    input.copy(out.data() + labeled.size(), input.size());
  });
  return hkdf_extract(key, salt);
}

Secret labeled_expand(const Secret& key, std::string_view suite, std::string_view label,
                      std::string_view info, std::size_t size) {
  std::string labeled = in_two_bytes(static_cast<unsigned>(size)) + "HPKE-v1";
  labeled.append(suite).append(label).append(info);
  return hkdf_expand(key, labeled, size);
}

// ---- P-256

// Nothing when the point is not on the curve.
Key key_of(std::string_view point, const Secret* scalar) {
  const Builder builder(OSSL_PARAM_BLD_new());
  const Number number(BN_secure_new());
  if (!builder || !number) throw std::bad_alloc();
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) !=
          1) {
    refused();
  }
  if (scalar != nullptr) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(scalar->expose().data());
    if (BN_bin2bn(bytes, static_cast<int>(scalar->size()), number.get()) == nullptr) refused();
    if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) != 1) refused();
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1) refused();
  EVP_PKEY* key = nullptr;
  const int selection = scalar != nullptr ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) == 1) return Key(key);
  ERR_clear_error();
  return nullptr;
}

// Only the uncompressed form (RFC 9180, 7.1.1), and never the point at infinity.
Key public_key_of(std::string_view point) {
  if (point.size() != kPointBytes || point.front() != 4) return nullptr;
  Key key = key_of(point, nullptr);
  if (!key) return nullptr;
  const KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!check) refused();
  if (EVP_PKEY_public_check(check.get()) == 1) return key;
  ERR_clear_error();
  return nullptr;
}

Secret diffie_hellman(EVP_PKEY* own, EVP_PKEY* peer) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer) != 1) {
    refused();
  }
  return Secret::filled(kSharedBytes, [&](std::span<char> out) {
    std::size_t size = out.size();
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    if (EVP_PKEY_derive(context.get(), bytes, &size) != 1 || size != out.size()) refused();
  });
}

// ---- the key encapsulation (4.1) and the key schedule (5.1)

Secret shared_secret(const Secret& exchanged, std::string_view encapsulated, std::string_view recipient) {
  const std::string suite = "KEM" + in_two_bytes(0x0010);
  std::string context(encapsulated);
  context.append(recipient);
  const Secret extracted = labeled_extract({}, suite, "eae_prk", exchanged.expose());
  return labeled_expand(extracted, suite, "shared_secret", context, kSharedBytes);
}

struct Schedule {
  Secret key;
  Secret nonce;
};

Schedule schedule(const Secret& shared, const Context& context) {
  const std::string suite = "HPKE" + in_two_bytes(0x0010) + in_two_bytes(0x0001) +
                            in_two_bytes(static_cast<unsigned>(context.aead));
  std::string bound(1, '\0');  // base mode
  bound.append(labeled_extract({}, suite, "psk_id_hash", {}).expose());
  bound.append(labeled_extract({}, suite, "info_hash", context.info).expose());
  const Secret secret = labeled_extract(shared.expose(), suite, "secret", {});
  const std::size_t key_bytes = context.aead == Aead::aes_128_gcm ? 16 : 32;
  return {.key = labeled_expand(secret, suite, "key", bound, key_bytes),
          .nonce = labeled_expand(secret, suite, "base_nonce", bound, kNonceBytes)};
}

}  // namespace

KeyPair generate() {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) refused();
  std::string point(kPointBytes, '\0');
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                      reinterpret_cast<unsigned char*>(point.data()), point.size(),
                                      &size) != 1 ||
      size != kPointBytes) {
    refused();
  }
  BIGNUM* read = BN_secure_new();
  if (EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &read) != 1) refused();
  const Number number(read);
  auto scalar = Secret::filled(kScalarBytes, [&](std::span<char> out) {
    if (BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(out.data()), kScalarBytes) < 0) refused();
  });
  return {.private_key = std::move(scalar), .public_key = std::move(point)};
}

Message seal_with(const KeyPair& ephemeral, std::string_view public_key, std::string_view plain,
                  const Context& context) {
  const Key recipient = public_key_of(public_key);
  if (!recipient) throw std::invalid_argument("not a public key on P-256");
  const Key own = key_of(ephemeral.public_key, &ephemeral.private_key);
  if (!own) throw std::invalid_argument("not a key pair on P-256");
  const Secret exchanged = diffie_hellman(own.get(), recipient.get());
  const Schedule keys = schedule(shared_secret(exchanged, ephemeral.public_key, public_key), context);
  return {.encapsulated_key = ephemeral.public_key,
          .ciphertext = encrypt(keys.key, keys.nonce.expose(), plain, context.associated_data)};
}

Message seal(std::string_view public_key, std::string_view plain, const Context& context) {
  return seal_with(generate(), public_key, plain, context);
}

std::optional<Secret> open(const KeyPair& recipient, const Message& message, const Context& context) {
  const Key sender = public_key_of(message.encapsulated_key);
  if (!sender) return std::nullopt;
  const Key own = key_of(recipient.public_key, &recipient.private_key);
  if (!own) return std::nullopt;
  const Secret exchanged = diffie_hellman(own.get(), sender.get());
  const Schedule keys =
      schedule(shared_secret(exchanged, message.encapsulated_key, recipient.public_key), context);
  return decrypt(keys.key, keys.nonce.expose(), message.ciphertext, context.associated_data);
}

}  // namespace keyturn::storage::hpke
