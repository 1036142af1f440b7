// Bodies that are read as they come, with pauses, over plain TCP and over TLS.
#include <catch2/catch.hpp>

#include "integrations/net/http_client.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// A log stream: pieces when the test says so.
struct LogServer {
  explicit LogServer(Loop& loop) : go_on(loop), gone(loop) {}
  Signal go_on;
  Signal gone;

  Handler handler() {
    return [this](std::shared_ptr<const ServerRequest> request, Exchange& exchange) -> asio::awaitable<void> {
      if (request->path == "/endless") co_return co_await endless(exchange);
      co_await exchange.stream(200, {{"Content-Type", "text/plain"}});
      co_await exchange.write("one\n");
      co_await go_on.wait();
      co_await exchange.write("two\n");
      if (request->path == "/torn") co_return exchange.abort();
      co_await exchange.finish();
    };
  }

 private:
  asio::awaitable<void> endless(Exchange& exchange) {
    try {
      co_await exchange.stream(200, {});
      while (true) co_await exchange.write(std::string(100'000, 'x'));
    } catch (const NetError&) {
      gone.set();
    }
  }
};

asio::awaitable<std::string> read_something(BodyStream& body) {
  while (true) {
    auto piece = co_await body.read(5s);
    if (!piece || !piece->empty()) co_return piece.value_or("(the end)");
  }
}

}  // namespace

TEST_CASE("quiet periods in a stream are no end of it, and nothing is lost or cut by waiting") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Loop loop;
    LogServer logs(loop);
    const TlsFiles files;
    TestServer server(
        loop, logs.handler(),
        tls ? ServerOptions{.certificate_file = files.certificate_file, .private_key_file = files.key_file}
            : ServerOptions{});
    HttpClient client(loop.executor(),
                      {.allow_plain_loopback = true, .certificate_authorities = files.authority_file});
    loop.run([](LogServer& source, HttpClient& through, std::string url) -> asio::awaitable<void> {
      auto body = co_await through.open({.url = url}, 5s);
      CHECK(body->status() == 200);
      CHECK(find_header(body->headers(), "content-type") == "text/plain");
      CHECK(co_await read_something(*body) == "one\n");
      for (int round = 0; round < 5; ++round) CHECK(co_await body->read(2ms) == "");
      CHECK_FALSE(co_await within(2ms, body->read(1h)));  // given up from outside
      source.go_on.set();
      CHECK(co_await read_something(*body) == "two\n");
      CHECK(co_await body->read(5s) == std::nullopt);
      CHECK(co_await body->read(5s) == std::nullopt);
    }(logs, client, server.url("/", tls ? "https" : "http")));
  }
}

TEST_CASE("a stream that is torn ends after what came before") {
  Loop loop;
  LogServer logs(loop);
  logs.go_on.set();
  TestServer server(loop, logs.handler());
  HttpClient client(loop.executor(), {.allow_plain_loopback = true});
  loop.run([](HttpClient& through, std::string url) -> asio::awaitable<void> {
    auto body = co_await through.open({.url = url}, 5s);
    while (co_await body->read(5s)) continue;
    CHECK(co_await body->read(5s) == std::nullopt);
  }(client, server.url("/torn")));
}

TEST_CASE("a stream that nobody reads is held back, and one that is dropped is closed") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Loop loop;
    LogServer logs(loop);
    const TlsFiles files;
    TestServer server(
        loop, logs.handler(),
        tls ? ServerOptions{.certificate_file = files.certificate_file, .private_key_file = files.key_file}
            : ServerOptions{});
    HttpClient client(loop.executor(),
                      {.allow_plain_loopback = true, .certificate_authorities = files.authority_file});
    loop.run([](LogServer& source, HttpClient& through, std::string url) -> asio::awaitable<void> {
      auto body = co_await through.open({.url = url}, 5s);
      std::size_t size = 0;
      std::size_t largest = 0;
      while (size < 10'000'000) {
        const auto piece = co_await body->read(5s);
        REQUIRE(piece);
        CHECK(piece->find_first_not_of('x') == std::string::npos);
        size += piece->size();
        largest = std::max(largest, piece->size());
        co_await sleep_for(1ms);
      }
      CHECK(largest < 2'000'000);
      CHECK_FALSE(source.gone.is_set());
      body.reset();
      CHECK(co_await within(5s, source.gone.wait()));
    }(logs, client, server.url("/endless", tls ? "https" : "http")));
  }
}

TEST_CASE("opening a stream fails like any call: without headers in time, or without a connection") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), {.allow_plain_loopback = true});
  loop.run([](HttpClient& through, std::string url) -> asio::awaitable<void> {
    bool sent = false;
    try {
      co_await through.open({.url = url}, 10ms);
    } catch (const NetError& error) {
      sent = error.sent;
    }
    CHECK(sent);
  }(client, server.url("/")));
}
