#include "deploy/sandbox/slack_sockets.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>

#include "deploy/sandbox/slack_people.h"
#include "integrations/net/within.h"
#include "storage/ids.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr storage::Duration kNoticeBeforeCut = 10s;  // Slack warns about ten seconds ahead
constexpr storage::Duration kHalfOpenHold = 120s;
// No pings of our own: a socket that falls silent must be silent. The client's pings keep the others alive.
constexpr net::WebSocketOptions kSocketOptions{.idle_limit = 10min, .keep_alive_pings = false};
constexpr std::size_t kRemembered = 100'000;  // deliveries, for late acknowledgements
constexpr std::size_t kShown = 200;           // of them in state()

storage::Duration seconds_in(const json& wish, storage::Duration otherwise) {
  const auto found = wish.find("seconds");
  if (found == wish.end() || !found->is_number()) return otherwise;
  return storage::Duration(static_cast<std::int64_t>(found->get<double>() * 1000));
}

}  // namespace

struct SlackSockets::Connection {
  Connection(int number, std::unique_ptr<net::WebSocket> ws, const boost::asio::any_io_executor& io,
             storage::TimePoint now)
      : id(number), socket(std::move(ws)), wake(io), since(now) {}

  const int id;
  std::unique_ptr<net::WebSocket> socket;
  boost::asio::steady_timer wake;  // cancelled whenever the writer has something to look at
  std::deque<std::string> outbox;
  std::optional<storage::TimePoint> cut_at;
  std::uint16_t close_code = 1000;
  bool greeted = false, half_open = false, reset = false;
  bool falls_silent = false;  // half open as soon as the next frame is in
  int envelopes = 0, acks = 0;
  const storage::TimePoint since;
};

struct SlackSockets::Pending {
  explicit Pending(const boost::asio::any_io_executor& io) : signal(io) {}
  boost::asio::steady_timer signal;
  bool acknowledged = false;
  json payload;
};

SlackSockets::SlackSockets(boost::asio::any_io_executor io, const storage::Clock& clock, Traffic& traffic)
    : io_(std::move(io)), clock_(clock), traffic_(traffic) {}
SlackSockets::~SlackSockets() = default;

std::string SlackSockets::new_ticket() {
  std::string ticket = storage::new_uuid();
  tickets_.insert(ticket);
  return ticket;
}

boost::asio::awaitable<void> SlackSockets::serve(std::string ticket, net::Exchange& exchange) {
  using namespace boost::asio::experimental::awaitable_operators;
  if (!exchange.wants_websocket() || tickets_.erase(ticket) == 0) {
    co_await exchange.respond(net::Response(408, {}, "invalid ticket"));
    co_return;
  }
  auto socket = co_await exchange.accept_websocket(kSocketOptions);
  auto connection = std::make_shared<Connection>(next_socket_++, std::move(socket), io_, clock_.now());
  connections_[connection->id] = connection;
  ++opened_;
  co_await (read_frames(connection) || write_frames(connection));
  if (connection->half_open) co_await hold_half_open(connection);
  rota_.remove(connection->id);
  connections_.erase(connection->id);
  if (connection->half_open || connection->reset) {
    connection->socket->abort();
  } else {
    co_await connection->socket->close(connection->close_code);
  }
}

