// Which of Stripe's URLs exist here, and which permissions open them.
// Source: docs.stripe.com/keys/restricted-api-keys (GET needs read, the rest write; write includes read).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace keyturn::sandbox {

struct StripeEndpoint {
  std::string_view collection;  // "customers": the path below /v1/
  std::string_view singular;    // "customer", for "No such ..."
  std::string_view label;       // "Customers", as the dashboard names the permission
  std::vector<std::string_view>
      permissions;       // without _read and _write; any one of them is enough, the last is named
  bool writable = true;  // whether a _write permission exists
};

struct StripeRoute {
  const StripeEndpoint* endpoint = nullptr;
  std::string id;  // empty: the collection
};

std::optional<StripeRoute> find_stripe_route(std::string_view path);

// The permissions of which one is needed; none: a restricted key can't have any.
std::vector<std::string> permissions_for(const StripeEndpoint& endpoint, std::string_view method);

// Whether a key with `held` may do what `wanted` names.
bool grants(const std::set<std::string>& held, const std::string& wanted);

nlohmann::json balance_body(bool live);
nlohmann::json account_body(const std::string& account);

}  // namespace keyturn::sandbox
