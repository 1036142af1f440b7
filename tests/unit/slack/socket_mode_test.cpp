// The socket on real connections, against a scripted Slack.
#include "integrations/slack/socket_mode.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/slack/fake_slack.h"

namespace keyturn::slack {
namespace {

using integrations::ApiError;
using integrations::Failure;
using namespace std::chrono_literals;

std::string text_of(const Envelope& envelope) {
  auto* command = std::get_if<SlashCommand>(&envelope.content);
  return command != nullptr ? command->text : "";
}

struct Bot {
  net::Loop loop;
  FakeSlack slack{loop};
  net::HttpClient http{loop.executor(), {.allow_plain_loopback = true}};
  WebApi api{http, slack.base(), storage::share(storage::Secret::copy_of("xapp-fake")), {}};
  storage::SystemClock clock;
  std::vector<std::string> handled, warnings, details;
  int sent = 0, unsent = 0;
  std::function<awaitable<json>(Envelope)> handle;  // after it was noted; empty: a plain acknowledgement
  std::unique_ptr<SocketMode> socket;
  bool over = false;
  std::exception_ptr failure;

  explicit Bot(SessionOptions options = {}) {
    socket = std::make_unique<SocketMode>(
        loop.executor(), api, clock, net::ClientOptions{.allow_plain_loopback = true}, std::move(options),
        [this](Envelope envelope) { return take(std::move(envelope)); },
        SocketModeEvents{.link = [this](Link, const std::string& detail) { details.push_back(detail); },
                         .hello = {},
                         .warn = [this](const std::string& what) { warnings.push_back(what); },
                         .acknowledged = [this](storage::Duration, bool ok) { ++(ok ? sent : unsent); }});
    boost::asio::co_spawn(loop.io, socket->run(), [this](std::exception_ptr thrown) {
      over = true;
      failure = std::move(thrown);
    });
  }

  awaitable<json> take(Envelope envelope) {
    handled.push_back(text_of(envelope));
    if (!handle) co_return json();
    co_return co_await handle(std::move(envelope));
  }

  awaitable<void> ready() {
    co_await until([this] { return socket->ready(); });
  }

  bool warned_of(const std::string& words) const {
    return std::ranges::any_of(warnings,
                               [&](const auto& line) { return line.find(words) != std::string::npos; });
  }

  // Runs the script, then stops the socket: every test ends with close frames and a finished run().
  void play(awaitable<void> script) {
    loop.run([](Bot& bot, awaitable<void> inner) -> awaitable<void> {
      co_await std::move(inner);
      co_await bot.socket->stop();
      co_await until([&bot] { return bot.over; });
    }(*this, std::move(script)));
  }
};

}  // namespace

TEST_CASE("an envelope is handled and acknowledged on the socket that brought it") {
  Bot bot;
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.slack.acks.size() == 1; });
  }(bot));
  CHECK(bot.slack.acks[0].frame == json({{"envelope_id", "e1"}}));
  CHECK(bot.handled == std::vector<std::string>{"e1"});
  CHECK(bot.sent == 1);
  CHECK(bot.slack.seen[0].authorization == "Bearer xapp-fake");
}

TEST_CASE("what the handler returns goes with the acknowledgement") {
  Bot bot;
  bot.handle = [](Envelope) -> awaitable<json> { co_return json{{"text", "Started"}}; };
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.slack.acks.size() == 1; });
  }(bot));
  CHECK(bot.slack.acks[0].frame["payload"]["text"] == "Started");
}

TEST_CASE("an acknowledgement that Slack would drop for its size is sent without its payload") {
  Bot bot;
  bot.handle = [](Envelope) -> awaitable<json> { co_return json{{"text", std::string(20'000, 'x')}}; };
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.slack.acks.size() == 1; });
  }(bot));
  CHECK_FALSE(bot.slack.acks[0].frame.contains("payload"));
  CHECK(bot.warned_of("more than Slack takes"));
}

