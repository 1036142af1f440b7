// Each thing that can be wrong, judged from what was seen: a healthy world first, and then one change at a
// time, which must change exactly the finding that it is about.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "bot/doctor/judgement.h"

namespace keyturn::bot::doctor {
namespace {

using namespace std::chrono_literals;
using integrations::ApiError;
using integrations::Failure;
using integrations::Probe;
using nlohmann::json;
using stripe::Pasted;

const storage::TimePoint kNow{std::chrono::hours(500'000)};
const std::string kUser = "U0ADMIN";
const std::string kFingerprint = "93b8-290a-1d87-5b61";

Config settings() {
  Config config;
  config.slack.team = "T0RAXX";
  config.slack.app = "A0KEYTURN";
  config.slack.channel = "C0OPS";
  config.slack.superadmins = {kUser};
  config.slack.superadmin_group = "S0SUPER";
  config.form.public_url = "https://keyturn.example.com";
  config.form.certificate_file = "fullchain.pem";
  commands::Target target;
  target.provider = "stripe";
  target.environment = "prod";
  target.account = "acct_1";
  target.store = {.project = "p", .environment = "prod", .path = "/", .name = "STRIPE_RESTRICTED_KEY"};
  target.consumers = {{.app = "raxx-api-prod", .variable = "STRIPE_RESTRICTED_KEY"}};
  target.permitted = {"GET /v1/customers"};
  target.denied = {"GET /v1/balance"};
  target.billing.url = "https://api.raxx.app/api/billing/subscription";
  config.targets = {target};
  return config;
}

std::set<std::string> every_scope() {
  std::set<std::string> scopes;
  for (const auto& [scope, purpose] : wanted_scopes()) scopes.insert(scope);
  return scopes;
}

Probe probe(const std::string& endpoint, integrations::Answer answer) {
  Probe made;
  made.endpoint = endpoint;
  made.answer = answer;
  made.status = 200;
  made.note = answer == integrations::Answer::inconclusive ? "rate limited (429)" : "";
  if (answer == integrations::Answer::denied) made.account = "acct_1";
  if (answer == integrations::Answer::granted) made.livemode = true;
  return made;
}

Observed healthy() {
  Observed seen;
  seen.now = kNow;
  seen.settings = {.file = "keyturn.toml", .targets = 1};
  seen.journal = {.file = "journal.db", .exists = true, .folder_exists = true, .entries = 7};
  seen.slack.bot_token = BotTokenSeen{.team = "T0RAXX", .app = "A0KEYTURN", .scopes = every_scope()};
  seen.slack.app_token = Fine{};
  seen.slack.app_of_app_token = "A0KEYTURN";
  seen.slack.channel = ChannelSeen{.member = true};
  seen.slack.group = std::vector<std::string>{kUser};
  seen.slack.people.emplace(kUser, commands::rotation::OperatorChecked{.allowed = true});
  seen.infisical_login = Fine{};
  seen.heroku_account = heroku::Account{.email = "keyturn@raxx.example", .quota_remaining = 4000};
  TargetSeen target;
  const KeySeen key{.kind = Pasted::restricted_key, .fingerprint = kFingerprint};
  target.stored = StoredKeySeen{.version = 3, .key = key};
  target.syncs = std::vector<commands::rotation::SyncSeen>();
  AppSeen app;
  app.info = integrations::AppInfo{.name = "raxx-api-prod"};
  app.variable = VariableSeen{.key = key, .as_stored = true};
  target.apps = {app};
  target.probes = {probe("GET /v1/customers", integrations::Answer::granted),
                   probe("GET /v1/balance", integrations::Answer::denied)};
  target.billing = integrations::HealthReport{.health = integrations::Health::healthy, .status = 200};
  seen.targets = {target};
  seen.form.name = Lookup::found;
  seen.form.certificate = net::CertificateFacts{.begins = kNow - std::chrono::days(10),
                                                .ends = kNow + std::chrono::days(80),
                                                .key_fits = true,
                                                .names_the_host = true};
  seen.clock.ahead = {{"Slack", 200ms}, {"Stripe", -900ms}};
  return seen;
}

ApiError::Details failure(integrations::System system, Failure kind, const std::string& reason) {
  return {.system = system,
          .failure = kind,
          .operation = "look",
          .reason = reason,
          .status = 0,
          .request_id = "",
          .retry_after = std::nullopt};
}

Findings not_ok(const Findings& findings) {
  Findings rest;
  for (const Finding& finding : findings) {
    if (finding.verdict != Verdict::ok) rest.push_back(finding);
  }
  return rest;
}

// The one finding that a change of the healthy world brings about.
Finding after(const std::function<void(Observed&)>& change, const Config& config = settings()) {
  Observed seen = healthy();
  change(seen);
  const Findings findings = not_ok(judge(config, seen));
  INFO(report(findings));
  REQUIRE(findings.size() == 1);
  CHECK_FALSE(findings.front().remedy.empty());
  return findings.front();
}

#define CHECK_FINDING(finding, its_part, its_verdict, words)      \
  do {                                                            \
    const Finding found = (finding);                              \
    CHECK(found.part == Part::its_part);                          \
    CHECK(found.verdict == Verdict::its_verdict);                 \
    CHECK_THAT(found.sentence, Catch::Matchers::Contains(words)); \
  } while (false)

}  // namespace

TEST_CASE("the doctor calls a healthy world healthy") {
  const Findings findings = judge(settings(), healthy());
  INFO(report(findings));
  CHECK(not_ok(findings).empty());
  CHECK(exit_status(findings) == 0);
  for (int part = 0; part <= static_cast<int>(Part::clock); ++part) {
    CHECK(std::ranges::find(findings, static_cast<Part>(part), &Finding::part) != findings.end());
  }
}

TEST_CASE("the doctor's exit status: wrong beats unknown, and unknown is not well") {
  const Finding good = ok(Part::slack, "a", "b");
  const Finding bad = wrong(Part::slack, "a", "b", "c");
  const Finding unseen = unknown(Part::slack, "a", "b", "c");
  CHECK(exit_status({good}) == 0);
  CHECK(exit_status({good, unseen}) == 69);
  CHECK(exit_status({unseen, bad, good}) == 1);
  CHECK(exit_status({}) == 69);
}

TEST_CASE("the doctor says no more than the mistakes of settings that it can't read") {
  Observed seen;
  seen.settings = {.file = "keyturn.toml", .mistakes = {"keyturn.toml:1:1: no", "keyturn.toml:2:1: no"}};
  const Findings findings = judge(Config(), seen);
  CHECK(findings.size() == 2);
  CHECK(exit_status(findings) == 1);
}

TEST_CASE("the doctor on secrets and the journal") {
  CHECK_FINDING(after([](Observed& seen) { seen.settings.secret_problems = {"heroku-token is missing"}; }),
                settings, wrong, "heroku-token is missing");
  CHECK_FINDING(after([](Observed& seen) { seen.journal.problem = "can't be read: disk"; }), journal, wrong,
                "disk");
  CHECK_FINDING(after([](Observed& seen) { seen.journal.fault = storage::ChainFault{5, "hash"}; }), journal,
                wrong, "broken at entry 5");
  CHECK_FINDING(after([](Observed& seen) { seen.journal = {.file = "journal.db"}; }), journal, wrong,
                "folder doesn't exist");
  CHECK_FINDING(after([](Observed& seen) { seen.journal.boxes = 2, seen.journal.shut = 1; }), journal, wrong,
                "doesn't open 1 of 2 keys");
  Observed fresh = healthy();
  fresh.journal = {.file = "journal.db", .folder_exists = true};
  CHECK(not_ok(judge(settings(), fresh)).empty());
}

TEST_CASE("the doctor on Slack's tokens and scopes") {
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.bot_token)->team = "T0OTHER"; }), slack, wrong,
                "belongs to workspace T0OTHER");
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.bot_token)->app = "A0OTHER"; }), slack, wrong,
                "belongs to app A0OTHER");
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.bot_token)->scopes->erase("im:write"); }), slack,
                wrong, "im:write (the operator gets no direct message");
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.bot_token)->scopes.reset(); }), slack, unknown,
                "did not say");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.slack.app_token = std::unexpected(
                      failure(integrations::System::slack, Failure::unauthorized, "invalid_auth"));
                }),
                slack, wrong, "invalid_auth");
  CHECK_FINDING(after([](Observed& seen) { seen.slack.app_of_app_token = "A0OTHER"; }), slack, wrong,
                "another app's commands");
  Observed more = healthy();
  (*more.slack.bot_token)->scopes->insert("files:write");
  CHECK_THAT(report(judge(settings(), more)), Catch::Matchers::Contains("not needed: files:write"));
}

