// Stripe as a Provider: asks with a key, reads the answer by status and shape.
// Source: docs.stripe.com/keys, docs.stripe.com/error-codes. 200 is only "granted" with the expected object
// in it; 403 is life; only 401 with code api_key_expired is death.
#pragma once

#include <functional>
#include <string>

#include "integrations/net/http_client.h"
#include "integrations/provider.h"

namespace keyturn::stripe {

// Reads one answer. Pure: `body` may be anything. Fills everything of Probe but `endpoint` and `at`.
integrations::Probe read_answer(const std::string& endpoint, int status, const std::string& request_id,
                                const std::string& body);

class Stripe final : public integrations::Provider {
 public:
  using Observer = std::function<void(const std::string& operation, const std::string& outcome)>;
  // `base` is "https://api.stripe.com". Both references must outlive this.
  Stripe(net::HttpClient& http, const storage::Clock& clock, std::string base, Observer observer);
  boost::asio::awaitable<integrations::Probe> probe(storage::SharedSecret key, std::string endpoint) override;

 private:
  net::HttpClient& http_;
  const storage::Clock& clock_;
  std::string base_;
  Observer observer_;
};

}  // namespace keyturn::stripe
