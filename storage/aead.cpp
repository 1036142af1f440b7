#include "storage/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <climits>
#include <memory>
#include <stdexcept>

namespace keyturn::storage {
namespace {

struct CipherFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes the key schedule
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, CipherFree>;

void require(int status) {
  if (status == 1) return;
  ERR_clear_error();
  throw std::runtime_error("OpenSSL refused to encrypt or decrypt");
}

const EVP_CIPHER* fetch(const char* name) {
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  if (cipher == nullptr) throw std::runtime_error(std::string("OpenSSL has no ") + name);
  return cipher;
}

const EVP_CIPHER* cipher_for(const Secret& key) {
  static const EVP_CIPHER* const kAes128 = fetch("AES-128-GCM");
  static const EVP_CIPHER* const kAes256 = fetch("AES-256-GCM");
  if (key.size() != 16 && key.size() != 32) throw std::logic_error("AES wants a key of 16 or 32 bytes");
  return key.size() == 16 ? kAes128 : kAes256;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(char* text) { return reinterpret_cast<unsigned char*>(text); }

int length_of(std::string_view text) {
  if (text.size() > INT_MAX) throw std::length_error("too long to be sealed");
  return static_cast<int>(text.size());
}

Context new_context(std::string_view nonce) {
  if (nonce.size() != kNonceBytes) throw std::logic_error("GCM wants a nonce of 12 bytes");
  Context context(EVP_CIPHER_CTX_new());
  if (!context) throw std::bad_alloc();
  return context;
}

}  // namespace

std::string encrypt(const Secret& key, std::string_view nonce, std::string_view plain,
                    std::string_view associated_data) {
  std::string out(plain.size() + kTagBytes, '\0');
  unsigned char* body = bytes_of(out.data());
  const auto context = new_context(nonce);
  int length = 0;
  require(
      EVP_EncryptInit_ex2(context.get(), cipher_for(key), bytes_of(key.expose()), bytes_of(nonce), nullptr));
  require(EVP_EncryptUpdate(context.get(), nullptr, &length, bytes_of(associated_data),
                            length_of(associated_data)));
  if (!plain.empty())
    require(EVP_EncryptUpdate(context.get(), body, &length, bytes_of(plain), length_of(plain)));
  require(EVP_EncryptFinal_ex(context.get(), body + plain.size(), &length));
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, body + plain.size()));
  return out;
}

std::optional<Secret> decrypt(const Secret& key, std::string_view nonce, std::string_view sealed,
                              std::string_view associated_data) {
  if (sealed.size() < kTagBytes) return std::nullopt;
  const auto body = sealed.substr(0, sealed.size() - kTagBytes);
  std::string tag(sealed.substr(body.size()));
  const auto context = new_context(nonce);
  int length = 0;
  bool authentic = false;
  require(
      EVP_DecryptInit_ex2(context.get(), cipher_for(key), bytes_of(key.expose()), bytes_of(nonce), nullptr));
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
  return std::nullopt;
}

}  // namespace keyturn::storage
