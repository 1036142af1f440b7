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
      const std::size_t used = this->put(input.data(), error);
      input.consume(used);
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
  void on_header_impl(Error&) override {}
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
