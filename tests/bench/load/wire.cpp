#include "tests/bench/load/wire.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace keyturn::bench {
namespace {

constexpr std::string_view kHandshake = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3

std::string lower(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small;
}

std::string_view field(std::string_view header, std::string_view name) {
  const std::size_t found = lower(header).find(fmt::format("\r\n{}:", name));
  if (found == std::string::npos) return {};
  std::string_view value = header.substr(found + name.size() + 3);
  value = value.substr(0, value.find("\r\n"));
  return value.substr(std::min(value.find_first_not_of(' '), value.size()));
}

std::uint64_t big_endian(const unsigned char* bytes, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) number = number << 8 | bytes[i];
  return number;
}

// Eight bytes at a time: the key repeats every four.
void unmask(char* payload, std::size_t size, const unsigned char* key) {
  std::uint64_t wide = 0;
  std::array<unsigned char, 8> twice{};
  for (std::size_t i = 0; i < twice.size(); ++i) twice[i] = key[i % 4];
  std::memcpy(&wide, twice.data(), sizeof wide);
  std::size_t i = 0;
  for (; i + sizeof wide <= size; i += sizeof wide) {
    std::uint64_t word = 0;
    std::memcpy(&word, payload + i, sizeof word);
    word ^= wide;
    std::memcpy(payload + i, &word, sizeof word);
  }
  for (; i < size; ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
}

}  // namespace

std::optional<HttpRequest> first_request(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view header = bytes.substr(0, end + 2);
  const std::string_view length = field(header, "content-length");
  std::size_t body = 0;
  std::from_chars(length.data(), length.data() + length.size(), body);
  if (bytes.size() < end + 4 + body) return std::nullopt;
  const std::size_t space = header.find(' ');
  const std::size_t second = header.find(' ', space + 1);
  return HttpRequest{.method = std::string(header.substr(0, space)),
                     .target = std::string(header.substr(space + 1, second - space - 1)),
                     .websocket_key = std::string(field(header, "sec-websocket-key")),
                     .size = end + 4 + body};
}

std::string http_answer(std::string_view json) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                     json.size(), json);
}

std::string upgrade_answer(const std::string& websocket_key) {
  const std::string text = websocket_key + std::string(kHandshake);
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> accept{};
  EVP_EncodeBlock(accept.data(), digest.data(), static_cast<int>(digest.size()));
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n\r\n",
      reinterpret_cast<const char*>(accept.data()));
}

std::optional<Frame> first_frame(char* bytes, std::size_t size) {
  if (size < 2) return std::nullopt;
  const auto* head = reinterpret_cast<const unsigned char*>(bytes);
  if ((head[0] & 0x80) == 0) throw std::runtime_error("a fragmented message, which Slack drops");
  std::size_t length = head[1] & 0x7f;
  std::size_t at = 2;
  const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
  const bool masked = (head[1] & 0x80) != 0;
  if (size < at + extended + (masked ? 4 : 0)) return std::nullopt;
  if (extended != 0) length = big_endian(head + at, extended);
  at += extended;
  const unsigned char* key = head + at;
  if (masked) at += 4;
  if (size < at + length) return std::nullopt;
  if (masked) unmask(bytes + at, length, key);
  return Frame{
      .opcode = static_cast<Opcode>(head[0] & 0x0f), .payload = {bytes + at, length}, .size = at + length};
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  out += static_cast<char>(0x80 | static_cast<int>(opcode));
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else if (payload.size() < 65536) {
    out += static_cast<char>(126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  } else {
    throw std::length_error("no envelope is that large");
  }
  out += payload;
}

}  // namespace keyturn::bench
