#include "integrations/net/connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "integrations/net/within.h"

namespace keyturn::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr bool kNotSent = false;

asio::awaitable<void> connect_to(Stream::Socket& socket, tcp::endpoint endpoint, error_code& error) {
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
}

// A peer that vanished without a word is noticed within half a minute, also where nothing is ever sent: on a
// log that is followed, its silence would pass for a quiet app.
void notice_vanished_peer(Stream::Socket& socket) {
  const auto set = [&socket](int level, int option, int value) {  // best effort
    ::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// Every address gets its share of the time, so that one that swallows packets doesn't hide the others.
asio::awaitable<Stream::Socket> connect_any(Url url, std::vector<asio::ip::address> addresses,
                                            storage::Duration limit) {
  const auto io = co_await asio::this_coro::executor;
  const auto share = limit / static_cast<int>(std::max<std::size_t>(addresses.size(), 1));
  error_code error = asio::error::host_not_found;
  for (const auto& address : addresses) {
    Stream::Socket socket(io);
    if (!co_await within(share, connect_to(socket, tcp::endpoint(address, url.port), error))) {
      error = asio::error::timed_out;
    }
    co_await throw_if_cancelled();
    if (error) continue;
    socket.set_option(tcp::no_delay(true), error);
    notice_vanished_peer(socket);
    co_return std::move(socket);
  }
  throw NetError(fmt::format("{} can't be reached: {}", url.host, in_words(error)), kNotSent);
}

asio::awaitable<void> shake_hands(Stream& stream, std::string host) {
  std::string fault;
  try {
    co_await stream.handshake(asio::ssl::stream_base::client);
  } catch (const boost::system::system_error& error) {
    fault = certificate_fault(stream);
    if (fault.empty()) fault = in_words(error.code());
  }
  co_await throw_if_cancelled();
  if (!fault.empty()) throw NetError(fmt::format("TLS handshake with {} failed: {}", host, fault), kNotSent);
}

asio::awaitable<Stream> connect_now(Url url, storage::Duration limit, std::shared_ptr<TlsClient> tls,
                                    std::shared_ptr<Names> names) {
  auto addresses = co_await Names::addresses(std::move(names), url.host);
  if (!url.secure()) std::erase_if(addresses, [](const auto& address) { return !address.is_loopback(); });
  auto socket = co_await connect_any(url, std::move(addresses), limit);
  if (!url.secure()) co_return Stream(std::move(socket));
  Stream stream = tls->wrap(std::move(socket), url);
  co_await shake_hands(stream, url.host);
  co_return std::move(stream);
}

}  // namespace

asio::awaitable<Stream> connect_stream(Url url, ClientOptions options, std::shared_ptr<TlsClient> tls,
                                       std::shared_ptr<Names> names) {
  auto stream = co_await within(options.connect_limit,
                                connect_now(url, options.connect_limit, std::move(tls), std::move(names)));
  if (!stream) {
    throw NetError(fmt::format("{} can't be reached: no connection within {}", url.host,
                               storage::in_words(options.connect_limit)),
                   kNotSent);
  }
  co_return std::move(*stream);
}

Url checked_url(const std::string& text, const ClientOptions& options) {
  auto url = parse_url(text);
  if (!url) throw NetError("the URL can't be used: " + url.error(), kNotSent);
  if (!url->secure() && !(options.allow_plain_loopback && url->loopback())) {
    throw NetError(
        fmt::format("plain http is only allowed to loopback, and only in a rehearsal: {} needs https",
                    url->host),
        kNotSent);
  }
  return *std::move(url);
}

std::string in_words(const error_code& error) {
  std::string text = error.message();
  if (error == asio::error::eof || error == asio::ssl::error::stream_truncated)
    text = "the other side closed the connection";
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

asio::awaitable<void> throw_if_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
}

}  // namespace keyturn::net
