// WebSockets: our two sides against each other, and each against bare bytes.
#include "integrations/net/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <catch2/catch.hpp>

#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// RFC 6455, 4.2.2
std::string accept_for(const std::string& request) {
  const std::string name = "Sec-WebSocket-Key: ";
  const auto begin = request.find(name) + name.size();
  const std::string text =
      request.substr(begin, request.find("\r\n", begin) - begin) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char encoded[64];
  const int size = EVP_EncodeBlock(encoded, digest, sizeof(digest));
  return {reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(size)};
}

asio::awaitable<Wire> accept_upgrade(WireServer& server) {
  auto wire = co_await server.accept();
  const auto request = co_await wire.hear_until("\r\n\r\n");
  co_await wire.say(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\nSec-WebSocket-Accept: " +
      accept_for(request) + "\r\n\r\n");
  co_return wire;
}

asio::awaitable<Wire> ask_for_upgrade(std::uint16_t port, std::string early_frames = "") {
  auto wire = co_await connect_wire(port);
  co_await wire.say(
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
      early_frames);
  const auto head = co_await wire.hear_until("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 101 "));
  co_return wire;
}

asio::awaitable<std::unique_ptr<WebSocket>> connect(Loop& loop, std::string url,
                                                    WebSocketOptions options = {}) {
  return connect_websocket(loop.executor(), std::move(url), kRehearsal, options);
}

// A server whose handler is given the socket.
template <typename Talk>
Handler talks(Talk talk) {
  return [talk](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
    auto socket = co_await exchange.accept_websocket({});
    co_await talk(*socket);
  };
}

asio::awaitable<void> echo(WebSocket& socket) {
  while (auto text = co_await socket.read()) co_await socket.write(*text);
}

unsigned byte_of(const std::string& bytes, std::size_t index) {
  return static_cast<unsigned char>(bytes.at(index));
}

}  // namespace

TEST_CASE("messages of every size come back as they went") {
  Loop loop;
  TestServer server(loop, talks(echo));
  loop.run([](Loop& on, std::string url) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65'535UL, 65'536UL, 1'000'000UL}) {
      const std::string text(size, 'm');
      co_await socket->write(text);
      CHECK(co_await socket->read() == text);
    }
    CHECK(socket->why_closed().empty());
    co_await socket->close(1000);
    CHECK(co_await socket->read() == std::nullopt);
    CHECK(socket->why_closed() == "closed here");
  }(loop, server.url("/", "ws")));
}

namespace {

struct FrameHead {
  bool whole_text = false;  // the final frame of a text message, no fragment
  std::string mask;
  std::size_t size = 0;
};

// RFC 6455, 5.2
asio::awaitable<FrameHead> hear_frame_head(Wire& wire) {
  const auto begin = co_await wire.hear(2);
  const unsigned length = byte_of(begin, 1) & 0x7fU;
  FrameHead head{.whole_text = byte_of(begin, 0) == 0x81, .mask = "", .size = length};
  if (length >= 126) {
    head.size = 0;
    for (const char byte : co_await wire.hear(length == 126 ? 2 : 8)) {
      head.size = head.size * 256 + static_cast<unsigned char>(byte);
    }
  }
  if ((byte_of(begin, 1) & 0x80U) != 0) head.mask = co_await wire.hear(4);
  co_return head;
}

}  // namespace

