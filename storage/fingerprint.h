// Names a key in messages and in the audit journal without giving anything of it away: HMAC-SHA-256 under a
// key derived from the sealing key, cut to 64 bits, in groups of four hex digits ("9f2c-41aa-07be-5d13"). A
// plain hash would let anyone who has a candidate key confirm it.
#pragma once

#include <string>
#include <string_view>

#include "storage/sealed_box.h"
#include "storage/secret.h"

namespace keyturn::storage {

class Fingerprinter {
 public:
  explicit Fingerprinter(const SealingKey& key);
  std::string of(const Secret& secret) const;

 private:
  Secret key_;
};

// SHA-256, lower-case hex. For random tokens of 256 bits (which nobody can guess) and for the hash chain; not
// for keys.
std::string sha256_hex(std::string_view bytes);

}  // namespace keyturn::storage
