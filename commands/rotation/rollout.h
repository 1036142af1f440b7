// Until a release runs on every dyno of an app, after the rule of `heroku ps:wait`. Reads only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "integrations/consumer.h"
#include "storage/clock.h"

namespace keyturn::commands::rotation {

inline constexpr int kReleasesLookedAt = 10;

struct Rollout {
  std::string app;
  int release = 0;       // the change's own; a newer one that somebody makes meanwhile counts as well
  int dynos_before = 0;  // 0: the app ran nothing, so there is nothing to wait for
  storage::TimePoint began;
  storage::Duration allowed{};     // from `began`
  storage::Duration poll_every{};  // between two looks
  std::string runs_otherwise;      // what its dynos run when the release fails: "the old key"
  std::string request_id;          // of the change
};

struct RolledOut {
  int release = 0;
  int dynos = 0;
  std::string request_id;
};

// Throws ApiError when the release fails, a dyno crashes on it, or the time is over.
boost::asio::awaitable<RolledOut> await_rollout(integrations::Consumer& consumer, const storage::Clock& clock,
                                                Rollout rollout);

// Whether that release is known to have failed. `releases`: newest first.
bool has_failed(const std::vector<integrations::Release>& releases, int release);

// The code that runs: of the newest release that succeeded. Throws ApiError where Heroku names none.
std::string released_code(const std::string& app, const std::vector<integrations::Release>& releases);

}  // namespace keyturn::commands::rotation
