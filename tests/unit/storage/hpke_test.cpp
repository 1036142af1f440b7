#include "storage/hpke.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "storage/base64url.h"
#include "tests/unit/storage/support.h"

using namespace keyturn::storage;
using keyturn::storage::testing::unhex;

namespace {

hpke::KeyPair pair_of(const nlohmann::json& vector, const char* secret, const char* open) {
  return {.private_key = Secret::copy_of(unhex(vector.at(secret))), .public_key = unhex(vector.at(open))};
}

const hpke::Context kContext{.info = "a purpose", .associated_data = "a place"};

}  // namespace

TEST_CASE("HPKE gives what RFC 9180 says, in both directions") {
  std::ifstream file(KEYTURN_SOURCE_FOLDER "/tests/vectors/hpke.json");
  const auto vectors = nlohmann::json::parse(file);
  REQUIRE_FALSE(vectors.empty());
  for (const auto& vector : vectors) {
    const auto& first = vector.at("encryptions").at(0);
    const std::string info = unhex(vector.at("info"));
    const std::string associated = unhex(first.at("aad"));
    const hpke::Context context{.info = info,
                                .associated_data = associated,
                                .aead = static_cast<hpke::Aead>(vector.at("aead_id").get<int>())};
    const auto sealed = hpke::seal_with(pair_of(vector, "skEm", "pkEm"), unhex(vector.at("pkRm")),
                                        unhex(first.at("pt")), context);
    CHECK(sealed.encapsulated_key == unhex(vector.at("enc")));
    CHECK(sealed.ciphertext == unhex(first.at("ct")));
    const auto opened = hpke::open(pair_of(vector, "skRm", "pkRm"), sealed, context);
    REQUIRE(opened);
    CHECK(opened->expose() == unhex(first.at("pt")));
  }
}

TEST_CASE("what was sealed to a key opens with it, whatever it is") {
  const auto recipient = hpke::generate();
  CHECK(rc::check([&](const std::string& plain, const std::string& info, const std::string& associated) {
    const hpke::Context context{.info = info, .associated_data = associated};
    const auto opened = hpke::open(recipient, hpke::seal(recipient.public_key, plain, context), context);
    RC_ASSERT(opened.has_value());
    RC_ASSERT(opened->expose() == plain);
  }));
}

TEST_CASE("a sealed message opens for nobody else, nowhere else, and not when a bit of it has changed") {
  const auto recipient = hpke::generate();
  const auto sealed = hpke::seal(recipient.public_key, "the key", kContext);
  REQUIRE(hpke::open(recipient, sealed, kContext));
  CHECK_FALSE(hpke::open(hpke::generate(), sealed, kContext));
  CHECK_FALSE(hpke::open(recipient, sealed, {.info = "another purpose", .associated_data = "a place"}));
  CHECK_FALSE(hpke::open(recipient, sealed, {.info = "a purpose", .associated_data = "another place"}));
  for (std::size_t i = 0; i < sealed.ciphertext.size(); ++i) {
    auto changed = sealed;
    changed.ciphertext[i] = static_cast<char>(changed.ciphertext[i] ^ 1);
    CHECK_FALSE(hpke::open(recipient, changed, kContext));
  }
  for (std::size_t i = 0; i < sealed.encapsulated_key.size(); ++i) {
    auto changed = sealed;
    changed.encapsulated_key[i] = static_cast<char>(changed.encapsulated_key[i] ^ 1);
    CHECK_FALSE(hpke::open(recipient, changed, kContext));
  }
}

TEST_CASE("what was never a message opens as nothing, and throws nothing") {
  const auto recipient = hpke::generate();
  const std::string infinity(1, '\0');
  for (const std::string& key : {std::string(), infinity, std::string(65, '\0'), "\4" + std::string(64, '\0'),
                                 "\2" + std::string(32, 'x'), std::string(10'000, '\4')}) {
    CHECK_FALSE(
        hpke::open(recipient, {.encapsulated_key = key, .ciphertext = std::string(40, 'x')}, kContext));
  }
  auto short_one = hpke::seal(recipient.public_key, "", kContext);
  short_one.ciphertext.resize(15);
  CHECK_FALSE(hpke::open(recipient, short_one, kContext));
  CHECK_THROWS_AS(hpke::seal("nonsense", "plain", kContext), std::invalid_argument);
}

TEST_CASE("no two messages and no two keys are alike") {
  std::set<std::string> seen;
  const auto recipient = hpke::generate();
  for (int i = 0; i < 20; ++i) {
    CHECK(seen.insert(hpke::seal(recipient.public_key, "the key", kContext).ciphertext).second);
    CHECK(seen.insert(hpke::generate().public_key).second);
  }
}

TEST_CASE("base64url has one text for each piece of bytes") {
  CHECK(to_base64url("") == "");
  CHECK(to_base64url("f") == "Zg");
  CHECK(to_base64url("foobar") == "Zm9vYmFy");
  CHECK(to_base64url("\xfb\xff") == "-_8");
  CHECK(rc::check([](const std::string& bytes) {
    RC_ASSERT(to_base64url(bytes).size() == base64url_size(bytes.size()));
    RC_ASSERT(from_base64url(to_base64url(bytes)) == bytes);
  }));
  for (const char* wrong : {"Z", "Zh", "Zg==", "Zg ", "Z+", "Z/", "Zm9vYmFy\n"})
    CHECK_FALSE(from_base64url(wrong));
}
