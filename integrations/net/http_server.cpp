#include "integrations/net/http_server.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <set>
#include <stdexcept>

#include "integrations/net/client_address.h"
#include "integrations/net/connect.h"
#include "integrations/net/http_parser.h"
#include "integrations/net/server_request.h"
#include "integrations/net/stream.h"
#include "integrations/net/tls.h"
#include "integrations/net/websocket_accept.h"
#include "integrations/net/wiping_buffer.h"
#include "integrations/net/within.h"

namespace keyturn::net {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadSize = 8UL * 1024;
constexpr std::size_t kRefusalsAtOnce = 64;
constexpr storage::Duration kGoodbyeTime = std::chrono::seconds(2);
constexpr storage::Duration kAfterAcceptError = std::chrono::milliseconds(100);

// Closes over one connection's I/O: when the time is up, what is pending ends with an error, and expired()
// says why. It ends again every now and then until clear(): an operation of several steps (a TLS record, a
// long answer) may have been between two of them, with nothing pending, and would wait for ever in the next
// one.
class Deadline {
 public:
  Deadline(asio::any_io_executor io, Stream& stream)
      : state_(std::make_shared<State>(State{asio::steady_timer(io), &stream})) {}
  ~Deadline() {
    state_->stream = nullptr;
    clear();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void set(storage::Duration limit) { wait(state_, limit, ++state_->round); }
  void clear() {
    ++state_->round;
    state_->timer.cancel();
  }
  bool expired() const { return state_->expired; }

 private:
  static constexpr storage::Duration kAgain = std::chrono::milliseconds(100);

  struct State {
    asio::steady_timer timer;
    Stream* stream;
    std::uint64_t round = 0;
    bool expired = false;
  };

  // Setting the time cancels the wait before; but that may be on its way already, hence the round.
  static void wait(const std::shared_ptr<State>& state, storage::Duration limit, std::uint64_t round) {
    state->timer.expires_after(limit);
    state->timer.async_wait([state, round](error_code error) {
      if (error || state->stream == nullptr || state->round != round) return;
      state->expired = true;
      state->stream->cancel();
      wait(state, kAgain, round);
    });
  }

  std::shared_ptr<State> state_;
};

int status_of(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  return 400;
}

bool has_no_body(int status) { return status / 100 == 1 || status == 204 || status == 304; }

std::string peer_of(Stream& stream) {
  error_code error;
  const auto endpoint = stream.socket().remote_endpoint(error);
  return error ? "" : endpoint.address().to_string();
}

void append_response_header(WipingBuffer& bytes, std::string_view name, std::string_view value) {
  if (!safe_header(name, value))
    throw std::invalid_argument("a header of the response holds a forbidden character");
  bytes.append(name);
  bytes.append(": ");
  bytes.append(value);
  bytes.append("\r\n");
}

WipingBuffer head_of(int status, const Headers& headers, const Headers& ours) {
  WipingBuffer bytes(1024);
  bytes.append(fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status)));
  for (const auto& [name, value] : headers) append_response_header(bytes, name, value);
  for (const auto& [name, value] : ours) append_response_header(bytes, name, value);
  bytes.append("\r\n");
  return bytes;
}

}  // namespace

class HttpServer::Listener : public std::enable_shared_from_this<HttpServer::Listener> {
 public:
  class Client;
  class Reply;

  Listener(asio::any_io_executor io, ServerOptions options, Handler handler);

  std::uint16_t port() const { return port_; }
  bool secure() const { return tls_ != nullptr; }
  std::size_t connections() const { return admitted_; }
  static asio::awaitable<void> run(std::shared_ptr<Listener> self);
  void stop();
  void end_all() { tasks_.cancel(); }

 private:
  void bind_and_listen();
  class Admission;

  void welcome(tcp::socket socket);
  std::unique_ptr<Admission> admit(const tcp::socket& socket);
  static asio::awaitable<void> serve(std::shared_ptr<Listener> self, tcp::socket socket,
                                     std::unique_ptr<Admission> admission);
  static asio::awaitable<void> refuse(std::shared_ptr<Listener> self, tcp::socket socket);
  Stream wrap(tcp::socket socket);

  asio::any_io_executor io_;
  ServerOptions options_;
  Handler handler_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::unique_ptr<TlsServer> tls_;
  bool stopping_ = false;
  std::set<Client*> clients_;
  std::size_t admitted_ = 0;
  std::map<asio::ip::address, std::size_t> admitted_by_peer_;
  std::size_t refusing_ = 0;
  TaskGroup tasks_;
};

