// One WebSocket (RFC 6455), either side, behind plain awaitables. Text messages only; each is sent as one
// unfragmented frame (Slack drops fragmented ones). Answers pings while a read is outstanding; after half of
// `idle_limit` without any inbound byte it sends its own ping, and after the other half it gives up. Thread:
// io only. One reader and one writer at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "integrations/net/http_client.h"
#include "storage/clock.h"

namespace keyturn::net {

class WebSocket {
 public:
  virtual ~WebSocket() = default;

  // The next text message; nothing when the other side closed, or the connection broke (see why_closed).
  // Cancelling a read ends the connection: a frame may be half read.
  virtual boost::asio::awaitable<std::optional<std::string>> read() = 0;

  // Throws NetError when the connection is gone.
  virtual boost::asio::awaitable<void> write(std::string text) = 0;

  // While on, frames wait for each other to share packets (TCP_CORK), for 200 ms at most; off sends them.
  virtual void gather(bool on) = 0;

  // Sends a close frame, waits at most a second for the other side's, then closes the TCP connection. Never
  // fails. (A coroutine that was cancelled awaits reset_cancellation_state first, as before any cleanup that
  // awaits.)
  virtual boost::asio::awaitable<void> close(std::uint16_t code) = 0;

  // Closes the TCP connection at once, without a frame. A read that waits ends with nothing.
  virtual void abort() = 0;

  // "closed by peer: 1009 Max frame length...", "connection reset", "": for the log.
  virtual std::string why_closed() const = 0;
};

struct WebSocketOptions {
  std::size_t message_limit = 4UL * 1024 * 1024;
  storage::Duration idle_limit = std::chrono::seconds(30);
  bool keep_alive_pings = true;
};

// `url` is ws:// (loopback only, when `client` allows it) or wss://. Throws NetError; the URL is never in its
// text (Slack's carries a ticket).
boost::asio::awaitable<std::unique_ptr<WebSocket>> connect_websocket(boost::asio::any_io_executor io,
                                                                     std::string url, ClientOptions client,
                                                                     WebSocketOptions options);

}  // namespace keyturn::net
