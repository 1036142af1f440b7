#include "bot/config.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "bot/settings_reader.h"

namespace keyturn::bot {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const std::filesystem::path kDeploy = std::filesystem::path(KEYTURN_SOURCE_FOLDER) / "deploy";

std::string slurp(const std::filesystem::path& file) {
  std::ifstream stream(file);
  REQUIRE(stream.is_open());
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string example() { return slurp(kDeploy / "keyturn.example.toml"); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string example_with(const std::string& from, const std::string& to) {
  return replaced(example(), from, to);
}

// What is wrong with it; empty when nothing is.
std::string problems(const std::string& toml) {
  const auto config = parse_config(toml, "keyturn.toml");
  return config ? "" : config.error().text;
}

std::size_t lines(const std::string& text) {
  return text.empty() ? 0 : static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
}

std::string line_of(const std::string& text, const std::string& piece) {
  return std::to_string(
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(text.find(piece)), '\n') + 1);
}

TEST_CASE("the example settings are good settings") {
  const auto config = parse_config(example(), "keyturn.example.toml");
  if (!config) FAIL(config.error().text);
  CHECK(config->slack.team == "T0123ABCD");
  CHECK(config->slack.superadmins == std::vector<std::string>{"U0123ABCD", "U0456EFGH"});
  CHECK(config->form.public_url == "https://keyturn.example.com");
  CHECK(config->form.own_tls());
  CHECK(config->form.port == 8443);
  CHECK(config->journal == "/var/lib/keyturn/journal.db");
  REQUIRE(config->targets.size() == 1);
  const commands::Target& target = config->targets.front();
  CHECK(target.name() == "stripe prod");
  CHECK(target.mode == integrations::Mode::live);
  CHECK(target.dashboard_url == "https://dashboard.stripe.com/apikeys");
  CHECK(target.store.name == "STRIPE_RESTRICTED_KEY");
  CHECK(target.store.path == "/");
  REQUIRE(target.consumers.size() == 1);
  CHECK(target.consumers.front().app == "raxx-api-prod");
  CHECK(target.permitted.size() == 2);
  CHECK(target.billing.json_equals == "ok");
  CHECK(target.watch == minutes(5));
  CHECK(target.grace == hours(24));
  CHECK(target.compromise_grace == hours(1));
  CHECK(target.cadence == std::chrono::days(90));
  CHECK_FALSE(target.log_failures.empty());
}

TEST_CASE("the example shows every key that the settings know, and no other") {
  std::set<std::string> shown;
  std::string section;
  std::istringstream text(example());
  const std::regex header(R"(\[\[?([a-z_.]+)\]\]?)");
  const std::regex assignment(R"(#?([a-z_]+) = .*)");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (std::regex_match(line, match, header)) {
      section = match[1];
      shown.insert(section);
    } else if (std::regex_match(line, match, assignment)) {
      shown.insert(section + "." + match[1].str());
    }
  }
  CHECK(shown == config_keys());
}

TEST_CASE("the defaults and examples that the example file shows are good settings too") {
  const std::string all_set = std::regex_replace(example(), std::regex("(^|\n)#([a-z_]+ = )"), "$1$2");
  const auto config = parse_config(all_set, "keyturn.example.toml");
  if (!config) FAIL(config.error().text);
  const auto as_shipped = parse_config(example(), "keyturn.example.toml");
  // What is shown as a default is the default.
  CHECK(config->slack.api == as_shipped->slack.api);
  CHECK(config->form.port == as_shipped->form.port);
  CHECK(config->metrics.address == as_shipped->metrics.address);
  CHECK(config->metrics.port == as_shipped->metrics.port);
  CHECK(config->log_level == as_shipped->log_level);
  CHECK(config->stripe_api == as_shipped->stripe_api);
  CHECK(config->infisical_api == as_shipped->infisical_api);
  CHECK(config->heroku_api == as_shipped->heroku_api);
  const commands::Target& shown = config->targets.at(0);
  const commands::Target& real = as_shipped->targets.at(0);
  CHECK(shown.dashboard_url == real.dashboard_url);
  CHECK(shown.log_failures == real.log_failures);
  CHECK(shown.watch == real.watch);
  CHECK(shown.grace == real.grace);
  CHECK(shown.compromise_grace == real.compromise_grace);
  CHECK(shown.cadence == real.cadence);
  CHECK(shown.second_approver == real.second_approver);
  CHECK(shown.store.path == real.store.path);
  CHECK(shown.billing.status == real.billing.status);
  CHECK(shown.timing.form_life == real.timing.form_life);
  CHECK(shown.timing.poll_every == real.timing.poll_every);
  CHECK(shown.timing.release_limit == real.timing.release_limit);
  CHECK(shown.timing.health_every == real.timing.health_every);
  CHECK(shown.timing.retry_every == real.timing.retry_every);
  CHECK(shown.timing.retry_limit == real.timing.retry_limit);
  CHECK(shown.timing.reminder_before == real.timing.reminder_before);
  CHECK(shown.timing.proof_after == real.timing.proof_after);
  CHECK(shown.timing.proof_every == real.timing.proof_every);
  CHECK(shown.timing.proof_count == real.timing.proof_count);
  CHECK(shown.timing.late_after == real.timing.late_after);
}

TEST_CASE("a wrong value is refused with its place, what was expected and an example") {
  const std::string toml = example_with("#watch = \"5m\"", "watch = \"5 potatoes\"");
  CHECK(problems(toml) ==
        "keyturn.toml:" + line_of(toml, "watch = \"5 potatoes\"") +
            ":9: target.watch is \"5 potatoes\"; expected a duration; for example: watch = \"5m\"");
}

TEST_CASE("every problem of a file is reported, one a line, in the order of the file") {
  std::string toml = example_with("team = \"T0123ABCD\"", "team = \"raxx\"");
  toml = replaced(toml, "channel = \"C0123ABCD\"", "channel = \"#ops\"");
  toml = replaced(toml, "\n#port = 8443", "\nport = \"8443\"");
  toml = replaced(toml, "mode = \"live\"", "mode = \"production\"");
  const std::string found = problems(toml);
  CAPTURE(found);
  REQUIRE(lines(found) == 4);
  CHECK(found.find("slack.team is \"raxx\"") < found.find("slack.channel is \"#ops\""));
  CHECK(found.find("slack.channel") <
        found.find("form.port is \"8443\"; expected a whole number from 0 to 65535"));
  CHECK(found.find("form.port") < found.find("target.mode is \"production\"; expected one of live, test"));
}

TEST_CASE("an empty file is answered with all that must be set") {
  const std::string found = problems("");
  CAPTURE(found);
  for (const char* key : {"slack.team", "slack.app", "slack.channel", "slack.superadmins", "form.public_url",
                          "storage.journal", "infisical.client_id", "target"}) {
    CHECK(found.find(std::string("keyturn.toml:1:1: ") + key + " is") != std::string::npos);
  }
}

TEST_CASE("an unknown key is refused, with the key that was probably meant") {
  const std::string typo = example_with("channel = \"C0123ABCD\"", "chanel = \"C0123ABCD\"");
  CHECK(problems(typo).find("slack.chanel is not a known key; did you mean channel?") != std::string::npos);
  const std::string odd = example_with("[log]", "[log]\nrotation_of_files = true");
  CHECK(problems(odd).find("log.rotation_of_files is not a known key; known here: level") !=
        std::string::npos);
  CHECK(problems("[watchdog]\n").find("watchdog is not a known key") != std::string::npos);
}

TEST_CASE("whoever sets a secret in the settings is told where secrets go") {
  const std::string toml = example_with("[heroku]", "[heroku]\napi_token_value = \"abc\"");
  CHECK(problems(toml).find("secrets don't stand in this file") != std::string::npos);
}

TEST_CASE("a broken file is refused with the place where it breaks") {
  const std::string found = problems("[slack]\nteam = \"T0123ABCD\n");
  CHECK(found.starts_with("keyturn.toml:2:"));
  CHECK(found.find("not TOML") != std::string::npos);
}

TEST_CASE("a credential anywhere in the file is refused without being repeated") {
  const std::string tail = "0123456789abcdefABCDEF";
  const std::vector<std::string> credentials = {
      std::string("xoxb-") + tail, std::string("xapp-") + "1-A01-" + tail, std::string("HRKU-") + "AA" + tail,
      std::string("rk_") + "live_" + tail, std::string("sk_") + "test_" + tail};
  for (const std::string& credential : credentials) {
    const std::vector<std::string> places = {
        example_with("team = \"T0123ABCD\"", "team = \"" + credential + "\""),
        example_with("[slack]", "[slack]\nbot_token = \"" + credential + "\""),
        example_with("[slack]", "[slack]\n\"" + credential + "\" = 1"),
        example_with("[slack]", "[slack]\n# the old one: " + credential),
        "team = \"" + credential + "\nbroken",
    };
    for (const std::string& toml : places) {
      const std::string found = problems(toml);
      CAPTURE(found);
      CHECK(found.find("no place for secrets") != std::string::npos);
      CHECK(found.find(tail.substr(0, 8)) == std::string::npos);
    }
  }
}

TEST_CASE("without anybody who may start a rotation there is no start") {
  const std::string toml = example_with("superadmins = [\"U0123ABCD\", \"U0456EFGH\"]", "superadmins = []");
  CHECK(problems(toml).find("nobody could start a rotation") != std::string::npos);
  CHECK(problems(replaced(toml, "#superadmin_group", "superadmin_group")).empty());
  CHECK_FALSE(problems(example_with("\"U0456EFGH\"", "\"@kristerhedfors\"")).empty());
  CHECK_FALSE(problems(example_with("\"U0456EFGH\"", "\"U0123ABCD\"")).empty());
}

TEST_CASE("a second approver is refused where there is no second person") {
  const auto wants = [](const std::string& superadmins) {
    return problems(replaced(example_with("#second_approver = false", "second_approver = true"),
                             "superadmins = [\"U0123ABCD\", \"U0456EFGH\"]", superadmins));
  };
  CHECK(wants("superadmins = [\"U0123ABCD\", \"U0456EFGH\"]").empty());
  CHECK(wants("superadmins = [\"U0123ABCD\"]\nsuperadmin_group = \"S0123ABCD\"").empty());
  CHECK(wants("superadmins = [\"U0123ABCD\"]").find("nobody could approve; for example") !=
        std::string::npos);
  CHECK(problems(example_with("#second_approver = false", "second_approver = \"yes\""))
            .find("second_approver") != std::string::npos);
  CHECK(parse_config(example_with("#second_approver = false", "second_approver = true"), "keyturn.toml")
            ->targets.front()
            .second_approver);
}

TEST_CASE("the form never listens in the clear beyond this machine") {
  const std::string no_tls =
      std::regex_replace(example(), std::regex("\n(certificate_file|private_key_file)"), "\n#$1");
  const std::string on_loopback = replaced(no_tls, "address = \"0.0.0.0\"", "address = \"127.0.0.1\"");
  CHECK(problems(no_tls).find("form.address is \"0.0.0.0\" without TLS") != std::string::npos);
  CHECK(problems(replaced(no_tls, "#behind_proxy = false", "behind_proxy = true")).find("without TLS") !=
        std::string::npos);
  CHECK(problems(on_loopback).find("nothing would end TLS") != std::string::npos);
  CHECK(problems(replaced(on_loopback, "#behind_proxy = false", "behind_proxy = true")).empty());
  CHECK(problems(replaced(on_loopback, "#allow_plain_loopback = false", "allow_plain_loopback = true"))
            .empty());
  const std::string half = example_with("private_key_file = ", "#private_key_file = ");
  CHECK(problems(half).find("form.certificate_file stands alone") != std::string::npos);
}

TEST_CASE("plain http is for loopback, and only where the settings allow it") {
  const auto with_api = [](const std::string& url) {
    return example_with("#api = \"https://api.stripe.com\"", "api = \"" + url + "\"");
  };
  const auto allowed = [](const std::string& toml) {
    return replaced(toml, "#allow_plain_loopback = false", "allow_plain_loopback = true");
  };
  CHECK_FALSE(problems(with_api("http://127.0.0.1:18080")).empty());
  CHECK(problems(allowed(with_api("http://127.0.0.1:18080"))).empty());
  CHECK_FALSE(problems(allowed(with_api("http://stripe.example.com"))).empty());
  CHECK_FALSE(problems(allowed(with_api("ftp://127.0.0.1"))).empty());
  CHECK_FALSE(problems(example_with("https://keyturn.example.com", "http://keyturn.example.com")).empty());
  CHECK_FALSE(problems(example_with("https://keyturn.example.com", "https://example.com/keyturn")).empty());
  CHECK(parse_config(example_with("https://keyturn.example.com", "https://keyturn.example.com/"), "x")
            ->form.public_url == "https://keyturn.example.com");
}

TEST_CASE("a target needs a key to look for, somebody who uses it, and a call that shows it works") {
  CHECK_FALSE(problems(example_with("dashboard_key_name", "#dashboard_key_name")).empty());
  CHECK(problems(
            example_with("permitted = [\"GET /v1/customers\", \"GET /v1/subscriptions\"]", "permitted = []"))
            .find("target.permitted is empty") != std::string::npos);
  CHECK(problems(example_with("denied = [\"GET /v1/balance\"]", "denied = []")).empty());
  CHECK_FALSE(problems(example_with("GET /v1/balance", "POST /v1/refunds")).empty());
  CHECK(problems(example_with("GET /v1/balance", "GET /v1/customers")).find("permitted holds too") !=
        std::string::npos);
  const std::string consumer =
      "[[target.consumer]]\napp = \"raxx-api-prod\"\nvariable = \"STRIPE_RESTRICTED_KEY\"\n";
  CHECK(problems(example_with(consumer, "")).find("target.consumer is missing") != std::string::npos);
  CHECK(problems(example_with(consumer, consumer + consumer)).find("listed twice") != std::string::npos);
  CHECK_FALSE(problems(example_with("provider = \"stripe\"", "provider = \"paypal\"")).empty());
  CHECK_FALSE(problems(example_with("json_pointer = ", "#json_pointer = ")).empty());
  CHECK_FALSE(problems(example_with("\"/status\"", "\"status\"")).empty());
}

TEST_CASE("two targets of one name are refused, two of different names are not") {
  const std::string all = example();
  const std::string target = all.substr(all.find("\n[[target]]"));
  CHECK(problems(all + target).find("makes a second \"stripe prod\"") != std::string::npos);
  CHECK(problems(all + replaced(target, "environment = \"prod\"", "environment = \"staging\"")).empty());
}

TEST_CASE("a grace is between a second and Stripe's seven days, and shorter under compromise") {
  const auto with = [](const std::string& grace, const std::string& compromise) {
    return problems(replaced(example_with("#grace = \"24h\"", "grace = \"" + grace + "\""),
                             "#compromise_grace = \"1h\"", "compromise_grace = \"" + compromise + "\""));
  };
  CHECK(with("1s", "1s").empty());
  CHECK(with("7d", "7d").empty());
  CHECK(with("8d", "1h").find("expected a duration from 1s to 7d") != std::string::npos);
  CHECK_FALSE(with("999ms", "1s").empty());
  CHECK(with("1h", "2h").find("target.compromise_grace is longer than grace") != std::string::npos);
  // A short grace alone must not be refused for a default that nobody wrote.
  CHECK(problems(example_with("#grace = \"24h\"", "grace = \"10s\"")).empty());
  CHECK_FALSE(problems(example_with("#watch = \"5m\"", "watch = \"0s\"")).empty());
}

TEST_CASE("durations are one number and one unit") {
  CHECK(parse_duration("90d") == std::chrono::days(90));
  CHECK(parse_duration("24h") == hours(24));
  CHECK(parse_duration("5m") == minutes(5));
  CHECK(parse_duration("10s") == std::chrono::seconds(10));
  CHECK(parse_duration("250ms") == std::chrono::milliseconds(250));
  for (const char* wrong : {"", "5", "m", "-5m", "+5m", "5 m", "5M", "1h30m", "0x5s", "5m ",
                            "99999999999999999999s", "9223372036854775807d"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong));
  }
}

TEST_CASE("a file that isn't there is refused with its name") {
  const auto config = read_config("/nonexistent/keyturn.toml");
  REQUIRE_FALSE(config);
  CHECK(config.error().text.find("/nonexistent/keyturn.toml: can't be read") == 0);
}

TEST_CASE("the manifest of the Slack app keeps Slack's limits and asks for Socket Mode") {
  const auto manifest = nlohmann::json::parse(slurp(kDeploy / "slack" / "manifest.json"));
  CHECK(manifest.at("settings").at("socket_mode_enabled") == true);
  CHECK(manifest.at("settings").at("interactivity").at("is_enabled") == true);
  CHECK(manifest.at("display_information").at("name").get<std::string>().size() <= 35);
  CHECK(manifest.at("display_information").at("description").get<std::string>().size() <= 140);
  for (const auto& command : manifest.at("features").at("slash_commands")) {
    CHECK(command.at("command").get<std::string>().starts_with('/'));
    CHECK(command.at("should_escape") ==
          true);  // otherwise a mention arrives as a name that anybody can take
    CHECK_FALSE(command.contains("url"));
  }
}

}  // namespace
}  // namespace keyturn::bot
