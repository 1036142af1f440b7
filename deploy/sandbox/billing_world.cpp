#include "deploy/sandbox/billing_world.h"

#include <spdlog/fmt/fmt.h>

#include "deploy/sandbox/random_text.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr const char* kPath = "/api/billing/subscription";
constexpr auto kStripeLimit = std::chrono::seconds(10);

// As stripe-node names its exceptions: by status alone.
std::string_view error_class(int status) {
  switch (status) {
    case 400:
    case 404:
      return "StripeInvalidRequestError";
    case 401:
      return "StripeAuthenticationError";
    case 403:
      return "StripePermissionError";
    case 429:
      return "StripeRateLimitError";
    default:
      return "StripeAPIError";
  }
}

std::string error_text(const std::string& body) {
  const json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("error") || !answer.at("error").is_object())
    return "Invalid JSON received from the Stripe API";
  return answer.at("error").value("message", "unknown");
}

// Heroku's own page, when no process could take the request.
net::Response application_error() {
  return {503,
          {{"Content-Type", "text/html; charset=utf-8"},
           {"Server", "Heroku"},
           {"Cache-Control", "no-cache, no-store"}},
          "<!DOCTYPE html>\n<html>\n  <head>\n    <title>Application Error</title>\n  </head>\n  <body>\n    "
          "<iframe "
          "src=\"//www.herokucdn.com/error-pages/application-error.html\"></iframe>\n  </body>\n</html>\n"};
}

}  // namespace

BillingOutcome read_stripe_answer(const std::string& what, int status, const std::string& body) {
  if (status == 0)
    return {.stripe_status = 0,
            .healthy = false,
            .log_line = fmt::format(
                "StripeConnectionError: {}: An error occurred with our connection to Stripe.", what)};
  if (status == 200) {
    const json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
    if (answer.is_object() && answer.value("object", "") == "list")
      return {.stripe_status = 200, .healthy = true, .log_line = fmt::format("stripe: {} ok", what)};
  }
  return {.stripe_status = status,
          .healthy = false,
          .log_line = fmt::format("{}: {} ({})", error_class(status), error_text(body), what)};
}

BillingWorld::BillingWorld(const storage::Clock& clock, SandboxTiming timing, HerokuWorld& heroku,
                           std::string app, std::string variable)
    : Vendor(clock), timing_(timing), heroku_(heroku), app_(std::move(app)), variable_(std::move(variable)) {}

BillingWorld::~BillingWorld() = default;

void BillingWorld::connect(boost::asio::any_io_executor io, std::string stripe_url) {
  stripe_url_ = std::move(stripe_url);
  net::ClientOptions options;
  options.allow_plain_loopback = true;
  options.user_agent = "Stripe/v1 NodeBindings/23.1.0";
  stripe_ = std::make_unique<net::HttpClient>(std::move(io), std::move(options));
}

boost::asio::awaitable<BillingOutcome> BillingWorld::ask_stripe(std::string key, std::string path) {
  const std::string what = "GET " + path;
  if (key.empty())
    co_return BillingOutcome{
        .stripe_status = 401,
        .healthy = false,
        .log_line = "StripeAuthenticationError: You did not provide an API key. (" + what + ")"};
  net::Request request;
  request.url = stripe_url_ + path;
  request.headers = {{"Accept", "application/json"}, {"Stripe-Version", "2026-10-28.endive"}};
  request.bearer = storage::share(storage::Secret::take(key));
  try {
    const net::Response response = co_await stripe_->send(std::move(request), kStripeLimit);
    co_return read_stripe_answer(what, response.status, response.body);
  } catch (const net::NetError&) {
    co_return read_stripe_answer(what, 0, "");
  }
}

boost::asio::awaitable<void> BillingWorld::serve(std::shared_ptr<const net::ServerRequest> request,
                                                 net::Exchange& exchange) {
  const HerokuDyno* dyno = heroku_.running(app_, "web");
  if (dyno == nullptr || request->path != kPath || request->method != "GET" || !stripe_) {
    co_await exchange.respond(answer(*request));
    co_return;
  }
  // Copies: while Stripe answers, this dyno may stop.
  const std::string name = dyno->name;
  const auto variable = dyno->config.find(variable_);
  std::string key = variable == dyno->config.end() ? "" : variable->second;
  const storage::TimePoint began = now();
  last_ = co_await ask_stripe(std::move(key), "/v1/subscriptions?limit=1");
  heroku_.log(app_, "app[" + name + "]", last_->log_line);
  net::Response response = outcome_response(*last_);
  log_router(*request, name, response.status, now() - began);
  co_await exchange.respond(std::move(response));
}

