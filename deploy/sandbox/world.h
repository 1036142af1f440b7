// The whole outside world of a rotation, but Slack: Stripe, Infisical, Heroku, and the two applications that
// use the key. One object of each, seeded to agree with each other (seed.cpp), each served by its own
// HttpServer. Thread: io only, no locks. Must outlive the servers; never moves.
//
//   World world(io, clock, SandboxTiming{});
//   HttpServer stripe(io, {.port = 4001}, world.stripe.handler());    ... and so on
//   world.connect("http://127.0.0.1:4001");
//   tasks.spawn("world", world.run());
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "deploy/sandbox/billing_world.h"
#include "deploy/sandbox/heroku_world.h"
#include "deploy/sandbox/infisical_world.h"
#include "deploy/sandbox/stripe_world.h"
#include "deploy/sandbox/timing.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

// Names of the seeded things, for settings, pages and tests.
inline constexpr const char* kStripeAccount = "acct_1RaxxQ2eZvKYlo2C";
inline constexpr const char* kLiveKeyName = "raxx-billing";
inline constexpr const char* kTestKeyName = "raxx-billing-test";
inline constexpr const char* kVariable = "STRIPE_RESTRICTED_KEY";
inline constexpr const char* kProductionApp = "raxx-api-prod";
inline constexpr const char* kStagingApp = "raxx-api-staging";
inline constexpr const char* kInfisicalProject = "c7620823-bdc8-4817-916f-8f085f3769ff";

struct World {
  World(boost::asio::any_io_executor executor, const storage::Clock& clock, SandboxTiming timing);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  StripeWorld stripe;
  InfisicalWorld infisical;
  HerokuWorld heroku;
  BillingWorld billing;          // raxx-api-prod
  BillingWorld billing_staging;  // raxx-api-staging

  // The identity that the bot logs in to Infisical with, and a second one that may only read.
  const InfisicalWorld::Identity& bot_identity() const { return infisical.identities().at(0); }
  const InfisicalWorld::Identity& viewer_identity() const { return infisical.identities().at(1); }

  // Tells the applications where Stripe is. Once, before run().
  void connect(const std::string& stripe_url);

  // Moves Heroku's releases and dynos, runs the applications' background jobs and Infisical's syncs, until
  // cancelled.
  boost::asio::awaitable<void> run();

  // "stripe", "infisical", "heroku", "billing", "billing_staging"; null for any other name.
  Vendor* vendor(const std::string& name);
  nlohmann::json state() const;

 private:
  boost::asio::awaitable<void> keep_time();
  void run_syncs();

  boost::asio::any_io_executor io_;
  const storage::Clock& clock_;
  const SandboxTiming timing_;
};

// Names for so many apps that use the live key beside the one that has the billing endpoint.
std::vector<std::string> further_apps(int count);
// One of them, with one dyno.
void seed_app(World& world, const std::string& app);

// Fills an empty world: keys, objects, secrets with history, apps (seed.cpp). The constructor calls it.
void seed(World& world);

}  // namespace keyturn::sandbox
