// The thin shell around Session: every output becomes a call or a coroutine, every end of one becomes an
// input. See socket_mode.h. Coroutines in here are static and hold the runner, so that it outlives them.
#include "integrations/slack/socket_mode.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/core/demangle.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <typeinfo>
#include <utility>

#include "integrations/net/within.h"
#include "integrations/slack/wire.h"

namespace keyturn::slack {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;
using integrations::ApiError;
using nlohmann::json;
using storage::Duration;
using Steady = std::chrono::steady_clock;

constexpr Duration kUrlLimit = std::chrono::seconds(10);
constexpr Duration kConnectLimit = std::chrono::seconds(25);  // name, TCP, TLS and upgrade together
// Slack drops frames of 20 KiB and more without a word, or closes with 1009; what is this large belongs into
// a Web API call, where errors are answered.
constexpr std::size_t kLongestAck = 16UL * 1024;
constexpr std::uint16_t kNormalClosure = 1000;
// How long a connection that is to be closed waits for the envelopes in work.
constexpr Duration kDrainLimit = std::chrono::seconds(1);
constexpr Duration kReplacedDrainLimit = std::chrono::seconds(2);
constexpr Duration kQuiet = std::chrono::milliseconds(200);  // no envelope for so long: none is under way
constexpr Duration kDrainStep = std::chrono::milliseconds(10);
constexpr Duration kStopLimit = std::chrono::milliseconds(2500);

struct Ack {
  std::string text;
  Steady::time_point delivered;
  bool second_try = false;
};

struct OpenSocket {
  Epoch epoch = 0;
  std::unique_ptr<net::WebSocket> socket;
  bool open = true;  // acknowledgements may be written
  bool closing = false;
  int in_flight = 0;  // envelopes that were delivered and are not dealt with
  Steady::time_point last_delivery;
  std::deque<Ack> queue;
  bool writing = false;

  bool idle() const { return in_flight == 0 && queue.empty() && !writing; }
};
using SharedSocket = std::shared_ptr<OpenSocket>;

class InFlight {
 public:
  explicit InFlight(SharedSocket connection) : connection_(std::move(connection)) {
    ++connection_->in_flight;
  }
  InFlight(InFlight&&) noexcept = default;
  InFlight& operator=(InFlight&&) = delete;
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (connection_) --connection_->in_flight;
  }

 private:
  SharedSocket connection_;
};

// Several frames in as few packets as they fit.
class Gathering {
 public:
  Gathering(net::WebSocket& socket, bool wanted) : socket_(wanted ? &socket : nullptr) {
    if (socket_ != nullptr) socket_->gather(true);
  }
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;
  ~Gathering() {
    if (socket_ != nullptr) socket_->gather(false);
  }

 private:
  net::WebSocket* socket_;
};

std::string_view kind_of(const Envelope& envelope) {
  if (std::holds_alternative<SlashCommand>(envelope.content)) return "a slash command";
  return std::holds_alternative<std::vector<Click>>(envelope.content) ? "a click" : "an event";
}

// Never what() of an exception that isn't ours: JSON's and others' quote what they choke on.
std::string in_words(std::exception_ptr failure) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const ApiError& error) {
    return error.what();
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted ? "it was cancelled" : error.code().message();
  } catch (const std::exception& error) {
    return boost::core::demangle(typeid(error).name());
  } catch (...) {
    return "an unknown exception";
  }
}

std::string ack_text(const std::string& id, const json& payload) {
  json ack = {{"envelope_id", id}};
  if (!payload.is_null()) ack["payload"] = payload;
  return ack.dump(-1, ' ', false, json::error_handler_t::replace);
}

Input url_in(Epoch epoch, const json& answer) {
  const auto url = answer.find("url");
  if (url == answer.end() || !url->is_string()) {
    return UrlRefused{.epoch = epoch, .error = "an answer without a URL", .retry_after = std::nullopt};
  }
  return UrlReceived{.epoch = epoch, .url = url->get<std::string>()};
}

}  // namespace

class SocketMode::Runner : public std::enable_shared_from_this<SocketMode::Runner> {
  using Self = std::shared_ptr<Runner>;

