#include "integrations/net/http_client.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>
#include <vector>

#include "integrations/net/connect.h"
#include "integrations/net/http_parser.h"
#include "integrations/net/names.h"
#include "integrations/net/stream.h"
#include "integrations/net/tls.h"
#include "integrations/net/url.h"
#include "integrations/net/wiping_buffer.h"
#include "integrations/net/within.h"

namespace keyturn::net {

namespace asio = boost::asio;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

constexpr std::size_t kRecordSize = 16UL * 1024;  // a TLS record
constexpr std::uint32_t kHeaderLimit = 64UL * 1024;
constexpr std::size_t kKeptPerOrigin = 128;  // all apps of a target are looked at together

// One connection, kept between requests.
struct KeptConnection {
  KeptConnection(Stream connected, std::string its_origin)
      : stream(std::move(connected)), origin(std::move(its_origin)) {}
  Stream stream;
  WipingBuffer input;
  std::string origin;
  SteadyTime unused_since;
};

// One request on its way, and what is known of its fate.
struct Call {
  Url url;
  std::string method;
  WipingBuffer bytes;     // head and body, as they go out
  bool sent = false;      // the first byte may have left
  bool answered = false;  // the first byte of an answer came
};

struct Answer {
  std::unique_ptr<KeptConnection> connection;
  std::unique_ptr<ResponseParser> parser;
};

NetError failed(const Call& call, std::string_view what) {
  return NetError(fmt::format("{}: {}", call.url.host, what), call.sent);
}

bool needs_length(const std::string& method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

// `prefix` keeps a bearer token from being concatenated outside of the wiped buffer.
void append_header(WipingBuffer& bytes, std::string_view name, std::string_view prefix,
                   std::string_view value) {
  // Neither is named in the text: a value may be a credential.
  if (!safe_header(name, value)) throw NetError("a header of the request holds a forbidden character", false);
  for (const auto part : {name, std::string_view(": "), prefix, value, std::string_view("\r\n")})
    bytes.append(part);
}

void append_header(WipingBuffer& bytes, std::string_view name, std::string_view value) {
  append_header(bytes, name, "", value);
}

// Into one buffer that never grows (a grown one is wiped, but needn't exist) and is wiped in the end.
WipingBuffer serialise(const Request& request, const Url& url, const ClientOptions& options) {
  const std::string_view bearer = request.bearer ? request.bearer->expose() : std::string_view();
  const std::string_view body =
      request.secret_body ? request.secret_body->expose() : std::string_view(request.body);
  std::size_t size = 512 + request.method.size() + url.target.size() + bearer.size() + body.size();
  for (const auto& [name, value] : request.headers) size += name.size() + value.size() + 4;

  WipingBuffer bytes(size);
  bytes.append(request.method);
  bytes.append(" ");
  bytes.append(url.target);
  bytes.append(" HTTP/1.1\r\n");
  if (!find_header(request.headers, "Host")) append_header(bytes, "Host", url.authority());
  if (!find_header(request.headers, "User-Agent")) append_header(bytes, "User-Agent", options.user_agent);
  for (const auto& [name, value] : request.headers) append_header(bytes, name, value);
  if (request.bearer) {
    append_header(bytes, "Authorization", "Bearer ", bearer);
  }
  if (!body.empty() || needs_length(request.method))
    append_header(bytes, "Content-Length", std::to_string(body.size()));
  bytes.append("\r\n");
  bytes.append(body);
  return bytes;
}

Call make_call(const Request& request, const ClientOptions& options) {
  Call call{.url = checked_url(request.url, options), .method = request.method, .bytes = {}};
  if (call.url.scheme != "http" && call.url.scheme != "https")
    throw failed(call, "the URL is for websockets");
  if (!is_token(request.method)) throw failed(call, "the method is no HTTP method");
  call.bytes = serialise(request, call.url, options);
  return call;
}

asio::awaitable<void> write_request(KeptConnection& connection, Call& call) {
  call.sent = true;
  error_code error;
  co_await connection.stream.write_all(call.bytes.data(), error);
  co_await throw_if_cancelled();
  if (error) throw failed(call, "the request could not be sent: " + in_words(error));
}

// Reads some more into `parser`; an end of the connection may be the end of the body.
asio::awaitable<void> read_more(KeptConnection& connection, ResponseParser& parser, Call& call) {
  error_code error;
  const auto room = connection.input.prepare(kRecordSize);
  const std::size_t count = co_await connection.stream.read_some(room, error);
  connection.input.commit(count);
  co_await throw_if_cancelled();
  call.answered = call.answered || count != 0;
  if (error == asio::error::eof && parser.is_header_done() && parser.need_eof()) {
    parser.put_eof(error);
    co_return;
  }
  if (error) {
    throw failed(call, (call.answered ? "the answer broke off: " : "no answer: ") + in_words(error));
  }
}

void feed(KeptConnection& connection, ResponseParser& parser, const Call& call) {
  const auto error = parser.feed(connection.input);
  if (error == boost::beast::http::error::body_limit)
    throw failed(call, "the answer is larger than we accept");
  if (error) throw failed(call, "the answer is not HTTP: " + in_words(error));
}

std::unique_ptr<ResponseParser> new_parser(const Call& call, std::optional<std::size_t> body_limit) {
  auto parser = std::make_unique<ResponseParser>();
  parser->header_limit(kHeaderLimit);
  parser->body_limit(body_limit ? boost::optional<std::uint64_t>(*body_limit) : boost::none);
  parser->skip(call.method == "HEAD");
  return parser;
}

// Up to the end of the header section; interim answers (1xx) are read over.
asio::awaitable<Answer> exchange(std::unique_ptr<KeptConnection> connection, Call& call,
                                 std::optional<std::size_t> body_limit) {
  co_await write_request(*connection, call);
  auto parser = new_parser(call, body_limit);
  while (true) {
    feed(*connection, *parser, call);
    if (!parser->is_header_done()) {
      co_await read_more(*connection, *parser, call);
      continue;
    }
    if (parser->status == 101) throw failed(call, "the other side changed the protocol without being asked");
    if (parser->status / 100 != 1) break;
    parser = new_parser(call, body_limit);
  }
  co_return Answer{.connection = std::move(connection), .parser = std::move(parser)};
}

asio::awaitable<void> read_body(Answer& answer, Call& call) {
  while (!answer.parser->is_done()) {
    co_await read_more(*answer.connection, *answer.parser, call);
    if (!answer.parser->is_done()) feed(*answer.connection, *answer.parser, call);
  }
}

Response take_response(ResponseParser& parser) {
  Response response(parser.status, std::move(parser.headers), std::move(parser.body));
  storage::wipe(parser.body);  // a short string leaves its bytes behind when it is moved
  return response;
}

// A GET can be asked again when the kept connection turned out to be dead; anything else may have happened
// already.
bool may_ask_again(const Call& call) {
  return (call.method == "GET" || call.method == "HEAD") && !call.answered;
}

NetError out_of_time(const Call& call, storage::Duration limit) {
  return failed(call, "no whole answer within " + storage::in_words(limit));
}

// What a body stream and its pump share. The pump reads all the time (a read that is cancelled in mid-record
// would break a TLS connection); read() only waits for the pump, so giving up waiting loses nothing.
struct Flow {
  Flow(const asio::any_io_executor& io, Answer an_answer, Call a_call)
      : answer(std::move(an_answer)), call(std::move(a_call)), arrived(io), room(io) {}
  Answer answer;
  Call call;
  asio::steady_timer arrived;  // cancelled when there is news for read()
  asio::steady_timer room;     // cancelled when read() took what was there
  bool ended = false;

  std::string& waiting() { return answer.parser->body; }
};

constexpr std::size_t kWaitingAtMost = 1024UL * 1024;

asio::awaitable<void> wait_for(asio::steady_timer& news, SteadyTime until) {
  news.expires_at(until);
  error_code woken;
  co_await news.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

asio::awaitable<void> pump(std::shared_ptr<Flow> flow) {
  auto& [connection, parser] = flow->answer;
  try {
    while (!parser->is_done()) {
      while (flow->waiting().size() > kWaitingAtMost && connection->stream.socket().is_open()) {
        co_await wait_for(flow->room, SteadyTime::max());
      }
      co_await read_more(*connection, *parser, flow->call);
      if (!parser->is_done()) feed(*connection, *parser, flow->call);
      connection->input.wipe_consumed();
      flow->arrived.cancel();
    }
  } catch (const std::exception&) {
    // Broken is an end like any other: a log stream is opened again in both cases.
  }
  flow->ended = true;
  connection->stream.close();
  flow->arrived.cancel();
}

asio::awaitable<std::optional<std::string>> next_piece(std::shared_ptr<Flow> flow, storage::Duration limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (flow->waiting().empty() && !flow->ended && std::chrono::steady_clock::now() < until) {
    co_await wait_for(flow->arrived, until);
    co_await throw_if_cancelled();
  }
  if (flow->waiting().empty() && flow->ended) co_return std::nullopt;
  std::string piece = std::exchange(flow->waiting(), std::string());
  flow->room.cancel();
  co_return piece;
}

class PumpedBody final : public BodyStream {
 public:
  explicit PumpedBody(std::shared_ptr<Flow> flow) : flow_(std::move(flow)) {}
  ~PumpedBody() override {
    flow_->answer.connection->stream.close();
    flow_->room.cancel();
  }
  int status() const override { return flow_->answer.parser->status; }
  const Headers& headers() const override { return flow_->answer.parser->headers; }
  asio::awaitable<std::optional<std::string>> read(storage::Duration limit) override {
    return next_piece(flow_, limit);
  }

 private:
  std::shared_ptr<Flow> flow_;
};

}  // namespace

class HttpClient::Pool {
 public:
  explicit Pool(ClientOptions options) : options_(std::move(options)) {}

  std::unique_ptr<KeptConnection> take_kept(const Url& url) {
    drop_unused();
    auto& kept = kept_[url.origin()];
    while (!kept.empty()) {
      auto connection = std::move(kept.back());
      kept.pop_back();
      if (connection->stream.quiet()) return connection;
    }
    return nullptr;
  }

  void keep(std::unique_ptr<KeptConnection> connection) {
    connection->input.wipe();
    connection->unused_since = std::chrono::steady_clock::now();
    auto& kept = kept_[connection->origin];
    if (kept.size() < kKeptPerOrigin) kept.push_back(std::move(connection));
  }

  asio::awaitable<std::unique_ptr<KeptConnection>> connect(Url url) {
    if (url.secure() && !tls_) tls_ = TlsClient::shared(options_.certificate_authorities);
    auto stream = co_await connect_stream(url, options_, tls_, names_);
    co_return std::make_unique<KeptConnection>(std::move(stream), url.origin());
  }

  // Static, and given what they need, so that a call outlives the client that made it.
  static asio::awaitable<Response> send_within(std::shared_ptr<Pool> pool, Request request,
                                               storage::Duration limit);
  static asio::awaitable<std::unique_ptr<BodyStream>> open_within(std::shared_ptr<Pool> pool, Request request,
                                                                  storage::Duration limit);

 private:
  static asio::awaitable<Answer> begin(std::shared_ptr<Pool> pool, Call& call,
                                       std::optional<std::size_t> body_limit);
  static asio::awaitable<Answer> ask_anew(std::shared_ptr<Pool> pool, Call& call,
                                          std::optional<std::size_t> body_limit);
  static asio::awaitable<Response> ask(std::shared_ptr<Pool> pool, Call& call);

  // Without a timer, which would keep a command-line run alive: whoever calls, tidies up.
  void drop_unused() {
    const auto oldest = std::chrono::steady_clock::now() - options_.idle_limit;
    for (auto& [origin, kept] : kept_) {
      std::erase_if(kept, [&](const auto& connection) { return connection->unused_since < oldest; });
    }
  }

  ClientOptions options_;
  std::shared_ptr<TlsClient> tls_;
  std::shared_ptr<Names> names_ = std::make_shared<Names>();
  std::map<std::string, std::vector<std::unique_ptr<KeptConnection>>> kept_;
};

// Where nothing came of a new connection, the next one asks for the address again.
asio::awaitable<Answer> HttpClient::Pool::ask_anew(std::shared_ptr<Pool> pool, Call& call,
                                                   std::optional<std::size_t> body_limit) {
  try {
    co_return co_await exchange(co_await pool->connect(call.url), call, body_limit);
  } catch (...) {
    pool->names_->forget(call.url.host);
    throw;
  }
}

asio::awaitable<Answer> HttpClient::Pool::begin(std::shared_ptr<Pool> pool, Call& call,
                                                std::optional<std::size_t> body_limit) {
  std::optional<Answer> answer;
  if (auto kept = pool->take_kept(call.url)) {
    try {
      answer = co_await exchange(std::move(kept), call, body_limit);
    } catch (const NetError&) {
      if (!may_ask_again(call)) throw;
    }
  }
  if (!answer) answer = co_await ask_anew(pool, call, body_limit);
  if (pool->options_.answered) pool->options_.answered(call.url.origin(), answer->parser->headers);
  co_return *std::move(answer);
}

asio::awaitable<Response> HttpClient::Pool::ask(std::shared_ptr<Pool> pool, Call& call) {
  auto answer = co_await begin(pool, call, pool->options_.response_limit);
  co_await read_body(answer, call);
  const bool reusable =
      answer.parser->keep_alive() && !answer.parser->need_eof() && answer.connection->input.empty();
  if (reusable) pool->keep(std::move(answer.connection));
  co_return take_response(*answer.parser);
}

asio::awaitable<Response> HttpClient::Pool::send_within(std::shared_ptr<Pool> pool, Request request,
                                                        storage::Duration limit) {
  Call call = make_call(request, pool->options_);
  storage::wipe(request.body);
  auto response = co_await within(limit, ask(pool, call));
  if (!response) throw out_of_time(call, limit);
  co_return std::move(*response);
}

asio::awaitable<std::unique_ptr<BodyStream>> HttpClient::Pool::open_within(std::shared_ptr<Pool> pool,
                                                                           Request request,
                                                                           storage::Duration limit) {
  Call call = make_call(request, pool->options_);
  storage::wipe(request.body);
  auto answer = co_await within(limit, begin(pool, call, std::nullopt));
  if (!answer) throw out_of_time(call, limit);
  const auto io = co_await asio::this_coro::executor;
  auto flow = std::make_shared<Flow>(io, std::move(*answer), std::move(call));
  auto body = std::make_unique<PumpedBody>(flow);
  // Detached, but owned: it ends when PumpedBody closes the connection, and it throws nothing.
  asio::co_spawn(io, pump(flow), asio::detached);
  co_return body;
}

// Every call runs where its caller runs, which is the io thread.
HttpClient::HttpClient(asio::any_io_executor, ClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(options))) {}

HttpClient::~HttpClient() = default;

asio::awaitable<Response> HttpClient::send(Request request, storage::Duration limit) {
  return Pool::send_within(pool_, std::move(request), limit);
}

asio::awaitable<std::unique_ptr<BodyStream>> HttpClient::open(Request request, storage::Duration limit) {
  return Pool::open_within(pool_, std::move(request), limit);
}

}  // namespace keyturn::net
