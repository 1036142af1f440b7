// The calls to Heroku, and the log that is followed. See heroku.h; answers.h and log_lines.h hold what things
// mean.
#include "integrations/heroku/heroku.h"

#include <spdlog/fmt/fmt.h>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/heroku/answers.h"
#include "integrations/heroku/log_lines.h"
#include "integrations/http_failure.h"
#include "integrations/net/url.h"
#include "integrations/secret_json.h"

namespace keyturn::heroku {
namespace {

using integrations::ApiError;
using integrations::Call;
using integrations::Effect;
using integrations::System;

constexpr std::chrono::seconds kLimit{15};
constexpr int kMostPages = 20;

Call named(std::string operation, Effect effect = Effect::none) {
  return {.system = System::heroku, .operation = std::move(operation), .effect = effect};
}

void observe(const Heroku::Observer& observer, const Call& call, const std::string& outcome) {
  if (observer) observer(call.operation, outcome);
}

net::Request request_for(std::string method, std::string url, storage::SharedSecret token) {
  return {.method = std::move(method),
          .url = std::move(url),
          .headers = {{"Accept", "application/vnd.heroku+json; version=3"}},
          .body = "",
          .bearer = std::move(token),
          .secret_body = nullptr};
}

boost::asio::awaitable<net::Response> send(net::HttpClient& http, Heroku::Observer observer, Call call,
                                           net::Request request) {
  std::optional<ApiError> failure;
  try {
    net::Response response = co_await http.send(std::move(request), kLimit);
    observe(observer, call, integrations::outcome_of(response.status, call.effect));
    co_return response;
  } catch (const net::NetError& error) {
    failure = integrations::no_answer(call, error);
  }
  observe(observer, call, std::string(name_of(failure->failure())));
  throw ApiError(*failure);
}

// Opens the stream behind a log session's URL. The URL is its own authorisation: our token never goes there.
boost::asio::awaitable<std::unique_ptr<net::BodyStream>> open(net::HttpClient& http,
                                                              Heroku::Observer observer, std::string url) {
  const Call call = named("open the log stream");
  std::optional<ApiError> failure;
  try {
    net::Request request{.method = "GET",
                         .url = std::move(url),
                         .headers = {{"Accept", "text/plain"}},
                         .body = "",
                         .bearer = nullptr,
                         .secret_body = nullptr};
    auto stream = co_await http.open(std::move(request), kLimit);
    observe(observer, call, integrations::outcome_of(stream->status(), call.effect));
    co_return stream;
  } catch (const net::NetError& error) {
    failure = integrations::no_answer(call, error);
  }
  observe(observer, call, std::string(name_of(failure->failure())));
  throw ApiError(*failure);
}

LogLines::Format format_of(const net::BodyStream& stream) {
  const std::string type = net::find_header(stream.headers(), "Content-Type").value_or("");
  return type.starts_with("text/event-stream") ? LogLines::Format::events : LogLines::Format::plain;
}

class Log final : public integrations::LogStream {
 public:
  using Line = std::variant<integrations::LogLine, integrations::LogQuiet, integrations::LogEnded>;

  explicit Log(std::unique_ptr<net::BodyStream> stream)
      : stream_(std::move(stream)), lines_(format_of(*stream_)) {}

  // The limit is for the line, not for the bytes: comments that keep a stream alive don't put it off.
  boost::asio::awaitable<Line> next(storage::Duration limit) override {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
      if (auto line = lines_.next()) co_return read_log_line(*line);
      if (ended_) co_return integrations::LogEnded{};
      const auto left = std::chrono::ceil<storage::Duration>(deadline - std::chrono::steady_clock::now());
      if (left <= storage::Duration::zero()) co_return integrations::LogQuiet{};
      const auto bytes = co_await stream_->read(left);
      take(bytes);
    }
  }

 private:
  void take(const std::optional<std::string>& bytes) {
    if (bytes) {
      lines_.feed(*bytes);
      return;
    }
    lines_.end();
    ended_ = true;
  }

  std::unique_ptr<net::BodyStream> stream_;
  LogLines lines_;
  bool ended_ = false;
};

}  // namespace

Heroku::Heroku(net::HttpClient& http, std::string base, storage::SharedSecret token, Observer observer)
    : http_(http), base_(std::move(base)), token_(std::move(token)), observer_(std::move(observer)) {
  while (base_.ends_with('/')) base_.pop_back();
}

