// URLs as far as we call and serve them: http, https, ws, wss.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyturn::net {

struct Url {
  std::string scheme;  // lower case
  std::string host;    // without brackets for IPv6
  std::uint16_t port = 0;
  std::string target;  // path and query, "/" at least

  bool secure() const { return scheme == "https" || scheme == "wss"; }
  // 127.0.0.0/8, ::1 or localhost: the only hosts that may be spoken to without TLS.
  bool loopback() const;
  // "https://api.stripe.com" (with the port where it isn't the scheme's own).
  std::string origin() const;
  // For the Host header: the port only where it isn't the scheme's own.
  std::string authority() const;
};

// The error says in a few words what is wrong with it; user information ("a:b@") is refused.
std::expected<Url, std::string> parse_url(std::string_view text);

// Percent-encodes everything but unreserved characters (RFC 3986), for query values and form bodies.
std::string percent_encode(std::string_view text);
std::string percent_decode(std::string_view text);  // malformed escapes are kept as they are

// "a=1&b=two" from pairs, both sides percent-encoded.
std::string form_encode(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace keyturn::net
