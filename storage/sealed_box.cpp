#include "storage/sealed_box.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <climits>
#include <memory>
#include <optional>
#include <stdexcept>

#include "storage/hkdf.h"

namespace keyturn::storage {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kOverhead = kNonceBytes + kTagBytes;

constexpr std::string_view kWrapPurpose = "keyturn/wrap/v1";

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes the key schedule
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

const EVP_CIPHER* aes_256_gcm() {
  static EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (kCipher == nullptr) throw std::runtime_error("OpenSSL has no AES-256-GCM");
  return kCipher;
}

void require(int status) {
  if (status == 1) return;
  ERR_clear_error();
  throw std::runtime_error("OpenSSL refused to encrypt or decrypt");
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(char* text) { return reinterpret_cast<unsigned char*>(text); }

int length_of(std::string_view text) {
  if (text.size() > INT_MAX) throw std::length_error("too long to be sealed");
  return static_cast<int>(text.size());
}

Context new_context() {
  Context context(EVP_CIPHER_CTX_new());
  if (!context) throw std::bad_alloc();
  return context;
}

// nonce | ciphertext | tag, under a fresh random nonce.
std::string encrypt(const Secret& key, std::string_view plain, std::string_view associated_data) {
  const int plain_length = length_of(plain);
  std::string out(plain.size() + kOverhead, '\0');
  unsigned char* nonce = bytes_of(out.data());
  unsigned char* body = nonce + kNonceBytes;
  require(RAND_bytes(nonce, kNonceBytes));
  const auto context = new_context();
  int length = 0;
  require(EVP_EncryptInit_ex2(context.get(), aes_256_gcm(), bytes_of(key.expose()), nonce, nullptr));
  require(EVP_EncryptUpdate(context.get(), nullptr, &length, bytes_of(associated_data),
                            length_of(associated_data)));
  if (plain_length > 0) {
    require(EVP_EncryptUpdate(context.get(), body, &length, bytes_of(plain), plain_length));
  }
  require(EVP_EncryptFinal_ex(context.get(), body + plain.size(), &length));
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, body + plain.size()));
  return out;
}

std::expected<Secret, UnsealError> decrypt(const Secret& key, std::string_view sealed,
                                           std::string_view associated_data) {
  if (sealed.size() < kOverhead) return std::unexpected(UnsealError::malformed);
  const auto nonce = sealed.substr(0, kNonceBytes);
  const auto body = sealed.substr(kNonceBytes, sealed.size() - kOverhead);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const auto context = new_context();
  int length = 0;
  bool authentic = false;
  require(
      EVP_DecryptInit_ex2(context.get(), aes_256_gcm(), bytes_of(key.expose()), bytes_of(nonce), nullptr));
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()));
  require(EVP_DecryptUpdate(context.get(), nullptr, &length, bytes_of(associated_data),
                            length_of(associated_data)));
  auto plain = Secret::filled(body.size(), [&](std::span<char> out) {
    unsigned char nothing = 0;  // GCM writes nothing at the end, yet wants an address
    if (!body.empty()) {
      require(
          EVP_DecryptUpdate(context.get(), bytes_of(out.data()), &length, bytes_of(body), length_of(body)));
    }
    authentic = EVP_DecryptFinal_ex(context.get(), &nothing, &length) == 1;
  });
  if (authentic) return plain;
  ERR_clear_error();
  return std::unexpected(UnsealError::wrong_key_or_tampered);
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
      .wrapped_key = encrypt(key.derive(kWrapPurpose), data_key.expose(), associated_data),
      .ciphertext = encrypt(data_key, plain.expose(), associated_data),
  };
}

std::expected<Secret, UnsealError> unseal(const SealingKey& key, const SealedBox& box,
                                          std::string_view associated_data) {
  if (box.wrapped_key.size() != kKeyBytes + kOverhead) return std::unexpected(UnsealError::malformed);
  const auto data_key = decrypt(key.derive(kWrapPurpose), box.wrapped_key, associated_data);
  if (!data_key) return std::unexpected(data_key.error());
  return decrypt(*data_key, box.ciphertext, associated_data);
}

}  // namespace keyturn::storage
