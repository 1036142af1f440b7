// Failures of the world: one family that says which system, what we were doing, whether a retry can help, and
// the vendor's request id. Never holds a secret: no vendor's body text goes in here (Stripe's carries the
// key's tail).
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "storage/clock.h"

namespace keyturn::integrations {

enum class System { slack, stripe, infisical, heroku, billing };

// "Slack", "Stripe", ...: as people write it.
std::string_view name_of(System system);

enum class Failure {
  unreachable,   // no connection, TLS or DNS failure, or a timeout before anything was sent: nothing happened
  ambiguous,     // sent, but no whole answer: it may have happened. Read back before anything else
  busy,          // 429 or 5xx: try again after `retry_after`
  unauthorized,  // our own credentials were refused
  forbidden,     // our credentials are good, and not enough
  not_found,     // the thing that was named does not exist
  refused,       // any other 4xx: a retry says the same
  not_understood  // an answer of no shape that we know (a proxy's page, HTML, broken JSON)
};

// "unreachable", "ambiguous", ...: for logs, metrics and the journal.
std::string_view name_of(Failure failure);

class ApiError : public std::runtime_error {
 public:
  struct Details {
    System system;
    Failure failure;
    std::string operation;  // "read the secret", in our words
    // One clause in our words, or the system's where a connection failed; safe for Slack and logs: "the app
    // was not found".
    std::string reason;
    int status = 0;          // HTTP status; 0 when there was none
    std::string request_id;  // the vendor's, where it gave one
    std::optional<storage::Duration> retry_after;
  };
  explicit ApiError(Details details);

  const Details& details() const noexcept { return details_; }
  Failure failure() const noexcept { return details_.failure; }
  // Whether the same call can be expected to succeed later without anybody changing anything.
  bool can_retry() const noexcept;

 private:
  Details details_;
};

}  // namespace keyturn::integrations
