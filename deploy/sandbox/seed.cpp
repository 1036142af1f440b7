// The world as it is before the first rotation: one Stripe account with a restricted key per mode, both
// stored in Infisical with a history, both running at Heroku. Everything agrees with everything else.
#include <spdlog/fmt/fmt.h>

#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/world.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr std::int64_t kLongAgo = 1'700'000'000;  // seconds; the objects' creation

json customer(const std::string& id, const std::string& email) {
  return {{"id", id},
          {"object", "customer"},
          {"address", nullptr},
          {"balance", 0},
          {"created", kLongAgo},
          {"currency", "usd"},
          {"default_source", nullptr},
          {"delinquent", false},
          {"description", nullptr},
          {"email", email},
          {"invoice_prefix", "7FE1103"},
          {"invoice_settings",
           {{"custom_fields", nullptr},
            {"default_payment_method", nullptr},
            {"footer", nullptr},
            {"rendering_options", nullptr}}},
          {"metadata", json::object()},
          {"name", nullptr},
          {"next_invoice_sequence", 1},
          {"phone", nullptr},
          {"preferred_locales", json::array()},
          {"shipping", nullptr},
          {"tax_exempt", "none"},
          {"test_clock", nullptr}};
}

json price(const std::string& id, const std::string& product) {
  return {{"id", id},
          {"object", "price"},
          {"active", true},
          {"billing_scheme", "per_unit"},
          {"created", kLongAgo},
          {"currency", "usd"},
          {"metadata", json::object()},
          {"product", product},
          {"recurring", {{"interval", "month"}, {"interval_count", 1}, {"usage_type", "licensed"}}},
          {"type", "recurring"},
          {"unit_amount", 4900},
          {"unit_amount_decimal", "4900"}};
}

json subscription(const std::string& id, const std::string& customer_id, const json& its_price) {
  constexpr std::int64_t kMonth = 30LL * 24 * 3600;
  // Since 2025-03-31.basil the period stands on the items, not on the subscription.
  const json item{{"id", "si_" + random_text(14)},
                  {"object", "subscription_item"},
                  {"created", kLongAgo},
                  {"current_period_start", kLongAgo},
                  {"current_period_end", kLongAgo + kMonth},
                  {"metadata", json::object()},
                  {"price", its_price},
                  {"quantity", 1},
                  {"subscription", id}};
  return {{"id", id},
          {"object", "subscription"},
          {"application", nullptr},
          {"automatic_tax", {{"enabled", false}, {"liability", nullptr}}},
          {"billing_cycle_anchor", kLongAgo},
          {"cancel_at", nullptr},
          {"cancel_at_period_end", false},
          {"canceled_at", nullptr},
          {"collection_method", "charge_automatically"},
          {"created", kLongAgo},
          {"currency", "usd"},
          {"customer", customer_id},
          {"discounts", json::array()},
          {"ended_at", nullptr},
          {"items",
           {{"object", "list"},
            {"data", json::array({item})},
            {"has_more", false},
            {"url", "/v1/subscription_items?subscription=" + id}}},
          {"latest_invoice", nullptr},
          {"metadata", json::object()},
          {"start_date", kLongAgo},
          {"status", "active"},
          {"test_clock", nullptr},
          {"trial_end", nullptr},
          {"trial_start", nullptr}};
}

void add_objects(StripeWorld& stripe, bool live) {
  const auto add = [&](const char* collection, json object) {
    stripe.add_object(kStripeAccount, live, collection, std::move(object));
  };
  const std::string product = "prod_" + random_text(14);
  const json monthly = price("price_" + random_text(24), product);
  add("products", {{"id", product},
                   {"object", "product"},
                   {"active", true},
                   {"created", kLongAgo},
                   {"name", "Raxx Team"}});
  add("prices", monthly);
  for (int number = 1; number <= 3; ++number) {
    const std::string id = "cus_" + random_text(14);
    add("customers", customer(id, fmt::format("customer{}@raxx.example", number)));
    add("subscriptions", subscription("sub_" + random_text(24), id, monthly));
    add("charges", {{"id", "ch_" + random_text(24)},
                    {"object", "charge"},
                    {"amount", 4900},
                    {"created", kLongAgo},
                    {"currency", "usd"},
                    {"customer", id},
                    {"paid", true},
                    {"status", "succeeded"}});
    add("invoices", {{"id", "in_" + random_text(24)},
                     {"object", "invoice"},
                     {"amount_due", 4900},
                     {"created", kLongAgo},
                     {"currency", "usd"},
                     {"customer", id},
                     {"status", "paid"}});
  }
}

const StripeKey& add_restricted_key(StripeWorld& stripe, const std::string& name, bool live,
                                    const std::string& environment) {
  return stripe.create(
      {.kind = StripeKeyKind::restricted,
       .live = live,
       .account = kStripeAccount,
       .name = name,
       .note = fmt::format("Infisical: {}/{}", environment, kVariable),
       .permissions = {"customer_read", "subscription_read", "invoice_read", "charge_read"}});
}

void seed_stripe(StripeWorld& stripe) {
  for (const bool live : {true, false}) {
    add_objects(stripe, live);
    // The master and the publishable key, as every account has them; nothing of ours holds the master key.
    stripe.create(
        {.kind = StripeKeyKind::secret, .live = live, .account = kStripeAccount, .name = "Secret key"});
    stripe.create({.kind = StripeKeyKind::publishable,
                   .live = live,
                   .account = kStripeAccount,
                   .name = "Publishable key"});
  }
}

// Two keys of earlier quarters, long gone, then today's.
void seed_secret(World& world, const std::string& environment, const std::string& key_name, bool live) {
  for (const char* quarter : {"2026 Q2", "2026 Q3"}) {
    const StripeKey& old = add_restricted_key(world.stripe, key_name, live, environment);
    world.infisical.put(environment, kVariable, old.value, quarter);
    world.stripe.expire(old.id);
  }
  const StripeKey& today = add_restricted_key(world.stripe, key_name, live, environment);
  world.infisical.put(environment, kVariable, today.value, "2026 Q4");
  world.infisical.put(environment, "LOG_LEVEL", "info");
}

ConfigVars config_of(const World& world, const std::string& environment) {
  return {{"LOG_LEVEL", "info"},
          {"NODE_ENV", environment == "prod" ? "production" : "staging"},
          {"SESSION_SECRET", random_text(48)},
          {kVariable, world.infisical.find(environment, kVariable)->newest().value}};
}

}  // namespace

std::vector<std::string> further_apps(int count) {
  std::vector<std::string> apps;
  for (int number = 2; number < count + 2; ++number) apps.push_back(fmt::format("raxx-worker-{:03}", number));
  return apps;
}

void seed_app(World& world, const std::string& app) {
  world.heroku.add_app(app, config_of(world, "prod"), {"worker.1"});
}

void seed(World& world) {
  seed_stripe(world.stripe);
  for (const char* environment : {"dev", "staging", "prod"}) world.infisical.add_environment(environment);
  world.infisical.add_identity("keyturn");
  world.infisical.add_identity("viewer").read_only = true;
  seed_secret(world, "prod", kLiveKeyName, /*live=*/true);
  seed_secret(world, "staging", kTestKeyName, /*live=*/false);
  world.heroku.add_app(kProductionApp, config_of(world, "prod"), {"web.1", "web.2", "worker.1"});
  world.heroku.add_app(kStagingApp, config_of(world, "staging"), {"web.1"});
}

}  // namespace keyturn::sandbox
