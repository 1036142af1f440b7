// What a stranger may send as a sealed message: it opens only if somebody sealed it, to this key and for this
// place.
#include <cstdlib>

#include "storage/hpke.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn::storage;
  static const hpke::KeyPair recipient = hpke::generate();
  const hpke::Context place{.info = "keyturn form v1", .associated_data = "rot_1\nU1\ntoken"};
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  constexpr std::size_t kPoint = 65;
  const auto cut = std::min(text.size(), kPoint);
  if (hpke::open(recipient, {std::string(text.substr(0, cut)), std::string(text.substr(cut))}, place))
    std::abort();

  // A real message, changed by what came: still nothing, unless nothing changed.
  static const hpke::Message real = hpke::seal(recipient.public_key, "the key", place);
  hpke::Message changed = real;
  bool same = true;
  for (std::size_t i = 0; i < text.size() && i < changed.ciphertext.size(); ++i) {
    changed.ciphertext[i] = static_cast<char>(changed.ciphertext[i] ^ text[i]);
    same = same && text[i] == 0;
  }
  const auto opened = hpke::open(recipient, changed, place);
  if (opened.has_value() != same) std::abort();
  return 0;
}
