// What anybody may send to the form's port: what it says doesn't depend on how the network cut it, or a
// second reader of the same bytes (a proxy) could see other requests than we do; and what is taken keeps to
// the limits. The first four bytes of the input are the sizes of the pieces, in turn; all others are what
// comes in.
#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <cstdlib>
#include <memory>
#include <vector>

#include "integrations/net/http_parser.h"
#include "integrations/net/server_request.h"

namespace {

using namespace keyturn::net;

// Small, so that the fuzzer gets to them.
constexpr std::uint32_t kHeaderLimit = 2048;
constexpr std::uint64_t kBodyLimit = 512;
constexpr std::size_t kSizes = 4;

struct Seen {
  std::vector<std::shared_ptr<ServerRequest>> requests;
  std::vector<bool> keep_alive;
};

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const RequestParser& parser, const ServerRequest& request) {
  require(is_token(request.method));
  require(request.target.starts_with('/') || (request.target == "*" && request.method == "OPTIONS"));
  require(request.body.size() <= kBodyLimit);
  std::size_t header = request.method.size();
  std::size_t hosts = 0;
  for (const auto& [name, value] : request.headers) {
    require(is_token(name));
    require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    header += name.size() + value.size();
    if (boost::beast::iequals(name, "host")) ++hosts;
  }
  require(header <= kHeaderLimit);
  require(hosts == 1 || (hosts == 0 && parser.version < 11));
}

// As the server reads a connection: requests one after the other, until one is refused. `next_size` says how
// many bytes come next.
template <typename NextSize>
Seen read(std::string_view bytes, NextSize next_size) {
  Seen seen;
  WipingBuffer input;
  while (true) {
    RequestParser parser;
    parser.header_limit(kHeaderLimit);
    parser.body_limit(kBodyLimit);
    while (true) {
      if (parser.feed(input)) return seen;
      if (parser.is_done()) break;
      if (bytes.empty()) return seen;
      const auto piece = bytes.substr(0, next_size());
      bytes.remove_prefix(piece.size());
      input.append(piece);
    }
    seen.keep_alive.push_back(parser.keep_alive());
    seen.requests.push_back(make_request(parser, "192.0.2.1"));
    check(parser, *seen.requests.back());
  }
}

bool same(const ServerRequest& a, const ServerRequest& b) {
  return a.method == b.method && a.target == b.target && a.path == b.path && a.query == b.query &&
         a.headers == b.headers && a.body == b.body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < kSizes) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + kSizes, size - kSizes);
  const Seen whole = read(bytes, [&] { return bytes.size(); });
  std::size_t turn = 0;
  const Seen pieces = read(bytes, [&] { return 1 + data[turn++ % kSizes] % 32U; });
  // When a fault is found, at once or with the bytes that follow, may depend on the cut: nothing is taken
  // then.
  require(whole.keep_alive == pieces.keep_alive);
  require(std::ranges::equal(whole.requests, pieces.requests,
                             [](const auto& a, const auto& b) { return same(*a, *b); }));
  return 0;
}
