// Reads the one kind of JSON that the one-time form sends: one object of strings and whole numbers. Every
// string is decoded straight into memory that is wiped, because one of them is a live key. (nlohmann's lexer
// keeps each token it reads, for its error messages, and frees those copies as they are.) Pure. Failure:
// nothing for any other text; never an exception, never a piece of the input in a message.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "storage/secret.h"

namespace keyturn::storage {

class FlatObject {
 public:
  // Strict JSON (RFC 8259); a name that comes twice is refused, since readers differ in which one counts.
  static std::optional<FlatObject> parse(std::string_view text);

  // Moves the string of that name out; nothing if there is none, or it is a number.
  std::optional<storage::Secret> take_text(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name) const;

 private:
  using Value = std::variant<storage::Secret, std::int64_t>;
  std::map<std::string, Value, std::less<>> members_;
};

}  // namespace keyturn::storage