// The socket stays open and registered, and nobody reads or writes: what a NAT that forgot us looks like.
boost::asio::awaitable<void> SlackSockets::hold_half_open(std::shared_ptr<Connection> connection) {
  boost::system::error_code ignored;
  connection->wake.expires_after(kHalfOpenHold);
  co_await connection->wake.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

boost::asio::awaitable<void> SlackSockets::read_frames(std::shared_ptr<Connection> connection) {
  while (const auto text = co_await connection->socket->read()) {
    traffic_.record("slack", "frame", *text);
    if (text->size() >= kLongestClientFrame) {
      ++refused_frames_;
      connection->close_code = 1009;
      co_return;
    }
    on_frame(*connection, *text);
    if (connection->falls_silent) {
      connection->half_open = true;
      co_return;
    }
  }
}

boost::asio::awaitable<void> SlackSockets::write_frames(std::shared_ptr<Connection> connection) {
  if (hello_delay_ > 0s) co_await net::sleep_for(hello_delay_);
  if (rota_.full()) {
    disconnect(*connection, "too_many_websockets", 0s);
  } else {
    rota_.add(connection->id);
    connection->greeted = true;
    connection->outbox.push_front(hello());
  }
  while (!connection->half_open && !connection->reset) {
    while (!connection->outbox.empty()) {
      std::string text = std::move(connection->outbox.front());
      connection->outbox.pop_front();
      traffic_.record("bot", "frame", text);
      if (!co_await write_frame(connection, std::move(text))) co_return;
    }
    const auto now = clock_.now();
    if (connection->cut_at && *connection->cut_at <= now) co_return;
    const storage::Duration wait = connection->cut_at ? *connection->cut_at - now : storage::Duration(1h);
    boost::system::error_code woken;
    connection->wake.expires_after(wait);
    co_await connection->wake.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
  }
}

// False when the connection is gone.
boost::asio::awaitable<bool> SlackSockets::write_frame(std::shared_ptr<Connection> connection,
                                                       std::string text) {
  try {
    co_await connection->socket->write(std::move(text));
    co_return true;
  } catch (const net::NetError&) {
    co_return false;
  }
}

std::string SlackSockets::hello() const {
  return json{{"type", "hello"},
              {"num_connections", rota_.size() + static_cast<std::size_t>(ghosts_)},
              {"debug_info",
               {{"host", "applink-sandbox"}, {"build_number", 1}, {"approximate_connection_time", 18060}}},
              {"connection_info", {{"app_id", kApp}}}}
      .dump();
}

void SlackSockets::on_frame(Connection& connection, const std::string& text) {
  const json frame = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!frame.is_object() || !frame.contains("envelope_id") || !frame["envelope_id"].is_string()) {
    ++stray_frames_;
    return;
  }
  ++connection.acks;
  on_ack(frame["envelope_id"].get<std::string>(), frame);
}

void SlackSockets::on_ack(const std::string& envelope, const json& frame) {
  if (acks_to_drop_ > 0) {
    --acks_to_drop_;
    ++dropped_acks_;
    return;
  }
  const auto delivery = deliveries_.find(envelope);
  if (delivery == deliveries_.end()) {
    ++stray_frames_;
    return;
  }
  if (!delivery->second.latency) delivery->second.latency = clock_.now() - delivery->second.sent_at;
  const auto pending = pending_.find(envelope);
  if (pending == pending_.end()) return;  // late, or the second acknowledgement
  pending->second->acknowledged = true;
  pending->second->payload = frame.value("payload", json());
  pending->second->signal.cancel();
}

boost::asio::awaitable<SlackSockets::Outcome> SlackSockets::deliver(std::string type, json payload,
                                                                    bool accepts_response_payload) {
  json envelope = {
      {"type", type}, {"accepts_response_payload", accepts_response_payload}, {"payload", payload}};
  if (type == "events_api") {
    envelope["retry_attempt"] = 0;
    envelope["retry_reason"] = "";
  }
  const std::string id = storage::new_uuid();
  const auto pending = std::make_shared<Pending>(io_);
  pending_[id] = pending;
  pending->signal.expires_after(kAckLimit);
  const auto sent_at = clock_.now();
  send_envelope(id, type, envelope);
  if (to_duplicate_ > 0) {  // a redelivery: the same payload in an envelope of its own
    --to_duplicate_;
    if (type == "events_api") envelope["retry_attempt"] = 1;
    send_envelope(storage::new_uuid(), type, envelope);
  }
  boost::system::error_code woken;
  if (deliveries_.contains(id)) {
    co_await pending->signal.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
  }
  pending_.erase(id);
  co_return Outcome{.acknowledged = pending->acknowledged,
                    .payload = std::move(pending->payload),
                    .took = clock_.now() - sent_at};
}