// Slack drops fragmented messages. 200,000 is more than Beast's write buffer, where fragments would begin.
TEST_CASE("a large message leaves the client as one unfragmented, masked frame") {
  for (const std::size_t size : {60'000UL, 200'000UL}) {
    Loop loop;
    WireServer server(loop);
    TaskGroup tasks(loop.executor(),
                    [](const std::string&, std::exception_ptr) { FAIL("the server failed"); });
    tasks.spawn("server", [](WireServer& from, std::string expected) -> asio::awaitable<void> {
      auto wire = co_await accept_upgrade(from);
      const auto head = co_await hear_frame_head(wire);
      CHECK(head.whole_text);
      CHECK(head.size == expected.size());
      REQUIRE(head.mask.size() == 4);
      auto payload = co_await wire.hear(expected.size());
      for (std::size_t index = 0; index < payload.size(); ++index) {
        payload[index] = static_cast<char>(payload[index] ^ head.mask[index % 4]);
      }
      CHECK(payload == expected);
    }(server, std::string(size, 'a')));
    loop.run([](Loop& on, std::string url, std::string text, TaskGroup& group) -> asio::awaitable<void> {
      auto socket = co_await connect(on, url);
      co_await socket->write(text);
      CHECK(co_await group.wait(5s));
    }(loop, server.url("/", "ws"), std::string(size, 'a'), tasks));
  }
}

TEST_CASE("a large message leaves the server as one unfragmented frame") {
  for (const std::size_t size : {60'000UL, 200'000UL}) {
    Loop loop;
    TestServer server(loop, talks([size](WebSocket& socket) -> asio::awaitable<void> {
                        co_await socket.write(std::string(size, 'b'));
                        co_await socket.read();
                      }));
    loop.run([](std::uint16_t port, std::size_t expected) -> asio::awaitable<void> {
      auto wire = co_await ask_for_upgrade(port);
      const auto head = co_await hear_frame_head(wire);
      CHECK(head.whole_text);
      CHECK(head.mask.empty());
      CHECK(head.size == expected);
      CHECK(co_await wire.hear(expected) == std::string(expected, 'b'));
    }(server.server.port(), size));
  }
}

TEST_CASE("a frame that comes together with the upgrade request is heard") {
  Loop loop;
  TestServer server(loop, talks(echo));
  loop.run([](std::uint16_t port) -> asio::awaitable<void> {
    auto wire = co_await ask_for_upgrade(port, std::string("\x81\x82\0\0\0\0hi", 8));
    CHECK(co_await wire.hear(4) == "\x81\x02hi");
  }(server.server.port()));
}

TEST_CASE("fragments of a message are put together, and a ping between them is answered") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  std::string pong;
  tasks.spawn("server", [](WireServer& from, std::string& heard) -> asio::awaitable<void> {
    auto wire = co_await accept_upgrade(from);
    co_await wire.say(std::string("\x01\x02he\x89\x01p\x80\x03llo", 12));
    heard = co_await wire.hear(7);
  }(server, pong));
  loop.run([](Loop& on, std::string url, TaskGroup& group) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    CHECK(co_await socket->read() == "hello");
    CHECK(co_await group.wait(5s));
  }(loop, server.url("/", "ws"), tasks));
  CHECK(byte_of(pong, 0) == 0x8a);
}

TEST_CASE("the peer's close code and reason are told, and its close is answered") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  std::string reply;
  tasks.spawn("server", [](WireServer& from, std::string& heard) -> asio::awaitable<void> {
    auto wire = co_await accept_upgrade(from);
    co_await wire.say(std::string("\x88\x09\x03\xf0go\naway", 11));  // 1008
    heard = co_await wire.hear_all();
  }(server, reply));
  loop.run([](Loop& on, std::string url, TaskGroup& group) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    CHECK(co_await socket->read() == std::nullopt);
    CHECK(socket->why_closed() == "closed by peer: 1008 go?away");
    bool refused = false;
    try {
      co_await socket->write("too late");
    } catch (const NetError& error) {
      refused = !error.sent;
    }
    CHECK(refused);
    CHECK(co_await group.wait(5s));
  }(loop, server.url("/", "ws"), tasks));
  CHECK(byte_of(reply, 0) == 0x88);
}

