#include "deploy/sandbox/world.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr const char* kSyncUser = "infisical-sync@raxx.example";  // of Infisical's connection to Heroku

}  // namespace

World::World(boost::asio::any_io_executor executor, const storage::Clock& clock, SandboxTiming timing)
    : stripe(clock, timing),
      infisical(clock, timing, kInfisicalProject),
      heroku(clock, timing),
      billing(clock, timing, heroku, kProductionApp, kVariable),
      billing_staging(clock, timing, heroku, kStagingApp, kVariable),
      io_(std::move(executor)),
      clock_(clock),
      timing_(timing) {
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

void World::run_syncs() {
  for (SecretSync& sync : infisical.syncs()) {
    if (!sync.due(infisical.changes(sync.environment(), sync.path()), clock_.now(), timing_)) continue;
    const HerokuApp* app = heroku.find(sync.app());
    const bool works = !sync.broken() && app != nullptr;
    if (works) {
      const auto change = sync.change(infisical.values(sync.environment(), sync.path()), app->config);
      heroku.set_configs(sync.app(), change, kSyncUser);
    }
    sync.tried(works, clock_.now(), timing_);
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