net::Response BillingWorld::outcome_response(const BillingOutcome& outcome) const {
  if (knobs_.swallow && !outcome.healthy) return json_response(200, {{"error", "billing_unavailable"}});
  if (knobs_.broken || !outcome.healthy) return json_response(500, {{"error", "billing_unavailable"}});
  return json_response(200, {{"status", "active"}, {"plan", "team"}, {"currency", "usd"}});
}

net::Response BillingWorld::answer(const net::ServerRequest& request) {
  const HerokuDyno* dyno = heroku_.running(app_, "web");
  if (dyno == nullptr) return unavailable(request);
  net::Response response =
      request.path == kPath && request.method == "GET"
          ? json_response(500, {{"error", "billing_unavailable"}})  // Stripe isn't connected
          : json_response(404, {{"error", "not_found"}});
  log_router(request, dyno->name, response.status, storage::Duration(1));
  return response;
}

net::Response BillingWorld::unavailable(const net::ServerRequest& request) {
  bool any = false;
  bool crashed = false;
  if (const HerokuApp* app = heroku_.find(app_))
    for (const HerokuDyno& dyno : app->dynos) {
      any = any || dyno.type == "web";
      crashed = crashed || (dyno.type == "web" && dyno.state == DynoState::crashed);
    }
  // devcenter.heroku.com/articles/error-codes
  const std::string_view code = crashed ? R"(H10 desc="App crashed")"
                                : any   ? R"(H20 desc="App boot timeout")"
                                        : R"(H14 desc="No web processes running")";
  heroku_.log(app_, "heroku[router]",
              fmt::format("at=error code={} method={} path=\"{}\" host=api.raxx.example request_id={} "
                          "fwd=\"127.0.0.1\" dyno= connect= service= status=503 bytes= protocol=https",
                          code, request.method, request.path, random_uuid()));
  return application_error();
}

void BillingWorld::log_router(const net::ServerRequest& request, const std::string& dyno, int status,
                              storage::Duration took) {
  heroku_.log(
      app_, "heroku[router]",
      fmt::format(
          "at=info method={} path=\"{}\" host=api.raxx.example request_id={} fwd=\"127.0.0.1\" dyno={} "
          "connect=0ms service={}ms status={} bytes=64 protocol=https",
          request.method, request.path, random_uuid(), dyno, took.count(), status));
}

boost::asio::awaitable<void> BillingWorld::run() {
  while (true) {
    co_await net::sleep_for(timing_.background_every);
    if (!knobs_.job_silent && stripe_) co_await run_job_once();
  }
}

boost::asio::awaitable<void> BillingWorld::run_job_once() {
  const HerokuDyno* dyno = heroku_.running(app_, "worker");
  if (dyno == nullptr) dyno = heroku_.running(app_, "web");
  if (dyno == nullptr) co_return;
  const std::string source = "app[" + dyno->name + "]";
  const auto variable = dyno->config.find(variable_);
  std::string key = variable == dyno->config.end() ? "" : variable->second;
  const BillingOutcome outcome = co_await ask_stripe(std::move(key), "/v1/invoices?limit=1");
  heroku_.log(app_, source, "billing-sync: " + outcome.log_line);
  last_ = outcome;
}

json BillingWorld::state() const {
  json last;
  if (last_)
    last = {{"stripe_status", last_->stripe_status}, {"healthy", last_->healthy}, {"log", last_->log_line}};
  return {{"app", app_}, {"last", std::move(last)}, {"faults", faults_.state()}, {"requests", requests()}};
}

bool BillingWorld::turn_knob(const json& knob) {
  const std::string kind = knob.at("kind");
  const bool on = knob.value("on", true);
  if (kind == "broken")
    knobs_.broken = on;
  else if (kind == "swallow")
    knobs_.swallow = on;
  else if (kind == "job_silent")
    knobs_.job_silent = on;
  else
    return false;
  return true;
}

void BillingWorld::reset_knobs() { knobs_ = {}; }

net::Response BillingWorld::fault_answer(int status) {
  if (status == 503) return application_error();
  return json_response(status, {{"error", "billing_unavailable"}});
}

}  // namespace keyturn::sandbox
