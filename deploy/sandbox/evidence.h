// Asks Stripe, Infisical, Heroku, the billing endpoint and Slack what became of a rotation: each fact over
// the system's own API, with an auditor's credentials, and none of it from the bot. Thread: io only. A system
// that doesn't answer is a fact that is missing, never an exception.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "deploy/sandbox/fact.h"
#include "integrations/net/http_client.h"

namespace keyturn::sandbox {

// Where to look: as GET /places of the control server says.
class Evidence {
 public:
  Evidence(net::HttpClient& http, nlohmann::json places) : http_(http), places_(std::move(places)) {}

  // The key as it stands in Infisical now; empty when it can't be read.
  boost::asio::awaitable<std::string> key_in_infisical();

  // Everything that must hold when a rotation is over.
  boost::asio::awaitable<std::vector<Fact>> collect(std::string old_key, std::string new_key);

 private:
  boost::asio::awaitable<net::Response> get(std::string url, std::string bearer);
  boost::asio::awaitable<Fact> old_key_is_dead(std::string key);
  boost::asio::awaitable<Fact> new_key_works(std::string key);
  boost::asio::awaitable<Fact> infisical_has(std::string key);
  boost::asio::awaitable<Fact> heroku_has(std::string key);
  boost::asio::awaitable<Fact> billing_is_healthy();
  boost::asio::awaitable<Fact> slack_never_saw(std::vector<std::string> keys);
  std::string place(const char* name) const { return places_.at("places").at(name); }

  net::HttpClient& http_;
  nlohmann::json places_;
};

}  // namespace keyturn::sandbox