TEST_CASE("an envelope whose handling failed is not acknowledged, and its contents are not told") {
  Bot bot;
  bot.handle = [](Envelope envelope) -> awaitable<json> {
    if (text_of(envelope) == "secret-words") throw std::runtime_error("choked on " + text_of(envelope));
    co_return json();
  };
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "secret-words");
    co_await b.slack.command(0, "e2");
    co_await until([&b] { return b.slack.acks.size() == 1 && !b.warnings.empty(); });
  }(bot));
  CHECK(bot.slack.acks[0].frame["envelope_id"] == "e2");
  CHECK(bot.warned_of("a slash command was not acknowledged"));
  CHECK_FALSE(bot.warned_of("secret-words"));
}

TEST_CASE("an envelope that waits for the disk doesn't hold up the next one") {
  Bot bot;
  bool released = false;
  bot.handle = [&released](Envelope envelope) -> awaitable<json> {
    if (text_of(envelope) == "slow") co_await until([&released] { return released; });
    co_return json();
  };
  bot.play([](Bot& b, bool& release) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "slow");
    co_await b.slack.command(0, "quick");
    co_await until([&b] { return b.slack.acks.size() == 1; });
    CHECK(b.slack.acks[0].frame["envelope_id"] == "quick");
    release = true;
    co_await until([&b] { return b.slack.acks.size() == 2; });
  }(bot, released));
}

TEST_CASE("envelopes that reach the disk together are each acknowledged, once") {
  Bot bot;
  int waiting = 0;
  bot.handle = [&waiting](Envelope) -> awaitable<json> {  // until all three wait, as for one commit
    ++waiting;
    co_await until([&waiting] { return waiting == 3; });
    co_return json();
  };
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    for (const char* id : {"e1", "e2", "e3"}) co_await b.slack.command(0, id);
    co_await until([&b] { return b.slack.acks.size() == 3; });
  }(bot));
  std::set<std::string> acknowledged;
  for (const auto& ack : bot.slack.acks) acknowledged.insert(ack.frame["envelope_id"]);
  CHECK(acknowledged == std::set<std::string>{"e1", "e2", "e3"});
  CHECK(bot.sent == 3);
}

TEST_CASE("a refresh in the middle of the traffic loses nothing") {
  const std::string reason = GENERATE(as<std::string>(), "warning", "refresh_requested");
  Bot bot;
  bot.handle = [](Envelope) -> awaitable<json> {
    co_await net::sleep_for(2ms);  // the disk
    co_return json();
  };
  bot.play([](Bot& b, std::string why) -> awaitable<void> {
    co_await b.ready();
    constexpr int kEnvelopes = 300;
    for (int i = 0; i < kEnvelopes; ++i) {
      if (i == 100) co_await b.slack.disconnect(0, why);
      // Slack goes on sending on both until one is closed.
      const bool both = b.slack.sockets.size() > 1 && !b.slack.sockets[0]->ended && i < 250;
      const std::size_t target = both ? static_cast<std::size_t>(i % 2) : b.slack.sockets.size() - 1;
      co_await b.slack.command(target, std::to_string(i));
      if (i % 10 == 0) co_await net::sleep_for(1ms);
    }
    co_await until([&b] { return b.slack.acks_by_id().size() == kEnvelopes; });
    co_await until([&b] { return b.slack.sockets[0]->ended; });
    CHECK(b.socket->ready());
  }(bot, reason));
  CHECK(bot.slack.sockets.size() == 2);
  CHECK(bot.sent == 300);
  CHECK(bot.unsent == 0);
  for (const auto& [id, count] : bot.slack.acks_by_id()) CHECK(count == 1);
  CHECK(bot.slack.sockets[0]->socket->why_closed().find("1000") != std::string::npos);
}

TEST_CASE("until the new connection says hello, the old one is read and acknowledged on") {
  Bot bot;
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    b.slack.greet = false;
    co_await b.slack.disconnect(0, "warning");
    co_await until([&b] { return b.slack.sockets.size() == 2; });
    co_await b.slack.command(0, "on the old one");
    co_await until([&b] { return b.slack.acks.size() == 1; });
    CHECK(b.slack.acks[0].socket == 0);
    CHECK_FALSE(b.slack.sockets[0]->ended);
    co_await b.slack.say_hello(1);
    co_await until([&b] { return b.slack.sockets[0]->ended; });
    CHECK(b.socket->ready());
  }(bot));
}

