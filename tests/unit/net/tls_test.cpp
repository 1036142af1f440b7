// TLS on both sides, with an authority made for the test.
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <catch2/catch.hpp>
#include <thread>

#include "integrations/net/http_client.h"
#include "integrations/net/websocket.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

asio::awaitable<void> greet(std::shared_ptr<const ServerRequest>, Exchange& exchange) {
  co_await exchange.respond(Response(200, {}, "hello"));
}

ServerOptions served_with(const TlsFiles& files) {
  return {.certificate_file = files.certificate_file, .private_key_file = files.key_file};
}

struct Outcome {
  std::string body;
  bool sent = false;
  std::string failure;
};

// One call of a new client that trusts `authority` (empty: only the system's).
Outcome call(Loop& loop, const std::string& url, const std::string& authority) {
  Outcome outcome;
  HttpClient client(loop.executor(), {.certificate_authorities = authority});
  loop.run([](HttpClient& through, std::string to, Outcome& result) -> asio::awaitable<void> {
    try {
      result.body = (co_await through.send({.url = to}, 5s)).body;
    } catch (const NetError& error) {
      result.sent = error.sent;
      result.failure = error.what();
    }
  }(client, url, outcome));
  return outcome;
}

// A client that speaks that version alone, and would speak it with anybody.
asio::ssl::context client_of(int version) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_security_level(context.native_handle(), 0);
  SSL_CTX_set_min_proto_version(context.native_handle(), version);
  SSL_CTX_set_max_proto_version(context.native_handle(), version);
  return context;
}

}  // namespace

TEST_CASE("a server with a certificate of a trusted authority is spoken to, by address and by name") {
  Loop loop;
  const TlsFiles files;
  TestServer server(loop, greet, served_with(files));
  CHECK(server.server.secure());
  CHECK(call(loop, server.url("/", "https"), files.authority_file).body == "hello");
  const std::string by_name = "https://localhost:" + std::to_string(server.server.port()) + "/";
  CHECK(call(loop, by_name, files.authority_file).body == "hello");
}

TEST_CASE("an authority that nobody trusts is refused before anything is sent") {
  Loop loop;
  const TlsFiles files;
  const TlsFiles others;
  TestServer server(loop, greet, served_with(files));
  for (const auto& authority : {std::string(), others.authority_file}) {
    const auto outcome = call(loop, server.url("/?key=1", "https"), authority);
    CHECK(outcome.body.empty());
    CHECK_FALSE(outcome.sent);
    CHECK(contains(outcome.failure, "TLS handshake with 127.0.0.1 failed"));
    CHECK(contains(outcome.failure, "certificate"));
    CHECK_FALSE(contains(outcome.failure, "key"));
  }
}

TEST_CASE("a certificate for another host is refused before anything is sent") {
  Loop loop;
  const TlsFiles files("DNS:elsewhere.example,IP:127.0.0.2");
  TestServer server(loop, greet, served_with(files));
  for (const auto& host : {"127.0.0.1", "localhost"}) {
    const std::string url = "https://" + std::string(host) + ":" + std::to_string(server.server.port()) + "/";
    const auto outcome = call(loop, url, files.authority_file);
    CAPTURE(outcome.failure);
    CHECK(outcome.body.empty());
    CHECK_FALSE(outcome.sent);
    CHECK(contains(outcome.failure, "mismatch"));
  }
}

TEST_CASE("a server that doesn't speak TLS, or hangs up, is a failure before sending") {
  Loop loop;
  WireServer server(loop);
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn("server", [](WireServer& from) -> asio::awaitable<void> {
    {
      auto plain = co_await from.accept();
      co_await plain.say("HTTP/1.1 400 Bad Request\r\n\r\n");
      co_await plain.hear_all();
    }
    auto mute = co_await from.accept();
    co_await mute.hear(1);
  }(server));
  for (int round = 0; round < 2; ++round) {
    const auto outcome = call(loop, server.url("/", "https"), "");
    CHECK_FALSE(outcome.failure.empty());
    CHECK_FALSE(outcome.sent);
  }
}

TEST_CASE("a file of authorities that can't be read is a failure before sending") {
  Loop loop;
  const auto outcome = call(loop, "https://127.0.0.1:1/", "/nonexistent/authority.pem");
  CHECK_FALSE(outcome.sent);
  CHECK(contains(outcome.failure, "/nonexistent/authority.pem"));
}

TEST_CASE("a server can't start without a usable certificate, and says which file is to blame") {
  Loop loop;
  const TlsFiles files;
  const TlsFiles others;
  CHECK_THROWS_WITH(
      HttpServer(loop.executor(),
                 {.certificate_file = "/nonexistent.pem", .private_key_file = files.key_file}, greet),
      Catch::Contains("/nonexistent.pem"));
  CHECK_THROWS_WITH(
      HttpServer(loop.executor(),
                 {.certificate_file = files.certificate_file, .private_key_file = others.key_file}, greet),
      Catch::Contains(others.key_file));
}

