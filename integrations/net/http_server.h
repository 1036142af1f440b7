// A small HTTP/1.1 server for the one-time form, /healthz and /metrics, and for the sandbox's emulators.
// Thread: io only. A handler runs once per request, as a coroutine. A slow or silent client costs one
// connection with a deadline (see ServerOptions); above `connections`, or `connections_per_peer` of one
// client, new ones are refused: with 503, or closed where that would take a TLS handshake. Broken, too large
// or too slow requests are answered 400, 413, 431 or 408 without the handler.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "integrations/net/message.h"
#include "integrations/net/websocket.h"

namespace keyturn::net {

struct ServerRequest {
  std::string method;
  std::string path;                          // "/form", decoded
  std::string target;                        // as sent: path and query
  std::map<std::string, std::string> query;  // decoded; of a name that comes twice, the first
  Headers headers;
  std::string body;  // wiped when the request dies
  std::string peer;  // the TCP peer's address, without port

  ~ServerRequest() { storage::wipe(body); }
  std::string header(std::string_view name) const { return find_header(headers, name).value_or(""); }
};

// How a handler answers: exactly one of respond, stream or accept_websocket (a second one throws
// std::logic_error). A handler that ends without any of them is answered for with 500; one that leaves a
// stream unfinished tears it.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Throws NetError when the client is gone.
  virtual boost::asio::awaitable<void> respond(Response response) = 0;

  // Starts a chunked response; then write() for each piece, and finish() (or abort() for a torn stream).
  virtual boost::asio::awaitable<void> stream(int status, Headers headers) = 0;
  virtual boost::asio::awaitable<void> write(
      std::string chunk) = 0;  // throws NetError when the client is gone
  virtual boost::asio::awaitable<void> finish() = 0;

  virtual bool wants_websocket() const = 0;
  virtual boost::asio::awaitable<std::unique_ptr<WebSocket>> accept_websocket(WebSocketOptions options) = 0;

  // Closes the TCP connection with a reset, answering nothing: for the emulators' faults.
  virtual void abort() = 0;
};

using Handler = std::function<boost::asio::awaitable<void>(std::shared_ptr<const ServerRequest>, Exchange&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;        // 0: the system chooses
  std::string certificate_file;  // both set: TLS 1.2 or newer; reloaded when the files change
  std::string private_key_file;
  std::size_t header_limit = 16UL * 1024;  // the request line counts too
  std::size_t body_limit = 64UL * 1024;
  std::size_t connections = 4096;
  // Of one client: an IPv4 address, or a /64 of IPv6. 0: no cap, as behind a proxy, where all have its
  // address.
  std::size_t connections_per_peer = 0;
  storage::Duration header_time =
      std::chrono::seconds(10);  // from a request's first byte; the TLS handshake too
  storage::Duration body_time = std::chrono::seconds(20);
  storage::Duration idle_time = std::chrono::seconds(60);   // between requests
  storage::Duration write_time = std::chrono::seconds(30);  // for a client to take what one call writes
  // Told about a handler that threw (the client sees a bare 500), but not once the client is gone. May be
  // empty.
  std::function<void(const std::string& path, std::exception_ptr failure)> report;
};

class HttpServer {
 public:
  // Binds and listens at once; throws std::runtime_error saying which address and why. Serves from run() on.
  HttpServer(boost::asio::any_io_executor io, ServerOptions options, Handler handler);
  ~HttpServer();
  std::uint16_t port() const;
  bool secure() const;
  // Accepts until stop(), then returns once every connection has ended, those taken by WebSocket handlers
  // included. Cancelling it ends all of them at once. Spawn it once; the handler's objects must live until it
  // has returned.
  boost::asio::awaitable<void> run();
  // The first step of a shutdown: stops accepting and closes idle connections; requests in work get to
  // finish. The second is to cancel run().
  void stop();
  std::size_t connections() const;

 private:
  class Listener;
  std::shared_ptr<Listener> listener_;
};

}  // namespace keyturn::net
