// HTTP messages as our callers see them: no Beast, no streams, no copies of secrets left behind.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/secret.h"

namespace keyturn::net {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value under that name (compared without case), or nothing.
std::optional<std::string> find_header(const Headers& headers, std::string_view name);

struct Request {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  // Set: sent as "Authorization: Bearer ...", straight from locked memory into the wiped send buffer.
  storage::SharedSecret bearer;
  // Set: the body, instead of `body`.
  storage::SharedSecret secret_body;
};

// The body is wiped when the response dies: configuration and secrets come in bodies.
struct Response {
  int status = 0;
  Headers headers;
  std::string body;

  Response() = default;
  Response(int status_code, Headers response_headers, std::string content)
      : status(status_code), headers(std::move(response_headers)), body(std::move(content)) {}
  Response(Response&&) noexcept = default;
  Response& operator=(Response&&) noexcept = default;
  Response(const Response&) = default;
  Response& operator=(const Response&) = default;
  ~Response() { storage::wipe(body); }

  std::string header(std::string_view name) const { return find_header(headers, name).value_or(""); }
};

}  // namespace keyturn::net
