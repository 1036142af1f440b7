// What a consumer's own endpoint says about itself (the billing endpoint): one request, one verdict in words.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "storage/clock.h"

namespace keyturn::integrations {

// What healthy looks like. All that is set must hold.
struct HealthExpectation {
  std::string url;
  int status = 200;
  std::string json_pointer;  // "/status"; empty: the body isn't looked at
  std::string json_equals;   // "ok"; the value at the pointer, strings without quotes, other values as JSON
};

enum class Health {
  healthy,
  unhealthy,
  unknown
};  // unknown: no answer at all (timeout, DNS), or a rate limit
std::string_view name_of(Health health);

struct HealthReport {
  Health health = Health::unknown;
  int status = 0;
  std::string detail;  // in our words: "answered 500", "\"/status\" is \"degraded\", expected \"ok\""
  storage::TimePoint at;
};

class HealthCheck {
 public:
  virtual ~HealthCheck() = default;
  // Never throws for what the world does. Redirects are not followed: a login page is not health.
  virtual boost::asio::awaitable<HealthReport> check(HealthExpectation expectation) = 0;
};

}  // namespace keyturn::integrations
