// The Socket Mode connection as a state machine without I/O: inputs in, outputs out, so that every reconnect story is a
// unit test. One timer, an epoch per connection; a stale callback of an old connection can't touch a new one.
// Thread: none; the caller serialises. What is in here comes from docs.slack.dev "Using Socket Mode" and from field
// reports about what goes wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/clock.h"

namespace keyturn::slack {

using Epoch = std::uint64_t;  // names one attempt: URL request, then connection

// ---- what happened
struct Started {};
struct UrlReceived { Epoch epoch; std::string url; };
struct UrlRefused {  // apps.connections.open failed
  Epoch epoch;
  std::string error;  // Slack's, or "unreachable", "http 503"
  std::optional<storage::Duration> retry_after;
};
struct Connected { Epoch epoch; };
struct ConnectFailed { Epoch epoch; std::string why; };
struct TextReceived { Epoch epoch; std::string text; };
struct Disconnected { Epoch epoch; std::string why; };
struct TimerFired {};
struct StopRequested {};
using Input = std::variant<Started, UrlReceived, UrlRefused, Connected, ConnectFailed, TextReceived, Disconnected,
                           TimerFired, StopRequested>;

// ---- what to do
struct RequestUrl { Epoch epoch; };
struct Connect { Epoch epoch; std::string url; };
struct CloseConnection { Epoch epoch; };  // with a close frame (1000)
struct SetTimer { storage::TimePoint at; };  // replaces the one timer
struct ClearTimer {};
struct Deliver { Epoch epoch; std::string text; };  // an envelope: handle it, acknowledge on `epoch`
enum class Link { connecting, ready, stopped, dead_token };
struct LinkChanged { Link link; std::string detail; };  // for readiness, metrics and the log
struct Hello { int num_connections; int held; std::string app; };
struct Warn { std::string what; };  // a line for the log: another process on this token, link_disabled, ...
using Output = std::variant<RequestUrl, Connect, CloseConnection, SetTimer, ClearTimer, Deliver, LinkChanged, Hello, Warn>;

struct SessionOptions {
  storage::Duration first_backoff = std::chrono::seconds(1);
  storage::Duration longest_backoff = std::chrono::seconds(60);
  storage::Duration hello_limit = std::chrono::seconds(30);
  storage::Duration old_connection_limit = std::chrono::seconds(8);  // how long a replaced one is kept for its acks
  storage::Duration link_disabled_backoff = std::chrono::minutes(1);
  std::string expected_app;  // empty: not checked
};

class Session {
 public:
  Session(SessionOptions options, std::uint64_t seed);  // the seed drives the jitter
  std::vector<Output> step(const Input& input, storage::TimePoint now);

  bool ready() const;
  int held() const;  // open connections

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keyturn::slack
