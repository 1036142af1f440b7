// The client against a server whose every byte the test writes: what is sent, what is kept, and what is known
// when something fails.
#include "integrations/net/http_client.h"

#include <catch2/catch.hpp>

#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr auto kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// The failure of a call, as its caller sees it.
struct Failure {
  bool happened = false;
  bool sent = false;
  std::string text;
};

asio::awaitable<Failure> failure_of(HttpClient& client, Request request, storage::Duration limit = 5s) {
  try {
    co_await client.send(std::move(request), limit);
  } catch (const NetError& error) {
    co_return Failure{.happened = true, .sent = error.sent, .text = error.what()};
  }
  co_return Failure{};
}

// Answers one request per element, all on one connection, then hands the connection back.
asio::awaitable<Wire> answer(WireServer& server, std::vector<std::string> answers) {
  auto wire = co_await server.accept();
  for (auto& text : answers) {
    co_await wire.hear_until("\r\n\r\n");
    co_await wire.say(std::move(text));
  }
  co_return wire;
}

// One request, one connection, one answer, and the end of the connection.
struct OneAnswer {
  Loop loop;
  WireServer server{loop};
  HttpClient client{loop.executor(), kRehearsal};
  TaskGroup tasks{loop.executor(), nullptr};

  explicit OneAnswer(std::string bytes) {
    tasks.spawn("server", [](WireServer& from, std::string text) -> asio::awaitable<void> {
      co_await answer(from, {std::move(text)});
    }(server, std::move(bytes)));
  }
  Failure failure() {
    Failure result;
    loop.run([](OneAnswer& self, Failure& seen) -> asio::awaitable<void> {
      seen = co_await failure_of(self.client, {.url = self.server.url("/")});
    }(*this, result));
    return result;
  }
  Response response(std::string method = "GET") {
    Response result;
    loop.run([](OneAnswer& self, std::string how, Response& seen) -> asio::awaitable<void> {
      seen = co_await self.client.send({.method = how, .url = self.server.url("/")}, 5s);
    }(*this, std::move(method), result));
    return result;
  }
};

}  // namespace

TEST_CASE("a request goes out with its secrets, and the answer comes back whole") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  std::string heard;
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from, std::string& text) -> asio::awaitable<void> {
    auto wire = co_await from.accept();
    text = co_await wire.hear_until("the body");
    co_await wire.say("HTTP/1.1 201 Created\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello");
  }(server, heard));
  loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
    const auto response =
        co_await through.send({.method = "POST",
                               .url = to.url("/path?q=1"),
                               .headers = {{"X-Mine", "yes"}},
                               .bearer = storage::share(storage::Secret::copy_of("token")),
                               .secret_body = storage::share(storage::Secret::copy_of("the body"))},
                              5s);
    CHECK(response.status == 201);
    CHECK(response.header("x-one") == "1");
    CHECK(response.body == "hello");
  }(server, client));
  const std::string host = "127.0.0.1:" + std::to_string(server.port());
  CHECK(heard ==
        "POST /path?q=1 HTTP/1.1\r\nHost: " + host +
            "\r\nUser-Agent: keyturn\r\nX-Mine: yes\r\nAuthorization: Bearer token\r\nContent-Length: "
            "8\r\n\r\nthe body");
}

TEST_CASE("answers of every framing are understood") {
  SECTION("with a length") { CHECK(OneAnswer(kOk).response().body == "ok"); }
  SECTION("chunked, with a trailer that is ignored") {
    const auto response =
        OneAnswer(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n"
            "X-Trailer: 1\r\n\r\n")
            .response();
    CHECK(response.body == "abcde");
    CHECK(response.header("X-Trailer").empty());
  }
  SECTION("until the connection ends") {
    CHECK(OneAnswer("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end").response().body ==
          "until the end");
  }
  SECTION("without a body") {
    CHECK(OneAnswer("HTTP/1.1 204 No Content\r\n\r\n").response().status == 204);
    CHECK(OneAnswer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").response().status == 304);
  }
  SECTION("to HEAD") {
    CHECK(OneAnswer("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").response("HEAD").body.empty());
  }
  SECTION("after interim answers") {
    CHECK(OneAnswer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
                    std::string(kOk))
              .response()
              .body == "ok");
  }
}

TEST_CASE("a redirect is an answer like any other") {
  const auto response =
      OneAnswer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\n\r\n")
          .response();
  CHECK(response.status == 302);
  CHECK(response.header("Location") == "http://127.0.0.1:1/login");
}

TEST_CASE("an answer that isn't whole is a failure after sending, never an answer") {
  for (const auto* bytes : {
           "",
           "HTTP/1.1 200",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
           "HTTP/1.1 100 Continue\r\n\r\n",
           "<html>not HTTP</html>\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
       }) {
    CAPTURE(bytes);
    const auto failure = OneAnswer(bytes).failure();
    CHECK(failure.happened);
    CHECK(failure.sent);
    CHECK(contains(failure.text, "127.0.0.1"));
  }
}

