#include "bot/status_pages.h"

#include <utility>

namespace keyturn::bot {

namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";
// prometheus.io/docs/instrumenting/exposition_formats
constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";

net::Response page(int status, const char* type, std::string body) {
  return {status, {{"Content-Type", type}, {"Cache-Control", "no-store"}}, std::move(body)};
}

net::Response answer(const net::ServerRequest& request, const Metrics& metrics,
                     const std::function<Readiness()>& readiness) {
  const bool known = request.path == "/healthz" || request.path == "/readyz" || request.path == "/metrics";
  if (!known) return page(404, kPlainText, "not found; here are /healthz, /readyz and /metrics\n");
  if (request.method != "GET" && request.method != "HEAD") {
    net::Response refusal = page(405, kPlainText, "only GET and HEAD\n");
    refusal.headers.emplace_back("Allow", "GET, HEAD");
    return refusal;
  }
  if (request.path == "/healthz") return page(200, kPlainText, "ok\n");
  if (request.path == "/metrics") return page(200, kExposition, metrics.text());
  const Readiness state = readiness();
  return state.ready ? page(200, kPlainText, "ready\n")
                     : page(503, kPlainText, "not ready: " + state.why_not + "\n");
}

boost::asio::awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request, net::Exchange& exchange,
                                   const Metrics& metrics, const std::function<Readiness()>& readiness) {
  net::Response response = answer(*request, metrics, readiness);
  if (request->method == "HEAD") response.body.clear();
  co_await exchange.respond(std::move(response));
}

}  // namespace

net::Handler status_pages(const Metrics& metrics, std::function<Readiness()> readiness) {
  // No coroutine itself: the references it hands on live as long as the handler does.
  return [&metrics, readiness = std::move(readiness)](std::shared_ptr<const net::ServerRequest> request,
                                                      net::Exchange& exchange) {
    return serve(std::move(request), exchange, metrics, readiness);
  };
}

}  // namespace keyturn::bot
