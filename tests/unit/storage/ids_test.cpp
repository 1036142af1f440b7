#include "storage/ids.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>

using namespace keyturn::storage;

TEST_CASE("a rotation id shows its time, reads out well, and doesn't repeat") {
  const auto now = from_iso8601("2026-11-23T19:16:05.123Z").value();
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const auto id = new_rotation_id(now);
    CHECK(std::regex_match(id, std::regex("rot_20261123T191605_[0-9a-hjkmnp-tv-z]{8}")));
    CHECK(seen.insert(id).second);
  }
}

TEST_CASE("rotation ids sort by time") {
  const auto now = from_iso8601("2026-11-23T19:16:05.123Z").value();
  CHECK(new_rotation_id(now) < new_rotation_id(now + std::chrono::seconds(1)));
}

TEST_CASE("a token is 256 random bits in base64url without padding") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const auto token = new_token();
    const std::string text(token.expose());
    CHECK(std::regex_match(text, std::regex("[A-Za-z0-9_-]{43}")));
    // The last digit holds four bits of the token and two zeros.
    CHECK(std::string("AEIMQUYcgkosw048").find(text.back()) != std::string::npos);
    CHECK(seen.insert(text).second);
  }
}

TEST_CASE("a UUID says that it is of version 4") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const auto uuid = new_uuid();
    CHECK(std::regex_match(
        uuid, std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")));
    CHECK(seen.insert(uuid).second);
  }
}
