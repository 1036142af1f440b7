// What Slack's end of a socket needs of HTTP and of RFC 6455, and no more: a load driver that shares two
// cores with what it measures must not cost much itself. Pure. Knows only well-behaved clients.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::bench {

struct HttpRequest {
  std::string method, target, websocket_key;
  std::size_t size = 0;  // header and body
};

// The first request in `bytes`; nothing: more of it has to come.
std::optional<HttpRequest> first_request(std::string_view bytes);

std::string http_answer(std::string_view json);
std::string upgrade_answer(const std::string& websocket_key);

enum class Opcode : std::uint8_t { text = 1, close = 8, ping = 9, pong = 10 };

struct Frame {
  Opcode opcode = Opcode::text;
  std::string_view payload;  // unmasked in place
  std::size_t size = 0;
};

// The first frame in `bytes`; nothing: more of it has to come. Only whole messages: a fragment throws.
std::optional<Frame> first_frame(char* bytes, std::size_t size);

void append_frame(std::string& out, Opcode opcode, std::string_view payload);

}  // namespace keyturn::bench
