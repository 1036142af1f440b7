// Heroku as a Consumer: Platform API v3 (config vars, releases, dynos, log sessions).
// Source: devcenter.heroku.com/articles/platform-api-reference. Every status and shape is checked; a 206 is
// as good as a 200 for lists. The log session's URL is a capability and never logged.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "integrations/consumer.h"
#include "integrations/error.h"
#include "integrations/net/http_client.h"

namespace keyturn::heroku {

struct Account {
  std::string email;
  std::optional<int> quota_remaining;
};

class Heroku final : public integrations::Consumer {
 public:
  using Observer = std::function<void(const std::string& operation, const std::string& outcome)>;
  Heroku(net::HttpClient& http, std::string base, storage::SharedSecret token, Observer observer);

  // GET /account: whose token it is, and what is left of that account's calls.
  boost::asio::awaitable<Account> account();

  boost::asio::awaitable<integrations::AppInfo> info(std::string app) override;
  boost::asio::awaitable<integrations::ConfigValue> config(std::string app, std::string variable) override;
  boost::asio::awaitable<std::string> set_config(std::string app, std::string variable,
                                                 storage::SharedSecret value) override;
  boost::asio::awaitable<std::vector<integrations::Release>> releases(std::string app, int count) override;
  // POST /apps/{app}/releases with a slug
  // (devcenter.heroku.com/articles/platform-api-reference#release-create).
  boost::asio::awaitable<integrations::Release> release_again(std::string app, std::string slug) override;
  boost::asio::awaitable<std::vector<integrations::Dyno>> dynos(std::string app) override;
  boost::asio::awaitable<std::unique_ptr<integrations::LogStream>> follow_log(std::string app,
                                                                              int lines) override;

 private:
  std::string app_url(const std::string& app, std::string_view rest) const;

  net::HttpClient& http_;
  std::string base_;
  storage::SharedSecret token_;
  Observer observer_;
};

// Splits one line of Logplex ("2012-01-01T12:00:00.000000+00:00 app[web.1]: text"), redacting keys. Pure.
integrations::LogLine read_log_line(const std::string& line);

}  // namespace keyturn::heroku
