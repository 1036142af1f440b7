#include "storage/journal.h"

#include <array>
#include <charconv>
#include <string_view>

#include "storage/fingerprint.h"

namespace keyturn::storage {
namespace {

void append_number(std::string& out, std::int64_t number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_field(std::string& out, std::string_view field) {
  append_number(out, static_cast<std::int64_t>(field.size()));
  out += ':';
  out += field;
}

void append_number_field(std::string& out, std::int64_t number) {
  std::string digits;  // short enough to live without the heap
  append_number(digits, number);
  append_field(out, digits);
}

}  // namespace

std::string chain_hash(const Entry& entry) {
  std::string text;
  text.reserve(200 + entry.data.size());
  append_number_field(text, entry.sequence);
  append_number_field(text, entry.at.time_since_epoch().count());
  append_field(text, entry.rotation);
  append_field(text, entry.type);
  append_field(text, entry.actor);
  append_field(text, entry.data);
  append_field(text, entry.previous_hash);
  return sha256_hex(text);
}

}  // namespace keyturn::storage
