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

// What the server answers to `start` and then a `piece` every few milliseconds, for 5 seconds at most.
std::string trickle(TestServer& server, Loop& loop, std::string start, std::string piece) {
  std::string answer;
  loop.run([](std::uint16_t port, std::string first, std::string then,
              std::string& heard) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    TaskGroup listener(co_await asio::this_coro::executor, nullptr);
    listener.spawn("listener", [](Wire& from, std::string& all) -> asio::awaitable<void> {
      all = co_await from.hear_all();
    }(wire, heard));
    co_await wire.say(std::move(first));
    boost::system::error_code error;
    for (int round = 0; round < 1000 && listener.size() != 0 && !error; ++round) {
      co_await asio::async_write(wire.socket(), asio::buffer(then),
                                 asio::redirect_error(asio::use_awaitable, error));
      co_await sleep_for(5ms);
    }
    CHECK(co_await listener.wait(5s));
  }(server.server.port(), std::move(start), std::move(piece), answer));
  return answer;
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

TEST_CASE("a request that comes byte by byte is the same request, the end of its chunks too") {
  Loop loop;
  TestServer server(loop, describe);
  const std::string bytes =
      "POST /one HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n";
  const auto all_in_bytes = [](std::uint16_t port, std::string text,
                               std::string& heard) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    wire.socket().set_option(asio::ip::tcp::no_delay(true));
    for (const char byte : text) {
      co_await wire.say(std::string(1, byte));
      co_await sleep_for(1ms);
    }
    heard = co_await wire.hear_all();
  };
  std::string answer;
  loop.run(all_in_bytes(server.server.port(), bytes, answer));
  CHECK(contains(answer, "POST /one\nbody abc\n"));
  const auto start = bytes.substr(0, bytes.find("2;a=b"));
  loop.run(all_in_bytes(server.server.port(), start + "0\r\n\r\n", answer));
  CHECK(contains(answer, "POST /one\nbody \n"));
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
  CHECK(status_of("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'x') + "\r\n\r\n") ==
        "HTTP/1.1 431 ");
  CHECK(status_of("GET /" + std::string(100'000, 'x')) == "HTTP/1.1 431 ");
  CHECK(status_of(post + "Content-Length: 101\r\n\r\n" + std::string(101, 'x')) == "HTTP/1.1 413 ");
  CHECK(status_of(post + "Content-Length: 10000000\r\n\r\n" + std::string(100'000, 'x')) == "HTTP/1.1 413 ");
  CHECK(status_of(post + "Transfer-Encoding: chunked\r\n\r\nff\r\n" + std::string(255, 'x') +
                  "\r\n0\r\n\r\n") == "HTTP/1.1 413 ");
  CHECK_FALSE(called);
}

TEST_CASE(
    "what another reader of the same bytes could take for two requests is refused, and never reaches the "
    "handler") {
  Loop loop;
  int called = 0;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      ++called;
                      co_await exchange.respond(Response(200, {}, ""));
                    });
  const std::string start = "POST / HTTP/1.1\r\n";
  const std::string host = "Host: h\r\n";
  const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string chunked_hidden = "0\r\n\r\n" + hidden;
  for (const auto& bytes : std::vector<std::string>{
           // Two lengths, in every disguise.
           start + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked_hidden,
           start + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked_hidden,
           start + host + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd" + hidden,
           start + host + "Content-Length: 4, 4\r\n\r\nabcd" + hidden,
           start + host + "Content-Length: 4\r\ncontent-length: 0\r\n\r\n" + hidden,
           start + host + "Content-Length: +4\r\n\r\nabcd" + hidden,
           start + host + "Content-Length: 0x4\r\n\r\nabcd" + hidden,
           start + host + "Content-Length: 4 4\r\n\r\nabcd" + hidden,
           start + host + "Content-Length:\r\n\r\n" + hidden,
           start + host + "Content-Length: 18446744073709551620\r\n\r\nabcd" + hidden,
           // Codings that we don't know, or that aren't the last, or of a client that can't know them.
           start + host + "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding: xchunked\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding: identity\r\n\r\n" + hidden,
           start + host + "Transfer-Encoding: chunked, gzip\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked_hidden,
           start + host + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n" + chunked_hidden,
           start + host +
               "Transfer-Encoding:\x0b"
               "chunked\r\n\r\n" +
               chunked_hidden,
           start + host + "Transfer-Encoding : chunked\r\n\r\n" + chunked_hidden,
           "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked_hidden,
           // Chunks of no clear size, and a length in the trailer.
           start + host + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + hidden,
           start + host + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + hidden,
           start + host + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + hidden,
           start + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + hidden,
           start + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 4\r\n\r\n" + hidden,
           // Lines that end otherwise, and what may not stand in a line.
           "POST / HTTP/1.1\nHost: h\nContent-Length: 4\n\nabcd" + hidden,
           start + "Host: h\nX: y\r\n\r\n" + hidden,
           start + "Host: h\rX: y\r\n\r\n" + hidden,
           start + host + "X: a\nContent-Length: 4\r\n\r\nabcd" + hidden,
           start + host + std::string("X: a\0b\r\n\r\n", 10) + hidden,
           start + host + "X y\r\n\r\n" + hidden,
           start + host + ": no name\r\n\r\n" + hidden,
           start + " X: y\r\n" + host + "\r\n" + hidden,
       }) {
    CAPTURE(bytes);
    called = 0;
    const auto answer = answer_to(server, loop, bytes, /*half_close=*/true);
    CHECK(answer.starts_with("HTTP/1.1 400 "));
    CHECK(count_of(answer, "HTTP/1.1 ") == 1);
    CHECK(called == 0);
  }
}

TEST_CASE("a folded header is one header, and hides none") {
  Loop loop;
  std::vector<Headers> seen;
  TestServer server(
      loop, [&](std::shared_ptr<const ServerRequest> request, Exchange& exchange) -> asio::awaitable<void> {
        seen.push_back(request->headers);
        co_await exchange.respond(Response(200, {}, ""));
      });
  answer_to(server, loop,
            "GET / HTTP/1.1\r\nHost: h\r\nX: one\r\n  Content-Length: 4\r\nConnection: close\r\n\r\n");
  REQUIRE(seen.size() == 1);
  CHECK(seen[0] == Headers{{"Host", "h"}, {"X", "one Content-Length: 4"}, {"Connection", "close"}});
}

TEST_CASE("a request names its host once, or is refused") {
  Loop loop;
  TestServer server(loop, describe);
  const auto status_of = [&](const std::string& bytes) {
    return answer_to(server, loop, bytes + "Connection: close\r\n\r\n").substr(0, 13);
  };
  CHECK(status_of("GET / HTTP/1.1\r\nHost: h\r\n") == "HTTP/1.1 200 ");
  CHECK(status_of("GET / HTTP/1.1\r\nHost:\r\n") == "HTTP/1.1 200 ");  // RFC 9112, 3.2: a target without one
  CHECK(status_of("GET / HTTP/1.1\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of("GET / HTTP/1.1\r\nHost: h\r\nhost: other\r\n") == "HTTP/1.1 400 ");
  CHECK(status_of("GET / HTTP/1.0\r\n") == "HTTP/1.1 200 ");
  CHECK(status_of("GET / HTTP/1.0\r\nHost: h\r\nHost: other\r\n") == "HTTP/1.1 400 ");
}

TEST_CASE("targets are a path, an URL, or the star of OPTIONS; anything else is refused") {
  Loop loop;
  TestServer server(loop, describe);
  const auto ask = [&](const std::string& line) {
    return answer_to(server, loop, line + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  };
  CHECK(contains(ask("GET http://h"), "GET /\n"));
  CHECK(contains(ask("GET http://h?a=b"), "GET /\nquery a=b\n"));
  CHECK(contains(ask("GET HTTPS://h:443/x"), "GET /x\n"));
  CHECK(contains(ask("GET //h/x"), "GET //h/x\n"));  // a path; nothing here redirects to it
  CHECK(contains(ask("OPTIONS *"), "OPTIONS *\n"));
  for (const auto* line :
       {"GET *", "GET x", "GET h/x", "GET http:/x", "GET http://", "GET http://a:b@h/", "GET ftp://h/",
        "CONNECT h:443", "GET ?a=b", "GET  /", "GET / x", "GET", "GET /\x01", " GET /"}) {
    CAPTURE(line);
    CHECK(ask(line).starts_with("HTTP/1.1 400 "));
  }
}

TEST_CASE("the limits hold to the byte") {
  Loop loop;
  TestServer server(loop, describe, {.header_limit = 300, .body_limit = 100});
  const auto with_header = [&](std::size_t size) {
    const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: ";
    return answer_to(server, loop, start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n")
        .substr(0, 13);
  };
  CHECK(with_header(300) == "HTTP/1.1 200 ");
  CHECK(with_header(301) == "HTTP/1.1 431 ");
  const auto with_body = [&](std::size_t size) {
    return answer_to(server, loop,
                     "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                         std::to_string(size) + "\r\n\r\n" + std::string(size, 'x'))
        .substr(0, 13);
  };
  CHECK(with_body(100) == "HTTP/1.1 200 ");
  CHECK(with_body(101) == "HTTP/1.1 413 ");
}

TEST_CASE("a header of many short lines is limited like one of a long one") {
  Loop loop;
  bool called = false;
  TestServer server(loop, [&](std::shared_ptr<const ServerRequest>, Exchange&) -> asio::awaitable<void> {
    called = true;
    co_return;
  });
  std::string lines = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100'000; ++i) lines += "X: y\r\n";
  CHECK(answer_to(server, loop, lines + "\r\n").starts_with("HTTP/1.1 431 "));
  CHECK_FALSE(called);
}

TEST_CASE("chunks whose extensions or trailers never end are refused, not kept") {
  Loop loop;
  TestServer server(loop, describe);
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string endless(400'000, 'x');
  CHECK(answer_to(server, loop, start + "1;a=" + endless).starts_with("HTTP/1.1 431 "));
  CHECK(answer_to(server, loop, start + "0\r\nX: " + endless).starts_with("HTTP/1.1 431 "));
}

TEST_CASE("slow clients are answered 408, silent ones are just closed") {
  Loop loop;
  TestServer server(loop, describe, {.header_time = 40ms, .body_time = 40ms, .idle_time = 40ms});
  CHECK(answer_to(server, loop, "GET / HT").starts_with("HTTP/1.1 408 "));
  CHECK(answer_to(server, loop, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
            .starts_with("HTTP/1.1 408 "));
  CHECK(answer_to(server, loop, "").empty());
  const auto idle = answer_to(server, loop, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(idle.starts_with("HTTP/1.1 200 "));
  CHECK(count_of(idle, "HTTP/1.1 ") == 1);
}

TEST_CASE("a trickle of header bytes doesn't extend the time for them") {
  Loop loop;
  TestServer server(loop, describe, {.header_time = 60ms});
  CHECK(trickle(server, loop, "", "x").starts_with("HTTP/1.1 408 "));
  CHECK(trickle(server, loop, "GET / HTTP/1.1\r\nHost: h\r\n", "X: y\r\n").starts_with("HTTP/1.1 408 "));
}

TEST_CASE("a trickle of body bytes doesn't extend the time for them, chunked or not") {
  Loop loop;
  bool called = false;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange&) -> asio::awaitable<void> {
                      called = true;
                      co_return;
                    },
                    {.body_time = 60ms});
  for (const std::string header : {"Content-Length: 60000", "Transfer-Encoding: chunked"}) {
    const std::string piece = header.starts_with("T") ? "1\r\nx\r\n" : "x";
    const auto answer = trickle(server, loop, "POST / HTTP/1.1\r\nHost: h\r\n" + header + "\r\n\r\n", piece);
    CHECK(answer.starts_with("HTTP/1.1 408 "));
  }
  CHECK_FALSE(called);
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
    co_await wire.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
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
      co_await three.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      CHECK((co_await three.hear_all()).starts_with("HTTP/1.1 503 "));
    }
    while (to.server.connections() != 0) co_await sleep_for(1ms);
    auto four = co_await connect_wire(port);
    co_await four.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK((co_await four.hear_until("\r\n")).starts_with("HTTP/1.1 200 "));
  }(server));
}

TEST_CASE("one client can't take more than its share of the connections, and others are still served") {
  Loop loop;
  TestServer server(loop, describe, {.connections = 100, .connections_per_peer = 2});
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    const std::uint16_t port = to.server.port();
    const auto status = [](Wire& wire) -> asio::awaitable<std::string> {
      co_await wire.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      co_return co_await wire.hear_until("\r\n");
    };
    auto one = co_await connect_wire(port, "127.0.0.2");
    {
      auto two = co_await connect_wire(port, "127.0.0.2");
      for (int round = 0; round < 3; ++round) {
        auto three = co_await connect_wire(port, "127.0.0.2");
        CHECK(co_await status(three) == "HTTP/1.1 503 Service Unavailable\r\n");
      }
      auto other = co_await connect_wire(port, "127.0.0.3");
      CHECK(co_await status(other) == "HTTP/1.1 200 OK\r\n");
      CHECK(co_await status(two) == "HTTP/1.1 200 OK\r\n");
    }
    while (to.server.connections() != 1) co_await sleep_for(1ms);
    auto again = co_await connect_wire(port, "127.0.0.2");
    CHECK(co_await status(again) == "HTTP/1.1 200 OK\r\n");
  }(server));
}

TEST_CASE("a burst of connections doesn't get past the caps, though none of them has said a word yet") {
  Loop loop;
  TestServer server(loop, describe, {.connections = 7, .connections_per_peer = 5});
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    std::vector<Wire> wires;
    for (const auto* from : {"127.0.0.2", "127.0.0.3"}) {
      for (int count = 0; count < 20; ++count) {
        // All of them wait to be accepted before the server's loop runs again.
        Wire::Socket socket(co_await asio::this_coro::executor);
        socket.open(asio::ip::tcp::v4());
        socket.bind({asio::ip::make_address(from), 0});
        socket.connect({asio::ip::address_v4::loopback(), to.server.port()});
        wires.emplace_back(std::move(socket));
      }
    }
    int refused = 0;
    for (std::size_t i = 0; i < wires.size(); ++i) {
      if (i % 20 >= 5 || i >= 22)
        refused += (co_await wires[i].hear_until("\r\n")).starts_with("HTTP/1.1 503 ");
    }
    CHECK(refused == 33);
    CHECK(to.server.connections() == 7);
  }(server));
}

TEST_CASE("on an address of both families, IPv4 clients are told apart") {
  Loop loop;
  std::unique_ptr<TestServer> server;
  try {
    server = std::make_unique<TestServer>(loop, describe,
                                          ServerOptions{.address = "::", .connections_per_peer = 1});
  } catch (const std::runtime_error&) {
    WARN("this machine has no IPv6");
    return;
  }
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    auto one = co_await connect_wire(to.server.port(), "127.0.0.2");
    auto other = co_await connect_wire(to.server.port(), "127.0.0.3");
    co_await other.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(co_await other.hear_until("\r\n") == "HTTP/1.1 200 OK\r\n");
    auto two = co_await connect_wire(to.server.port(), "127.0.0.2");
    CHECK((co_await two.hear_until("\r\n")).starts_with("HTTP/1.1 503 "));
  }(*server));
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
  const auto answer =
      answer_to(server, loop,
                "GET /throws HTTP/1.1\r\nHost: h\r\n\r\nGET /silent HTTP/1.1\r\nHost: h\r\n\r\n"
                "GET /smuggles HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(count_of(answer, "HTTP/1.1 500 ") == 3);
  CHECK_FALSE(contains(answer, "detail"));
  CHECK_FALSE(contains(answer, "Y: b"));
  CHECK(reports == std::vector<std::string>{"/throws", "/smuggles"});
}

TEST_CASE("a client that goes away while it is answered is no failure of the handler") {
  Loop loop;
  std::vector<std::string> reports;
  bool thrown = false;
  TestServer server(
      loop,
      [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
        try {
          co_await exchange.respond(Response(200, {}, std::string(50'000'000, 'x')));
        } catch (const NetError&) {
          thrown = true;
          throw;
        }
      },
      {.report = [&](const std::string& path, std::exception_ptr) { reports.push_back(path); }});
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(to.server.port());
    co_await wire.say("GET /a-line-for-the-log HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await wire.hear(1);
    wire.close();
    while (to.server.connections() != 0) co_await sleep_for(1ms);
  }(server));
  CHECK(thrown);
  CHECK(reports.empty());
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
  const auto answer = answer_to(server, loop, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
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
  const auto whole = answer_to(server, loop, "GET /whole HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(contains(whole, "Transfer-Encoding: chunked\r\n"));
  CHECK(whole.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(contains(answer_to(server, loop, "GET /left HTTP/1.1\r\nHost: h\r\n\r\n"), "0\r\n\r\n"));
  CHECK_FALSE(contains(answer_to(server, loop, "GET /thrown HTTP/1.1\r\nHost: h\r\n\r\n"), "0\r\n\r\n"));
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
    co_await wire.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
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
    co_await busy.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
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
    co_await wire.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
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
