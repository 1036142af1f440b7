// Runs one request through a net::Handler without a socket.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <stdexcept>

#include "integrations/net/http_server.h"

namespace keyturn::bot {

class RecordingExchange final : public net::Exchange {
 public:
  boost::asio::awaitable<void> respond(net::Response given) override {
    response = std::move(given);
    co_return;
  }
  boost::asio::awaitable<void> stream(int, net::Headers) override { throw std::logic_error("not used here"); }
  boost::asio::awaitable<void> write(std::string) override { throw std::logic_error("not used here"); }
  boost::asio::awaitable<void> finish() override { throw std::logic_error("not used here"); }
  bool wants_websocket() const override { return false; }
  boost::asio::awaitable<std::unique_ptr<net::WebSocket>> accept_websocket(net::WebSocketOptions) override {
    throw std::logic_error("not used here");
  }
  void abort() override {}

  net::Response response;
};

inline net::Response run(const net::Handler& handler, std::shared_ptr<const net::ServerRequest> request) {
  boost::asio::io_context io;
  RecordingExchange exchange;
  std::exception_ptr failure;
  boost::asio::co_spawn(io, handler(std::move(request), exchange),
                        [&failure](std::exception_ptr thrown) { failure = thrown; });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return exchange.response;
}

inline std::shared_ptr<net::ServerRequest> request(std::string method, std::string path,
                                                   std::string body = "", net::Headers headers = {}) {
  auto made = std::make_shared<net::ServerRequest>();
  made->method = std::move(method);
  made->path = made->target = std::move(path);
  made->body = std::move(body);
  made->headers = std::move(headers);
  made->peer = "203.0.113.7";
  return made;
}

}  // namespace keyturn::bot