TEST_CASE("an answer larger than the limit is refused, with a length and without") {
  for (const std::string head : {"Content-Length: 2000\r\n\r\n", "\r\n"}) {
    Loop loop;
    WireServer server(loop);
    HttpClient client(loop.executor(), {.allow_plain_loopback = true, .response_limit = 1000});
    TaskGroup tasks(loop.executor(), nullptr);
    tasks.spawn("server", [](WireServer& from, std::string text) -> asio::awaitable<void> {
      co_await answer(from, {text});
    }(server, "HTTP/1.1 200 OK\r\n" + head + std::string(2000, 'x')));
    loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
      const auto failure = co_await failure_of(through, {.url = to.url("/")});
      CHECK(failure.sent);
      CHECK(contains(failure.text, "larger than we accept"));
    }(server, client));
  }
}

TEST_CASE("one connection serves many requests") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    co_await answer(from, {kOk, kOk, kOk});
  }(server));
  loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
    for (int round = 0; round < 3; ++round) {
      CHECK((co_await through.send({.method = "POST", .url = to.url("/")}, 5s)).body == "ok");
    }
  }(server, client));
}

TEST_CASE("a connection is not kept when the answer says so, or says more than it should") {
  for (const std::string first : {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
                                  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"}) {
    CAPTURE(first);
    Loop loop;
    WireServer server(loop);
    HttpClient client(loop.executor(), kRehearsal);
    TaskGroup tasks(loop.executor(), nullptr);
    tasks.spawn("server", [](WireServer& from, std::string text) -> asio::awaitable<void> {
      auto one = co_await answer(from, {text});  // stays open on this side
      auto two = co_await answer(from, {kOk});
    }(server, first));
    loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
      for (int round = 0; round < 2; ++round) {
        CHECK((co_await through.send({.method = "POST", .url = to.url("/")}, 5s)).body == "ok");
      }
    }(server, client));
  }
}

TEST_CASE("a kept connection that was closed meanwhile is noticed before anything is sent on it") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  loop.run([](WireServer& both, HttpClient& through, Loop& on) -> asio::awaitable<void> {
    TaskGroup tasks(on.executor(), nullptr);
    tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
      {
        auto one = co_await answer(from, {kOk});
      }
      auto two = co_await answer(from, {kOk});
    }(both));
    co_await through.send({.method = "POST", .url = both.url("/")}, 5s);
    while (tasks.size() != 0 && !co_await tasks.wait(1ms)) break;
    CHECK((co_await through.send({.method = "POST", .url = both.url("/")}, 5s)).body == "ok");
  }(server, client, loop));
}

namespace {

// The second request on the kept connection is read, and answered with the connection's end.
asio::awaitable<void> die_on_second_request(WireServer& server) {
  {
    auto one = co_await answer(server, {kOk});
    co_await one.hear_until("\r\n\r\n");
  }
  auto two = co_await answer(server, {kOk});
}

}  // namespace

TEST_CASE("a kept connection that dies under a GET is replaced once") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", die_on_second_request(server));
  loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
    CHECK((co_await through.send({.url = to.url("/")}, 5s)).body == "ok");
    CHECK((co_await through.send({.url = to.url("/")}, 5s)).body == "ok");
  }(server, client));
}

TEST_CASE("a kept connection that dies under anything else is a failure after sending") {
  for (const std::string method : {"POST", "PATCH", "PUT", "DELETE"}) {
    CAPTURE(method);
    Loop loop;
    WireServer server(loop);
    HttpClient client(loop.executor(), kRehearsal);
    TaskGroup tasks(loop.executor(), nullptr);
    tasks.spawn("server", die_on_second_request(server));
    loop.run([](WireServer& to, HttpClient& through, std::string how) -> asio::awaitable<void> {
      CHECK((co_await through.send({.method = how, .url = to.url("/")}, 5s)).body == "ok");
      const auto failure = co_await failure_of(through, {.method = how, .url = to.url("/")});
      CHECK(failure.happened);
      CHECK(failure.sent);
    }(server, client, method));
  }
}

TEST_CASE("a connection unused for too long is not used again") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), {.allow_plain_loopback = true, .idle_limit = 0ms});
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    auto one = co_await answer(from, {kOk});
    auto two = co_await answer(from, {kOk});
  }(server));
  loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
    co_await through.send({.url = to.url("/")}, 5s);
    co_await sleep_for(1ms);
    co_await through.send({.url = to.url("/")}, 5s);
  }(server, client));
}

