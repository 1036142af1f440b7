// The settings: one TOML file, read once at the start. A wrong file is refused with file, line, column, what
// was expected and an example, and so is every other mistake in it. Secrets never stand in it: see
// read_secrets. deploy/keyturn.example.toml says what each key means.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "commands/target.h"
#include "storage/sealed_box.h"
#include "storage/secret.h"

namespace keyturn::bot {

struct SlackSettings {
  std::string api = "https://slack.com/api";
  std::string team;                      // "T..."
  std::string app;                       // "A..."
  std::string channel;                   // "C...": where the team is told
  std::vector<std::string> superadmins;  // user ids
  std::string superadmin_group;          // user group id "S..."; both may be set, one must be
  std::string client_id;                 // "1234567890.1234567890": for form.sign_in
};

struct FormSettings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8443;
  std::string
      public_url;  // "https://keyturn.example.com": what operators' browsers reach; no slash at its end
  std::string certificate_file;  // both, or none
  std::string private_key_file;
  bool behind_proxy = false;  // a proxy on this machine ends the TLS and names the client in X-Forwarded-For
  bool sign_in = false;       // Sign in with Slack, instead of a code from the direct message

  bool own_tls() const { return !certificate_file.empty(); }
};

struct MetricsSettings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 9464;
};

struct Config {
  SlackSettings slack;
  FormSettings form;
  MetricsSettings metrics;
  std::filesystem::path journal;         // the SQLite file
  std::filesystem::path secrets_folder;  // may be empty: systemd credentials or environment then
  std::string log_level = "info";
  bool allow_plain_loopback = false;    // http and ws towards loopback: sandboxes only
  std::string certificate_authorities;  // PEM file; empty: the system's
  std::string stripe_api = "https://api.stripe.com";
  std::string infisical_api = "https://us.infisical.com/api";
  std::string infisical_client_id;
  std::string heroku_api = "https://api.heroku.com";
  std::vector<commands::Target> targets;
};

struct ConfigError {
  std::string
      text;  // "keyturn.toml:12:9: ...; expected ...; for example: watch = \"5m\"": one problem a line
};

std::expected<Config, ConfigError> read_config(const std::filesystem::path& file);
std::expected<Config, ConfigError> parse_config(std::string_view toml, const std::string& file_name);

// Every key that the settings know, "target.infisical.path": so that a test can hold the example file to it.
std::set<std::string> config_keys();

// What the settings don't hold. Each comes from the environment (KEYTURN_SLACK_APP_TOKEN, ...; removed from
// it once read), else from a systemd credential ($CREDENTIALS_DIRECTORY/slack-app-token), else from
// secrets_folder/slack-app-token (which only its owner may read).
struct Secrets {
  storage::SharedSecret slack_app_token;
  storage::SharedSecret slack_bot_token;
  storage::SharedSecret infisical_client_secret;
  storage::SharedSecret heroku_token;
  storage::SharedSecret slack_client_secret;  // only with form.sign_in
  std::shared_ptr<const storage::SealingKey> sealing_key;
};
std::expected<Secrets, ConfigError> read_secrets(const Config& config);

// The same for whoever goes on with what is there: a secret that can't be used is null, and why is a problem.
struct SecretsFound {
  Secrets secrets;
  std::vector<std::string> problems;  // each with the place, and what is expected there
};
SecretsFound find_secrets(const Config& config);

}  // namespace keyturn::bot
