#include "deploy/sandbox/random_text.h"

#include <random>

namespace keyturn::sandbox {
namespace {

std::mt19937_64& generator() {
  static std::mt19937_64 engine{std::random_device{}()};
  return engine;
}

}  // namespace

std::string random_text(std::size_t length, std::string_view alphabet) {
  std::uniform_int_distribution<std::size_t> pick(0, alphabet.size() - 1);
  std::string text(length, '\0');
  for (char& letter : text) letter = alphabet[pick(generator())];
  return text;
}

std::string random_uuid() {
  constexpr std::string_view kHex = "0123456789abcdef";
  return random_text(8, kHex) + "-" + random_text(4, kHex) + "-4" + random_text(3, kHex) + "-" +
         random_text(1, "89ab") + random_text(3, kHex) + "-" + random_text(12, kHex);
}

}  // namespace keyturn::sandbox