TEST_CASE("a Slack token that is refused leaves the rest of Slack unknown, never green") {
  Observed seen = healthy();
  seen.slack = {};
  seen.slack.bot_token =
      std::unexpected(failure(integrations::System::slack, Failure::unauthorized, "token_revoked"));
  const Findings findings = judge_slack(settings().slack, seen.slack);
  CHECK(not_ok(findings).size() == findings.size());
  CHECK(findings.front().verdict == Verdict::wrong);
  CHECK(std::ranges::count(findings, Verdict::unknown, &Finding::verdict) ==
        static_cast<std::ptrdiff_t>(findings.size()) - 1);
}

TEST_CASE("the doctor on the channel and the people") {
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.channel)->member = false; }), slack, wrong,
                "not in it");
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.channel)->archived = true; }), slack, wrong,
                "archived");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.slack.channel = std::unexpected(
                      failure(integrations::System::slack, Failure::not_found, "channel_not_found"));
                }),
                slack, wrong, "channel_not_found");
  CHECK_FINDING(after([](Observed& seen) { (*seen.slack.group)->clear(); }), slack, wrong, "no members");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.slack.people.at(kUser) =
                      commands::rotation::OperatorChecked{.reason = "A guest can't rotate a key."};
                }),
                slack, wrong, "A guest");
}