std::string Heroku::app_url(const std::string& app, std::string_view rest) const {
  return fmt::format("{}/apps/{}{}", base_, net::percent_encode(app), rest);
}

boost::asio::awaitable<Account> Heroku::account() {
  net::Request request = request_for("GET", base_ + "/account", token_);
  const net::Response response =
      co_await send(http_, observer_, named("look at the account"), std::move(request));
  co_return read_account(response);
}

boost::asio::awaitable<integrations::AppInfo> Heroku::info(std::string app) {
  net::Request request = request_for("GET", app_url(app, ""), token_);
  const net::Response response =
      co_await send(http_, observer_, named("look at the app"), std::move(request));
  co_return read_app(response);
}

boost::asio::awaitable<integrations::ConfigValue> Heroku::config(std::string app, std::string variable) {
  net::Request request = request_for("GET", app_url(app, "/config-vars"), token_);
  net::Response response = co_await send(http_, observer_, named("read the config var"), std::move(request));
  co_return read_config(response, variable);
}

boost::asio::awaitable<std::string> Heroku::set_config(std::string app, std::string variable,
                                                       storage::SharedSecret value) {
  const Call call = named("set the config var", Effect::write);
  if (!value || value->empty()) {
    // Heroku would take an empty string, and null deletes the variable: either stops billing.
    throw ApiError({.system = call.system,
                    .failure = integrations::Failure::refused,
                    .operation = call.operation,
                    .reason = "an empty value is never written",
                    .status = 0,
                    .request_id = "",
                    .retry_after = std::nullopt});
  }
  net::Request request = request_for("PATCH", app_url(app, "/config-vars"), token_);
  request.headers.emplace_back("Content-Type", "application/json");
  request.secret_body =
      storage::share(integrations::json_with_secrets(nlohmann::json::object(), {{variable, value.get()}}));
  net::Response response = co_await send(http_, observer_, call, std::move(request));
  co_return read_changed(response, variable, *value);
}

boost::asio::awaitable<std::vector<integrations::Release>> Heroku::releases(std::string app, int count) {
  net::Request request = request_for("GET", app_url(app, "/releases"), token_);
  request.headers.emplace_back("Range", fmt::format("version ..; order=desc,max={}", count));
  const net::Response response =
      co_await send(http_, observer_, named("list the releases"), std::move(request));
  co_return read_releases(response);
}

boost::asio::awaitable<integrations::Release> Heroku::release_again(std::string app, std::string slug) {
  net::Request request = request_for("POST", app_url(app, "/releases"), token_);
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = nlohmann::json{{"slug", slug}, {"description", "Released again by Keyturn"}}.dump();
  const net::Response response =
      co_await send(http_, observer_, named("release again", Effect::write), std::move(request));
  co_return read_made_release(response);
}

boost::asio::awaitable<std::vector<integrations::Dyno>> Heroku::dynos(std::string app) {
  const Call call = named("list the dynos");
  std::vector<integrations::Dyno> all;
  std::optional<std::string> range;
  for (int page = 0; page < kMostPages; ++page) {
    net::Request request = request_for("GET", app_url(app, "/dynos"), token_);
    if (range) request.headers.emplace_back("Range", *range);
    const net::Response response = co_await send(http_, observer_, call, std::move(request));
    for (integrations::Dyno& dyno : read_dynos(response)) all.push_back(std::move(dyno));
    range = next_range(response);
    if (!range) co_return all;
  }
  // Half a list could read as "all of them run the new release".
  throw integrations::not_understood(call, net::Response(206, {}, ""), "the list of dynos has no end");
}

boost::asio::awaitable<std::unique_ptr<integrations::LogStream>> Heroku::follow_log(std::string app,
                                                                                    int lines) {
  net::Request request = request_for("POST", app_url(app, "/log-sessions"), token_);
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = nlohmann::json{{"tail", true}, {"lines", lines}}.dump();
  const net::Response session = co_await send(http_, observer_, named("follow the log"), std::move(request));
  auto stream = co_await open(http_, observer_, read_log_session(session));
  check_log_stream(stream->status());
  co_return std::make_unique<Log>(std::move(stream));
}

}  // namespace keyturn::heroku
