#include "deploy/sandbox/vendor.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <stdexcept>

#include "integrations/net/http_date.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

constexpr std::size_t kRememberedRequests = 10'000;

// Passes everything on.
class PassingExchange : public net::Exchange {
 public:
  explicit PassingExchange(net::Exchange& real) : real_(real) {}
  boost::asio::awaitable<void> respond(net::Response response) override {
    return real_.respond(std::move(response));
  }
  boost::asio::awaitable<void> stream(int status, net::Headers headers) override {
    return real_.stream(status, std::move(headers));
  }
  boost::asio::awaitable<void> write(std::string chunk) override { return real_.write(std::move(chunk)); }
  boost::asio::awaitable<void> finish() override { return real_.finish(); }
  bool wants_websocket() const override { return real_.wants_websocket(); }
  boost::asio::awaitable<std::unique_ptr<net::WebSocket>> accept_websocket(
      net::WebSocketOptions options) override {
    return real_.accept_websocket(options);
  }
  void abort() override { real_.abort(); }

 protected:
  net::Exchange& real_;
};

// Tells which status goes out, before it does: whoever has the answer finds it in the list of requests. The
// note may add to the headers.
class NotingExchange final : public PassingExchange {
 public:
  NotingExchange(net::Exchange& real, std::function<void(int, net::Headers&)> note)
      : PassingExchange(real), note_(std::move(note)) {}
  boost::asio::awaitable<void> respond(net::Response response) override {
    note_(response.status, response.headers);
    return real_.respond(std::move(response));
  }
  boost::asio::awaitable<void> stream(int status, net::Headers headers) override {
    note_(status, headers);
    return real_.stream(status, std::move(headers));
  }

 private:
  std::function<void(int, net::Headers&)> note_;
};

// What was asked is done, and its answer lost on the way: the caller can't know which.
class LosingExchange final : public PassingExchange {
 public:
  using PassingExchange::PassingExchange;
  boost::asio::awaitable<void> respond(net::Response) override {
    real_.abort();
    co_return;
  }
  boost::asio::awaitable<void> stream(int, net::Headers) override {
    real_.abort();
    co_return;
  }
};

std::string_view reason(int status) {
  switch (status) {
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Temporarily Unavailable";
    case 504:
      return "Gateway Time-out";
    default:
      return "Error";
  }
}

}  // namespace

void to_json(nlohmann::json& json, const SeenRequest& seen) {
  json = {{"number", seen.number},
          {"method", seen.method},
          {"path", seen.path},
          {"status", seen.status},
          {"at", storage::to_iso8601(seen.at)},
          {"answered", seen.answered == storage::TimePoint{}
                           ? nlohmann::json()
                           : nlohmann::json(storage::to_iso8601(seen.answered))}};
}

net::Response json_response(int status, const nlohmann::json& body, net::Headers more) {
  net::Headers headers{{"Content-Type", "application/json"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return {status, std::move(headers), body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

net::Response html_response(int status, std::string_view server) {
  const std::string title = fmt::format("{} {}", status, reason(status));
  return {
      status,
      {{"Content-Type", "text/html"}, {"Server", std::string(server)}},
      fmt::format("<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
                  "<hr><center>{1}</center>\r\n</body>\r\n</html>\r\n",
                  title, server)};
}

net::Handler Vendor::handler() {
  return [this](std::shared_ptr<const net::ServerRequest> request, net::Exchange& exchange) {
    return handle(std::move(request), exchange);
  };
}

void Vendor::fault(const nlohmann::json& knob) {
  if (!knob.is_object() || !knob.contains("kind") || !knob.at("kind").is_string())
    throw std::invalid_argument("a fault is an object with a kind");
  if (knob.at("kind") == "clear") {
    faults_.clear();
    clock_off_ = storage::Duration(0);
    reset_knobs();
    return;
  }
  try {
    if (knob.at("kind") == "clock") {
      clock_off_ = std::chrono::seconds(knob.at("seconds").get<int>());
      return;
    }
    if (faults_.add(knob) || turn_knob(knob)) return;
  } catch (const nlohmann::json::exception& failure) {
    throw std::invalid_argument(failure.what());
  }
  throw std::invalid_argument("unknown kind of fault: " + knob.at("kind").get<std::string>());
}

std::size_t Vendor::count(std::string_view method, std::string_view path_prefix) const {
  return static_cast<std::size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const SeenRequest& seen) {
        return seen.method == method && seen.path.starts_with(path_prefix) && seen.status >= 200 &&
               seen.status < 300;
      }));
}

boost::asio::awaitable<void> Vendor::serve(std::shared_ptr<const net::ServerRequest> request,
                                           net::Exchange& exchange) {
  co_await exchange.respond(answer(*request));
}

boost::asio::awaitable<void> Vendor::handle(std::shared_ptr<const net::ServerRequest> request,
                                            net::Exchange& exchange) {
  const std::uint64_t number = remember(*request);
  const Verdict verdict = faults_.spend(request->method, request->path);
  if (verdict.delay > storage::Duration(0)) co_await net::sleep_for(verdict.delay);
  if (verdict.close_before) {
    exchange.abort();
    co_return;
  }
  LosingExchange losing(exchange);
  NotingExchange noting(verdict.close_after ? static_cast<net::Exchange&>(losing) : exchange,
                        [this, number](int status, net::Headers& headers) {
                          note_status(number, status);
                          add_date(headers);
                        });
  if (verdict.status) {
    co_await noting.respond(verdict.html ? html_response(*verdict.status, "nginx")
                                         : fault_answer(*verdict.status));
    co_return;
  }
  co_await serve(request, noting);
}

std::uint64_t Vendor::remember(const net::ServerRequest& request) {
  if (requests_.size() == kRememberedRequests) requests_.pop_front();
  requests_.push_back(
      {.number = ++seen_, .method = request.method, .path = request.path, .status = 0, .at = now()});
  return seen_;
}

void Vendor::note_status(std::uint64_t number, int status) {
  // Numbers are dense: the row is as far from the end as its number is from the newest.
  const std::uint64_t back = seen_ - number;
  if (back >= requests_.size()) return;
  SeenRequest& seen = requests_[requests_.size() - 1 - back];
  seen.status = status;
  seen.answered = now();
}

void Vendor::add_date(net::Headers& headers) const {
  headers.emplace_back("Date", net::to_http_date(now() + clock_off_));
}

}  // namespace keyturn::sandbox