TEST_CASE("an acknowledgement whose connection broke goes over the new one") {
  Bot bot({.first_backoff = 10ms});
  bool released = false;
  bot.handle = [&released](Envelope) -> awaitable<json> {
    co_await until([&released] { return released; });
    co_return json();
  };
  bot.play([](Bot& b, bool& release) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.handled.size() == 1; });
    b.slack.sockets[0]->socket->abort();
    co_await until([&b] { return b.slack.sockets.size() == 2 && b.socket->ready(); });
    release = true;
    co_await until([&b] { return b.slack.acks.size() == 1; });
    CHECK(b.slack.acks[0].socket == 1);
  }(bot, released));
  CHECK(bot.sent == 1);
}

TEST_CASE("an acknowledgement that no connection can take is counted and said, and nothing breaks") {
  Bot bot({.first_backoff = 10ms});
  bool released = false;
  bot.handle = [&released](Envelope) -> awaitable<json> {
    co_await until([&released] { return released; });
    co_return json();
  };
  bot.play([](Bot& b, bool& release) -> awaitable<void> {
    co_await b.ready();
    b.slack.greet = false;
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.handled.size() == 1; });
    b.slack.sockets[0]->socket->abort();
    co_await until([&b] { return b.slack.sockets.size() == 2; });
    release = true;
    co_await until([&b] { return b.unsent == 1; });
    co_await b.slack.say_hello(1);
    co_await b.ready();
  }(bot, released));
  CHECK(bot.sent == 0);
  CHECK(bot.warned_of("no other is ready"));
}

TEST_CASE("Slack in trouble is asked again until it is back") {
  Bot bot({.first_backoff = 5ms, .longest_backoff = 20ms});
  bot.slack.answers.emplace_back(503, net::Headers{}, "<html>");
  bot.slack.answers.emplace_back(200, net::Headers{}, R"({"ok":false,"error":"internal_error"})");
  bot.slack.answers.emplace_back(200, net::Headers{}, R"({"ok":true})");
  bot.slack.answers.emplace_back(200, net::Headers{},
                                 R"({"ok":true,"url":"wss://evil.example/?ticket=very-secret-ticket"})");
  bot.play([](Bot& b) -> awaitable<void> { co_await b.ready(); }(bot));
  CHECK(bot.slack.seen.size() == 5);
  CHECK(bot.warned_of("http 503"));
  CHECK(bot.warned_of("not Slack's"));
}

TEST_CASE("the ticket in the socket's URL is never said") {
  Bot bot({.first_backoff = 5ms, .longest_backoff = 20ms});
  bot.slack.answers.emplace_back(200, net::Headers{},
                                 R"({"ok":true,"url":"ws://127.0.0.1:1/link/?ticket=very-secret-ticket"})");
  bot.play([](Bot& b) -> awaitable<void> { co_await b.ready(); }(bot));
  CHECK_FALSE(bot.warnings.empty());
  CHECK_FALSE(bot.warned_of("very-secret-ticket"));
  for (const auto& detail : bot.details) CHECK(detail.find("very-secret-ticket") == std::string::npos);
}

TEST_CASE("a dead token ends run() with the reason") {
  Bot bot;
  bot.slack.answers.emplace_back(200, net::Headers{}, R"({"ok":false,"error":"token_revoked"})");
  bot.play([](Bot& b) -> awaitable<void> { co_await until([&b] { return b.over; }); }(bot));
  REQUIRE(bot.failure);
  try {
    std::rethrow_exception(bot.failure);
  } catch (const ApiError& error) {
    CHECK(error.failure() == Failure::unauthorized);
    CHECK(error.details().reason == "token_revoked");
  }
}

TEST_CASE("a stop waits for the envelope in work, acknowledges it, and closes with a frame") {
  Bot bot;
  bot.handle = [](Envelope) -> awaitable<json> {
    co_await net::sleep_for(50ms);
    co_return json();
  };
  bot.play([](Bot& b) -> awaitable<void> {
    co_await b.ready();
    co_await b.slack.command(0, "e1");
    co_await until([&b] { return b.handled.size() == 1; });
  }(bot));
  CHECK(bot.sent == 1);
  CHECK_FALSE(bot.failure);
  CHECK_FALSE(bot.socket->ready());
  bot.loop.run(until([&bot] { return bot.slack.sockets[0]->ended; }));
  CHECK(bot.slack.sockets[0]->socket->why_closed().find("1000") != std::string::npos);
}

}  // namespace keyturn::slack
