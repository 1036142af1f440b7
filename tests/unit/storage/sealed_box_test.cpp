#include "storage/sealed_box.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "storage/fingerprint.h"
#include "storage/hkdf.h"
#include "tests/unit/storage/support.h"

using namespace keyturn::storage;
using keyturn::storage::testing::unhex;

namespace {

const std::string kHexKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

SealingKey key_of(const std::string& text) { return SealingKey::parse(Secret::copy_of(text)).value(); }
SealingKey some_key() { return key_of(kHexKey); }
SealingKey another_key() { return key_of(std::string(63, '0') + "1"); }

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string hkdf(const std::string& key, const std::string& salt, const std::string& info, std::size_t size) {
  return hex(hkdf_sha256(Secret::copy_of(unhex(key)), unhex(salt), unhex(info), size).expose());
}

std::string arbitrary_bytes(std::size_t most) {
  auto bytes = *rc::gen::arbitrary<std::string>();
  if (bytes.size() > most) bytes.resize(most);
  return bytes;
}

}  // namespace

// https://www.rfc-editor.org/rfc/rfc5869#appendix-A
TEST_CASE("HKDF-SHA256 gives what RFC 5869 says") {
  std::string plain_key;
  for (int i = 0; i < 22; ++i) plain_key += "0b";
  CHECK(hkdf(plain_key, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  CHECK(hkdf(plain_key, "", "", 42) ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  std::string long_key;
  std::string long_salt;
  std::string long_info;
  for (int i = 0; i < 80; ++i) {
    long_key += hex(std::string(1, static_cast<char>(i)));
    long_salt += hex(std::string(1, static_cast<char>(0x60 + i)));
    long_info += hex(std::string(1, static_cast<char>(0xb0 + i)));
  }
  CHECK(hkdf(long_key, long_salt, long_info, 82) ==
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da32"
        "75600c2f"
        "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

TEST_CASE("a derived key is HKDF of the sealing key without salt, and differs by purpose") {
  const auto expected = hkdf_sha256(Secret::copy_of(unhex(kHexKey)), {}, "keyturn/wrap/v1", 32);
  CHECK(some_key().derive("keyturn/wrap/v1").equals(expected));
  CHECK_FALSE(some_key().derive("keyturn/wrap/v2").equals(expected));
  CHECK_FALSE(another_key().derive("keyturn/wrap/v1").equals(expected));
}

TEST_CASE("a sealing key is read from hex or base64, white space around it ignored") {
  const auto expected = some_key().derive("x");
  CHECK(key_of("  " + kHexKey + "\r\n").derive("x").equals(expected));
  CHECK(key_of("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F")
            .derive("x")
            .equals(expected));
  CHECK(key_of("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").derive("x").equals(expected));
}

TEST_CASE("what is no sealing key is refused, and the refusal doesn't repeat it") {
  const std::string one_short = kHexKey.substr(1);
  for (const std::string& text :
       {std::string(), std::string("  \n"), std::string("hunter2hunter2"), one_short, kHexKey + "0",
        "g" + one_short,
        std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),       // no padding
        std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9="),      // a bit beyond the 32 bytes is set
        std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH_8="),      // another alphabet
        std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8hIg=="),  // 34 bytes
        kHexKey.substr(0, 30) + " " + kHexKey.substr(31)}) {
    CAPTURE(text);
    const auto key = SealingKey::parse(Secret::copy_of(text));
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().find("64 hex digits") != std::string::npos);
    if (text.size() > 4) CHECK(key.error().find(text) == std::string::npos);
  }
}

TEST_CASE("what was sealed opens again, whatever it is") {
  CHECK(rc::check([] {
    const auto plain = *rc::gen::arbitrary<std::string>();
    const auto associated_data = *rc::gen::arbitrary<std::string>();
    const auto box = seal(some_key(), Secret::copy_of(plain), associated_data);
    RC_ASSERT(box.wrapped_key.size() == 60U);
    RC_ASSERT(box.ciphertext.size() == plain.size() + 28);
    const auto opened = unseal(some_key(), box, associated_data);
    RC_ASSERT(opened.has_value());
    RC_ASSERT(opened->expose() == plain);
  }));
}

TEST_CASE("a box with any byte changed doesn't open") {
  CHECK(rc::check([] {
    auto box = seal(some_key(), Secret::copy_of(arbitrary_bytes(40)), "rot_1/new_key");
    const std::size_t total = box.wrapped_key.size() + box.ciphertext.size();
    const auto position = *rc::gen::inRange<std::size_t>(0, total);
    const auto flip = *rc::gen::inRange(1, 256);
    char& byte = position < 60 ? box.wrapped_key[position] : box.ciphertext[position - 60];
    byte = static_cast<char>(byte ^ flip);
    const auto opened = unseal(some_key(), box, "rot_1/new_key");
    RC_ASSERT(!opened.has_value());
    RC_ASSERT(opened.error() == UnsealError::wrong_key_or_tampered);
  }));
}

TEST_CASE("a box doesn't open under other associated data") {
  CHECK(rc::check([] {
    const auto sealed_for = *rc::gen::arbitrary<std::string>();
    const auto opened_for = *rc::gen::distinctFrom(sealed_for);
    const auto box = seal(some_key(), Secret::copy_of("plain"), sealed_for);
    RC_ASSERT(!unseal(some_key(), box, opened_for).has_value());
  }));
}

TEST_CASE("both layers of a box are bound to the associated data") {
  const auto mine = seal(some_key(), Secret::copy_of("plain"), "rot_1/new_key");
  const auto other = seal(some_key(), Secret::copy_of("plain"), "rot_2/new_key");
  const SealedBox mixed = {.wrapped_key = mine.wrapped_key, .ciphertext = other.ciphertext};
  CHECK_FALSE(unseal(some_key(), mixed, "rot_1/new_key").has_value());
  CHECK_FALSE(unseal(some_key(), mixed, "rot_2/new_key").has_value());
}

TEST_CASE("a box doesn't open under another sealing key") {
  CHECK(rc::check([] {
    const auto first =
        *rc::gen::container<std::string>(64, rc::gen::elementOf(std::string("0123456789abcdef")));
    const auto second = *rc::gen::distinctFrom(
        rc::gen::container<std::string>(64, rc::gen::elementOf(std::string("0123456789abcdef"))), first);
    const auto box = seal(key_of(first), Secret::copy_of("plain"), "rot_1/new_key");
    const auto opened = unseal(key_of(second), box, "rot_1/new_key");
    RC_ASSERT(!opened.has_value());
    RC_ASSERT(opened.error() == UnsealError::wrong_key_or_tampered);
  }));
}

TEST_CASE("a box that is cut short is malformed") {
  const auto box = seal(some_key(), Secret::copy_of(""), "rot_1/new_key");
  CHECK(unseal(some_key(), box, "rot_1/new_key").has_value());
  const SealedBox short_key = {.wrapped_key = box.wrapped_key.substr(1), .ciphertext = box.ciphertext};
  CHECK(unseal(some_key(), short_key, "rot_1/new_key").error() == UnsealError::malformed);
  const SealedBox short_text = {.wrapped_key = box.wrapped_key, .ciphertext = box.ciphertext.substr(1)};
  CHECK(unseal(some_key(), short_text, "rot_1/new_key").error() == UnsealError::malformed);
  CHECK(unseal(some_key(), SealedBox{}, "rot_1/new_key").error() == UnsealError::malformed);
}

TEST_CASE("the same secret never seals to the same bytes twice") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto box = seal(some_key(), Secret::copy_of("plain"), "rot_1/new_key");
    CHECK(seen.insert(box.wrapped_key).second);
    CHECK(seen.insert(box.ciphertext).second);
    CHECK(box.ciphertext.find("plain") == std::string::npos);
  }
}

TEST_CASE("a fingerprint is sixteen hex digits in groups, stable, and keyed") {
  const auto secret = Secret::copy_of("rk_" + std::string("live_") + "whatever");
  const auto fingerprint = Fingerprinter(some_key()).of(secret);
  REQUIRE(fingerprint.size() == 19);
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    const bool separator = i == 4 || i == 9 || i == 14;
    CHECK((separator ? fingerprint[i] == '-'
                     : std::string("0123456789abcdef").find(fingerprint[i]) != std::string::npos));
  }
  CHECK(Fingerprinter(some_key()).of(secret) == fingerprint);
  CHECK(Fingerprinter(another_key()).of(secret) != fingerprint);
  CHECK(Fingerprinter(some_key()).of(Secret::copy_of("something else")) != fingerprint);
  CHECK(sha256_hex(secret.expose()).find(fingerprint.substr(0, 4)) != 0);
}

// https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
TEST_CASE("SHA-256 gives what NIST says, again and again") {
  for (int i = 0; i < 3; ++i) {
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }
}
