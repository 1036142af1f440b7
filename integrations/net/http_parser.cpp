#include "integrations/net/http_parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>

#include "integrations/net/url.h"

namespace keyturn::net {

namespace http = boost::beast::http;

namespace {

// The values under that name, in order.
std::vector<std::string_view> all_of(const Headers& headers, std::string_view name) {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : headers) {
    if (boost::beast::iequals(key, {name.data(), name.size()})) values.push_back(value);
  }
  return values;
}

// A path, an URL, or OPTIONS's star. CONNECT's form is a proxy's, which we are not.
bool known_form(std::string_view method, std::string_view target) {
  if (target.starts_with('/')) return true;
  if (target == "*") return method == "OPTIONS";
  return parse_url(target).has_value();
}

}  // namespace

boost::beast::error_code doubt_about(std::string_view method, std::string_view target, unsigned version,
                                     const Headers& headers) {
  // Beast reads a coding that it doesn't know, or that isn't last, as no body at all; and one of HTTP/1.0,
  // which has none, as a body (RFC 9112, 6.1 and 6.3).
  const auto codings = all_of(headers, "Transfer-Encoding");
  const bool plainly_chunked = codings.size() == 1 && boost::beast::iequals(codings[0], "chunked");
  if (!codings.empty() && (!plainly_chunked || version < 11)) return http::error::bad_transfer_encoding;
  // The same length twice may be taken for one, and needn't (6.3); nobody who means well sends it.
  const auto lengths = all_of(headers, "Content-Length");
  const bool list = !lengths.empty() && lengths[0].find(',') != std::string_view::npos;
  if (lengths.size() > 1 || list) return http::error::multiple_content_length;
  const std::size_t hosts = all_of(headers, "Host").size();
  if (hosts > 1 || (hosts == 0 && version >= 11)) return http::error::bad_field;
  if (!known_form(method, target)) return http::error::bad_target;
  return {};
}

void append_wiping(std::string& body, std::string_view piece) {
  if (body.size() + piece.size() > body.capacity()) {
    std::string larger;
    larger.reserve(std::max(body.capacity() * 2, body.size() + piece.size()));
    larger.append(body);
    body.swap(larger);
    storage::wipe(larger);
  }
  body.append(piece);
}

bool is_token(std::string_view text) {
  constexpr std::string_view kAlsoAllowed = "!#$%&'*+-.^_`|~";  // RFC 9110, 5.6.2
  return !text.empty() && std::ranges::all_of(text, [&](char character) {
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
           (character >= '0' && character <= '9') || kAlsoAllowed.find(character) != std::string_view::npos;
  });
}

bool safe_header(std::string_view name, std::string_view value) {
  return is_token(name) && std::ranges::none_of(value, [](unsigned char character) {
           return (character < ' ' && character != '\t') || character == 0x7f;
         });
}

std::string_view reason_phrase(int status) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

}  // namespace keyturn::net
