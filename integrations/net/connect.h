// From a URL to a connected stream. Internal to integrations/net. Thread: io only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>

#include "integrations/net/http_client.h"
#include "integrations/net/names.h"
#include "integrations/net/stream.h"
#include "integrations/net/tls.h"
#include "integrations/net/url.h"

namespace keyturn::net {

// Looks the name up, connects (each address in turn) and shakes hands, all within `options.connect_limit`.
// Plain connections go to loopback addresses only, whatever the name resolves to. Throws NetError with sent =
// false; a cancellation from outside throws operation_aborted.
boost::asio::awaitable<Stream> connect_stream(Url url, ClientOptions options, std::shared_ptr<TlsClient> tls,
                                              std::shared_ptr<Names> names);

// Throws NetError (sent = false) for a URL that we don't call: malformed, or plain where only TLS is allowed.
Url checked_url(const std::string& text, const ClientOptions& options);

// "connection refused": the system's words, for the end of our sentence.
std::string in_words(const boost::system::error_code& error);

// The coroutine around us was cancelled: unwind, instead of reporting a failure of the network.
boost::asio::awaitable<void> throw_if_cancelled();

}  // namespace keyturn::net