// To the next socket in turn; to nobody when there is none, and then the envelope is lost.
void SlackSockets::send_envelope(const std::string& id, const std::string& type, json envelope) {
  const auto socket = rota_.next();
  if (!socket) return;
  deliveries_[id] = {.type = type, .socket = *socket, .sent_at = clock_.now()};
  order_.push_back(id);
  if (order_.size() > kRemembered) {
    deliveries_.erase(order_.front());
    order_.pop_front();
  }
  Connection& connection = *connections_.at(*socket);
  ++connection.envelopes;
  if (connection.half_open) return;
  envelope["envelope_id"] = id;
  connection.outbox.push_back(envelope.dump());
  connection.wake.cancel();
}

void SlackSockets::disconnect(Connection& connection, const std::string& reason,
                              storage::Duration until_cut) {
  json message = {{"type", "disconnect"}, {"reason", reason}, {"debug_info", {{"host", "applink-sandbox"}}}};
  if (reason == "too_many_websockets") {
    message["num_connections"] = rota_.size();
    message["connection_info"] = {{"app_id", kApp}};
  }
  connection.outbox.push_back(message.dump());
  connection.cut_at = clock_.now() + until_cut;
  connection.wake.cancel();
}

// A read that waits can't be abandoned without ending the connection, and answers pings while it waits. So
// the client is made to send one more frame, and nothing is read after that. A client that doesn't
// acknowledge types it doesn't know (Bolt) is silenced by whatever it acknowledges next.
void SlackSockets::fall_silent(Connection& connection) {
  connection.falls_silent = true;
  const json nudge = {{"envelope_id", storage::new_uuid()},
                      {"type", "sandbox_nudge"},
                      {"accepts_response_payload", false},
                      {"payload", json::object()}};
  connection.outbox.push_back(nudge.dump());
  connection.wake.cancel();
}

std::string SlackSockets::fault(const json& wish) {
  const std::string what = wish.value("do", "");
  const int count = wish.value("count", 1);
  if (what == "drop_acks") return acks_to_drop_ = count, "";
  if (what == "duplicate") return to_duplicate_ = count, "";
  if (what == "ghosts") return ghosts_ = count, "";
  if (what == "delay_hello") return hello_delay_ = seconds_in(wish, 5s), "";
  if (what == "clear") {
    acks_to_drop_ = to_duplicate_ = ghosts_ = 0;
    hello_delay_ = {};
    return "";
  }
  const int chosen = wish.value("socket", 0);
  for (const auto& [id, connection] : connections_) {
    if (chosen != 0 && id != chosen) continue;
    if (what == "refresh") {
      disconnect(*connection, "warning", seconds_in(wish, kNoticeBeforeCut));
    } else if (what == "refresh_requested") {
      disconnect(*connection, what, seconds_in(wish, kNoticeBeforeCut));
    } else if (what == "too_many_websockets" || what == "link_disabled") {
      disconnect(*connection, what, seconds_in(wish, 0s));
    } else if (what == "cut") {
      connection->reset = true;
      connection->wake.cancel();
    } else if (what == "half_open") {
      fall_silent(*connection);
    } else {
      return "unknown wish: " + what;
    }
  }
  return "";
}

json SlackSockets::state() const {
  json sockets = json::array();
  for (const auto& [id, connection] : connections_) {
    sockets.push_back({{"id", id},
                       {"since", storage::to_iso8601(connection->since)},
                       {"greeted", connection->greeted},
                       {"half_open", connection->half_open},
                       {"leaving", connection->cut_at.has_value()},
                       {"envelopes", connection->envelopes},
                       {"acks", connection->acks}});
  }
  json deliveries = json::array();
  for (std::size_t i = order_.size() > kShown ? order_.size() - kShown : 0; i < order_.size(); ++i) {
    const Delivery& delivery = deliveries_.at(order_[i]);
    deliveries.push_back({{"envelope_id", order_[i]},
                          {"type", delivery.type},
                          {"socket", delivery.socket},
                          {"milliseconds", delivery.latency ? json(delivery.latency->count()) : json()},
                          {"late", delivery.latency && *delivery.latency > kAckLimit}});
  }
  return {{"sockets", sockets},
          {"opened", opened_},
          {"deliveries", deliveries},
          {"refused_frames", refused_frames_},
          {"stray_frames", stray_frames_},
          {"dropped_acks", dropped_acks_}};
}

}  // namespace keyturn::sandbox
