// One Web API call: send, judge, wait where Slack asks for it. See web_api.h.
#include "integrations/slack/web_api.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "integrations/http_failure.h"
#include "integrations/net/within.h"
#include "integrations/slack/wire.h"

namespace keyturn::slack {
namespace {

using boost::asio::awaitable;
using integrations::ApiError;
using integrations::Failure;
using nlohmann::json;
using storage::Duration;

constexpr Duration kReplyLimit = std::chrono::seconds(10);

// Counts one call's time down, over its retries.
class Deadline {
 public:
  explicit Deadline(Duration limit) : at_(std::chrono::steady_clock::now() + limit) {}
  Duration left() const {
    return std::max(Duration::zero(),
                    std::chrono::duration_cast<Duration>(at_ - std::chrono::steady_clock::now()));
  }

 private:
  std::chrono::steady_clock::time_point at_;
};

ApiError unanswered(std::string operation, const net::NetError& error, bool may_repeat) {
  return integrations::no_answer(
      {.system = integrations::System::slack,
       .operation = std::move(operation),
       .effect = may_repeat ? integrations::Effect::none : integrations::Effect::write},
      error);
}

std::string outcome_of(const ApiError& error) {
  const auto& details = error.details();
  // Error words are few; a network error's text is not, and would be a metric's label.
  return details.status == 200 ? details.reason : std::string(integrations::name_of(details.failure));
}

}  // namespace

WebApi::WebApi(net::HttpClient& http, std::string base, storage::SharedSecret token, Observer observer)
    : http_(http), base_(std::move(base)), token_(std::move(token)), observer_(std::move(observer)) {}

awaitable<json> WebApi::call(std::string method, json arguments, Duration limit) {
  co_return (co_await call_observed(std::move(method), std::move(arguments), limit)).answer;
}

awaitable<WebApi::Token> WebApi::test_token(Duration limit) {
  auto answered = co_await call_observed("auth.test", json::object(), limit);
  co_return Token{.answer = std::move(answered.answer), .scopes = granted_scopes(answered.headers)};
}

awaitable<WebApi::Answered> WebApi::call_observed(std::string method, json arguments, Duration limit) {
  try {
    Answered answered = co_await send_until(method, std::move(arguments), limit);
    observe(method, "ok");
    co_return answered;
  } catch (const ApiError& error) {
    observe(method, outcome_of(error));
    throw;
  }
}

awaitable<WebApi::Answered> WebApi::send_until(std::string method, json arguments, Duration limit) {
  const Deadline deadline(limit);
  for (;;) {
    net::Response response = co_await send_once(method, arguments, deadline.left());
    Verdict verdict = judge(method, response);
    if (auto* answer = std::get_if<json>(&verdict)) {
      co_return Answered{.answer = std::move(*answer), .headers = std::move(response.headers)};
    }
    if (auto* refusal = std::get_if<ApiError::Details>(&verdict)) throw ApiError(std::move(*refusal));
    auto& wait = std::get<Wait>(verdict);
    if (wait.duration >= deadline.left()) throw ApiError(std::move(wait.otherwise));
    co_await net::sleep_for(wait.duration);
  }
}

awaitable<net::Response> WebApi::send_once(std::string method, json arguments, Duration limit) {
  net::Request request = request_for(base_, method, arguments);
  request.bearer = token_;
  try {
    co_return co_await http_.send(std::move(request), limit);
  } catch (const net::NetError& error) {
    throw unanswered("call " + method, error, repeatable(method));
  }
}

awaitable<void> WebApi::respond(std::string response_url, json message) {
  try {
    co_await send_reply(std::move(response_url), std::move(message));
    observe("response_url", "ok");
  } catch (const ApiError& error) {
    observe("response_url", outcome_of(error));
    throw;
  }
}

awaitable<void> WebApi::send_reply(std::string response_url, json message) {
  const std::string operation = "reply to a command";
  if (!may_reply_to(response_url, base_)) {
    throw ApiError({.system = integrations::System::slack,
                    .failure = Failure::refused,
                    .operation = operation,
                    .reason = "the reply link is not Slack's",
                    .status = 0,
                    .request_id = "",
                    .retry_after = std::nullopt});
  }
  net::Request request;
  request.method = "POST";
  request.url = std::move(response_url);
  request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  request.body = message.dump(-1, ' ', false, json::error_handler_t::replace);
  try {
    const net::Response response = co_await http_.send(std::move(request), kReplyLimit);
    if (auto refusal = judge_reply(response)) throw ApiError(std::move(*refusal));
  } catch (const net::NetError& error) {
    throw unanswered(operation, error, /*may_repeat=*/false);
  }
}

void WebApi::observe(const std::string& method, const std::string& outcome) const {
  if (observer_) observer_(method, outcome);
}

}  // namespace keyturn::slack