// A connection's place among those that are served, from its acceptance to its end.
class HttpServer::Listener::Admission {
 public:
  Admission(std::shared_ptr<Listener> listener, asio::ip::address peer)
      : listener_(std::move(listener)), peer_(std::move(peer)) {
    ++listener_->admitted_;
    ++listener_->admitted_by_peer_[peer_];
  }
  ~Admission() {
    --listener_->admitted_;
    const auto mine = listener_->admitted_by_peer_.find(peer_);
    if (--mine->second == 0) listener_->admitted_by_peer_.erase(mine);
  }
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

 private:
  std::shared_ptr<Listener> listener_;
  asio::ip::address peer_;
};

// One connection, for as long as it speaks HTTP.
class HttpServer::Listener::Client {
 public:
  Client(std::shared_ptr<Listener> listener, Stream stream)
      : listener_(std::move(listener)),
        stream_(std::move(stream)),
        deadline_(stream_.get_executor(), stream_),
        peer_(peer_of(stream_)) {
    listener_->clients_.insert(this);
  }
  ~Client() { listener_->clients_.erase(this); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  asio::awaitable<void> serve();
  void end_if_idle() {
    if (idle_) stream_.cancel();
  }

 private:
  friend class Reply;

  enum class Next { another_request, goodbye, gone };

  asio::awaitable<bool> shake_hands();
  asio::awaitable<std::shared_ptr<ServerRequest>> read_request();
  asio::awaitable<bool> wait_for_first_byte();
  asio::awaitable<bool> read_more();
  asio::awaitable<bool> invite_body(const RequestParser& parser);
  asio::awaitable<void> turn_down(int status);
  asio::awaitable<Next> handle(std::shared_ptr<ServerRequest> request);
  asio::awaitable<void> write(boost::asio::const_buffer bytes);

  const ServerOptions& options() const { return listener_->options_; }

  std::shared_ptr<Listener> listener_;
  Stream stream_;
  WipingBuffer input_;
  Deadline deadline_;
  std::string peer_;
  bool idle_ = false;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool gone_ = false;
  std::size_t served_ = 0;
};

// A handler's way to answer one request.
class HttpServer::Listener::Reply final : public Exchange {
 public:
  enum class State { untouched, streaming, answered, taken, aborted };

  Reply(Client& client, std::shared_ptr<const ServerRequest> request)
      : client_(client), request_(std::move(request)), head_only_(request_->method == "HEAD") {}

  State state() const { return state_; }

  asio::awaitable<void> respond(Response response) override {
    expect(State::untouched);
    Headers ours = connection_header();
    if (!has_no_body(response.status))
      ours.emplace_back("Content-Length", std::to_string(response.body.size()));
    auto bytes = head_of(response.status, response.headers, ours);
    if (!head_only_ && !has_no_body(response.status)) bytes.append(response.body);
    state_ = State::answered;
    co_await client_.write(bytes.data());
  }

  asio::awaitable<void> stream(int status, Headers headers) override {
    expect(State::untouched);
    if (client_.http_1_0_) client_.keep_alive_ = false;  // no chunks there: the body ends with the connection
    Headers ours = connection_header();
    if (!client_.http_1_0_) ours.emplace_back("Transfer-Encoding", "chunked");
    auto bytes = head_of(status, headers, ours);
    state_ = State::streaming;
    co_await client_.write(bytes.data());
  }

  asio::awaitable<void> write(std::string chunk) override {
    expect(State::streaming);
    if (chunk.empty() || head_only_) co_return;  // an empty chunk would be the end
    WipingBuffer bytes(chunk.size() + 32);
    if (!client_.http_1_0_) bytes.append(fmt::format("{:x}\r\n", chunk.size()));
    bytes.append(chunk);
    if (!client_.http_1_0_) bytes.append("\r\n");
    co_await client_.write(bytes.data());
  }

  asio::awaitable<void> finish() override {
    expect(State::streaming);
    state_ = State::answered;
    constexpr std::string_view kLastChunk = "0\r\n\r\n";
    if (!head_only_ && !client_.http_1_0_) co_await client_.write(asio::buffer(kLastChunk));
  }

  bool wants_websocket() const override { return asks_for_websocket(request_->method, request_->headers); }

  asio::awaitable<std::unique_ptr<WebSocket>> accept_websocket(WebSocketOptions options) override {
    expect(State::untouched);
    state_ = State::taken;
    client_.deadline_.clear();
    client_.stream_.unread(client_.input_.view());
    client_.input_.wipe();
    co_return co_await net::accept_websocket(std::move(client_.stream_), request_->target, request_->headers,
                                             options);
  }

  void abort() override {
    if (state_ == State::taken) return;  // the connection is the WebSocket's now
    state_ = State::aborted;
    client_.stream_.reset();
  }

 private:
  void expect(State state) const {
    if (state_ != state) throw std::logic_error("a handler answered twice, or out of order");
  }
  Headers connection_header() const {
    if (client_.listener_->stopping_) client_.keep_alive_ = false;
    if (!client_.keep_alive_) return {{"Connection", "close"}};
    return client_.http_1_0_ ? Headers{{"Connection", "keep-alive"}} : Headers{};
  }

