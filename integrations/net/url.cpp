#include "integrations/net/url.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <optional>

namespace keyturn::net {
namespace {

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& character : result) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  return result;
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" || scheme == "wss" ? 443 : 80;
}

bool known_scheme(std::string_view scheme) {
  return scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss";
}

// White space and control characters would let a URL break out of the request line.
bool has_forbidden_character(std::string_view text) {
  return std::ranges::any_of(text,
                             [](unsigned char character) { return character <= ' ' || character == 0x7f; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool valid_host_name(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
           character == '-' || character == '.' || character == '_';
  });
}

bool valid_ipv6(std::string_view host) {
  boost::system::error_code error;
  boost::asio::ip::make_address_v6(std::string(host), error);
  return !error;
}

// "host", "host:port", "[::1]:port" into `url`; what is wrong with it, otherwise.
std::optional<std::string> parse_authority(std::string_view authority, Url& url) {
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return "the address in brackets doesn't end";
    url.host = lower_case(authority.substr(1, end - 1));
    if (!valid_ipv6(url.host)) return "what is in brackets is no IPv6 address";
    const auto rest = authority.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return "something follows the bracket that is no port";
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = authority.find(':');
    url.host = lower_case(authority.substr(0, colon));
    if (!valid_host_name(url.host)) return "the host is missing or malformed";
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon + 1);
  }
  url.port = default_port(url.scheme);
  if (!has_port) return std::nullopt;
  const auto number = parse_port(port);
  if (!number) return "the port is no number between 1 and 65535";
  url.port = *number;
  return std::nullopt;
}

int hex_digit(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return -1;
}

bool unreserved(char character) {
  return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
         (character >= '0' && character <= '9') || character == '-' || character == '.' || character == '_' ||
         character == '~';
}

}  // namespace

bool Url::loopback() const {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == default_port(scheme) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::origin() const { return scheme + "://" + authority(); }

std::expected<Url, std::string> parse_url(std::string_view text) {
  if (has_forbidden_character(text)) return std::unexpected("it holds white space or a control character");
  const auto separator = text.find("://");
  if (separator == std::string_view::npos)
    return std::unexpected("it doesn't begin with http:// or https://");
  Url url;
  url.scheme = lower_case(text.substr(0, separator));
  if (!known_scheme(url.scheme)) return std::unexpected("its scheme is none of http, https, ws and wss");

  auto rest = text.substr(separator + 3);
  rest = rest.substr(0, rest.find('#'));  // a fragment is never sent
  const auto path = rest.find_first_of("/?");
  const auto authority = rest.substr(0, path);
  if (authority.find('@') != std::string_view::npos)
    return std::unexpected("it holds user information (\"a:b@\")");
  if (auto wrong = parse_authority(authority, url)) return std::unexpected(*wrong);

  url.target = path == std::string_view::npos ? "" : std::string(rest.substr(path));
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size());
  for (const char character : text) {
    if (unreserved(character)) {
      result += character;
      continue;
    }
    const auto byte = static_cast<unsigned char>(character);
    result += '%';
    result += kDigits[byte >> 4U];
    result += kDigits[byte & 15U];
  }
  return result;
}

std::string percent_decode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t index = 0; index < text.size(); ++index) {
    if (text[index] == '%' && index + 2 < text.size()) {
      const int high = hex_digit(text[index + 1]);
      const int low = hex_digit(text[index + 2]);
      if (high >= 0 && low >= 0) {
        result += static_cast<char>(high * 16 + low);
        index += 2;
        continue;
      }
    }
    result += text[index];
  }
  return result;
}

std::string form_encode(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string result;
  for (const auto& [name, value] : fields) {
    if (!result.empty()) result += '&';
    result += percent_encode(name) + '=' + percent_encode(value);
  }
  return result;
}

}  // namespace keyturn::net
