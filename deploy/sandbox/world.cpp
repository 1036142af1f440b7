#include "deploy/sandbox/world.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr auto kSyncDebounce = std::chrono::seconds(3);  // Infisical waits this long after a write

}  // namespace

World::World(boost::asio::any_io_executor executor, const storage::Clock& clock, SandboxTiming timing)
    : stripe(clock, timing),
      infisical(clock, timing, kInfisicalProject),
      heroku(clock, timing),
      billing(clock, timing, heroku, kProductionApp, kVariable),
      billing_staging(clock, timing, heroku, kStagingApp, kVariable),
      io_(std::move(executor)),
      clock_(clock) {
  seed(*this);
}

void World::connect(const std::string& stripe_url) {
  billing.connect(io_, stripe_url);
  billing_staging.connect(io_, stripe_url);
}

boost::asio::awaitable<void> World::run() {
  using namespace boost::asio::experimental::awaitable_operators;
  co_await (keep_time() && billing.run() && billing_staging.run());
}

boost::asio::awaitable<void> World::keep_time() {
  while (true) {
    heroku.advance();
    run_syncs();
    co_await net::sleep_for(kTick);
  }
}

// A sync copies every secret of its environment in one change, once the writes have been quiet for a moment.
void World::run_syncs() {
  for (const SecretSyncSeed& sync : infisical.syncs()) {
    const InfisicalSecret* secret = infisical.find(sync.environment, kVariable);
    if (!sync.automatic || secret == nullptr) continue;
    auto& [version, since] = sync_seen_[sync.id];
    if (version != secret->newest().version) {
      const bool first = version == 0;  // what was there when the sync was made counts as copied
      version = secret->newest().version;
      since = first ? storage::TimePoint{} : clock_.now();
      continue;
    }
    if (since == storage::TimePoint{} || clock_.now() - since < kSyncDebounce) continue;
    since = {};
    heroku.set_config(sync.app, kVariable, secret->newest().value, "infisical-sync@raxx.example");
  }
}

Vendor* World::vendor(const std::string& name) {
  if (name == "stripe") return &stripe;
  if (name == "infisical") return &infisical;
  if (name == "heroku") return &heroku;
  if (name == "billing") return &billing;
  if (name == "billing_staging") return &billing_staging;
  return nullptr;
}

nlohmann::json World::state() const {
  return {{"stripe", stripe.state()},
          {"infisical", infisical.state()},
          {"heroku", heroku.state()},
          {"billing", billing.state()},
          {"billing_staging", billing_staging.state()}};
}

}  // namespace keyturn::sandbox
