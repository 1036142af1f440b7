// Slack's end of Socket Mode: tickets, hello, envelopes to one socket each, acknowledgements with their
// latency, and everything that goes wrong in the field (see socket_fault). Source: docs.slack.dev "Using
// Socket Mode". Thread: io only. Coroutines in here refer to this object: it must outlive the server that
// runs serve().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "deploy/sandbox/slack_rota.h"
#include "deploy/sandbox/slack_traffic.h"
#include "integrations/net/http_server.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

// Frames of this size and above are refused with 1009, as Slack does.
inline constexpr std::size_t kLongestClientFrame = 20480;
inline constexpr storage::Duration kAckLimit = std::chrono::seconds(3);

class SlackSockets {
 public:
  SlackSockets(boost::asio::any_io_executor io, const storage::Clock& clock, Traffic& traffic);
  ~SlackSockets();

  // A single-use ticket, to be carried in the socket's URL.
  std::string new_ticket();

  // One socket, from its handshake to its end.
  boost::asio::awaitable<void> serve(std::string ticket, net::Exchange& exchange);

  struct Outcome {
    bool acknowledged = false;  // within three seconds
    nlohmann::json payload;     // of the acknowledgement; null without one
    storage::Duration took{};
  };
  // Sends an envelope to one socket and waits for its acknowledgement, at most three seconds.
  boost::asio::awaitable<Outcome> deliver(std::string type, nlohmann::json payload,
                                          bool accepts_response_payload);

  // {"do": "refresh" | "refresh_requested" | "cut" | "too_many_websockets" | "link_disabled" | "half_open"
  // (each with "socket", else all of them; "seconds" until the cut) | "drop_acks" | "duplicate" (with
  // "count") | "delay_hello" (with "seconds") | "ghosts" (with "count") | "clear"}. An empty answer, or what
  // is wrong with the wish.
  std::string fault(const nlohmann::json& wish);

  nlohmann::json state() const;

 private:
  struct Connection;
  struct Pending;
  struct Delivery {  // an envelope and what became of it
    std::string type;
    int socket = 0;
    storage::TimePoint sent_at;
    std::optional<storage::Duration> latency;
  };

  boost::asio::awaitable<void> read_frames(std::shared_ptr<Connection> connection);
  boost::asio::awaitable<void> write_frames(std::shared_ptr<Connection> connection);
  boost::asio::awaitable<bool> write_frame(std::shared_ptr<Connection> connection, std::string text);
  boost::asio::awaitable<void> hold_half_open(std::shared_ptr<Connection> connection);
  void on_frame(Connection& connection, const std::string& text);
  void on_ack(const std::string& envelope, const nlohmann::json& frame);
  void send_envelope(const std::string& id, const std::string& type, nlohmann::json envelope);
  void disconnect(Connection& connection, const std::string& reason, storage::Duration until_cut);
  void fall_silent(Connection& connection);
  std::string hello() const;

  boost::asio::any_io_executor io_;
  const storage::Clock& clock_;
  Traffic& traffic_;
  std::set<std::string> tickets_;
  Rota rota_;
  std::map<int, std::shared_ptr<Connection>> connections_;
  std::map<std::string, std::shared_ptr<Pending>> pending_;
  std::map<std::string, Delivery> deliveries_;
  std::deque<std::string> order_;  // of deliveries_, oldest first
  int next_socket_ = 1;
  int opened_ = 0, refused_frames_ = 0, stray_frames_ = 0, dropped_acks_ = 0;
  int acks_to_drop_ = 0, to_duplicate_ = 0, ghosts_ = 0;
  storage::Duration hello_delay_{};
};

}  // namespace keyturn::sandbox
