#include "integrations/net/websocket.h"

#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "integrations/net/connect.h"
#include "integrations/net/stream.h"
#include "integrations/net/tls.h"
#include "integrations/net/url.h"
#include "integrations/net/websocket_accept.h"
#include "integrations/net/within.h"

namespace keyturn::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

// How Beast closes our stream: it finds these three by argument-dependent lookup.
void beast_close_socket(Stream& stream) { stream.close(); }

void teardown(beast::role_type, Stream& stream, error_code& error) {
  error = {};
  stream.close();
}

template <typename Handler>
void async_teardown(beast::role_type, Stream& stream, Handler&& handler) {
  asio::any_completion_handler<void(error_code)> done(std::forward<Handler>(handler));
  asio::co_spawn(
      stream.get_executor(), stream.goodbye(),
      [done = std::move(done)](const std::exception_ptr&) mutable { std::move(done)(error_code()); });
}

namespace {

constexpr storage::Duration kHandshakeLimit = std::chrono::seconds(30);
constexpr storage::Duration kCloseLimit = std::chrono::seconds(1);
// A client masks what it sends piece by piece through a buffer of this size; one piece is one write.
constexpr std::size_t kWriteBuffer = 64UL * 1024;

using Cork = asio::detail::socket_option::boolean<IPPROTO_TCP, TCP_CORK>;

// The connection, shared with the operations on it, so that it outlives them.
struct Link {
  explicit Link(Stream stream) : socket(std::move(stream)) {}
  websocket::stream<Stream, /*deflateSupported=*/false> socket;
  beast::flat_buffer input;
  std::string why;
  bool over = false;

