// The world over real sockets: a rotation's life as its callers see it.
#include "deploy/sandbox/world.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <exception>

#include "integrations/net/http_client.h"
#include "integrations/net/http_server.h"
#include "integrations/net/within.h"
#include "tests/unit/sandbox/fixture.h"

using namespace keyturn;
using namespace keyturn::sandbox;
using namespace std::chrono_literals;
using boost::asio::awaitable;

namespace {

constexpr auto kLimit = 5s;

struct Served {
  boost::asio::io_context io;
  storage::SystemClock clock;
  World world{
      io.get_executor(), clock,
      SandboxTiming{
          .release_pending = 20ms, .dyno_stops = 10ms, .dyno_starts = 50ms, .background_every = 20ms}};
  net::HttpServer stripe{io.get_executor(), {}, world.stripe.handler()};
  net::HttpServer heroku{io.get_executor(), {}, world.heroku.handler()};
  net::HttpServer billing{io.get_executor(), {}, world.billing.handler()};
  net::HttpClient client{io.get_executor(), net::ClientOptions{.allow_plain_loopback = true}};
  net::TaskGroup tasks{io.get_executor(), [](const std::string& task, std::exception_ptr) { FAIL(task); }};

  Served() {
    world.connect(url(stripe));
    for (net::HttpServer* server : {&stripe, &heroku, &billing}) tasks.spawn("server", server->run());
    tasks.spawn("world", world.run());
  }

  static std::string url(const net::HttpServer& server) {
    return "http://127.0.0.1:" + std::to_string(server.port());
  }

  void run(std::function<awaitable<void>()> story) {
    std::exception_ptr failure;
    boost::asio::co_spawn(io, std::move(story), [&](std::exception_ptr thrown) {
      failure = thrown;
      io.stop();
    });
    io.run();
    if (failure) std::rethrow_exception(failure);
  }

  awaitable<net::Response> get(std::string from) {
    net::Request request;
    request.url = std::move(from);
    co_return co_await client.send(std::move(request), kLimit);
  }
  awaitable<net::Response> call_heroku(std::string method, std::string path, std::string body) {
    net::Request request;
    request.method = std::move(method);
    request.url = url(heroku) + path;
    request.headers = {{"Authorization", "Bearer " + world.heroku.token()},
                       {"Accept", "application/vnd.heroku+json; version=3"},
                       {"Content-Type", "application/json"}};
    request.body = std::move(body);
    co_return co_await client.send(std::move(request), kLimit);
  }
  std::string subscription() const { return url(billing) + "/api/billing/subscription"; }
};

// Reads until `wanted` was seen, or nothing came for the limit.
awaitable<std::string> read_until(net::BodyStream& stream, std::string wanted) {
  std::string seen;
  while (seen.find(wanted) == std::string::npos) {
    const auto piece = co_await stream.read(kLimit);
    if (!piece || piece->empty()) break;
    seen += *piece;
  }
  co_return seen;
}

}  // namespace

TEST_CASE("the seeded systems agree on the key, and it may read customers but no balance") {
  Served served;
  World& world = served.world;
  const StripeKey* key = world.stripe.find(kLiveKeyName);
  REQUIRE(key != nullptr);
  const InfisicalSecret* stored = world.infisical.find("prod", kVariable);
  CHECK(stored->versions.size() == 3);
  CHECK(stored->newest().value == key->value);
  CHECK(world.heroku.find(kProductionApp)->config.at(kVariable) == key->value);
  CHECK(world.infisical.find("staging", kVariable)->newest().value.starts_with("rk_test_"));
  const net::Headers authorised{{"Authorization", "Bearer " + key->value}};
  CHECK(ask(world.stripe, request("GET", "/v1/customers", authorised)).body.at("data").size() == 3);
  CHECK(ask(world.stripe, request("GET", "/v1/subscriptions", authorised)).status == 200);
  CHECK(ask(world.stripe, request("GET", "/v1/balance", authorised)).status == 403);
}

TEST_CASE("billing breaks when the key it runs with dies, and heals when its dynos have the new one") {
  Served served;
  served.run([&]() -> awaitable<void> {
    const StripeKey& next = served.world.stripe.rotate(kLiveKeyName, 0ms);
    const net::Response broken = co_await served.get(served.subscription());
    CHECK(broken.status == 500);
    CHECK(nlohmann::json::parse(broken.body).at("error") == "billing_unavailable");

    const std::string change = nlohmann::json{{kVariable, next.value}}.dump();
    const std::string app = "/apps/" + std::string(kProductionApp);
    CHECK((co_await served.call_heroku("PATCH", app + "/config-vars", change)).status == 200);
    net::Response healthy;
    for (int tries = 0; tries < 100 && healthy.status != 200; ++tries) {
      co_await net::sleep_for(20ms);
      healthy = co_await served.get(served.subscription());
    }
    CHECK(healthy.status == 200);
    CHECK(nlohmann::json::parse(healthy.body).at("status") == "active");
  });
  CHECK(served.world.heroku.count("PATCH", "/apps/") == 1);
  std::string log;
  for (const LogEntry& entry : served.world.heroku.find(kProductionApp)->log) log += entry.line + "\n";
  CHECK_THAT(log, Catch::Contains("StripeAuthenticationError: Expired API Key provided: rk_live_****") &&
                      Catch::Contains("billing-sync: ") && Catch::Contains("heroku[router]: at=info"));
  for (const StripeKey& key : served.world.stripe.keys()) CHECK_THAT(log, !Catch::Contains(key.value));
}

