// The server against bare bytes: what a stranger may send, and what each of it gets.
#include "integrations/net/http_server.h"

#include <catch2/catch.hpp>

#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// Says what it understood, one fact a line.
asio::awaitable<void> describe(std::shared_ptr<const ServerRequest> request, Exchange& exchange) {
  std::string text = request->method + " " + request->path + "\n";
  for (const auto& [name, value] : request->query) text += "query " + name + "=" + value + "\n";
  text += "body " + request->body + "\n";
  text += "peer " + request->peer + "\n";
  co_await exchange.respond(Response(200, {{"X-Method", request->method}}, text));
}

// What the server answers to these bytes, until it closes. The end of our own side is told when `half_close`.
std::string answer_to(TestServer& server, Loop& loop, std::string bytes, bool half_close = false) {
  std::string answer;
  loop.run([](std::uint16_t port, std::string text, bool end, std::string& heard) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    co_await wire.say(std::move(text));
    if (end) wire.socket().shutdown(asio::socket_base::shutdown_send);
    heard = co_await wire.hear_all();
  }(server.server.port(), std::move(bytes), half_close, answer));
  return answer;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("a request is taken apart for its handler") {
  Loop loop;
  TestServer server(loop, describe);
  const auto answer =
      answer_to(server, loop,
                "POST /a%20b/c?x=1%2B1&y=two+words&flag&x=9 HTTP/1.1\r\nHost: h\r\nConnection: "
                "close\r\nContent-Length: 4\r\n\r\nbody");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(contains(answer, "X-Method: POST\r\n"));
  CHECK(contains(answer, "Connection: close\r\n"));
  CHECK(contains(answer,
                 "POST /a b/c\nquery flag=\nquery x=1+1\nquery y=two words\nbody body\npeer 127.0.0.1\n"));
}

