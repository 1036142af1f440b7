// What a vendor, or a proxy in front of it, may answer: what it says doesn't depend on how the network cut
// it, and no body is larger than we accept. The first two bytes of the input are the sizes of the pieces, in
// turn.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "integrations/net/http_parser.h"

namespace {

using namespace keyturn::net;

constexpr std::uint64_t kBodyLimit = 512;

struct Answer {
  int status;
  Headers headers;
  std::string body;
  bool operator==(const Answer&) const = default;
};

// Nothing when it is refused, or not whole.
template <typename NextSize>
std::optional<Answer> read(std::string_view bytes, NextSize next_size) {
  ResponseParser parser;
  parser.header_limit(2048);
  parser.body_limit(kBodyLimit);
  WipingBuffer input;
  while (!parser.is_done()) {
    if (parser.feed(input)) return std::nullopt;
    if (parser.is_done()) break;
    if (bytes.empty()) return std::nullopt;
    const std::size_t size = std::min(bytes.size(), std::max<std::size_t>(next_size(), 1));
    input.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  if (parser.body.size() > kBodyLimit) std::abort();
  return Answer{parser.status, parser.headers, parser.body};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  int turn = 0;
  const auto whole = read(bytes, [&] { return bytes.size(); });
  const auto pieces = read(bytes, [&] { return static_cast<std::size_t>(data[turn++ % 2] % 64); });
  if (whole != pieces) std::abort();
  return 0;
}
