#include "deploy/sandbox/bot_settings.h"

#include <spdlog/fmt/fmt.h>

#include "deploy/sandbox/slack_openid.h"
#include "deploy/sandbox/slack_people.h"

namespace keyturn::sandbox {
namespace {

std::string port_of(const std::string& url) { return url.substr(url.rfind(':') + 1); }

constexpr const char* kQuickPeriods = R"(watch = "10s"
grace = "40s"
compromise_grace = "30s"
)";

constexpr const char* kQuickTiming = R"(poll_every = "250ms"
release_limit = "1m"
health_every = "1s"
retry_every = "1s"
retry_limit = "30s"
reminder_before = "12s"
proof_after = "1s"
proof_every = "1s"
late_after = "10s"
nudge_after = "30s"
nudge_before = "1m"
page_after = "30s"
unattended_every = "5s"
drift_every = "3s"
)";

constexpr const char* kCalmTiming = R"(poll_every = "1s"
health_every = "5s"
proof_every = "5s"
drift_every = "15s"
)";

struct TargetSettings {
  std::string environment, mode, key_name;
  std::vector<std::string> apps;
  std::string billing_place;
};

std::string consumers_toml(const std::vector<std::string>& apps) {
  std::string text;
  for (const auto& app : apps) {
    text += fmt::format("[[target.consumer]]\napp = \"{}\"\nvariable = \"{}\"\n\n", app, kVariable);
  }
  return text;
}

std::string target_toml(const BotSettings& settings, const TargetSettings& target) {
  return fmt::format(
      R"(
[[target]]
provider = "stripe"
environment = "{environment}"
mode = "{mode}"
account = "{account}"
dashboard_key_name = "{key_name}"
dashboard_url = "{control}/#stripe"
permitted = ["GET /v1/customers", "GET /v1/subscriptions"]
denied = ["GET /v1/balance"]
{periods}
[target.infisical]
project = "{project}"
environment = "{environment}"
secret = "{variable}"

{consumers}[target.billing]
url = "{billing}/api/billing/subscription"
json_pointer = "/status"
json_equals = "{healthy}"

[target.timing]
{timing})",
      fmt::arg("environment", target.environment), fmt::arg("mode", target.mode),
      fmt::arg("account", kStripeAccount), fmt::arg("key_name", target.key_name),
      fmt::arg("control", settings.places.at("control")),
      fmt::arg("periods", settings.quick ? kQuickPeriods : ""), fmt::arg("project", kInfisicalProject),
      fmt::arg("variable", kVariable), fmt::arg("consumers", consumers_toml(target.apps)),
      fmt::arg("billing", settings.places.at(target.billing_place)), fmt::arg("healthy", "active"),
      fmt::arg("timing", settings.quick ? kQuickTiming : kCalmTiming));
}

}  // namespace

std::string settings_toml(const BotSettings& settings) {
  const Places& places = settings.places;
  std::string text = fmt::format(
      R"(# Written by keyturn-sandbox, for a bot among emulators.
[slack]
team = "{team}"
app = "{app}"
channel = "{channel}"
superadmins = ["U0ADMIN", "U0GRACE"]
superadmin_group = "{group}"
api = "{slack}/api"
client_id = "{client}"

[form]
public_url = "{form}"
address = "127.0.0.1"
port = {form_port}
sign_in = false

[metrics]
port = {metrics_port}

[storage]
journal = "{folder}/journal.db"
secrets_folder = "{folder}/secrets"

[network]
allow_plain_loopback = true

[stripe]
api = "{stripe}"

[infisical]
api = "{infisical}/api"
client_id = "{identity}"

[heroku]
api = "{heroku}"
)",
      fmt::arg("team", kTeam), fmt::arg("app", kApp), fmt::arg("channel", kOpsChannel),
      fmt::arg("group", kSuperadminGroup), fmt::arg("slack", places.at("slack")),
      fmt::arg("client", kClientId), fmt::arg("form", places.at("form")),
      fmt::arg("form_port", port_of(places.at("form"))),
      fmt::arg("metrics_port", port_of(places.at("metrics"))), fmt::arg("folder", settings.folder),
      fmt::arg("stripe", places.at("stripe")), fmt::arg("infisical", places.at("infisical")),
      fmt::arg("identity", settings.infisical_identity), fmt::arg("heroku", places.at("heroku")));
  std::vector<std::string> production{kProductionApp};
  production.insert(production.end(), settings.further_apps.begin(), settings.further_apps.end());
  text += target_toml(settings, {.environment = "prod",
                                 .mode = "live",
                                 .key_name = kLiveKeyName,
                                 .apps = production,
                                 .billing_place = "billing"});
  text += target_toml(settings, {.environment = "staging",
                                 .mode = "test",
                                 .key_name = kTestKeyName,
                                 .apps = {kStagingApp},
                                 .billing_place = "billing_staging"});
  return text;
}

}  // namespace keyturn::sandbox