TEST_CASE("chunked bodies, absolute targets and requests sent in one go are understood") {
  Loop loop;
  TestServer server(loop, describe);
  const auto answer = answer_to(
      server, loop,
      "POST /one HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
      "GET http://h/two?a=b HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /three HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(contains(answer, "POST /one\nbody abc\n"));
  CHECK(contains(answer, "GET /two\nquery a=b\n"));
  CHECK(contains(answer, "GET /three\n"));
  CHECK(count_of(answer, "HTTP/1.1 200") == 3);
}

TEST_CASE("HEAD gets the headers alone") {
  Loop loop;
  TestServer server(loop, describe);
  const auto answer = answer_to(server, loop, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(answer.ends_with("\r\n\r\n"));
  CHECK_FALSE(contains(answer, "Content-Length: 0\r\n"));
  CHECK(contains(answer, "Content-Length: "));
}

TEST_CASE("HTTP/1.0 clients get an answer and the end of the connection") {
  Loop loop;
  TestServer server(loop, describe);
  const auto answer = answer_to(server, loop, "GET /old HTTP/1.0\r\n\r\n");
  CHECK(contains(answer, "Connection: close\r\n"));
  CHECK(contains(answer, "GET /old\n"));
}

TEST_CASE("a client that asks before it sends its body is told to go on") {
  Loop loop;
  TestServer server(loop, describe);
  loop.run([](std::uint16_t port) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    co_await wire.say("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(co_await wire.hear_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    co_await wire.say("ok");
    CHECK(contains(co_await wire.hear_until("peer"), "body ok"));
  }(server.server.port()));
}

TEST_CASE("what is no proper request is refused without the handler, and the connection ends") {
  Loop loop;
  bool called = false;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange&) -> asio::awaitable<void> {
                      called = true;
                      co_return;
                    },
                    {.header_limit = 1000, .body_limit = 100});
  const auto status_of = [&](const std::string& bytes) {
    return answer_to(server, loop, bytes).substr(0, 13);
  };
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  CHECK(status_of("\x16\x03\x01 this is TLS\r\n\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of("GET / HTTP/9.9\r\n\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of(post + "Content-Length: -1\r\n\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of(post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of(post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc") == "HTTP/1.1 400 ");
  CHECK(status_of(post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n") == "HTTP/1.1 431 ");
  CHECK(status_of("GET /" + std::string(100'000, 'x')) == "HTTP/1.1 431 ");
  CHECK(status_of(post + "Content-Length: 101\r\n\r\n" + std::string(101, 'x')) == "HTTP/1.1 413 ");
  CHECK(status_of(post + "Content-Length: 10000000\r\n\r\n" + std::string(100'000, 'x')) == "HTTP/1.1 413 ");
  CHECK(status_of(post + "Transfer-Encoding: chunked\r\n\r\nff\r\n" + std::string(255, 'x') +
                  "\r\n0\r\n\r\n") == "HTTP/1.1 413 ");
  CHECK_FALSE(called);
}

TEST_CASE("slow clients are answered 408, silent ones are just closed") {
  Loop loop;
  TestServer server(loop, describe, {.header_time = 40ms, .body_time = 40ms, .idle_time = 40ms});
  CHECK(answer_to(server, loop, "GET / HT").starts_with("HTTP/1.1 408 "));
  CHECK(
      answer_to(server, loop, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab").starts_with("HTTP/1.1 408 "));
  CHECK(answer_to(server, loop, "").empty());
  const auto idle = answer_to(server, loop, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(idle.starts_with("HTTP/1.1 200 "));
  CHECK(count_of(idle, "HTTP/1.1 ") == 1);
}

TEST_CASE("a trickle of header bytes doesn't extend the time for them") {
  Loop loop;
  TestServer server(loop, describe, {.header_time = 60ms});
  loop.run([](std::uint16_t port) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    std::string answer;
    TaskGroup listener(co_await asio::this_coro::executor, nullptr);
    listener.spawn("listener", [](Wire& from, std::string& heard) -> asio::awaitable<void> {
      heard = co_await from.hear_all();
    }(wire, answer));
    boost::system::error_code error;
    for (int round = 0; round < 1000 && listener.size() != 0 && !error; ++round) {
      co_await asio::async_write(wire.socket(), asio::buffer("x", 1),
                                 asio::redirect_error(asio::use_awaitable, error));
      co_await sleep_for(5ms);
    }
    CHECK(co_await listener.wait(5s));
    CHECK(answer.starts_with("HTTP/1.1 408 "));
  }(server.server.port()));
}

TEST_CASE("a client that doesn't take its answer is given up") {
  Loop loop;
  Signal gone(loop);
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      try {
                        co_await exchange.respond(Response(200, {}, std::string(50'000'000, 'x')));
                      } catch (const NetError&) {
                        gone.set();
                      }
                    },
                    {.write_time = 40ms});
  loop.run([](std::uint16_t port, Signal& given_up) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    co_await wire.say("GET / HTTP/1.1\r\n\r\n");
    CHECK(co_await within(5s, given_up.wait()));
  }(server.server.port(), gone));
}

TEST_CASE("connections above the cap are refused with 503, and there is room again when one ends") {
  Loop loop;
  TestServer server(loop, describe, {.connections = 2});
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    const std::uint16_t port = to.server.port();
    {
      auto one = co_await connect_wire(port);
      auto two = co_await connect_wire(port);
      while (to.server.connections() < 2) co_await sleep_for(1ms);
      auto three = co_await connect_wire(port);
      co_await three.say("GET / HTTP/1.1\r\n\r\n");
      CHECK((co_await three.hear_all()).starts_with("HTTP/1.1 503 "));
    }
    while (to.server.connections() != 0) co_await sleep_for(1ms);
    auto four = co_await connect_wire(port);
    co_await four.say("GET / HTTP/1.1\r\n\r\n");
    CHECK((co_await four.hear_until("\r\n")).starts_with("HTTP/1.1 200 "));
  }(server));
}

TEST_CASE("a handler that fails, says nothing or answers nonsense is answered for with a bare 500") {
  Loop loop;
  std::vector<std::string> reports;
  const auto handler = [](std::shared_ptr<const ServerRequest> request,
                          Exchange& exchange) -> asio::awaitable<void> {
    if (request->path == "/throws") throw std::runtime_error("a detail for nobody");
    if (request->path == "/smuggles") co_await exchange.respond(Response(200, {{"X", "a\r\nY: b"}}, ""));
  };
  TestServer server(loop, handler, {.report = [&](const std::string& path, std::exception_ptr) {
                      reports.push_back(path);
                    }});
  const auto answer = answer_to(server, loop,
                                "GET /throws HTTP/1.1\r\n\r\nGET /silent HTTP/1.1\r\n\r\n"
                                "GET /smuggles HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(count_of(answer, "HTTP/1.1 500 ") == 3);
  CHECK_FALSE(contains(answer, "detail"));
  CHECK_FALSE(contains(answer, "Y: b"));
  CHECK(reports == std::vector<std::string>{"/throws", "/smuggles"});
}

TEST_CASE("a handler answers once") {
  Loop loop;
  bool refused = false;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      co_await exchange.respond(Response(200, {}, "first"));
                      try {
                        co_await exchange.respond(Response(200, {}, "second"));
                      } catch (const std::logic_error&) {
                        refused = true;
                      }
                    });
  const auto answer = answer_to(server, loop, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(contains(answer, "first"));
  CHECK_FALSE(contains(answer, "second"));
  CHECK(refused);
}

TEST_CASE("a stream is chunked; one that is left unfinished is torn, not ended") {
  Loop loop;
  TestServer server(
      loop, [](std::shared_ptr<const ServerRequest> request, Exchange& exchange) -> asio::awaitable<void> {
        co_await exchange.stream(200, {});
        co_await exchange.write("hello");
        co_await exchange.write("");
        if (request->path == "/whole") co_await exchange.finish();
        if (request->path == "/thrown") throw std::runtime_error("in the middle");
      });
  const auto whole = answer_to(server, loop, "GET /whole HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(contains(whole, "Transfer-Encoding: chunked\r\n"));
  CHECK(whole.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(contains(answer_to(server, loop, "GET /left HTTP/1.1\r\n\r\n"), "0\r\n\r\n"));
  CHECK_FALSE(contains(answer_to(server, loop, "GET /thrown HTTP/1.1\r\n\r\n"), "0\r\n\r\n"));
  const auto old = answer_to(server, loop, "GET /whole HTTP/1.0\r\n\r\n");
  CHECK(old.ends_with("\r\n\r\nhello"));
}

TEST_CASE("abort resets the connection without an answer") {
  Loop loop;
  TestServer server(loop,
                    [](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      exchange.abort();
                      co_return;
                    });
  loop.run([](std::uint16_t port) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    co_await wire.say("GET / HTTP/1.1\r\n\r\n");
    char byte = 0;
    boost::system::error_code error;
    co_await wire.socket().async_read_some(asio::buffer(&byte, 1),
                                           asio::redirect_error(asio::use_awaitable, error));
    CHECK(error == asio::error::connection_reset);
  }(server.server.port()));
}

TEST_CASE("stopping closes idle connections and lets requests in work finish") {
  Loop loop;
  Signal arrived(loop);
  Signal finish(loop);
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      arrived.set();
                      co_await finish.wait();
                      co_await exchange.respond(Response(200, {}, "done"));
                    });
  loop.run([](TestServer& to, Signal& in_work, Signal& go_on) -> asio::awaitable<void> {
    auto idle = co_await connect_wire(to.server.port());
    auto busy = co_await connect_wire(to.server.port());
    co_await busy.say("GET / HTTP/1.1\r\n\r\n");
    CHECK(co_await within(5s, in_work.wait()));
    while (to.server.connections() < 2) co_await sleep_for(1ms);

    to.server.stop();
    CHECK((co_await idle.hear_all()).empty());
    CHECK_FALSE(co_await to.tasks.wait(10ms));  // run() waits for the one in work
    go_on.set();
    const auto answer = co_await busy.hear_all();
    CHECK(contains(answer, "Connection: close\r\n"));
    CHECK(answer.ends_with("done"));
    CHECK(co_await to.tasks.wait(5s));
    CHECK(to.server.connections() == 0);
    boost::system::error_code error;
    Wire::Socket late(co_await asio::this_coro::executor);
    co_await late.async_connect({asio::ip::address_v4::loopback(), to.server.port()},
                                asio::redirect_error(asio::use_awaitable, error));
    CHECK(error == asio::error::connection_refused);
  }(server, arrived, finish));
}

TEST_CASE("the second step of a shutdown ends what is still in work") {
  Loop loop;
  Signal arrived(loop);
  bool unwound = false;
  TestServer server(loop, [&](std::shared_ptr<const ServerRequest>, Exchange&) -> asio::awaitable<void> {
    arrived.set();
    try {
      co_await sleep_for(1h);
    } catch (const boost::system::system_error&) {
      unwound = true;
      throw;
    }
  });
  loop.run([](TestServer& to, Signal& in_work) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(to.server.port());
    co_await wire.say("GET / HTTP/1.1\r\n\r\n");
    CHECK(co_await within(5s, in_work.wait()));
    to.server.stop();
    CHECK_FALSE(co_await to.tasks.wait(10ms));
    to.tasks.cancel();
    CHECK(co_await to.tasks.wait(5s));
    CHECK((co_await wire.hear_all()).empty());
  }(server, arrived));
  CHECK(unwound);
}

TEST_CASE("an address that is taken or no address is named when the server can't listen") {
  Loop loop;
  HttpServer first(loop.executor(), {}, describe);
  CHECK_THROWS_WITH(HttpServer(loop.executor(), {.port = first.port()}, describe),
                    Catch::Contains("127.0.0.1") && Catch::Contains(std::to_string(first.port())) &&
                        Catch::Contains("address already in use"));
  CHECK_THROWS_WITH(HttpServer(loop.executor(), {.address = "nowhere"}, describe),
                    Catch::Contains("nowhere"));
}