 public:
  Runner(asio::any_io_executor io, WebApi& app_api, const storage::Clock& clock, net::ClientOptions client,
         SessionOptions options, EnvelopeHandler handler, SocketModeEvents events)
      : io_(std::move(io)),
        app_api_(app_api),
        client_(std::move(client)),
        handler_(std::move(handler)),
        events_(std::move(events)),
        session_(std::move(options), std::random_device{}()),
        timer_(io_, Steady::time_point::max()),
        over_signal_(io_, Steady::time_point::max()),
        started_at_(clock.now()),
        attempts_(io_,
                  [this](const std::string& task, std::exception_ptr failure) { report(task, failure); }),
        tasks_(io_, [this](const std::string& task, std::exception_ptr failure) { report(task, failure); }) {}

  bool ready() const { return session_.ready(); }

  static awaitable<void> run(Self self) {
    self->tasks_.spawn("the socket's timer", keep_time(self));
    self->feed(Started{});
    while (!self->over_) {
      error_code woken;
      co_await self->over_signal_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(woken);
    }
    co_await self->tasks_.wait(kStopLimit);
    if (self->dead_) throw ApiError(self->token_refused());
  }

  static awaitable<void> stop(Self self) {
    self->feed(StopRequested{});
    self->attempts_.cancel();
    if (co_await self->tasks_.wait(kStopLimit)) co_return;
    self->cut_off();
    co_await self->tasks_.wait(kDrainLimit);
  }

  // The owner dies: nobody is told anything any more.
  void abandon() {
    events_ = {};
    finish();
    cut_off();
  }

 private:
  // ---- inputs to outputs

  // Outputs may bring inputs with them (a callback that stops us); they wait for their turn.
  void feed(Input input) {
    inputs_.push_back(std::move(input));
    if (feeding_) return;
    struct Turn {
      bool& taken;
      explicit Turn(bool& flag) : taken(flag) { taken = true; }
      ~Turn() { taken = false; }
    } turn(feeding_);
    while (!inputs_.empty()) {
      const Input next = std::move(inputs_.front());
      inputs_.pop_front();
      for (Output& output : session_.step(next, now())) {
        std::visit([this](auto& what) { perform(what); }, output);
      }
    }
  }

  void perform(const RequestUrl& wanted) {
    attempts_.spawn("the request for a socket URL", request_url(shared_from_this(), wanted.epoch));
  }

  void perform(Connect& wanted) {
    attempts_.spawn("the connection to Slack",
                    connect(shared_from_this(), wanted.epoch, std::move(wanted.url)));
  }

  void perform(const CloseConnection& wanted) {
    const SharedSocket connection = connection_of(wanted.epoch);
    if (!connection || std::exchange(connection->closing, true)) return;
    tasks_.spawn("closing a connection", close(shared_from_this(), connection, wanted.replaced));
  }

  void perform(const SetTimer& wanted) { timer_.expires_at(started_ + (wanted.at - started_at_)); }
  void perform(const ClearTimer&) { timer_.expires_at(Steady::time_point::max()); }

  void perform(Deliver& delivery) {
    const SharedSocket connection = connection_of(delivery.epoch);
    if (!connection) return;
    connection->last_delivery = Steady::now();
    tasks_.spawn("an envelope", handle(shared_from_this(), connection, InFlight(connection),
                                       connection->last_delivery, std::move(delivery.message)));
  }

  void perform(const LinkChanged& change) {
    if (events_.link) events_.link(change.link, change.detail);
    if (change.link != Link::stopped && change.link != Link::dead_token) return;
    dead_ = change.link == Link::dead_token;
    why_dead_ = change.detail;
    finish();
  }

  void perform(const Hello& hello) {
    if (events_.hello) events_.hello(hello);
  }

  void perform(const Warn& warning) { warn(warning.what); }

  // ---- the timer

  // The wall clock at the start, and steady time since: a clock that is set must not stop a backoff from
  // ending.
  storage::TimePoint now() const {
    return started_at_ + std::chrono::duration_cast<Duration>(Steady::now() - started_);
  }

