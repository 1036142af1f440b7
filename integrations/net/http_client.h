// HTTP/1.1 over TCP or TLS, with kept connections, for every outside system.
// Thread: io only. TLS: certificates and host names are always checked, TLS 1.2 or newer; plain http only to
// loopback, and only when the settings allowed it. Redirects are never followed. Nothing of a request or
// response is logged here. A call that is cancelled from outside closes its connection and throws
// boost::system::system_error (operation_aborted), like every other await; everything else that fails is a
// NetError.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "integrations/net/message.h"
#include "storage/clock.h"

namespace keyturn::net {

// No whole answer came. `sent` says whether the request may have reached the other side: false means that
// nothing happened there; true means that it may have.
class NetError : public std::runtime_error {
 public:
  NetError(const std::string& what, bool request_was_sent)
      : std::runtime_error(what), sent(request_was_sent) {}
  const bool sent;
};

// A response whose body is read as it comes (log streams).
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  // The next bytes; an empty string when nothing came within `limit`; nothing when the body ended (or broke).
  virtual boost::asio::awaitable<std::optional<std::string>> read(storage::Duration limit) = 0;
};

struct ClientOptions {
  bool allow_plain_loopback = false;
  std::string certificate_authorities;  // a PEM file to trust besides the system's; empty: the system's only
  std::string user_agent = "keyturn";
  storage::Duration connect_limit = std::chrono::seconds(10);
  std::size_t response_limit = 8UL * 1024 * 1024;
  storage::Duration idle_limit = std::chrono::seconds(50);  // how long an unused connection is kept
  // Told of the head of every answer, before whoever asked sees it: for what belongs to no single call, such
  // as the vendor's clock.
  std::function<void(const std::string& origin, const Headers& headers)> answered;
};

class HttpClient {
 public:
  HttpClient(boost::asio::any_io_executor io, ClientOptions options);
  ~HttpClient();

  // Sends one request and reads the whole answer within `limit` (connecting included). Throws NetError.
  // A kept connection that turns out to be closed before any byte of the answer is replaced once, for GET and
  // HEAD.
  boost::asio::awaitable<Response> send(Request request, storage::Duration limit);

  // As send, but hands over the body as it comes. `limit` is for the headers.
  boost::asio::awaitable<std::unique_ptr<BodyStream>> open(Request request, storage::Duration limit);

 private:
  class Pool;
  std::shared_ptr<Pool> pool_;
};

}  // namespace keyturn::net