  Client& client_;
  std::shared_ptr<const ServerRequest> request_;
  bool head_only_;
  State state_ = State::untouched;
};

asio::awaitable<void> HttpServer::Listener::Client::serve() {
  if (!co_await shake_hands()) co_return;
  while (true) {
    auto request = co_await read_request();
    if (!request) break;
    const Next next = co_await handle(std::move(request));
    if (next == Next::gone) co_return;
    input_.wipe_consumed();
    ++served_;
    if (next == Next::goodbye || listener_->stopping_) break;
  }
  deadline_.set(kGoodbyeTime);
  co_await stream_.goodbye();
}

asio::awaitable<bool> HttpServer::Listener::Client::shake_hands() {
  deadline_.set(options().header_time);
  try {
    co_await stream_.handshake(asio::ssl::stream_base::server);
  } catch (const boost::system::system_error&) {
    co_return false;
  }
  co_return !deadline_.expired();
}

// False: the end of the connection, or the time is up.
asio::awaitable<bool> HttpServer::Listener::Client::read_more() {
  if (deadline_.expired()) co_return false;
  error_code error;
  const auto room = input_.prepare(kReadSize);
  input_.commit(co_await stream_.read_some(room, error));
  co_return !error;
}

asio::awaitable<bool> HttpServer::Listener::Client::wait_for_first_byte() {
  if (!input_.empty()) co_return true;
  deadline_.set(served_ == 0 ? options().header_time : options().idle_time);
  idle_ = true;
  const bool came = co_await read_more();
  idle_ = false;
  co_return came;
}

// Curl waits for this before it sends a larger body.
asio::awaitable<bool> HttpServer::Listener::Client::invite_body(const RequestParser& parser) {
  const auto expected = find_header(parser.headers, "Expect");
  if (!expected || !boost::beast::iequals(*expected, "100-continue")) co_return true;
  constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
  error_code error;
  co_await stream_.write_all(asio::buffer(kGoOn), error);
  co_return !error;
}

// Nothing when the connection is to end; what there was to say has been said.
asio::awaitable<std::shared_ptr<ServerRequest>> HttpServer::Listener::Client::read_request() {
  if (!co_await wait_for_first_byte()) co_return nullptr;
  RequestParser parser;
  parser.header_limit(static_cast<std::uint32_t>(options().header_limit));
  parser.body_limit(options().body_limit);
  deadline_.set(options().header_time);
  bool header_seen = false;
  while (true) {
    if (const auto error = parser.feed(input_)) {
      co_await turn_down(status_of(error));
      co_return nullptr;
    }
    if (parser.is_done()) break;
    if (parser.is_header_done() && !header_seen) {
      header_seen = true;
      deadline_.set(options().body_time);
      if (!co_await invite_body(parser)) co_return nullptr;
    }
    if (!co_await read_more()) {
      if (deadline_.expired()) co_await turn_down(408);
      co_return nullptr;
    }
  }
  deadline_.clear();
  keep_alive_ = parser.keep_alive();
  http_1_0_ = parser.version < 11;
  co_return make_request(parser, peer_);
}

// For requests that never reach the handler.
asio::awaitable<void> HttpServer::Listener::Client::turn_down(int status) {
  const std::string body = fmt::format("{}\n", reason_phrase(status));
  auto bytes = head_of(status, {{"Content-Type", "text/plain"}},
                       {{"Connection", "close"}, {"Content-Length", std::to_string(body.size())}});
  bytes.append(body);
  deadline_.set(options().write_time);
  error_code ignored;
  co_await stream_.write_all(bytes.data(), ignored);
}

asio::awaitable<void> HttpServer::Listener::Client::write(asio::const_buffer bytes) {
  deadline_.set(options().write_time);
  error_code error;
  co_await stream_.write_all(bytes, error);
  deadline_.clear();
  if (!error) co_return;
  co_await throw_if_cancelled();
  gone_ = true;
  throw NetError("the client is gone: " + in_words(error), /*request_was_sent=*/true);
}

asio::awaitable<HttpServer::Listener::Client::Next> HttpServer::Listener::Client::handle(
    std::shared_ptr<ServerRequest> request) {
  Reply reply(*this, request);
  bool threw = false;
  try {
    co_await listener_->handler_(request, reply);
  } catch (...) {
    threw = true;
    // Not when the client went away: that is nobody's fault here, and would let it write our log.
    if (options().report && !gone_) options().report(request->path, std::current_exception());
  }
  co_await throw_if_cancelled();
  switch (reply.state()) {
    case Reply::State::untouched:
      co_await reply.respond(Response(500, {{"Content-Type", "text/plain"}}, "internal error\n"));
      co_return keep_alive_ ? Next::another_request : Next::goodbye;
    case Reply::State::answered:
      if (threw) co_return Next::gone;  // perhaps in the middle of its own answer
      co_return keep_alive_ ? Next::another_request : Next::goodbye;
    case Reply::State::streaming:
      stream_.reset();  // half a stream must not look like a whole one
      co_return Next::gone;
    case Reply::State::taken:
    case Reply::State::aborted:
      break;
  }
  co_return Next::gone;
}

HttpServer::Listener::Listener(asio::any_io_executor io, ServerOptions options, Handler handler)
    : io_(std::move(io)),
      options_(std::move(options)),
      handler_(std::move(handler)),
      acceptor_(io_),
      tasks_(io_, nullptr) {
  if (!options_.certificate_file.empty() || !options_.private_key_file.empty()) {
    tls_ = std::make_unique<TlsServer>(options_.certificate_file, options_.private_key_file);
  }
  try {
    bind_and_listen();
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error(fmt::format("can't listen on {} port {}: {}", options_.address, options_.port,
                                         in_words(error.code())));
  }
}

void HttpServer::Listener::bind_and_listen() {
  const tcp::endpoint endpoint(asio::ip::make_address(options_.address), options_.port);
  acceptor_.open(endpoint.protocol());
  acceptor_.set_option(asio::socket_base::reuse_address(true));
  acceptor_.bind(endpoint);
  acceptor_.listen();
  port_ = acceptor_.local_endpoint().port();
}

void HttpServer::Listener::stop() {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (auto* client : clients_) client->end_if_idle();
}

Stream HttpServer::Listener::wrap(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  return tls_ ? Stream(std::move(socket), *tls_->current()) : Stream(std::move(socket));
}

// Nothing when there is no room.
std::unique_ptr<HttpServer::Listener::Admission> HttpServer::Listener::admit(const tcp::socket& socket) {
  if (admitted_ >= options_.connections) return nullptr;
  error_code error;
  const auto peer = one_client(socket.remote_endpoint(error).address());
  const auto of_peer = admitted_by_peer_.find(peer);
  const bool full = options_.connections_per_peer != 0 && of_peer != admitted_by_peer_.end() &&
                    of_peer->second >= options_.connections_per_peer;
  return full ? nullptr : std::make_unique<Admission>(shared_from_this(), peer);
}

void HttpServer::Listener::welcome(tcp::socket socket) {
  if (auto admission = admit(socket)) {
    tasks_.spawn("connection", serve(shared_from_this(), std::move(socket), std::move(admission)));
  } else if (!tls_ && refusing_ < kRefusalsAtOnce) {
    tasks_.spawn("refusal", refuse(shared_from_this(), std::move(socket)));
  }
}

asio::awaitable<void> HttpServer::Listener::serve(std::shared_ptr<Listener> self, tcp::socket socket,
                                                  std::unique_ptr<Admission> /*until the end*/) {
  Client client(self, self->wrap(std::move(socket)));
  co_await client.serve();
}

asio::awaitable<void> HttpServer::Listener::refuse(std::shared_ptr<Listener> self, tcp::socket socket) {
  constexpr std::string_view kBusy =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
  struct Count {
    std::size_t& count;
    explicit Count(std::size_t& counted) : count(counted) { ++count; }
    ~Count() { --count; }
  } refusing(self->refusing_);
  Stream stream(std::move(socket));
  error_code ignored;
  co_await stream.write_all(asio::buffer(kBusy), ignored);
  co_await stream.goodbye();
}

asio::awaitable<void> HttpServer::Listener::run(std::shared_ptr<Listener> self) {
  // When this is cancelled, or its frame destroyed, the connections go too.
  struct EndAll {
    Listener& listener;
    ~EndAll() { listener.end_all(); }
  } end_all{*self};

  while (!self->stopping_) {
    error_code error;
    auto socket = co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
    co_await throw_if_cancelled();
    if (!error) {
      self->welcome(std::move(socket));
    } else if (!self->stopping_) {
      co_await sleep_for(kAfterAcceptError);  // no file descriptors left, most likely
    }
  }
  constexpr storage::Duration kPatience = std::chrono::hours(1);
  while (!co_await self->tasks_.wait(kPatience)) continue;
}

HttpServer::HttpServer(asio::any_io_executor io, ServerOptions options, Handler handler)
    : listener_(std::make_shared<Listener>(std::move(io), std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() {
  listener_->stop();
  listener_->end_all();
}

std::uint16_t HttpServer::port() const { return listener_->port(); }
bool HttpServer::secure() const { return listener_->secure(); }
std::size_t HttpServer::connections() const { return listener_->connections(); }
asio::awaitable<void> HttpServer::run() { return Listener::run(listener_); }
void HttpServer::stop() { listener_->stop(); }

}  // namespace keyturn::net