TEST_CASE("closing tells the other side the code, also while a read is outstanding") {
  Loop loop;
  std::string server_saw;
  Signal server_ended(loop);
  TestServer server(loop, talks([&](WebSocket& socket) -> asio::awaitable<void> {
                      co_await echo(socket);
                      server_saw = socket.why_closed();
                      server_ended.set();
                    }));
  loop.run([](Loop& on, std::string url, Signal& ended) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    TaskGroup reader(on.executor(), nullptr);
    reader.spawn("reader", [](WebSocket& from) -> asio::awaitable<void> {
      CHECK(co_await from.read() == std::nullopt);
    }(*socket));
    co_await sleep_for(1ms);
    co_await socket->close(1001);
    CHECK(co_await reader.wait(5s));
    co_await socket->close(1001);  // again: nothing happens
    CHECK(co_await within(5s, ended.wait()));
  }(loop, server.url("/", "ws"), server_ended));
  CHECK(server_saw == "closed by peer: 1001");
}

TEST_CASE("a peer that doesn't answer the close is left after a second") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    auto wire = co_await accept_upgrade(from);
    co_await wire.hear_all();
  }(server));
  loop.run([](Loop& on, std::string url, TaskGroup& group) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    const auto begin = std::chrono::steady_clock::now();
    co_await socket->close(1000);
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(took >= 900ms);
    CHECK(co_await group.wait(5s));
  }(loop, server.url("/", "ws"), tasks));
}

TEST_CASE("a coroutine that was cancelled can still close its socket in good order") {
  Loop loop;
  std::string server_saw;
  Signal server_ended(loop);
  TestServer server(loop, talks([&](WebSocket& socket) -> asio::awaitable<void> {
                      co_await echo(socket);
                      server_saw = socket.why_closed();
                      server_ended.set();
                    }));
  TaskGroup tasks(loop.executor(), nullptr);
  loop.run([](Loop& on, std::string url, TaskGroup& group, Signal& ended) -> asio::awaitable<void> {
    Signal connected(on);
    group.spawn("owner", [](Loop& io, std::string to, Signal& ready) -> asio::awaitable<void> {
      auto socket = co_await connect(io, to);
      ready.set();
      std::exception_ptr failure;
      try {
        co_await sleep_for(1h);
      } catch (...) {
        failure = std::current_exception();
      }
      co_await asio::this_coro::reset_cancellation_state();
      co_await socket->close(1001);
      std::rethrow_exception(failure);
    }(on, url, connected));
    CHECK(co_await within(5s, connected.wait()));
    group.cancel();
    CHECK(co_await within(5s, ended.wait()));
    CHECK(co_await group.wait(5s));
  }(loop, server.url("/", "ws"), tasks, server_ended));
  CHECK(server_saw == "closed by peer: 1001");
}

TEST_CASE("abort ends a read that waits, at once") {
  Loop loop;
  Signal server_ended(loop);
  TestServer server(loop, talks([&](WebSocket& socket) -> asio::awaitable<void> {
                      co_await echo(socket);
                      server_ended.set();
                    }));
  loop.run([](Loop& on, std::string url, Signal& ended) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    TaskGroup reader(on.executor(), nullptr);
    reader.spawn("reader", [](WebSocket& from) -> asio::awaitable<void> {
      CHECK(co_await from.read() == std::nullopt);
    }(*socket));
    co_await sleep_for(1ms);
    socket->abort();
    CHECK(co_await reader.wait(5s));
    CHECK(socket->why_closed() == "aborted here");
    CHECK(co_await within(5s, ended.wait()));
  }(loop, server.url("/", "ws"), server_ended));
}

TEST_CASE("a socket that is dropped while it is read ends the read") {
  Loop loop;
  TestServer server(loop, talks(echo));
  loop.run([](Loop& on, std::string url) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    auto read = socket->read();
    TaskGroup reader(on.executor(), nullptr);
    reader.spawn("reader", [](asio::awaitable<std::optional<std::string>> pending) -> asio::awaitable<void> {
      CHECK(co_await std::move(pending) == std::nullopt);
    }(std::move(read)));
    co_await sleep_for(1ms);
    socket.reset();
    CHECK(co_await reader.wait(5s));
  }(loop, server.url("/", "ws")));
}

