// What is claimed, and what was found. Pure.
#pragma once

#include <optional>
#include <string>

namespace keyturn::sandbox {

struct Fact {
  std::optional<bool> holds;  // nothing: it can't be seen yet
  std::string what;           // "Stripe refuses the old key as expired"
  std::string found;          // "401 api_key_expired"
};

}  // namespace keyturn::sandbox
