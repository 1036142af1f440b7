#include "integrations/net/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "integrations/net/within.h"

namespace keyturn::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr storage::Duration kGoodbyeLimit = std::chrono::seconds(1);

template <typename Buffers>
auto first_of(const Buffers& buffers) {
  using Buffer = typename Buffers::value_type;
  return buffers.begin() == buffers.end() ? Buffer() : *buffers.begin();
}

}  // namespace

Stream::Socket& Stream::socket() {
  if (auto* tls = std::get_if<std::unique_ptr<TlsStream>>(&transport_)) return (*tls)->next_layer();
  return std::get<Socket>(transport_);
}

SSL* Stream::tls() {
  auto* tls = std::get_if<std::unique_ptr<TlsStream>>(&transport_);
  return tls == nullptr ? nullptr : (*tls)->native_handle();
}

asio::awaitable<void> Stream::handshake(asio::ssl::stream_base::handshake_type side) {
  if (auto* tls = std::get_if<std::unique_ptr<TlsStream>>(&transport_)) {
    co_await (*tls)->async_handshake(side, asio::use_awaitable);
  }
}

void Stream::start_read(const BufferList<asio::mutable_buffer>& buffers, Moved handler) {
  if (!unread_.empty()) {
    const std::size_t moved = asio::buffer_copy(buffers, asio::buffer(unread_));
    unread_.erase(0, moved);
    asio::post(get_executor(),
               [handler = std::move(handler), moved]() mutable {  // never inside the caller's own call
                 std::move(handler)(error_code(), moved);
               });
    return;
  }
  if (auto* tls = std::get_if<std::unique_ptr<TlsStream>>(&transport_)) {
    (*tls)->async_read_some(first_of(buffers), std::move(handler));
  } else {
    std::get<Socket>(transport_).async_read_some(buffers, std::move(handler));
  }
}

void Stream::start_write(const BufferList<asio::const_buffer>& buffers, Moved handler) {
  if (auto* tls = std::get_if<std::unique_ptr<TlsStream>>(&transport_)) {
    (*tls)->async_write_some(buffers, std::move(handler));
  } else {
    std::get<Socket>(transport_).async_write_some(buffers, std::move(handler));
  }
}

asio::awaitable<std::size_t> Stream::read_some(asio::mutable_buffer room, error_code& error) {
  co_return co_await async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
}

asio::awaitable<void> Stream::write_all(asio::const_buffer bytes, error_code& error) {
  error = {};
  while (bytes.size() != 0 && !error) {
    bytes += co_await async_write_some(bytes, asio::redirect_error(asio::use_awaitable, error));
  }
}

bool Stream::quiet() {
  char byte = 0;
  const auto received = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Stream::cancel() {
  error_code ignored;
  socket().cancel(ignored);
}

void Stream::close() {
  error_code ignored;
  socket().close(ignored);
}

void Stream::reset() {
  error_code ignored;
  socket().set_option(asio::socket_base::linger(true, 0), ignored);
  socket().close(ignored);
}

namespace {

asio::awaitable<void> read_away(Stream::Socket& socket) {
  std::array<char, 4096> nowhere;
  error_code error;
  while (!error) {
    co_await socket.async_read_some(asio::buffer(nowhere), asio::redirect_error(asio::use_awaitable, error));
  }
}

asio::awaitable<void> close_orderly(
    std::variant<Stream::Socket, std::unique_ptr<Stream::TlsStream>>& transport, Stream::Socket& socket) {
  error_code ignored;
  if (auto* tls = std::get_if<std::unique_ptr<Stream::TlsStream>>(&transport)) {
    // As if the other side's close_notify were here already: send ours, and don't wait for an answer.
    SSL_set_shutdown((*tls)->native_handle(),
                     SSL_get_shutdown((*tls)->native_handle()) | SSL_RECEIVED_SHUTDOWN);
    co_await (*tls)->async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
  }
  socket.shutdown(asio::socket_base::shutdown_send, ignored);
  co_await read_away(socket);
}

}  // namespace

asio::awaitable<void> Stream::goodbye() {
  if (socket().is_open()) co_await within(kGoodbyeLimit, close_orderly(transport_, socket()));
  close();
}

}  // namespace keyturn::net