TEST_CASE("the doctor on what Infisical holds") {
  const auto stored = [](auto change) {
    return after([change](Observed& seen) { change(**seen.targets[0].stored); });
  };
  CHECK_FINDING(stored([](StoredKeySeen& key) { key.hidden = true, key.key.reset(); }), infisical, wrong,
                "hides its value");
  CHECK_FINDING(stored([](StoredKeySeen& key) { key.is_reference = true; }), infisical, wrong, "reference");
  CHECK_FINDING(stored([](StoredKeySeen& key) { key.rotated_by_store = true; }), infisical, wrong,
                "rotates it itself");
  CHECK_FINDING(stored([](StoredKeySeen& key) { key.key->kind = Pasted::wrong_mode; }), infisical, wrong,
                "wrong mode");
  CHECK_FINDING(stored([](StoredKeySeen& key) { key.key->kind = Pasted::not_a_key; }), infisical, wrong,
                "no restricted key");
  const auto sync = [](std::string app, std::string variable) {
    return after([&](Observed& seen) {
      (*seen.targets[0].syncs)
          ->push_back({.id = "sync-1",
                       .destination = "heroku",
                       .app = std::move(app),
                       .app_id = {},
                       .variable = std::move(variable),
                       .has_run = true});
    });
  };
  CHECK_FINDING(sync("elsewhere", "STRIPE_RESTRICTED_KEY"), infisical, wrong, "heroku elsewhere");
  CHECK_FINDING(sync("raxx-api-prod", "ANOTHER"), infisical, wrong, "can't be followed");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.targets[0].stored =
                      std::unexpected(failure(integrations::System::infisical, Failure::busy, "http 503"));
                }),
                infisical, unknown, "http 503");
}

TEST_CASE("a master key is a SEV-1 with its place, wherever it stands") {
  const Finding stored =
      after([](Observed& seen) { (*seen.targets[0].stored)->key->kind = Pasted::master_key; });
  CHECK_FINDING(stored, infisical, wrong, "SEV-1");
  CHECK_THAT(stored.sentence, Catch::Matchers::Contains("STRIPE_RESTRICTED_KEY, environment prod, folder /"));
  const Finding held =
      after([](Observed& seen) { (*seen.targets[0].apps[0].variable)->key->kind = Pasted::master_key; });
  CHECK_FINDING(held, heroku, wrong, "SEV-1: the configuration of raxx-api-prod");
  CHECK_THAT(held.remedy, Catch::Matchers::Contains("treat it as leaked"));
}

TEST_CASE("a refused login is told with why it isn't repeated") {
  Observed seen = healthy();
  seen.infisical_login = std::unexpected(
      failure(integrations::System::infisical, Failure::unauthorized, "the client secret was refused"));
  seen.targets[0].stored.reset();
  seen.targets[0].syncs.reset();
  const Findings findings = judge_infisical(settings(), seen);
  CHECK_FINDING(findings.front(), infisical, wrong, "tried once");
  CHECK(not_ok(findings).size() == 3);
}

