// A scripted Slack on a real port: the test says what it answers and what it sends, and sees what came.
// Thread: the loop's.
#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "integrations/net/http_server.h"
#include "integrations/net/within.h"
#include "integrations/slack/web_api.h"
#include "tests/unit/net/loop.h"

namespace keyturn::slack {

using boost::asio::awaitable;
using nlohmann::json;

struct FakeSocket {
  std::unique_ptr<net::WebSocket> socket;
  bool ended = false;
  bool writing = false;
};

struct FakeSlack {
  struct Seen {
    std::string path, content_type, authorization, body;
  };
  struct Ack {
    std::size_t socket;
    json frame;
    std::size_t bytes;
  };

  net::Loop& loop;
  net::HttpServer server;
  std::deque<net::Response> answers;  // for the next calls; then {"ok":true}
  bool greet = true;
  bool hang_up = false;  // takes the request, and resets the connection
  std::vector<Seen> seen;
  std::vector<std::shared_ptr<FakeSocket>> sockets;
  std::vector<Ack> acks;
  net::TaskGroup tasks{loop.executor(), {}};

  explicit FakeSlack(net::Loop& in)
      : loop(in),
        server(in.executor(), {.report = {}},
               [this](std::shared_ptr<const net::ServerRequest> request, net::Exchange& exchange) {
                 return serve(std::move(request), exchange);
               }) {
    tasks.spawn("the fake Slack", server.run());
  }

  std::string origin() const { return "http://127.0.0.1:" + std::to_string(server.port()); }
  std::string base() const { return origin() + "/api"; }

  awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request, net::Exchange& exchange) {
    if (exchange.wants_websocket()) co_return co_await serve_socket(exchange);
    seen.push_back({.path = request->path,
                    .content_type = request->header("Content-Type"),
                    .authorization = request->header("Authorization"),
                    .body = request->body});
    if (hang_up) co_return exchange.abort();
    if (!answers.empty()) {
      net::Response answer = std::move(answers.front());
      answers.pop_front();
      co_return co_await exchange.respond(std::move(answer));
    }
    json answer = {{"ok", true}};
    if (request->path == "/api/apps.connections.open") {
      answer["url"] = "ws://127.0.0.1:" + std::to_string(server.port()) + "/link/?ticket=very-secret-ticket";
    }
    co_await exchange.respond({200, {{"Content-Type", "application/json"}}, answer.dump()});
  }

  awaitable<void> serve_socket(net::Exchange& exchange) {
    auto fake = std::make_shared<FakeSocket>();
    fake->socket = co_await exchange.accept_websocket({});
    const std::size_t index = sockets.size();
    sockets.push_back(fake);
    if (greet) co_await say_hello(index);
    while (auto text = co_await fake->socket->read()) {
      acks.push_back({.socket = index, .frame = json::parse(*text), .bytes = text->size()});
    }
    fake->ended = true;
  }

  awaitable<void> say_hello(std::size_t index) {
    co_await send(index, json{{"type", "hello"}, {"num_connections", 1}});
  }

  awaitable<void> send(std::size_t index, json message) {
    // One writer at a time: a hello may still be on its way when a test sends its first envelope.
    const auto fake = sockets.at(index);
    while (fake->writing) co_await net::sleep_for(std::chrono::milliseconds(1));
    fake->writing = true;
    const std::shared_ptr<void> done(nullptr, [fake](void*) { fake->writing = false; });
    co_await fake->socket->write(message.dump());
  }

  awaitable<void> disconnect(std::size_t index, std::string reason) {
    json message = {{"type", "disconnect"}};
    message["reason"] = reason;
    co_await send(index, message);
  }

  // A slash command with this id, to that socket.
  awaitable<void> command(std::size_t index, std::string id) {
    json message = {{"envelope_id", id}, {"type", "slash_commands"}, {"accepts_response_payload", true}};
    message["payload"] = {{"command", "/rotate"}, {"text", id}, {"trigger_id", id}};
    co_await send(index, message);
  }

  std::map<std::string, int> acks_by_id() const {
    std::map<std::string, int> counts;
    for (const Ack& ack : acks) ++counts[ack.frame.at("envelope_id").get<std::string>()];
    return counts;
  }
};

// Waits for the world to get there; the test fails when it doesn't in ten seconds.
inline awaitable<void> until(std::function<bool()> condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up)
      throw std::runtime_error("what was waited for did not happen");
    co_await net::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace keyturn::slack