  static awaitable<void> keep_time(Self self) {
    while (!self->over_) {
      error_code moved;  // expires_at() ends the wait; the next turn waits for the new time
      co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, moved));
      if (moved || self->over_) continue;
      self->timer_.expires_at(Steady::time_point::max());
      self->feed(TimerFired{});
    }
  }

  // ---- a connection's life

  // Each of these two answers, whatever happens: without an answer the session would wait for ever.
  static awaitable<void> request_url(Self self, Epoch epoch) {
    Input answer = UrlRefused{.epoch = epoch, .error = "", .retry_after = std::nullopt};
    try {
      answer =
          url_in(epoch, co_await self->app_api_.call("apps.connections.open", json::object(), kUrlLimit));
    } catch (const ApiError& error) {
      answer = UrlRefused{
          .epoch = epoch, .error = error.details().reason, .retry_after = error.details().retry_after};
    } catch (...) {
      answer = UrlRefused{
          .epoch = epoch, .error = in_words(std::current_exception()), .retry_after = std::nullopt};
    }
    self->feed(std::move(answer));
  }

  static awaitable<void> connect(Self self, Epoch epoch, std::string url) {
    std::string failure;
    auto connection = std::make_shared<OpenSocket>();
    connection->epoch = epoch;
    try {
      connection->socket = co_await open_socket(self, std::move(url));
      if (!connection->socket) failure = "no connection in time";
    } catch (const net::NetError& error) {
      failure = error.what();
    } catch (...) {
      failure = in_words(std::current_exception());
    }
    if (!connection->socket) co_return self->feed(ConnectFailed{.epoch = epoch, .why = std::move(failure)});
    self->connections_[epoch] = connection;
    self->tasks_.spawn("reading a connection", read(self, connection));
    self->feed(Connected{epoch});
  }

  static awaitable<std::unique_ptr<net::WebSocket>> open_socket(Self self, std::string url) {
    if (!may_connect_to(url, self->client_.allow_plain_loopback)) {
      throw net::NetError("Slack answered with a URL that is not Slack's", /*request_was_sent=*/false);
    }
    auto socket = co_await net::within(
        kConnectLimit,
        net::connect_websocket(self->io_, std::move(url), self->client_, net::WebSocketOptions()));
    co_return socket ? std::move(*socket) : nullptr;
  }

  static awaitable<void> read(Self self, SharedSocket connection) {
    try {
      while (auto text = co_await connection->socket->read()) {
        self->feed(TextReceived{.epoch = connection->epoch, .text = std::move(*text)});
      }
    } catch (const boost::system::system_error&) {  // cancelled: the connection is over, and said to be
    }
    connection->open = false;
    self->connections_.erase(connection->epoch);
    self->feed(Disconnected{.epoch = connection->epoch, .why = connection->socket->why_closed()});
  }

  static awaitable<void> close(Self self, SharedSocket connection, bool replaced) {
    co_await drain(self, connection, replaced);
    connection->open = false;
    co_await connection->socket->close(kNormalClosure);
  }

  // Until all that was delivered is acknowledged. On a connection that was replaced, until nothing has come
  // for a while too: Slack may have sent an envelope there a moment before it saw the other one.
  static awaitable<void> drain(Self self, SharedSocket connection, bool replaced) {
    const auto begun = Steady::now();
    const auto limit = begun + (replaced ? kReplacedDrainLimit : kDrainLimit);
    const auto quiet = [&] { return Steady::now() - std::max(begun, connection->last_delivery) >= kQuiet; };
    const auto drained = [&] { return connection->idle() && (!replaced || self->over_ || quiet()); };
    while (connection->open && !drained() && Steady::now() < limit) co_await net::sleep_for(kDrainStep);
  }

  // ---- an envelope's life

  static awaitable<void> handle(Self self, SharedSocket connection, [[maybe_unused]] InFlight in_flight,
                                Steady::time_point delivered, json message) {
    std::optional<Envelope> envelope = parse_envelope(std::move(message));
    if (!envelope) co_return;
    const std::string id = envelope->id;
    const bool takes_payload = envelope->accepts_response_payload;
    const std::string_view kind = kind_of(*envelope);

    json payload;
    std::exception_ptr failure;
    try {
      payload = co_await self->handler_(std::move(*envelope));
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      self->warn(
          fmt::format("{} was not acknowledged, because handling it failed: {}", kind, in_words(failure)));
      co_return;
    }
    if (!payload.is_null() && !takes_payload) {
      self->warn(fmt::format("{} takes no answer in its acknowledgement; it was left out", kind));
      payload = nullptr;
    }
    co_await acknowledge(self, connection, {.text = self->sized(id, payload), .delivered = delivered});
  }

  std::string sized(const std::string& id, const json& payload) {
    std::string text = ack_text(id, payload);
    if (text.size() <= kLongestAck) return text;
    warn(fmt::format(
        "an acknowledgement of {} bytes is more than Slack takes; it was sent without its payload",
        text.size()));
    return ack_text(id, nullptr);
  }

  // One writer at a time: whoever finds none becomes it, and writes what others add meanwhile. The idle limit
  // of the connection bounds each write.
  static awaitable<void> acknowledge(Self self, SharedSocket connection, Ack ack) {
    connection->queue.push_back(std::move(ack));
    if (connection->writing) co_return;
    struct Writing {
      OpenSocket& of;
      explicit Writing(OpenSocket& connection) : of(connection) { of.writing = true; }
      ~Writing() { of.writing = false; }
    } writing(*connection);
    // What reached the disk together is about to be acknowledged in this very turn of the loop: let it join.
    co_await asio::post(self->io_, asio::use_awaitable);
    while (!connection->queue.empty()) {
      std::deque<Ack> together = std::exchange(connection->queue, {});
      const Gathering gathering(*connection->socket, together.size() > 1);
      for (Ack& next : together) {
        if (co_await written(connection, next.text)) {
          self->acknowledged(next, /*sent=*/true);
        } else {
          self->pass_on(*connection, std::move(next));
        }
      }
    }
  }

  static awaitable<bool> written(SharedSocket connection, std::string text) {
    if (!connection->open) co_return false;
    try {
      co_await connection->socket->write(std::move(text));
      co_return true;
    } catch (const net::NetError&) {
      connection->open = false;  // the reader learns why, and reports it
      co_return false;
    }
  }

  // Slack knows envelopes by their id, not by their socket: a lost one's acknowledgement goes over the
  // newest.
  void pass_on(const OpenSocket& from, Ack ack) {
    const SharedSocket other = session_.current() ? connection_of(*session_.current()) : nullptr;
    if (ack.second_try || !other || other.get() == &from || !other->open) {
      acknowledged(ack, /*sent=*/false);
      return warn("an acknowledgement could not be sent: its connection is gone, and no other is ready");
    }
    ack.second_try = true;
    tasks_.spawn("an acknowledgement on another connection",
                 acknowledge(shared_from_this(), other, std::move(ack)));
  }

  // ---- the small change

  SharedSocket connection_of(Epoch epoch) const {
    const auto found = connections_.find(epoch);
    return found == connections_.end() ? nullptr : found->second;
  }

  void acknowledged(const Ack& ack, bool sent) {
    if (!events_.acknowledged) return;
    events_.acknowledged(std::chrono::duration_cast<Duration>(Steady::now() - ack.delivered), sent);
  }

  void warn(const std::string& what) {
    if (events_.warn) events_.warn(what);
  }

  void report(const std::string& task, std::exception_ptr failure) {
    warn(fmt::format("{} failed: {}", task, in_words(std::move(failure))));
  }

  void finish() {
    over_ = true;
    over_signal_.cancel();
    timer_.cancel();
  }

  void cut_off() {
    attempts_.cancel();
    tasks_.cancel();
    for (const auto& [epoch, connection] : connections_) connection->socket->abort();
  }

  ApiError::Details token_refused() const {
    return {.system = integrations::System::slack,
            .failure = integrations::Failure::unauthorized,
            .operation = "ask for a socket with the app-level token",
            .reason = why_dead_,
            .status = 0,
            .request_id = "",
            .retry_after = std::nullopt};
  }

  asio::any_io_executor io_;
  WebApi& app_api_;
  net::ClientOptions client_;
  EnvelopeHandler handler_;
  SocketModeEvents events_;
  Session session_;
  std::map<Epoch, SharedSocket> connections_;
  std::deque<Input> inputs_;
  bool feeding_ = false;
  bool over_ = false;  // stopped, or the token is dead
  bool dead_ = false;
  std::string why_dead_;
  asio::steady_timer timer_;
  asio::steady_timer over_signal_;
  const storage::TimePoint started_at_;
  const Steady::time_point started_ = Steady::now();
  net::TaskGroup attempts_;  // URL requests and connections being made: dropped at once on a stop
  net::TaskGroup tasks_;
};

SocketMode::SocketMode(asio::any_io_executor io, WebApi& app_api, const storage::Clock& clock,
                       net::ClientOptions client, SessionOptions options, EnvelopeHandler handler,
                       SocketModeEvents events)
    : runner_(std::make_shared<Runner>(std::move(io), app_api, clock, std::move(client), std::move(options),
                                       std::move(handler), std::move(events))) {}

SocketMode::~SocketMode() { runner_->abandon(); }

awaitable<void> SocketMode::run() { return Runner::run(runner_); }

awaitable<void> SocketMode::stop() { return Runner::stop(runner_); }

bool SocketMode::ready() const { return runner_->ready(); }

}  // namespace keyturn::slack