TEST_CASE("a deadline covers the whole call and takes the connection down") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  bool closed = false;
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from, bool& saw_end) -> asio::awaitable<void> {
    auto wire = co_await from.accept();
    co_await wire.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    co_await wire.hear_all();
    saw_end = true;
  }(server, closed));
  loop.run([](WireServer& to, HttpClient& through, TaskGroup& group) -> asio::awaitable<void> {
    const auto failure = co_await failure_of(through, {.url = to.url("/?secret=1")}, 20ms);
    CHECK(failure.sent);
    CHECK(contains(failure.text, "no whole answer within"));
    CHECK_FALSE(contains(failure.text, "secret"));
    CHECK(co_await group.wait(5s));
  }(server, client, tasks));
  CHECK(closed);
}

TEST_CASE("a call can be cancelled from outside, and the client is good for the next one") {
  Loop loop;
  WireServer server(loop);
  HttpClient client(loop.executor(), kRehearsal);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    auto silent = co_await from.accept();
    auto good = co_await answer(from, {kOk});
  }(server));
  loop.run([](WireServer& to, HttpClient& through) -> asio::awaitable<void> {
    CHECK_FALSE(co_await within(20ms, through.send({.url = to.url("/")}, 1h)));
    CHECK((co_await through.send({.url = to.url("/")}, 5s)).body == "ok");
  }(server, client));
}

TEST_CASE("nothing was sent when no connection came about") {
  Loop loop;
  std::uint16_t closed_port = 0;
  {
    WireServer gone(loop);
    closed_port = gone.port();
  }
  HttpClient client(loop.executor(), {.allow_plain_loopback = true, .connect_limit = 2s});
  loop.run([](HttpClient& through, std::uint16_t port) -> asio::awaitable<void> {
    const auto refused =
        co_await failure_of(through, {.url = "http://127.0.0.1:" + std::to_string(port) + "/?key=1"});
    CHECK(refused.happened);
    CHECK_FALSE(refused.sent);
    CHECK(contains(refused.text, "connection refused"));
    CHECK_FALSE(contains(refused.text, "key"));

    const auto unknown = co_await failure_of(through, {.url = "https://no-such-host.invalid/"});
    CHECK(unknown.happened);
    CHECK_FALSE(unknown.sent);
    CHECK(contains(unknown.text, "no-such-host.invalid"));
  }(client, closed_port));
}

TEST_CASE("plain http is refused, but to loopback in a rehearsal") {
  Loop loop;
  HttpClient strict(loop.executor(), {});
  HttpClient rehearsal(loop.executor(), kRehearsal);
  loop.run([](HttpClient& with, HttpClient& without) -> asio::awaitable<void> {
    for (auto failure : {co_await failure_of(with, {.url = "http://127.0.0.1:1/"}),
                         co_await failure_of(without, {.url = "http://192.0.2.1/?key=1"}),
                         co_await failure_of(without, {.url = "http://localhost.example.com/"})}) {
      CHECK(failure.happened);
      CHECK_FALSE(failure.sent);
      CHECK(contains(failure.text, "plain http is only allowed to loopback"));
      CHECK_FALSE(contains(failure.text, "key"));
    }
  }(strict, rehearsal));
}

TEST_CASE("a request that would break out of its frame is never sent") {
  Loop loop;
  HttpClient client(loop.executor(), kRehearsal);
  const std::string url = "http://127.0.0.1:1/";
  loop.run([](HttpClient& through, std::string to) -> asio::awaitable<void> {
    for (Request request :
         {Request{.url = to, .headers = {{"X", "a\r\nY: b"}}}, Request{.url = to, .headers = {{"X Y", "a"}}},
          Request{.url = to, .headers = {{"", "a"}}}, Request{.method = "GET /x", .url = to},
          Request{.url = to + "a b"},
          Request{.url = to, .bearer = storage::share(storage::Secret::copy_of("tok\r\nen"))},
          Request{.url = "ws://127.0.0.1:1/"}}) {
      const auto failure = co_await failure_of(through, std::move(request));
      CHECK(failure.happened);
      CHECK_FALSE(failure.sent);
      CHECK_FALSE(contains(failure.text, "tok"));
      CHECK_FALSE(contains(failure.text, "refused"));  // no connection was tried
    }
  }(client, url));
}

TEST_CASE("calls run side by side, each on its own connection") {
  Loop loop;
  Signal release(loop);
  int at_once = 0;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      if (++at_once == 20) release.set();
                      co_await release.wait();
                      co_await exchange.respond(Response(200, {}, "ok"));
                    });
  HttpClient client(loop.executor(), kRehearsal);
  int answered = 0;
  TaskGroup tasks(loop.executor(), nullptr);
  for (int index = 0; index < 20; ++index) {
    tasks.spawn("call", [](HttpClient& through, std::string to, int& count) -> asio::awaitable<void> {
      if ((co_await through.send({.url = to}, 5s)).body == "ok") ++count;
    }(client, server.url("/"), answered));
  }
  loop.run([](TaskGroup& group) -> asio::awaitable<void> { CHECK(co_await group.wait(10s)); }(tasks));
  CHECK(answered == 20);
}
