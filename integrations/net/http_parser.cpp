#include "integrations/net/http_parser.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>

namespace keyturn::net {

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
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

}  // namespace keyturn::net