TEST_CASE("the doctor on Heroku") {
  CHECK_FINDING(after([](Observed& seen) { (*seen.heroku_account)->quota_remaining = 12; }), heroku, wrong,
                "only 12 calls");
  CHECK_FINDING(after([](Observed& seen) { (*seen.heroku_account)->quota_remaining.reset(); }), heroku,
                unknown, "did not say");
  CHECK_FINDING(after([](Observed& seen) { (*seen.targets[0].apps[0].variable)->as_stored = false; }), heroku,
                wrong, "another key than in Infisical");
  CHECK_FINDING(after([](Observed& seen) { (*seen.targets[0].apps[0].variable)->as_stored.reset(); }), heroku,
                unknown, "can't be told");
  CHECK_FINDING(after([](Observed& seen) { (*seen.targets[0].apps[0].variable)->key.reset(); }), heroku,
                wrong, "not set");
  Observed seen = healthy();
  seen.targets[0].apps[0] = {.info = std::unexpected(failure(integrations::System::heroku, Failure::forbidden,
                                                             "no access to this app")),
                             .variable = {}};
  const Findings findings = not_ok(judge(settings(), seen));
  REQUIRE(findings.size() == 2);
  CHECK_FINDING(findings[0], heroku, wrong, "no access");
  CHECK_FINDING(findings[1], heroku, unknown, "not read");
}

TEST_CASE("the doctor on what Stripe says about the key") {
  const auto answered = [](integrations::Answer answer) {
    return after([answer](Observed& seen) {
      for (Probe& each : seen.targets[0].probes) each = probe(each.endpoint, answer);
    });
  };
  CHECK_FINDING(answered(integrations::Answer::expired), stripe, wrong, "expired: billing is down");
  CHECK_FINDING(answered(integrations::Answer::unknown_key), stripe, wrong, "doesn't know it");
  CHECK_FINDING(answered(integrations::Answer::address), stripe, wrong, "address");
  CHECK_FINDING(answered(integrations::Answer::inconclusive), stripe, unknown, "rate limited");
  CHECK_FINDING(after([](Observed& seen) { seen.targets[0].probes.clear(); }), stripe, unknown,
                "no key to ask with");
  CHECK_FINDING(answered(integrations::Answer::denied), stripe, wrong, "may not call GET /v1/customers");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.targets[0].probes[1] = probe("GET /v1/balance", integrations::Answer::granted);
                  seen.targets[0].probes[1].account = "acct_1";
                }),
                stripe, wrong, "may call GET /v1/balance");
  CHECK_FINDING(after([](Observed& seen) { seen.targets[0].probes[1].account = "acct_2"; }), stripe, wrong,
                "belongs to acct_2");
  CHECK_FINDING(after([](Observed& seen) { seen.targets[0].probes[1].account.clear(); }), stripe, wrong,
                "which account");
  CHECK_FINDING(after([](Observed& seen) { seen.targets[0].probes[0].livemode = false; }), stripe, wrong,
                "test data");
}

TEST_CASE("the doctor on the billing endpoint") {
  CHECK_FINDING(after([](Observed& seen) {
                  seen.targets[0].billing = integrations::HealthReport{
                      .health = integrations::Health::unhealthy, .status = 500, .detail = "answered 500"};
                }),
                billing, wrong, "answered 500");
  CHECK_FINDING(after([](Observed& seen) {
                  seen.targets[0].billing = integrations::HealthReport{.detail = "no answer within 10 s"};
                }),
                billing, unknown, "no answer within 10 s");
}

TEST_CASE("the doctor on the form's name and certificate") {
  const auto certificate = [](auto change) {
    return after([change](Observed& seen) { change(**seen.form.certificate); });
  };
  CHECK_FINDING(certificate([](net::CertificateFacts& facts) { facts.ends = kNow - 1h; }), form, wrong,
                "has expired");
  CHECK_FINDING(certificate([](net::CertificateFacts& facts) { facts.begins = kNow + 1h; }), form, wrong,
                "begins only");
  CHECK_FINDING(certificate([](net::CertificateFacts& facts) { facts.ends = kNow + std::chrono::days(2); }),
                form, wrong, "2 days left");
  CHECK_FINDING(certificate([](net::CertificateFacts& facts) { facts.key_fits = false; }), form, wrong,
                "another certificate's");
  CHECK_FINDING(certificate([](net::CertificateFacts& facts) { facts.names_the_host = false; }), form, wrong,
                "not for keyturn.example.com");
  CHECK_FINDING(after([](Observed& seen) { seen.form.certificate = std::unexpected("no file"); }), form,
                wrong, "no file");
  CHECK_FINDING(after([](Observed& seen) { seen.form.name = Lookup::no_such_name; }), form, wrong,
                "no such name");
  CHECK_FINDING(after([](Observed& seen) { seen.form.name = Lookup::no_answer; }), form, unknown,
                "did not answer");
  CHECK_FINDING(after([](Observed& seen) { seen.form.proxy = std::unexpected("refused"); }), form, unknown,
                "refused");
}

