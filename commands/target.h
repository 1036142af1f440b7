// One thing that can be rotated, as the settings describe it. A rotation carries a copy in its first event,
// so that a change of the settings doesn't change the rules in the middle of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "integrations/health.h"
#include "integrations/provider.h"
#include "integrations/secret_store.h"
#include "storage/clock.h"

namespace keyturn::commands {

struct ConsumerTarget {
  std::string app;       // "raxx-api-prod"
  std::string variable;  // "STRIPE_RESTRICTED_KEY"
};

// How long things may take, and how often they are looked at.
struct Timing {
  storage::Duration form_life = std::chrono::minutes(15);
  storage::Duration poll_every = std::chrono::seconds(5);      // releases and dynos
  storage::Duration release_limit = std::chrono::minutes(15);  // from the change until every dyno runs it
  storage::Duration health_every = std::chrono::seconds(30);   // the billing endpoint, during the watch
  storage::Duration retry_every = std::chrono::seconds(10);    // after an answer that says nothing
  storage::Duration retry_limit = std::chrono::minutes(10);    // then a person is asked
  storage::Duration reminder_before = std::chrono::hours(1);   // before the old key expires
  storage::Duration proof_after = std::chrono::minutes(1);     // after the deadline
  storage::Duration proof_every = std::chrono::minutes(1);
  int proof_count = 3;                                      // refusals in a row that make the proof
  storage::Duration late_after = std::chrono::minutes(15);  // still alive this long after the deadline: alarm
  // An operator who doesn't come; under compromise a third of these.
  storage::Duration nudge_after = std::chrono::minutes(10);       // the boxes are ready to be ticked
  storage::Duration nudge_before = std::chrono::minutes(5);       // before the link expires
  storage::Duration page_after = std::chrono::minutes(15);        // then: the other superadmins
  storage::Duration unattended_every = std::chrono::minutes(15);  // then: does the old key still live?
  // A rotation that is overdue; less with a cadence of less than 90 days.
  storage::Duration overdue_every = std::chrono::days(1);
  storage::Duration escalate_after = std::chrono::days(7);  // then people are named
  // Between two looks whether every app holds the stored key, while no rotation changes it.
  storage::Duration drift_every = std::chrono::minutes(5);
};

struct Target {
  std::string provider;     // "stripe"
  std::string environment;  // "prod"
  integrations::Mode mode = integrations::Mode::live;
  std::string account;             // "acct_..."; empty: not checked by name
  std::string dashboard_key_name;  // as it stands in the dashboard's list
  std::string dashboard_url;       // "https://dashboard.stripe.com/apikeys"
  integrations::SecretAddress store;
  std::vector<ConsumerTarget> consumers;  // the first is the canary
  std::vector<std::string> permitted;     // "GET /v1/customers": must be granted
  std::vector<std::string> denied;        // "GET /v1/balance": must be denied
  std::vector<std::string> permissions;   // "Customers: Write", for whoever has to create the key anew
  integrations::HealthExpectation billing;
  std::vector<std::string>
      log_failures;  // a line with one of these in it (without regard to case) is a failure
  storage::Duration watch = std::chrono::minutes(5);
  storage::Duration grace = std::chrono::hours(24);
  storage::Duration compromise_grace = std::chrono::hours(1);
  storage::Duration cadence = std::chrono::days(90);
  bool second_approver = false;  // a routine rotation waits for another superadmin
  Timing timing;

  std::string name() const { return provider + " " + environment; }  // as typed: "stripe prod"
};

void to_json(nlohmann::json& json, const Target& target);
void from_json(const nlohmann::json& json, Target& target);

}  // namespace keyturn::commands
