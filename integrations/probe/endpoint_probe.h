// Asks a consumer's own endpoint whether it is healthy: one GET, the status and one value of the JSON.
#pragma once

#include <functional>
#include <string>

#include "integrations/health.h"
#include "integrations/net/http_client.h"

namespace keyturn::probe {

// Pure: the verdict on one answer. A redirect or HTML is never health; 200 with an error inside isn't either
// when the expectation names a value.
integrations::HealthReport read_answer(const integrations::HealthExpectation& expectation, int status,
                                       const std::string& body);

class EndpointProbe final : public integrations::HealthCheck {
 public:
  using Observer = std::function<void(const std::string& operation, const std::string& outcome)>;
  EndpointProbe(net::HttpClient& http, const storage::Clock& clock, Observer observer);
  boost::asio::awaitable<integrations::HealthReport> check(
      integrations::HealthExpectation expectation) override;

 private:
  net::HttpClient& http_;
  const storage::Clock& clock_;
  Observer observer_;
};

}  // namespace keyturn::probe
