#include "commands/target.h"

#include "commands/json.h"

namespace keyturn::integrations {
NLOHMANN_JSON_SERIALIZE_ENUM(Mode, {{Mode::live, "live"}, {Mode::test, "test"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SecretAddress, project, environment, path, name)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HealthExpectation, url, status, json_pointer, json_equals)
}  // namespace keyturn::integrations

namespace keyturn::commands {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConsumerTarget, app, variable)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Timing, form_life, poll_every, release_limit, health_every,
                                                retry_every, retry_limit, reminder_before, proof_after,
                                                proof_every, proof_count, late_after, nudge_after,
                                                nudge_before, page_after, unattended_every, overdue_every,
                                                escalate_after, drift_every)

namespace {
// One list of the fields, for both directions.
template <typename Json, typename T, typename Field>
void each_field(Json& json, T& target, Field field) {
  field(json, "provider", target.provider);
  field(json, "environment", target.environment);
  field(json, "mode", target.mode);
  field(json, "account", target.account);
  field(json, "dashboard_key_name", target.dashboard_key_name);
  field(json, "dashboard_url", target.dashboard_url);
  field(json, "store", target.store);
  field(json, "consumers", target.consumers);
  field(json, "permitted", target.permitted);
  field(json, "denied", target.denied);
  field(json, "permissions", target.permissions);
  field(json, "billing", target.billing);
  field(json, "log_failures", target.log_failures);
  field(json, "watch", target.watch);
  field(json, "grace", target.grace);
  field(json, "compromise_grace", target.compromise_grace);
  field(json, "cadence", target.cadence);
  field(json, "second_approver", target.second_approver);
  field(json, "timing", target.timing);
}
}  // namespace

void to_json(nlohmann::json& json, const Target& target) {
  each_field(json, target,
             [](nlohmann::json& out, const char* name, const auto& value) { out[name] = value; });
}

void from_json(const nlohmann::json& json, Target& target) {
  each_field(json, target, [](const nlohmann::json& in, const char* name, auto& value) {
    if (in.contains(name)) in.at(name).get_to(value);
  });
}

}  // namespace keyturn::commands
