// The server's side of a WebSocket, from a connection whose upgrade request was read. Internal to
// integrations/net.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "integrations/net/stream.h"
#include "integrations/net/websocket.h"

namespace keyturn::net {

bool asks_for_websocket(const std::string& method, const Headers& headers);

// Answers the upgrade. Throws NetError when the request is no proper upgrade or the client is gone.
boost::asio::awaitable<std::unique_ptr<WebSocket>> accept_websocket(Stream stream, std::string target,
                                                                    Headers headers,
                                                                    WebSocketOptions options);

}  // namespace keyturn::net
