// Reads one HTTP/1.1 message from bytes, without I/O: Beast's parser, with our headers and a body that leaves
// no copies behind. Internal to integrations/net.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <string>
#include <string_view>

#include "integrations/net/message.h"
#include "integrations/net/wiping_buffer.h"

namespace keyturn::net {

// What RFC 9112 lets a server refuse and Beast lets through, once the header is read: a body whose end
// another reader of the same bytes could see elsewhere (a request hidden in the first one's body), no host or
// several, and a target of no known form. No error when all is well.
boost::beast::error_code doubt_about(std::string_view method, std::string_view target, unsigned version,
                                     const Headers& headers);

// Appends; when the string has to grow, the memory it leaves is overwritten.
void append_wiping(std::string& body, std::string_view piece);

template <bool is_request>
class MessageParser final : public boost::beast::http::basic_parser<is_request> {
 public:
  using Base = boost::beast::http::basic_parser<is_request>;
  using Text = boost::beast::string_view;
  using Error = boost::beast::error_code;

  MessageParser() { this->eager(true); }
  ~MessageParser() override { storage::wipe(body); }

  // Of all bytes before the body. Beast's own limit depends on how they were cut: it holds for the request
  // line, for what it can use of the rest at once, and for what follows that, each by itself. So it is set
  // out of reach, and the bytes are counted before Beast sees them.
  void header_limit(std::uint32_t limit) {
    header_limit_ = limit;
    Base::header_limit(2 * limit);
  }

  int status = 0;
  unsigned version = 11;
  std::string method;
  std::string target;
  Headers headers;
  std::string body;

  // Takes what it can use of `input`. Without an error and not is_done(): more bytes are needed.
  Error feed(WipingBuffer& input) {
    Error error;
    while (!input.empty() && !this->is_done()) {
      if (awaits_more_of_the_end(input)) return {};
      if (header_too_long(input)) return too_long();
      const bool in_header = !this->is_header_done();
      const std::size_t used = this->put(input.data(), error);
      input.consume(used);
      if (in_header) header_used_ += used;  // past the header it no longer counts
      if (error == boost::beast::http::error::need_more)
        return input.size() > kLongestLine ? too_long() : Error();
      if (error || used == 0) return error;
    }
    return error;
  }

 private:
  // Longer than any header section that we allow; without it a chunk's extension could grow for ever.
  static constexpr std::size_t kLongestLine = 256UL * 1024;
  static Error too_long() { return boost::beast::http::error::header_limit; }

  // When a last chunk ("0", CRLF) comes in parts, Beast asserts that at least five bytes are there at its
  // second look. Nothing is lost by waiting: no message of chunks is complete with fewer ("0", CRLF, CRLF).
  bool awaits_more_of_the_end(const WipingBuffer& input) const {
    constexpr std::size_t kShortestEnd = 5;
    return this->is_header_done() && this->chunked() && input.size() < kShortestEnd;
  }

  // What has come of the header, its end included once that is there.
  bool header_too_long(const WipingBuffer& input) const {
    if (this->is_header_done()) return false;
    const std::size_t end = input.view().find("\r\n\r\n");
    const std::size_t size = end == std::string_view::npos ? input.size() : end + 4;
    return header_used_ + size > header_limit_;
  }

  void on_request_impl(boost::beast::http::verb, Text name, Text where, int http_version, Error&) override {
    method = name;
    target = where;
    version = static_cast<unsigned>(http_version);
  }
  void on_response_impl(int code, Text, int http_version, Error&) override {
    status = code;
    version = static_cast<unsigned>(http_version);
  }
  // Trailers come by the same way, after the header: nobody here wants them.
  void on_field_impl(boost::beast::http::field, Text name, Text value, Error&) override {
    if (!this->is_header_done()) headers.emplace_back(name, value);
  }
  void on_header_impl(Error& error) override {
    if constexpr (is_request) error = doubt_about(method, target, version, headers);
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Error&) override {
    constexpr std::uint64_t kReservedAtOnce = 1024UL * 1024;
    if (length) body.reserve(static_cast<std::size_t>(std::min(*length, kReservedAtOnce)));
  }
  std::size_t on_body_impl(Text piece, Error&) override {
    append_wiping(body, {piece.data(), piece.size()});
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text piece, Error&) override {
    append_wiping(body, {piece.data(), piece.size()});
    return piece.size();
  }
  void on_finish_impl(Error&) override {}

  std::size_t header_limit_ = 8UL * 1024;
  std::size_t header_used_ = 0;
};

using RequestParser = MessageParser<true>;
using ResponseParser = MessageParser<false>;

// Header names are tokens; values hold no line breaks or other control characters. Anything else could
// smuggle a second message.
bool safe_header(std::string_view name, std::string_view value);
bool is_token(std::string_view text);

// "Not Found"; "Unknown" for codes nobody knows.
std::string_view reason_phrase(int status);

}  // namespace keyturn::net
