#include "deploy/sandbox/stripe_endpoints.h"

#include <algorithm>

namespace keyturn::sandbox {
namespace {

const std::vector<StripeEndpoint>& endpoints() {
  static const std::vector<StripeEndpoint> kEndpoints = {
      {.collection = "account",
       .singular = "account",
       .label = "Basic Business Contact Information",
       .permissions = {"accounts_kyc_basic"},
       .writable = false},
      {.collection = "balance",
       .singular = "balance",
       .label = "Balance",
       .permissions = {"balance"},
       .writable = false},
      {.collection = "charges", .singular = "charge", .label = "Charges", .permissions = {"charge"}},
      {.collection = "coupons", .singular = "coupon", .label = "Coupons", .permissions = {"coupon"}},
      {.collection = "checkout/sessions",
       .singular = "checkout.session",
       .label = "Checkout Sessions",
       .permissions = {"payment_intent", "checkout_session"}},
      {.collection = "customers", .singular = "customer", .label = "Customers", .permissions = {"customer"}},
      {.collection = "events",
       .singular = "event",
       .label = "Events",
       .permissions = {"event"},
       .writable = false},
      {.collection = "invoices", .singular = "invoice", .label = "Invoices", .permissions = {"invoice"}},
      {.collection = "payment_intents",
       .singular = "payment_intent",
       .label = "Payment Intents",
       .permissions = {"payment_intent"}},
      {.collection = "payouts", .singular = "payout", .label = "Payouts", .permissions = {"payout"}},
      {.collection = "prices", .singular = "price", .label = "Prices", .permissions = {"plan"}},
      {.collection = "products", .singular = "product", .label = "Products", .permissions = {"product"}},
      {.collection = "subscriptions",
       .singular = "subscription",
       .label = "Subscriptions",
       .permissions = {"billing_cadence", "subscription"}},
      {.collection = "webhook_endpoints",
       .singular = "webhook_endpoint",
       .label = "Webhook Endpoints",
       .permissions = {"webhook"}},
  };
  return kEndpoints;
}

}  // namespace

std::optional<StripeRoute> find_stripe_route(std::string_view path) {
  constexpr std::string_view kPrefix = "/v1/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  for (const StripeEndpoint& endpoint : endpoints()) {
    if (path == endpoint.collection) return StripeRoute{.endpoint = &endpoint, .id = ""};
    if (!path.starts_with(endpoint.collection)) continue;
    const std::string_view rest = path.substr(endpoint.collection.size());
    if (rest.size() > 1 && rest.front() == '/' && rest.find('/', 1) == std::string_view::npos)
      return StripeRoute{.endpoint = &endpoint, .id = std::string(rest.substr(1))};
  }
  return std::nullopt;
}

std::vector<std::string> permissions_for(const StripeEndpoint& endpoint, std::string_view method) {
  const bool read = method == "GET";
  if (!read && !endpoint.writable) return {};
  std::vector<std::string> wanted;
  for (const std::string_view name : endpoint.permissions)
    wanted.push_back(std::string(name) + (read ? "_read" : "_write"));
  return wanted;
}

bool grants(const std::set<std::string>& held, const std::string& wanted) {
  if (held.contains(wanted)) return true;
  constexpr std::string_view kRead = "_read";
  if (!wanted.ends_with(kRead)) return false;
  return held.contains(wanted.substr(0, wanted.size() - kRead.size()) + "_write");
}

nlohmann::json balance_body(bool live) {
  const nlohmann::json nothing =
      nlohmann::json::array({{{"amount", 0}, {"currency", "usd"}, {"source_types", {{"card", 0}}}}});
  return {{"object", "balance"},
          {"available", nothing},
          {"connect_reserved", nlohmann::json::array({{{"amount", 0}, {"currency", "usd"}}})},
          {"livemode", live},
          {"pending", nothing}};
}

nlohmann::json account_body(const std::string& account) {
  return {{"id", account},
          {"object", "account"},
          {"business_type", nullptr},
          {"charges_enabled", true},
          {"country", "US"},
          {"default_currency", "usd"},
          {"details_submitted", true},
          {"email", "billing@raxx.example"},
          {"payouts_enabled", true},
          {"type", "standard"}};
}

}  // namespace keyturn::sandbox
