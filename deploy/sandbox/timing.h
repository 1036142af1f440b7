// How long things take in the sandbox, so that a whole rotation fits in a minute. The defaults are short on
// purpose; the vendors' own values stand beside them.
#pragma once

#include "storage/clock.h"

namespace keyturn::sandbox {

struct SandboxTiming {
  // Stripe: a key goes on answering this long after its deadline.
  storage::Duration expiry_lag = std::chrono::milliseconds(0);

  // Infisical: how long an access token lives, and how far renewals carry it (real default: 30 days).
  storage::Duration token_life = std::chrono::hours(1);
  storage::Duration token_life_limit = std::chrono::hours(2);
  int lockout_threshold = 3;
  storage::Duration lockout = std::chrono::minutes(5);
  storage::Duration lockout_counter_reset = std::chrono::seconds(30);

  // A secret sync runs this long after the last write to its path (real: 3 s) and its turn in the queue
  // (real: up to 10 s); a try that failed is repeated after this time, then after twice as long, and so on
  // (real: 3 s).
  storage::Duration sync_debounce = std::chrono::milliseconds(300);
  storage::Duration sync_queue = std::chrono::milliseconds(200);
  storage::Duration sync_retry = std::chrono::milliseconds(50);

  // Heroku: a release is pending this long; then each dyno in turn is stopped, starting, and up.
  storage::Duration release_pending = std::chrono::milliseconds(300);
  storage::Duration dyno_stops = std::chrono::milliseconds(100);
  storage::Duration dyno_starts = std::chrono::milliseconds(1000);
  // A log session's URL must be opened within the first, and lives the second once it was (real: 5 min and
  // about 1 h).
  storage::Duration log_session_unused = std::chrono::minutes(5);
  storage::Duration log_session_used = std::chrono::hours(1);

  // The billing application's background job.
  storage::Duration background_every = std::chrono::seconds(3);
};

}  // namespace keyturn::sandbox
