// Runs a Session on real sockets: asks for URLs, connects, delivers envelopes, acknowledges them on the
// connection that brought them. Never gives up but on a dead token. Thread: io only. An acknowledgement that
// can't be sent is logged and counted, never fatal.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "integrations/net/websocket.h"
#include "integrations/slack/envelope.h"
#include "integrations/slack/session.h"
#include "integrations/slack/web_api.h"
#include "storage/clock.h"

namespace keyturn::slack {

// Handles one envelope; what it returns is acknowledged: a JSON object for the `payload`, or null for a plain
// one. It must have put on disk what must survive before it returns. If it throws, the envelope is not
// acknowledged, so that Slack delivers it again where it does.
using EnvelopeHandler = std::function<boost::asio::awaitable<nlohmann::json>(Envelope)>;

struct SocketModeEvents {  // for the log and the metrics; any may be empty
  std::function<void(Link, const std::string&)> link;
  std::function<void(const Hello&)> hello;
  std::function<void(const std::string&)> warn;
  std::function<void(storage::Duration since_delivery, bool sent)> acknowledged;
};

class SocketMode {
 public:
  // `app_api` carries the app-level token (xapp-). References must outlive this, and what `handler` and
  // `events` refer to must live until stop() has returned (or the io_context is gone).
  SocketMode(boost::asio::any_io_executor io, WebApi& app_api, const storage::Clock& clock,
             net::ClientOptions client, SessionOptions options, EnvelopeHandler handler,
             SocketModeEvents events);
  ~SocketMode();

  boost::asio::awaitable<void> run();  // until stop(), or a dead token (then it throws ApiError unauthorized)
  // Close frames on every connection, once the envelopes in work are acknowledged: at most a second for those
  // and a second for the frames.
  boost::asio::awaitable<void> stop();
  bool ready() const;

 private:
  class Runner;
  std::shared_ptr<Runner> runner_;
};

}  // namespace keyturn::slack