TEST_CASE("a silent peer is given up after the idle limit") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  std::string heard;
  tasks.spawn("server", [](WireServer& from, std::string& all) -> asio::awaitable<void> {
    auto wire = co_await accept_upgrade(from);
    all = co_await wire.hear_all();
  }(server, heard));
  loop.run([](Loop& on, std::string url, TaskGroup& group) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url, {.idle_limit = 60ms});
    CHECK(co_await socket->read() == std::nullopt);
    CHECK(socket->why_closed() == "nothing came within the idle limit");
    CHECK(co_await group.wait(5s));
  }(loop, server.url("/", "ws"), tasks));
  CHECK(byte_of(heard, 0) == 0x89);  // it was asked with a ping before
}

TEST_CASE("a peer that answers pings is never idle") {
  Loop loop;
  TestServer server(loop, talks(echo));
  loop.run([](Loop& on, std::string url) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url, {.idle_limit = 100ms});
    TaskGroup reader(on.executor(), nullptr);
    reader.spawn("reader", [](WebSocket& from) -> asio::awaitable<void> {
      CHECK(co_await from.read() == "still here");
    }(*socket));
    CHECK_FALSE(co_await reader.wait(500ms));
    co_await socket->write("still here");
    CHECK(co_await reader.wait(5s));
  }(loop, server.url("/", "ws")));
}

TEST_CASE("a message over the limit closes with 1009; a binary one is not spoken") {
  Loop loop;
  std::vector<std::string> endings;
  TestServer server(loop,
                    [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
                      auto socket = co_await exchange.accept_websocket({.message_limit = 1000});
                      co_await echo(*socket);
                      endings.push_back(socket->why_closed());
                    });
  loop.run([](Loop& on, std::string url, std::uint16_t port,
              std::vector<std::string>& seen) -> asio::awaitable<void> {
    auto socket = co_await connect(on, url);
    co_await socket->write(std::string(1001, 'x'));
    CHECK(co_await socket->read() == std::nullopt);
    CHECK(socket->why_closed() == "closed by peer: 1009");

    auto wire = co_await ask_for_upgrade(port, std::string("\x82\x82\0\0\0\0hi", 8));
    co_await wire.hear_all();
    CHECK(seen.size() == 2);
  }(loop, server.url("/", "ws"), server.server.port(), endings));
  CHECK(endings == std::vector<std::string>{"a message was larger than we accept",
                                            "a binary message came, and only text is spoken here"});
}

TEST_CASE("an upgrade that is declined or never answered is a failure, without the URL in its text") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    {
      auto wire = co_await from.accept();
      co_await wire.hear_until("\r\n\r\n");
      co_await wire.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    auto silent = co_await from.accept();
    co_await silent.hear_all();
  }(server));
  loop.run([](Loop& on, std::string url) -> asio::awaitable<void> {
    std::vector<std::string> failures;
    for (int round = 0; round < 2; ++round) {
      try {
        co_await connect_websocket(on.executor(), url, {.allow_plain_loopback = true, .connect_limit = 50ms},
                                   {});
      } catch (const NetError& error) {
        CHECK(error.sent);
        failures.push_back(error.what());
      }
    }
    REQUIRE(failures.size() == 2);
    CHECK(failures[0] == "127.0.0.1: answered 403 instead of a websocket");
    CHECK(failures[1].find("no answer to the websocket upgrade") != std::string::npos);
    CHECK(failures[1].find("ticket") == std::string::npos);
  }(loop, server.url("/?ticket=1", "ws")));
}

TEST_CASE("a plain websocket goes to loopback only, and only in a rehearsal") {
  Loop loop;
  loop.run([](Loop& on) -> asio::awaitable<void> {
    int refused = 0;
    for (const ClientOptions& options : {ClientOptions{}, kRehearsal}) {
      const std::string url = options.allow_plain_loopback ? "ws://192.0.2.1/" : "ws://127.0.0.1/";
      try {
        co_await connect_websocket(on.executor(), url, options, {});
      } catch (const NetError& error) {
        if (!error.sent) ++refused;
      }
    }
    CHECK(refused == 2);
  }(loop));
}
