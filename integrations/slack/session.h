// The Socket Mode connection as a state machine without I/O: inputs in, outputs out, so that every reconnect
// story is a unit test. One timer, an epoch per connection; a stale callback of an old connection can't touch
// a new one. Thread: none; the caller serialises. What is in here comes from docs.slack.dev "Using Socket
// Mode" and from field reports about what goes wrong.
//
// What the caller owes: an answer to every RequestUrl and Connect (however late), a Disconnected for every
// connection that was Connected (after a CloseConnection too), and TimerFired when the timer is due. A
// CloseConnection may name a connection that isn't there yet: then the caller has nothing to do.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/clock.h"

namespace keyturn::slack {

using Epoch = std::uint64_t;  // names one attempt: URL request, then connection

// ---- what happened
struct Started {};
struct UrlReceived {
  Epoch epoch;
  std::string url;
};
struct UrlRefused {  // apps.connections.open failed
  Epoch epoch;
  std::string error;  // Slack's, or "unreachable", "http 503"
  std::optional<storage::Duration> retry_after;
};
struct Connected {
  Epoch epoch;
};
struct ConnectFailed {
  Epoch epoch;
  std::string why;
};
struct TextReceived {
  Epoch epoch;
  std::string text;
};
struct Disconnected {
  Epoch epoch;
  std::string why;
};
struct TimerFired {};
struct StopRequested {};
using Input = std::variant<Started, UrlReceived, UrlRefused, Connected, ConnectFailed, TextReceived,
                           Disconnected, TimerFired, StopRequested>;

// ---- what to do, in this order
struct RequestUrl {
  Epoch epoch;
};
struct Connect {
  Epoch epoch;
  std::string url;
};
// With a close frame (1000), once what it delivered is acknowledged. What it delivers until then is still
// handed over.
struct CloseConnection {
  Epoch epoch;
  bool replaced = false;  // another one is ready: no hurry, envelopes may still be under way on this one
};
struct SetTimer {  // replaces the one timer
  storage::TimePoint at;
};
struct ClearTimer {};
struct Deliver {  // an envelope: handle it, acknowledge on `epoch`
  Epoch epoch;
  nlohmann::json message;
};
enum class Link { connecting, ready, stopped, dead_token };
struct LinkChanged {  // for readiness, metrics and the log
  Link link;
  std::string detail;
};
struct Hello {
  int num_connections;
  int held;
  std::string app;
};
struct Warn {  // a line for the log: another process on this token, link_disabled, ...
  std::string what;
};
using Output = std::variant<RequestUrl, Connect, CloseConnection, SetTimer, ClearTimer, Deliver, LinkChanged,
                            Hello, Warn>;

struct SessionOptions {
  storage::Duration first_backoff = std::chrono::seconds(1);
  storage::Duration longest_backoff = std::chrono::seconds(60);
  storage::Duration hello_limit = std::chrono::seconds(30);  // from Connect to hello
  // How long a connection that Slack wants replaced is kept without a replacement. Slack cuts it after about
  // ten seconds; closing it ourselves leaves no dead registration behind.
  storage::Duration old_connection_limit = std::chrono::seconds(8);
  storage::Duration link_disabled_backoff =
      std::chrono::minutes(1);  // and other troubles that only people end
  // A connection that lived this long was good: its end starts a new count of failures. A hello alone
  // doesn't, or a server that greets and hangs up would be called in a loop.
  storage::Duration stable_after = std::chrono::seconds(10);
  std::string expected_app;  // empty: not checked
};

class Session {
 public:
  Session(SessionOptions options, std::uint64_t seed);  // the seed drives the jitter
  std::vector<Output> step(const Input& input, storage::TimePoint now);

  bool ready() const;
  int held() const;  // open connections, with those that are being closed: what Slack counts
  std::optional<Epoch> current() const;  // the newest connection that said hello

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keyturn::slack
