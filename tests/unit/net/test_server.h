// Both ends of a wire for the tests in this folder: our server with a handler, and bare sockets where the
// test itself says every byte.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <utility>

#include "integrations/net/http_server.h"
#include "integrations/net/within.h"
#include "tests/unit/net/loop.h"

namespace keyturn::net {

class TestServer {
 public:
  TestServer(Loop& loop, Handler handler, ServerOptions options = {})
      : loop_(loop),
        server(loop.executor(), std::move(options), std::move(handler)),
        tasks(loop.executor(), nullptr) {
    tasks.spawn("server", server.run());
  }
  ~TestServer() {
    server.stop();
    tasks.cancel();
    loop_.run(ended());
  }
  std::string url(const std::string& target, const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(server.port()) + target;
  }

 private:
  boost::asio::awaitable<void> ended() {
    co_await tasks.wait(std::chrono::seconds(5));
    while (server.connections() != 0) co_await sleep_for(std::chrono::milliseconds(1));
  }
  Loop& loop_;

 public:
  HttpServer server;
  TaskGroup tasks;
};

// Something that one coroutine waits for and another makes true.
class Signal {
 public:
  explicit Signal(Loop& loop) : timer_(loop.io, boost::asio::steady_timer::time_point::max()) {}
  void set() {
    set_ = true;
    timer_.cancel();
  }
  boost::asio::awaitable<void> wait() {
    boost::system::error_code woken;
    if (!set_) co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    if (!set_) throw boost::system::system_error(woken);
  }
  bool is_set() const { return set_; }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

// A socket that says and hears bytes.
class Wire {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  explicit Wire(Socket socket) : socket_(std::move(socket)) {}
  Socket& socket() { return socket_; }

  boost::asio::awaitable<void> say(std::string bytes) {
    co_await boost::asio::async_write(socket_, boost::asio::buffer(bytes), boost::asio::use_awaitable);
  }

  // Up to and including `end`; what came so far, when the connection ended before.
  boost::asio::awaitable<std::string> hear_until(std::string end) {
    while (heard_.find(end) == std::string::npos && co_await hear_more()) continue;
    const auto position = heard_.find(end);
    const std::size_t size = position == std::string::npos ? heard_.size() : position + end.size();
    co_return take(size);
  }

  boost::asio::awaitable<std::string> hear(std::size_t size) {
    while (heard_.size() < size && co_await hear_more()) continue;
    co_return take(std::min(size, heard_.size()));
  }

  // Everything until the other side closes.
  boost::asio::awaitable<std::string> hear_all() {
    while (co_await hear_more()) continue;
    co_return take(heard_.size());
  }

  void close() { socket_.close(); }

 private:
  boost::asio::awaitable<bool> hear_more() {
    char bytes[4096];
    boost::system::error_code error;
    const auto count = co_await socket_.async_read_some(
        boost::asio::buffer(bytes), boost::asio::redirect_error(boost::asio::use_awaitable, error));
    heard_.append(bytes, count);
    co_return !error;
  }
  std::string take(std::size_t size) {
    std::string taken = heard_.substr(0, size);
    heard_.erase(0, size);
    return taken;
  }

  Socket socket_;
  std::string heard_;
};

// A server made of bare sockets.
class WireServer {
 public:
  explicit WireServer(Loop& loop) : acceptor_(loop.io, {boost::asio::ip::address_v4::loopback(), 0}) {}
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string url(const std::string& target, const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(port()) + target;
  }
  boost::asio::awaitable<Wire> accept() {
    co_return Wire(co_await acceptor_.async_accept(boost::asio::use_awaitable));
  }

 private:
  boost::asio::ip::tcp::acceptor acceptor_;
};

// `from`: the address that it comes from; all of 127.0.0.0/8 is this machine. Empty: the usual one.
inline boost::asio::awaitable<Wire> connect_wire(std::uint16_t port, std::string from = "") {
  Wire::Socket socket(co_await boost::asio::this_coro::executor);
  if (!from.empty()) {
    socket.open(boost::asio::ip::tcp::v4());
    socket.bind({boost::asio::ip::make_address(from), 0});
  }
  co_await socket.async_connect({boost::asio::ip::address_v4::loopback(), port}, boost::asio::use_awaitable);
  co_return Wire(std::move(socket));
}

}  // namespace keyturn::net