TEST_CASE("a renewed certificate serves new connections; half a renewal changes nothing") {
  Loop loop;
  const TlsFiles files;
  const TlsFiles renewed;
  TestServer server(loop, greet, served_with(files));
  const std::string url = server.url("/", "https");
  CHECK(call(loop, url, files.authority_file).body == "hello");

  const auto replace = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(renewed.certificate_file, files.certificate_file, replace);
  CHECK(call(loop, url, files.authority_file).body == "hello");  // the key doesn't fit yet

  std::filesystem::copy_file(renewed.key_file, files.key_file, replace);
  CHECK(call(loop, url, renewed.authority_file).body == "hello");
  CHECK_FALSE(call(loop, url, files.authority_file).failure.empty());
}

TEST_CASE("only TLS 1.2 and newer is spoken, and only with forward-secret authenticated ciphers") {
  Loop loop;
  const TlsFiles elliptic;
  const TlsFiles rsa("IP:127.0.0.1", KeyKind::rsa);
  TestServer with_elliptic(loop, greet, served_with(elliptic));
  TestServer with_rsa(loop, greet, served_with(rsa));
  struct Offer {
    int version;
    const char* ciphers;  // of TLS 1.2 and older
    TestServer* to;
    bool taken;
  };
  const auto* any = "ALL:@SECLEVEL=0";
  for (const auto& offer : std::vector<Offer>{
           {TLS1_3_VERSION, any, &with_elliptic, true},
           {TLS1_2_VERSION, any, &with_elliptic, true},
           {TLS1_2_VERSION, any, &with_rsa, true},
           {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", &with_elliptic, true},
           {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", &with_rsa, true},
           {TLS1_1_VERSION, any, &with_elliptic, false},
           {TLS1_1_VERSION, any, &with_rsa, false},
           {TLS1_VERSION, any, &with_rsa, false},
           // CBC: no authenticated encryption.
           {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA",
            &with_elliptic, false},
           {TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA", &with_rsa,
            false},
           // The certificate's key itself carries the secret: whoever gets it later reads it all.
           {TLS1_2_VERSION, "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES128-SHA", &with_rsa, false},
           {TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-CHACHA20-POLY1305", &with_rsa, false},
           // Nobody is authenticated, or nothing is encrypted.
           {TLS1_2_VERSION, "aNULL:@SECLEVEL=0", &with_rsa, false},
           {TLS1_2_VERSION, "eNULL:@SECLEVEL=0", &with_rsa, false},
       }) {
    CAPTURE(offer.version, offer.ciphers);
    auto context = client_of(offer.version);
    REQUIRE(SSL_CTX_set_cipher_list(context.native_handle(), offer.ciphers) == 1);
    bool taken = false;
    loop.run([](asio::ssl::context& with, std::uint16_t port, bool& result) -> asio::awaitable<void> {
      auto wire = co_await connect_wire(port);
      asio::ssl::stream<Wire::Socket&> stream(wire.socket(), with);
      boost::system::error_code error;
      co_await stream.async_handshake(asio::ssl::stream_base::client,
                                      asio::redirect_error(asio::use_awaitable, error));
      result = !error;
      if (result) CHECK(SSL_get_current_compression(stream.native_handle()) == nullptr);
    }(context, offer.to->server.port(), taken));
    CHECK(taken == offer.taken);
  }
}

TEST_CASE("a client can't make the server renegotiate") {
  Loop loop;
  const TlsFiles files;
  TestServer server(loop, greet, served_with(files));
  auto context = client_of(TLS1_2_VERSION);
  loop.run([](asio::ssl::context& with, std::uint16_t port) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    asio::ssl::stream<Wire::Socket&> stream(wire.socket(), with);
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    REQUIRE(SSL_renegotiate(stream.native_handle()) == 1);
    boost::system::error_code error;
    co_await stream.async_handshake(asio::ssl::stream_base::client,
                                    asio::redirect_error(asio::use_awaitable, error));
    CHECK(contains(error.message(), "no renegotiation"));
  }(context, server.server.port()));
}

TEST_CASE("a client that never finishes its handshake costs a connection for the header's time only") {
  Loop loop;
  const TlsFiles files;
  auto options = served_with(files);
  options.header_time = 60ms;
  TestServer server(loop, greet, options);
  loop.run([](TestServer& to) -> asio::awaitable<void> {
    auto silent = co_await connect_wire(to.server.port());
    CHECK((co_await silent.hear_all()).empty());
    // A record of 512 bytes, announced and then given byte by byte.
    auto slow = co_await connect_wire(to.server.port());
    co_await slow.say(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    boost::system::error_code error;
    int rounds = 0;
    for (; rounds < 400 && !error; ++rounds) {
      co_await asio::async_write(slow.socket(), asio::buffer("x", 1),
                                 asio::redirect_error(asio::use_awaitable, error));
      co_await sleep_for(5ms);
    }
    CHECK(error);
    CHECK(to.server.connections() == 0);
  }(server));
}

TEST_CASE("a deadline that falls between two records of an answer ends it all the same") {
  Loop loop;
  const TlsFiles files;
  auto options = served_with(files);
  options.write_time = 50ms;
  Signal gone(loop);
  TestServer server(
      loop,
      [&](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
        try {
          co_await exchange.respond(Response(200, {}, std::string(50'000'000, 'x')));
        } catch (const NetError&) {
          gone.set();
        }
      },
      options);
  auto context = client_of(TLS1_3_VERSION);
  loop.run([](asio::ssl::context& with, std::uint16_t port, Signal& given_up) -> asio::awaitable<void> {
    auto wire = co_await connect_wire(port);
    asio::ssl::stream<Wire::Socket&> stream(wire.socket(), with);
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    co_await asio::async_write(stream, asio::buffer(request), asio::use_awaitable);
    co_await sleep_for(20ms);  // the buffers between us are full now, and the server waits
    // Room for many records, and the deadline passes, while the loop stands still: it then finds both at
    // once, the next record goes out at once, and the one after it has nobody left to end it.
    std::vector<char> bytes(100'000);
    boost::system::error_code dry;
    wire.socket().non_blocking(true);
    while (!dry) wire.socket().read_some(asio::buffer(bytes), dry);
    std::this_thread::sleep_for(100ms);
    CHECK(co_await within(5s, given_up.wait()));
  }(context, server.server.port(), gone));
}

TEST_CASE("the second connection to an origin resumes the first one's session") {
  Loop loop;
  const TlsFiles files;
  WireServer server(loop);
  std::vector<bool> resumed;
  TaskGroup tasks(loop.executor(), nullptr);
  tasks.spawn(
      "server", [](WireServer& from, const TlsFiles& with, std::vector<bool>& seen) -> asio::awaitable<void> {
        asio::ssl::context context(asio::ssl::context::tls_server);
        context.use_certificate_chain_file(with.certificate_file);
        context.use_private_key_file(with.key_file, asio::ssl::context::pem);
        for (int round = 0; round < 2; ++round) {
          auto wire = co_await from.accept();
          asio::ssl::stream<Wire::Socket&> stream(wire.socket(), context);
          co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
          seen.push_back(SSL_session_reused(stream.native_handle()) == 1);
          char request[1024];
          co_await stream.async_read_some(asio::buffer(request), asio::use_awaitable);
          const std::string answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
          co_await asio::async_write(stream, asio::buffer(answer), asio::use_awaitable);
        }
      }(server, files, resumed));
  HttpClient client(loop.executor(), {.certificate_authorities = files.authority_file});
  loop.run([](HttpClient& through, WireServer& to) -> asio::awaitable<void> {
    co_await through.send({.url = to.url("/", "https")}, 5s);
    co_await through.send({.url = to.url("/", "https")}, 5s);
  }(client, server));
  CHECK(resumed == std::vector<bool>{false, true});
}

TEST_CASE("TLS connections are kept and carry large bodies both ways") {
  Loop loop;
  const TlsFiles files;
  auto options = served_with(files);
  options.body_limit = 4UL * 1024 * 1024;
  TestServer server(
      loop,
      [](std::shared_ptr<const ServerRequest> request, Exchange& exchange) -> asio::awaitable<void> {
        co_await exchange.respond(Response(200, {}, request->body));
      },
      options);
  HttpClient client(loop.executor(), {.certificate_authorities = files.authority_file});
  loop.run([](HttpClient& through, TestServer& to) -> asio::awaitable<void> {
    for (const std::size_t size : {0UL, 1UL, 70'000UL, 3'000'000UL}) {
      const std::string body(size, 'k');
      CHECK(
          (co_await through.send({.method = "POST", .url = to.url("/", "https"), .body = body}, 10s)).body ==
          body);
    }
    CHECK(to.server.connections() == 1);
  }(client, server));
}

TEST_CASE("a websocket over TLS echoes, and its certificate is checked too") {
  Loop loop;
  const TlsFiles files;
  TestServer server(
      loop,
      [](std::shared_ptr<const ServerRequest>, Exchange& exchange) -> asio::awaitable<void> {
        auto socket = co_await exchange.accept_websocket({});
        while (auto text = co_await socket->read()) co_await socket->write(*text);
      },
      served_with(files));
  loop.run([](TestServer& to, const TlsFiles& with, Loop& on) -> asio::awaitable<void> {
    auto socket = co_await connect_websocket(on.executor(), to.url("/", "wss"),
                                             {.certificate_authorities = with.authority_file}, {});
    const std::string large(200'000, 'w');
    co_await socket->write(large);
    CHECK(co_await socket->read() == large);
    co_await socket->close(1000);

    bool refused = false;
    try {
      co_await connect_websocket(on.executor(), to.url("/?ticket=1", "wss"), {}, {});
    } catch (const NetError& error) {
      refused = !error.sent && !contains(error.what(), "ticket");
    }
    CHECK(refused);
  }(server, files, loop));
}
