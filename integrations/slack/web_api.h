// Slack's Web API: one call, JSON or form as each method takes it.
// Thread: io only. Failure: ApiError; its `reason` is Slack's error word ("channel_not_found"), which is safe
// to log. 429 is waited out within `limit` (Retry-After; 30 s where it is missing). There is no idempotency
// key: a post without an answer is Failure::ambiguous. A method that reads, or that sets what it set before,
// is never ambiguous: it is unreachable or busy, and can be called again.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "integrations/error.h"
#include "integrations/net/http_client.h"
#include "storage/secret.h"

namespace keyturn::slack {

class WebApi {
 public:
  // Called after every call: the method, "ok" or the error word or failure name, for the metrics.
  using Observer = std::function<void(const std::string& method, const std::string& outcome)>;

  // `base` is "https://slack.com/api". `http` must outlive this.
  WebApi(net::HttpClient& http, std::string base, storage::SharedSecret token, Observer observer);

  // The answer's whole object when it says ok:true. `arguments` is an object; strings, numbers and booleans
  // go as they are, arrays and objects as JSON strings where the method takes a form.
  boost::asio::awaitable<nlohmann::json> call(std::string method, nlohmann::json arguments,
                                              storage::Duration limit = std::chrono::seconds(10));

  // auth.test, and with its answer the scopes that Slack says the token was granted.
  struct Token {
    nlohmann::json answer;
    std::optional<std::set<std::string>> scopes;  // nothing: Slack did not say
  };
  boost::asio::awaitable<Token> test_token(storage::Duration limit = std::chrono::seconds(10));

  // Posts to a response_url. Only the allowed host (hooks.slack.com, or the base's own in a sandbox) is
  // spoken to.
  boost::asio::awaitable<void> respond(std::string response_url, nlohmann::json message);

 private:
  struct Answered {
    nlohmann::json answer;
    net::Headers headers;
  };
  boost::asio::awaitable<Answered> call_observed(std::string method, nlohmann::json arguments,
                                                 storage::Duration limit);
  boost::asio::awaitable<Answered> send_until(std::string method, nlohmann::json arguments,
                                              storage::Duration limit);
  boost::asio::awaitable<net::Response> send_once(std::string method, nlohmann::json arguments,
                                                  storage::Duration limit);
  boost::asio::awaitable<void> send_reply(std::string response_url, nlohmann::json message);
  void observe(const std::string& method, const std::string& outcome) const;

  net::HttpClient& http_;
  std::string base_;
  storage::SharedSecret token_;
  Observer observer_;
};

}  // namespace keyturn::slack
