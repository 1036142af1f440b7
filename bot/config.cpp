#include "bot/config.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

#include "bot/settings_reader.h"
#include "integrations/net/url.h"

namespace keyturn::bot {

namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr storage::Duration kShortest = milliseconds(1);
constexpr storage::Duration kLongest = days(366);
// The dashboard offers no longer one; docs.stripe.com/keys, "Rotate an API key".
constexpr storage::Duration kLongestGrace = days(7);

// What Stripe's libraries and its API say when a key is refused. `authentication_required` isn't among them
// on purpose: it is also the decline code of a card that wants 3-D Secure (docs.stripe.com/declines/codes),
// which says nothing about the key.
const std::vector<std::string> kLogFailures = {
    "StripeAuthenticationError",         // stripe-node
    "StripePermissionError",             //
    "Stripe::AuthenticationError",       // stripe-ruby
    "Stripe::PermissionError",           //
    "stripe.AuthenticationError",        // stripe-python 8 and newer
    "stripe.PermissionError",            //
    "stripe.error.AuthenticationError",  // stripe-python before 8
    "stripe.error.PermissionError",      //
    "Invalid API Key provided",
    "Expired API Key provided",
    "You did not provide an API key",
    "does not have the required permissions for this endpoint",
    "api_key_expired",
    "more_permissions_required",
};

// `accepts` as a pattern that must match as a whole.
Rule shaped(std::string expected, std::string example, const std::string& pattern) {
  // To read a pattern takes longer than to match a thousand texts, and each target asks for the same ones.
  static std::map<std::string, std::regex> compiled;
  const auto known = compiled.try_emplace(pattern, pattern).first;
  return {
      .expected = std::move(expected),
      .example = std::move(example),
      .accepts = [&regex = known->second](const std::string& text) { return std::regex_match(text, regex); }};
}

Rule one_of(std::vector<std::string> words) {
  return {.expected = fmt::format("one of {}", fmt::join(words, ", ")),
          .example = '"' + words.front() + '"',
          .accepts = [words](const std::string& text) {
            return std::find(words.begin(), words.end(), text) != words.end();
          }};
}

Rule words(std::string expected, std::string example) {
  return {.expected = std::move(expected), .example = std::move(example)};
}

Rule web_address(bool allow_plain_loopback, std::string example) {
  return {.expected = allow_plain_loopback ? "an https URL, or an http one towards loopback"
                                           : "an https URL (http only towards loopback, and only with "
                                             "network.allow_plain_loopback)",
          .example = std::move(example),
          .accepts = [allow_plain_loopback](const std::string& text) {
            const auto url = net::parse_url(text);
            if (!url) return false;
            return url->scheme == "https" ||
                   (url->scheme == "http" && url->loopback() && allow_plain_loopback);
          }};
}

Rule ip_address() {
  return {.expected = "an IP address of this machine",
          .example = "\"127.0.0.1\"",
          .accepts = [](const std::string& text) {
            boost::system::error_code error;
            boost::asio::ip::make_address(text, error);
            return !error;
          }};
}

bool loopback(const std::string& address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(address, error);
  return !error && parsed.is_loopback();
}

std::string without_slash_at_end(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

void read_network(Section section, Config& config) {
  config.allow_plain_loopback = section.flag("allow_plain_loopback", false);
  config.certificate_authorities =
      section.optional("certificate_authorities", words("a PEM file", "\"/etc/keyturn/ca.pem\""), "");
  section.finish();
}

void read_slack(Section section, Config& config) {
  SlackSettings& slack = config.slack;
  const Rule user =
      shaped("a Slack user id (Slack: profile, Copy member ID)", "[\"U0123ABCD\"]", "[UW][A-Z0-9]{2,}");
  slack.team = section.required("team", shaped("a Slack team id", "\"T0123ABCD\"", "T[A-Z0-9]{2,}"));
  slack.app = section.required("app", shaped("a Slack app id", "\"A0123ABCD\"", "A[A-Z0-9]{2,}"));
  slack.channel =
      section.required("channel", shaped("a channel's id, not its name (channel details, at the bottom)",
                                         "\"C0123ABCD\"", "[CG][A-Z0-9]{2,}"));
  slack.superadmins = section.list("superadmins", user, {});
  slack.superadmin_group =
      section.optional("superadmin_group", shaped("a user group's id", "\"S0123ABCD\"", "S[A-Z0-9]{2,}"), "");
  if (slack.superadmins.empty() && !section.has("superadmin_group")) {
    section.refuse("superadmins",
                   "is empty and superadmin_group is not set: nobody could start a rotation; "
                   "set at least one; for example: superadmins = [\"U0123ABCD\"]");
  }
  slack.client_id = section.optional(
      "client_id",
      shaped("a Slack app's client id (Basic Information)", "\"1234567890.1234567890\"", "[0-9]+\\.[0-9]+"),
      "");
  slack.api = without_slash_at_end(section.optional(
      "api", web_address(config.allow_plain_loopback, "\"https://slack.com/api\""), slack.api));
  section.finish();
}

// The form carries a live key, so it is never served in the clear beyond this machine.
void check_form_transport(Section& section, const Config& config) {
  const FormSettings& form = config.form;
  if (form.certificate_file.empty() != form.private_key_file.empty()) {
    section.refuse(form.certificate_file.empty() ? "private_key_file" : "certificate_file",
                   "stands alone; set certificate_file and private_key_file together");
    return;
  }
  if (form.own_tls()) return;
  if (!loopback(form.address)) {
    section.refuse("address",
                   fmt::format("is \"{}\" without TLS: a live key would cross the network in the clear; set "
                               "certificate_file and private_key_file, or listen on \"127.0.0.1\" behind a "
                               "TLS proxy",
                               form.address));
  } else if (!form.behind_proxy && !config.allow_plain_loopback) {
    section.refuse("behind_proxy",
                   "is not true and there is no certificate_file: nothing would end TLS; set "
                   "certificate_file and private_key_file, or, with a TLS proxy on this machine, "
                   "behind_proxy = true");
  }
}

void read_form(Section section, Config& config) {
  FormSettings& form = config.form;
  form.public_url = section.required(
      "public_url", web_address(config.allow_plain_loopback, "\"https://keyturn.example.com\""));
  if (const auto url = net::parse_url(form.public_url)) {
    if (url->target != "/")
      section.refuse("public_url", "has a path; expected a host and, if need be, a port only");
    form.public_url = url->origin();
  }
  form.address = section.optional("address", ip_address(), form.address);
  form.port = static_cast<std::uint16_t>(section.integer("port", 0, 65535, form.port));
  form.certificate_file =
      section.optional("certificate_file", words("a PEM file", "\"/etc/keyturn/tls/fullchain.pem\""), "");
  form.private_key_file =
      section.optional("private_key_file", words("a PEM file", "\"/etc/keyturn/tls/privkey.pem\""), "");
  form.behind_proxy = section.flag("behind_proxy", false);
  form.sign_in = section.flag("sign_in", false);
  if (form.sign_in && config.slack.client_id.empty()) {
    section.refuse("sign_in",
                   "needs slack.client_id, and the client secret of that app; for example: client_id = "
                   "\"1234567890.1234567890\" under [slack]");
  }
  check_form_transport(section, config);
  section.finish();
}

void read_metrics(Section section, MetricsSettings& metrics) {
  metrics.address = section.optional("address", ip_address(), metrics.address);
  metrics.port = static_cast<std::uint16_t>(section.integer("port", 0, 65535, metrics.port));
  section.finish();
}

void read_storage(Section section, Config& config) {
  config.journal =
      section.required("journal", words("the journal's file", "\"/var/lib/keyturn/journal.db\""));
  config.secrets_folder =
      section.optional("secrets_folder", words("a folder", "\"/etc/keyturn/secrets\""), "");
  section.finish();
}

void read_log(Section section, Config& config) {
  config.log_level =
      section.optional("level", one_of({"info", "debug", "warning", "error"}), config.log_level);
  section.finish();
}

void read_vendors(Section& root, Config& config) {
  const bool plain = config.allow_plain_loopback;
  Section stripe = root.table("stripe");
  config.stripe_api = without_slash_at_end(
      stripe.optional("api", web_address(plain, "\"https://api.stripe.com\""), config.stripe_api));
  stripe.finish();
  Section infisical = root.table("infisical");
  config.infisical_api = without_slash_at_end(infisical.optional(
      "api", web_address(plain, "\"https://us.infisical.com/api\""), config.infisical_api));
  config.infisical_client_id =
      infisical.required("client_id", words("the client id of a machine identity (universal auth)",
                                            "\"1f8c5f3e-6a0b-4c53-9d1e-2f4f7a0f9c11\""));
  infisical.finish();
  Section heroku = root.table("heroku");
  config.heroku_api = without_slash_at_end(
      heroku.optional("api", web_address(plain, "\"https://api.heroku.com\""), config.heroku_api));
  heroku.finish();
}

integrations::SecretAddress read_address(Section section) {
  integrations::SecretAddress address;
  address.project = section.required(
      "project", words("an Infisical project id", "\"7c1e2f4f-0d5e-4b58-8a39-0a4e2b1d9c33\""));
  address.environment =
      section.required("environment", shaped("an environment's slug", "\"prod\"", "[a-z0-9][a-z0-9-]*"));
  address.path = section.optional("path", shaped("a folder, from the root", "\"/\"", "/.*"), "/");
  address.name = section.required(
      "secret", shaped("a secret's name", "\"STRIPE_RESTRICTED_KEY\"", "[A-Za-z_][A-Za-z0-9_]*"));
  section.finish();
  return address;
}

std::vector<commands::ConsumerTarget> read_consumers(Section& target) {
  // Heroku's own rules: devcenter.heroku.com/articles/config-vars, platform-api-reference#app.
  const Rule app = shaped("a Heroku app's name", "\"raxx-api-prod\"", "[a-z][a-z0-9-]{1,28}[a-z0-9]");
  const Rule variable = shaped("a config var's name (letters, digits, _; not __... or HEROKU_...)",
                               "\"STRIPE_RESTRICTED_KEY\"", "(?!__)(?!HEROKU_)[A-Za-z0-9_]+");
  std::vector<commands::ConsumerTarget> consumers;
  for (Section& section : target.tables("consumer")) {
    commands::ConsumerTarget consumer{.app = section.required("app", app),
                                      .variable = section.required("variable", variable)};
    const bool repeated = std::any_of(consumers.begin(), consumers.end(),
                                      [&](const auto& other) { return other.app == consumer.app; });
    if (repeated) section.refuse("app", "is listed twice: a rotation handles one variable of an app");
    section.finish();
    consumers.push_back(std::move(consumer));
  }
  if (consumers.empty()) {
    target.refuse("consumer",
                  "is missing: a key that nothing uses needs no rotation; expected at least one "
                  "[[target.consumer]] with app and variable");
  }
  return consumers;
}

bool json_pointer(const std::string& text) {
  try {
    return !nlohmann::json::json_pointer(text).empty();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

integrations::HealthExpectation read_billing(Section section, bool allow_plain_loopback) {
  integrations::HealthExpectation billing;
  billing.url = section.required(
      "url", web_address(allow_plain_loopback, "\"https://api.raxx.app/api/billing/subscription\""));
  billing.status = static_cast<int>(section.integer("status", 100, 599, 200));
  billing.json_pointer = section.optional(
      "json_pointer",
      {.expected = "a JSON pointer (RFC 6901)", .example = "\"/status\"", .accepts = json_pointer}, "");
  billing.json_equals = section.optional("json_equals", words("the value at json_pointer", "\"ok\""), "");
  if (billing.json_pointer.empty() != billing.json_equals.empty()) {
    section.refuse(billing.json_pointer.empty() ? "json_equals" : "json_pointer",
                   "stands alone; json_pointer says where to look, json_equals what must be there");
  }
  section.finish();
  return billing;
}

commands::Timing read_timing(Section section) {
  commands::Timing timing;
  const auto read = [&section](const char* key, storage::Duration& value) {
    value = section.duration(key, kShortest, kLongest, value);
  };
  read("form_life", timing.form_life);
  read("poll_every", timing.poll_every);
  read("release_limit", timing.release_limit);
  read("health_every", timing.health_every);
  read("retry_every", timing.retry_every);
  read("retry_limit", timing.retry_limit);
  read("reminder_before", timing.reminder_before);
  read("proof_after", timing.proof_after);
  read("proof_every", timing.proof_every);
  timing.proof_count = static_cast<int>(section.integer("proof_count", 1, 100, timing.proof_count));
  read("late_after", timing.late_after);
  read("nudge_after", timing.nudge_after);
  read("nudge_before", timing.nudge_before);
  read("page_after", timing.page_after);
  read("unattended_every", timing.unattended_every);
  read("overdue_every", timing.overdue_every);
  read("escalate_after", timing.escalate_after);
  read("drift_every", timing.drift_every);
  section.finish();
  return timing;
}

void read_probes(Section& section, commands::Target& target) {
  const Rule endpoint = shaped("a GET of Stripe's API", "[\"GET /v1/customers\"]", "GET /v1/[A-Za-z0-9_/]+");
  target.permitted = section.list("permitted", endpoint, {});
  target.denied = section.list("denied", endpoint, {});
  target.permissions =
      section.list("permissions",
                   shaped("a permission as the dashboard lists it, with its level", "[\"Customers: Write\"]",
                          "[A-Z][A-Za-z0-9 ,/()&-]*: (Read|Write)"),
                   {});
  if (target.permitted.empty()) {
    section.refuse("permitted",
                   "is empty: nothing would show that a new key works; expected at least one; for example: "
                   "permitted = [\"GET /v1/customers\"]");
  }
  for (const std::string& denied : target.denied) {
    const auto& permitted = target.permitted;
    if (std::find(permitted.begin(), permitted.end(), denied) != permitted.end()) {
      section.refuse("denied", fmt::format("holds \"{}\", which permitted holds too", denied));
    }
  }
}

void read_periods(Section& section, commands::Target& target) {
  target.watch = section.duration("watch", kShortest, days(1), target.watch);
  target.grace = section.duration("grace", seconds(1), kLongestGrace, target.grace);
  target.compromise_grace = section.duration("compromise_grace", seconds(1), kLongestGrace,
                                             std::min(target.compromise_grace, target.grace));
  if (target.compromise_grace > target.grace) {
    section.refuse("compromise_grace",
                   "is longer than grace: a leaked key must die sooner than another, not later");
  }
  target.cadence = section.duration("cadence", kShortest, kLongest, target.cadence);
}

void read_mode(Section& section, commands::Target& target) {
  target.mode = section.required("mode", one_of({"live", "test"})) == "test" ? integrations::Mode::test
                                                                             : integrations::Mode::live;
  const std::string dashboard = target.mode == integrations::Mode::test
                                    ? "https://dashboard.stripe.com/test/apikeys"
                                    : "https://dashboard.stripe.com/apikeys";
  target.dashboard_url = section.optional(
      "dashboard_url", web_address(/*allow_plain_loopback=*/true, "\"https://dashboard.stripe.com/apikeys\""),
      dashboard);
}

// A rotation that nobody can approve would wait for ever.
void read_second_approver(Section& section, const SlackSettings& slack, commands::Target& target) {
  target.second_approver = section.flag("second_approver", false);
  const std::set<std::string> people(slack.superadmins.begin(), slack.superadmins.end());
  if (target.second_approver && people.size() < 2 && slack.superadmin_group.empty()) {
    section.refuse("second_approver",
                   "is true, but slack.superadmins names fewer than two people and there is no "
                   "superadmin_group: nobody could approve; for example: superadmins = [\"U0123ABCD\", "
                   "\"U0456EFGH\"] under [slack]");
  }
}

commands::Target read_target(Section& section, const Config& config) {
  commands::Target target;
  target.provider = section.required("provider", one_of({"stripe"}));
  target.environment = section.required("environment", shaped("one lower-case word, as typed in the command",
                                                              "\"prod\"", "[a-z0-9][a-z0-9_-]*"));
  read_mode(section, target);
  target.account = section.optional(
      "account", shaped("a Stripe account id", "\"acct_1A2b3C4d5E6f\"", "acct_[A-Za-z0-9]+"), "");
  target.dashboard_key_name = section.required(
      "dashboard_key_name", words("the key's name in the dashboard", "\"raxx-api-prod restricted\""));
  target.store = read_address(section.table("infisical"));
  target.consumers = read_consumers(section);
  read_probes(section, target);
  target.billing = read_billing(section.table("billing"), config.allow_plain_loopback);
  target.log_failures = section.list(
      "log_failures", words("a piece of a log line", "[\"StripeAuthenticationError\"]"), kLogFailures);
  read_periods(section, target);
  read_second_approver(section, config.slack, target);
  target.timing = read_timing(section.table("timing"));
  section.finish();
  return target;
}

void read_targets(Section& root, Config& config) {
  auto sections = root.tables("target");
  for (Section& section : sections) {
    commands::Target target = read_target(section, config);
    const bool repeated = std::any_of(config.targets.begin(), config.targets.end(),
                                      [&](const auto& other) { return other.name() == target.name(); });
    if (repeated)
      section.refuse("environment", fmt::format("makes a second \"{}\"; names must differ", target.name()));
    config.targets.push_back(std::move(target));
  }
  if (sections.empty() && !root.has("target")) {
    root.refuse("target", "is missing: nothing could be rotated; expected at least one [[target]]");
  }
}

Config read_all(const toml::table& document, Problems& problems, std::set<std::string>& known) {
  Section root(problems, known, &document, "", {.line = 1, .column = 1});
  Config config;
  read_network(root.table("network"), config);
  read_slack(root.table("slack"), config);
  read_form(root.table("form"), config);
  read_metrics(root.table("metrics"), config.metrics);
  read_storage(root.table("storage"), config);
  read_log(root.table("log"), config);
  read_vendors(root, config);
  read_targets(root, config);
  root.finish();
  return config;
}

// Anywhere in the file, comments and broken lines included.
void refuse_credentials(std::string_view toml, Problems& problems) {
  for (const StrayCredential& found : stray_credentials(toml)) {
    const std::string_view before = toml.substr(0, found.offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    problems.add(
        {static_cast<toml::source_index>(line),
         static_cast<toml::source_index>(found.offset - line_start + 1)},
        fmt::format("{} stands in the settings, which are no place for secrets; {}. Whoever could read this "
                    "file has seen it: replace it",
                    found.what, found.where));
  }
}

}  // namespace

std::expected<Config, ConfigError> parse_config(std::string_view toml, const std::string& file_name) {
  Problems problems(file_name);
  refuse_credentials(toml, problems);
  Config config;
  try {
    std::set<std::string> known;
    config = read_all(toml::parse(toml, file_name), problems, known);
  } catch (const toml::parse_error& error) {
    problems.add(error.source().begin, fmt::format("not TOML: {}", error.description()));
  }
  if (!problems.empty()) return std::unexpected(ConfigError{problems.text()});
  return config;
}

std::expected<Config, ConfigError> read_config(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.is_open() || stream.bad() || std::filesystem::is_directory(file)) {
    return std::unexpected(ConfigError{fmt::format(
        "{}: can't be read; expected a settings file (deploy/keyturn.example.toml is one to start from)",
        file.string())});
  }
  return parse_config(text, file.filename().string());
}

std::set<std::string> config_keys() {
  // Every key is asked for, whether it stands in the file or not: so the smallest file with one target and
  // one consumer shows them all.
  Problems problems("");
  std::set<std::string> known;
  read_all(toml::parse("[[target]]\n[[target.consumer]]\n"), problems, known);
  return known;
}

}  // namespace keyturn::bot