TEST_CASE("a short-lived certificate that was just renewed is not late") {
  Observed seen = healthy();
  seen.form.certificate = net::CertificateFacts{.begins = kNow - std::chrono::days(1),
                                                .ends = kNow + std::chrono::days(5),
                                                .key_fits = true,
                                                .names_the_host = true};
  CHECK(not_ok(judge(settings(), seen)).empty());
}

TEST_CASE("the doctor on the clock") {
  CHECK_FINDING(after([](Observed& seen) { seen.clock.ahead = {{"Slack", 90s}, {"Stripe", 91s}}; }), clock,
                wrong, "90 seconds ahead of Slack");
  CHECK_FINDING(after([](Observed& seen) { seen.clock.ahead = {{"Slack", -90s}, {"Stripe", 0s}}; }), clock,
                unknown, "behind Slack, and right by Stripe");
  CHECK_FINDING(after([](Observed& seen) { seen.clock.ahead.clear(); }), clock, unknown,
                "no vendor's answer");
}

TEST_CASE("the doctor wants the scopes that the manifest asks for") {
  std::ifstream file(std::string(KEYTURN_SOURCE_FOLDER) + "/deploy/slack/manifest.json");
  const json manifest = json::parse(file);
  const auto scopes = manifest["oauth_config"]["scopes"]["bot"].get<std::set<std::string>>();
  CHECK(scopes == every_scope());
}

TEST_CASE("no credential and no control character gets into the report, whatever a vendor put into a text") {
  const std::string body(24, 'Q');
  const std::vector<std::string> credentials = {
      std::string("sk_") + "live_" + body, std::string("rk_") + "live_" + body,
      std::string("xoxb") + "-1234567890-" + body, std::string("xapp") + "-1-A0KEYTURN-1-" + body,
      std::string("HRKU") + "-AA" + body + body};
  rc::check([&] {
    const auto credential = *rc::gen::elementOf(credentials);
    const auto before = *rc::gen::string<std::string>();
    const std::string text = before + " " + credential + "\x1b[31m";
    Findings findings = judge(settings(), healthy());
    const auto at = *rc::gen::inRange<std::size_t>(0, findings.size());
    const auto where = *rc::gen::inRange(0, 3);
    (where == 0 ? findings[at].check : where == 1 ? findings[at].sentence : findings[at].remedy) = text;
    const std::string printed = report(findings);
    RC_ASSERT(printed.find(body) == std::string::npos);
    for (const char c : printed) RC_ASSERT(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  });
}

TEST_CASE("whatever one part of the world fails with, it is never called well") {
  rc::check([] {
    const auto kind = *rc::gen::elementOf(std::vector<Failure>{
        Failure::unreachable, Failure::ambiguous, Failure::busy, Failure::unauthorized, Failure::forbidden,
        Failure::not_found, Failure::refused, Failure::not_understood});
    Observed seen = healthy();
    const auto slack = std::unexpected(failure(integrations::System::slack, kind, "why"));
    const auto other = std::unexpected(failure(integrations::System::heroku, kind, "why"));
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        seen.slack.bot_token = slack;
        break;
      case 1:
        seen.slack.app_token = slack;
        break;
      case 2:
        seen.slack.channel = slack;
        break;
      case 3:
        seen.slack.group = slack;
        break;
      case 4:
        seen.infisical_login = other;
        break;
      case 5:
        seen.heroku_account = other;
        break;
      case 6:
        seen.targets[0].stored = other;
        break;
      default:
        seen.targets[0].apps[0].variable = other;
        break;
    }
    RC_ASSERT(exit_status(judge(settings(), seen)) != 0);
  });
}

}  // namespace keyturn::bot::doctor
