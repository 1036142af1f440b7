#include "storage/chain_check.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "storage/fingerprint.h"
#include "support.h"

using namespace keyturn::storage;
using namespace keyturn::storage::testing;

namespace {

Entry linked(const ChainHead& head, std::string data) {
  Entry entry{
      .sequence = head.sequence + 1,
      .at = time_of("2026-11-23T19:16:05.123Z"),
      .rotation = "rot_1",
      .type = "secret.rotate.started",
      .actor = "U0OPERATOR",
      .data = std::move(data),
      .previous_hash = head.hash,
      .hash = {},
  };
  entry.hash = chain_hash(entry);
  return entry;
}

std::vector<Entry> chain_of(int length) {
  std::vector<Entry> chain;
  ChainHead head;
  for (int i = 0; i < length; ++i) {
    chain.push_back(linked(head, "{\"n\":" + std::to_string(i) + "}"));
    head = {.sequence = chain.back().sequence, .hash = chain.back().hash};
  }
  return chain;
}

std::optional<ChainFault> check(const std::vector<Entry>& chain, const ChainHead& committed) {
  ChainCheck check;
  for (const auto& entry : chain) {
    if (auto fault = check.next(entry)) return fault;
  }
  return check.finish(committed);
}

ChainHead head_of(const std::vector<Entry>& chain) {
  return {.sequence = chain.back().sequence, .hash = chain.back().hash};
}

}  // namespace

TEST_CASE("the hash of an entry can be recomputed by anyone from its documented form") {
  const Entry entry{
      .sequence = 7,
      .at = TimePoint(Duration(1'795'461'365'123)),
      .rotation = "rot_1",
      .type = "t",
      .actor = "keyturn",
      .data = "{}",
      .previous_hash = std::string(64, '0'),
      .hash = {},
  };
  CHECK(chain_hash(entry) ==
        sha256_hex("1:713:17954613651235:rot_11:t7:keyturn2:{}64:" + std::string(64, '0')));
}

TEST_CASE("every field of an entry changes its hash, and text can't wander from one field to the next") {
  const Entry entry = chain_of(1).front();
  std::vector<Entry> variants(8, entry);
  variants[1].sequence = 2;
  variants[2].at += Duration(1);
  variants[3].rotation = "rot_2";
  variants[4].type += "x";
  variants[5].actor = "keyturn";
  variants[6].data = "{}";
  variants[7].previous_hash[0] = '1';
  Entry shifted = entry;
  shifted.rotation = "rot_1s";
  shifted.type = "ecret.rotate.started";
  variants.push_back(shifted);
  std::set<std::string> hashes;
  for (const auto& variant : variants) hashes.insert(chain_hash(variant));
  CHECK(hashes.size() == variants.size());
}

TEST_CASE("an untouched chain has no fault, an empty one neither") {
  const auto chain = chain_of(5);
  CHECK_FALSE(check(chain, head_of(chain)));
  CHECK_FALSE(check({}, ChainHead{}));
}

TEST_CASE("a changed entry is named") {
  auto chain = chain_of(5);
  const auto head = head_of(chain);
  chain[2].data = "{\"n\":9}";
  const auto fault = check(chain, head);
  REQUIRE(fault);
  CHECK(fault->sequence == 3);
  CHECK(fault->what == "hash does not match its content");
}

TEST_CASE("an entry that was changed together with its hash is betrayed by the next") {
  auto chain = chain_of(5);
  const auto head = head_of(chain);
  chain[2].data = "{\"n\":9}";
  chain[2].hash = chain_hash(chain[2]);
  const auto fault = check(chain, head);
  REQUIRE(fault);
  CHECK(fault->sequence == 4);
  CHECK(fault->what == "does not follow the entry before it");
}

TEST_CASE("a missing entry is named, at the start, in the middle and at the end") {
  for (const std::size_t position : {std::size_t{0}, std::size_t{2}, std::size_t{4}}) {
    auto chain = chain_of(5);
    const auto head = head_of(chain);
    chain.erase(chain.begin() + static_cast<std::ptrdiff_t>(position));
    const auto fault = check(chain, head);
    REQUIRE(fault);
    CHECK(fault->sequence == static_cast<std::int64_t>(position) + 1);
    CHECK(fault->what == "entry " + std::to_string(position + 1) + " is missing");
  }
}

TEST_CASE("an inserted entry is named, before the first and after the last") {
  auto before = chain_of(3);
  const auto head = head_of(before);
  before.insert(before.begin(), linked({.sequence = -1, .hash = std::string(64, '0')}, "{}"));
  REQUIRE(check(before, head));
  CHECK(check(before, head)->sequence == 0);

  auto after = chain_of(3);
  after.push_back(linked(head_of(after), "{}"));
  REQUIRE(check(after, head));
  CHECK(check(after, head)->sequence == 4);
}

TEST_CASE("a last entry that was exchanged is named") {
  auto chain = chain_of(3);
  const auto head = head_of(chain);
  chain.pop_back();
  chain.push_back(linked(head_of(chain), "{\"forged\":true}"));
  const auto fault = check(chain, head);
  REQUIRE(fault);
  CHECK(fault->sequence == 3);
}