TEST_CASE("a sync brings a write into Infisical to the app, with one release of its own user's") {
  Served served;
  served.world.infisical.fault({{"kind", "heroku_sync"}, {"app", kProductionApp}, {"environment", "prod"}});
  const HerokuApp& app = *served.world.heroku.find(kProductionApp);
  const std::size_t before = app.releases.size();
  served.run([&]() -> awaitable<void> {
    served.world.infisical.put("prod", kVariable, "by the sync");
    served.world.infisical.put("prod", "ANOTHER", "as well");
    for (int tries = 0; tries < 100 && app.config.at(kVariable) != "by the sync"; ++tries)
      co_await net::sleep_for(20ms);
  });
  CHECK(app.config.at(kVariable) == "by the sync");
  CHECK(app.config.at("ANOTHER") == "as well");
  REQUIRE(app.releases.size() == before + 1);
  CHECK(app.releases.back().user == "infisical-sync@raxx.example");
  CHECK(served.world.heroku.count("PATCH", "/apps/") == 0);
}

TEST_CASE("a log session streams what comes, as plain lines or events, until it is cut") {
  const bool events = GENERATE(false, true);
  Served served;
  served.run([&]() -> awaitable<void> {
    const std::string app = "/apps/" + std::string(kProductionApp);
    const net::Response opened =
        co_await served.call_heroku("POST", app + "/log-sessions", R"({"tail":true,"lines":10})");
    net::Request request;
    request.url = nlohmann::json::parse(opened.body).at("logplex_url");
    if (events) request.headers = {{"Accept", "text/event-stream"}};
    const auto stream = co_await served.client.open(std::move(request), kLimit);
    CHECK(stream->status() == 200);
    served.world.heroku.log(kProductionApp, "app[web.1]", "hello there");
    const std::string seen = co_await read_until(*stream, "hello there");
    CHECK_THAT(seen, Catch::Contains(" app[web.1]: hello there"));
    CHECK((seen.find("data: 20") != std::string::npos) == events);

    served.world.heroku.fault({{"kind", "log_cut"}});
    while (co_await stream->read(kLimit)) {
    }
  });
}

TEST_CASE("a log session that expired is 404") {
  Served served;
  served.run([&]() -> awaitable<void> {
    const std::string app = "/apps/" + std::string(kProductionApp);
    const net::Response opened =
        co_await served.call_heroku("POST", app + "/log-sessions", R"({"tail":true})");
    served.world.heroku.fault({{"kind", "log_expire"}});
    CHECK((co_await served.get(nlohmann::json::parse(opened.body).at("logplex_url"))).status == 404);
  });
}

TEST_CASE("faults come through the socket: a page of HTML, a closed connection, an answer that got lost") {
  Served served;
  served.run([&]() -> awaitable<void> {
    const std::string app = "/apps/" + std::string(kProductionApp);
    served.world.heroku.fault({{"kind", "status"}, {"status", 503}, {"html", true}, {"times", 1}});
    const net::Response page = co_await served.call_heroku("GET", app, "");
    CHECK(page.status == 503);
    CHECK_THAT(page.body, Catch::Contains("<html>"));

    served.world.heroku.fault({{"kind", "close"}, {"method", "PATCH"}, {"times", 1}});
    const std::string change = R"({"LOG_LEVEL":"debug"})";
    CHECK_THROWS_AS(co_await served.call_heroku("PATCH", app + "/config-vars", change), net::NetError);
    CHECK(served.world.heroku.find(kProductionApp)->config.at("LOG_LEVEL") == "info");

    served.world.heroku.fault({{"kind", "close"}, {"after", true}, {"method", "PATCH"}, {"times", 1}});
    CHECK_THROWS_AS(co_await served.call_heroku("PATCH", app + "/config-vars", change), net::NetError);
    CHECK(served.world.heroku.find(kProductionApp)->config.at("LOG_LEVEL") == "debug");
  });
  CHECK(served.world.heroku.count("PATCH", "/apps/") == 1);
}
