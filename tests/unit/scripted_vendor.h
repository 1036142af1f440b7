// A vendor that answers over a real socket as a test scripts it, with the client to call it by, on one
// io_context. Thread: the test's own; run() drives everything until the work is done.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "integrations/net/http_client.h"
#include "integrations/net/http_server.h"
#include "storage/clock.h"

namespace keyturn::test {

struct FakeClock final : storage::Clock {
  storage::TimePoint time{std::chrono::hours(500'000)};
  storage::TimePoint now() const override { return time; }
};

// A status that stands for "reset the connection after the request was read, and answer nothing".
constexpr int kReset = 0;

class ScriptedVendor {
 public:
  using Script = std::function<net::Response(const net::ServerRequest&)>;

  explicit ScriptedVendor(Script script)
      : script_(std::move(script)),
        server_(io_.get_executor(), {}, [this](auto request, net::Exchange& exchange) {
          return answer(this, std::move(request), exchange);
        }) {
    net::ClientOptions options;
    options.allow_plain_loopback = true;
    client_ = std::make_unique<net::HttpClient>(io_.get_executor(), options);
    boost::asio::co_spawn(io_, server_.run(), [](std::exception_ptr) {});
  }

  ~ScriptedVendor() {
    client_.reset();
    server_.stop();
    io_.restart();
    io_.run_for(std::chrono::seconds(1));  // at most; ends when nothing is left to do
  }
  ScriptedVendor(const ScriptedVendor&) = delete;
  ScriptedVendor& operator=(const ScriptedVendor&) = delete;

  net::HttpClient& client() { return *client_; }
  std::string base() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

  // Every request so far, "GET /v1/customers?limit=1" first.
  struct Seen {
    std::string line;
    net::Headers headers;
    std::string body;
    std::string header(std::string_view name) const { return net::find_header(headers, name).value_or(""); }
  };
  const std::vector<Seen>& seen() const { return seen_; }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const Seen& request : seen_) all.push_back(request.line);
    return all;
  }

  // Does the work, and gives its result or throws what it threw.
  template <typename T>
  T run(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(io_, std::move(work), [&](std::exception_ptr thrown, T value) {
      failure = thrown;
      if (!thrown) result.emplace(std::move(value));
      io_.stop();
    });
    drive(failure);
    return std::move(*result);
  }

  void run(boost::asio::awaitable<void> work) {
    std::exception_ptr failure;
    boost::asio::co_spawn(io_, std::move(work), [&](std::exception_ptr thrown) {
      failure = thrown;
      io_.stop();
    });
    drive(failure);
  }

 private:
  static boost::asio::awaitable<void> answer(ScriptedVendor* self,
                                             std::shared_ptr<const net::ServerRequest> request,
                                             net::Exchange& exchange) {
    self->seen_.push_back({request->method + " " + request->target, request->headers, request->body});
    net::Response response = self->script_(*request);
    if (response.status == kReset) {
      exchange.abort();
      co_return;
    }
    co_await exchange.respond(std::move(response));
  }

  void drive(const std::exception_ptr& failure) {
    io_.restart();
    io_.run();
    if (failure) std::rethrow_exception(failure);
  }

  boost::asio::io_context io_;
  Script script_;
  std::vector<Seen> seen_;
  net::HttpServer server_;
  std::unique_ptr<net::HttpClient> client_;
};

}  // namespace keyturn::test