  // The first reason is the true one; what follows are its consequences.
  void end(std::string reason) {
    if (!over) why = std::move(reason);
    over = true;
    socket.next_layer().close();
  }
};

std::string printable(std::string_view foreign) {
  std::string text(foreign);
  for (char& character : text) {
    if (character < ' ' || character == 0x7f) character = '?';
  }
  return text;
}

std::string why_ended(const Link& link, const error_code& error) {
  if (error == websocket::error::closed) {
    const auto& reason = link.socket.reason();
    if (reason.code == websocket::close_code::none) return "closed by peer";
    const std::string text = printable({reason.reason.data(), reason.reason.size()});
    return fmt::format("closed by peer: {}{}{}", static_cast<unsigned>(reason.code), text.empty() ? "" : " ",
                       text);
  }
  if (error == beast::error::timeout) return "nothing came within the idle limit";
  if (error == websocket::error::message_too_big) return "a message was larger than we accept";
  return in_words(error);
}

void configure(Link& link, const WebSocketOptions& options) {
  link.socket.set_option(websocket::stream_base::timeout{.handshake_timeout = kHandshakeLimit,
                                                         .idle_timeout = options.idle_limit,
                                                         .keep_alive_pings = options.keep_alive_pings});
  link.socket.read_message_max(options.message_limit);
  link.socket.auto_fragment(false);
  link.socket.write_buffer_bytes(kWriteBuffer);
  link.socket.text(true);
}

asio::awaitable<std::optional<std::string>> read_message(std::shared_ptr<Link> link) {
  if (link->over) co_return std::nullopt;
  error_code error;
  co_await link->socket.async_read(link->input, asio::redirect_error(asio::use_awaitable, error));
  if (error) {
    link->end(why_ended(*link, error));
    co_await throw_if_cancelled();
    co_return std::nullopt;
  }
  if (!link->socket.got_text()) {
    link->end("a binary message came, and only text is spoken here");
    co_return std::nullopt;
  }
  std::string text(static_cast<const char*>(link->input.data().data()), link->input.size());
  link->input.consume(link->input.size());
  co_return text;
}

asio::awaitable<void> write_message(std::shared_ptr<Link> link, std::string text) {
  if (link->over) throw NetError("the websocket is closed: " + link->why, /*request_was_sent=*/false);
  error_code error;
  co_await link->socket.async_write(asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return;
  // Beast says operation_aborted when it was closed meanwhile; a reader that waits knows better why.
  if (error != asio::error::operation_aborted) link->end(why_ended(*link, error));
  co_await throw_if_cancelled();
  throw NetError("the message could not be sent: " + why_ended(*link, error), /*request_was_sent=*/true);
}

// Beast's close waits for a read that is outstanding, so the limit works on the connection, which ends them
// both.
asio::awaitable<void> close_link(std::shared_ptr<Link> link, std::uint16_t code) {
  if (link->over) co_return;
  asio::steady_timer limit(link->socket.get_executor(), kCloseLimit);
  limit.async_wait([link](error_code cancelled) {
    if (!cancelled) link->end("closed here; the other side didn't answer");
  });
  error_code ignored;
  co_await link->socket.async_close(websocket::close_reason(static_cast<websocket::close_code>(code)),
                                    asio::redirect_error(asio::use_awaitable, ignored));
  link->end("closed here");
}

class BeastWebSocket final : public WebSocket {
 public:
  explicit BeastWebSocket(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~BeastWebSocket() override { link_->end("dropped here"); }

  asio::awaitable<std::optional<std::string>> read() override { return read_message(link_); }
  asio::awaitable<void> write(std::string text) override { return write_message(link_, std::move(text)); }
  void gather(bool on) override {
    error_code ignored;  // a connection that is gone gathers nothing
    link_->socket.next_layer().socket().set_option(Cork(on), ignored);
  }
  asio::awaitable<void> close(std::uint16_t code) override { return close_link(link_, code); }
  void abort() override { link_->end("aborted here"); }
  std::string why_closed() const override { return link_->why; }

 private:
  std::shared_ptr<Link> link_;
};

asio::awaitable<void> ask_for_upgrade(Link& link, Url url, std::string user_agent) {
  link.socket.set_option(websocket::stream_base::decorator(
      [user_agent](websocket::request_type& request) { request.set(http::field::user_agent, user_agent); }));
  error_code error;
  websocket::response_type response;
  co_await link.socket.async_handshake(response, url.authority(), url.target,
                                       asio::redirect_error(asio::use_awaitable, error));
  co_await throw_if_cancelled();
  if (error == websocket::error::upgrade_declined) {
    throw NetError(fmt::format("{}: answered {} instead of a websocket", url.host, response.result_int()),
                   true);
  }
  if (error) throw NetError(fmt::format("{}: no websocket: {}", url.host, in_words(error)), true);
}

}  // namespace

asio::awaitable<std::unique_ptr<WebSocket>> connect_websocket(asio::any_io_executor, std::string url,
                                                              ClientOptions client,
                                                              WebSocketOptions options) {
  const Url target = checked_url(url, client);
  auto tls = target.secure() ? TlsClient::shared(client.certificate_authorities) : nullptr;
  auto link = std::make_shared<Link>(co_await connect_stream(target, client, tls, std::make_shared<Names>()));
  configure(*link, options);
  if (!co_await within(client.connect_limit, ask_for_upgrade(*link, target, client.user_agent))) {
    throw NetError(fmt::format("{}: no answer to the websocket upgrade within {}", target.host,
                               storage::in_words(client.connect_limit)),
                   /*request_was_sent=*/true);
  }
  co_return std::make_unique<BeastWebSocket>(std::move(link));
}

bool asks_for_websocket(const std::string& method, const Headers& headers) {
  const auto upgrade = find_header(headers, "Upgrade");
  return method == "GET" && upgrade && beast::iequals(*upgrade, "websocket") &&
         find_header(headers, "Sec-WebSocket-Key").has_value();
}

asio::awaitable<std::unique_ptr<WebSocket>> accept_websocket(Stream stream, std::string target,
                                                             Headers headers, WebSocketOptions options) {
  http::request<http::empty_body> request(http::verb::get, target, 11);
  for (const auto& [name, value] : headers) request.insert(name, value);
  auto link = std::make_shared<Link>(std::move(stream));
  configure(*link, options);
  error_code error;
  co_await link->socket.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
  co_await throw_if_cancelled();
  if (error) throw NetError("no websocket with this client: " + in_words(error), /*request_was_sent=*/true);
  co_return std::make_unique<BeastWebSocket>(std::move(link));
}

}  // namespace keyturn::net
