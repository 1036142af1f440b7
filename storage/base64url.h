// Base64url without padding (RFC 4648, 5): how bytes stand in JSON, links and cookies. Strict: one text for
// each piece of bytes. Thread: any.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace keyturn::storage {

constexpr std::size_t base64url_size(std::size_t bytes) { return (bytes * 4 + 2) / 3; }

std::string to_base64url(std::string_view bytes);
// The same into memory of the caller's, exactly base64url_size(bytes.size()) long: for secrets.
void to_base64url(std::string_view bytes, std::span<char> out);

// Nothing for any text that to_base64url doesn't make.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace keyturn::storage
