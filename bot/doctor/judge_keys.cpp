// Where a target's key is kept, who uses it, and whether it works: Infisical, Heroku, Stripe, the billing
// endpoint.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "bot/doctor/judgement.h"
#include "commands/rotation/syncs.h"

namespace keyturn::bot::doctor {
namespace {

using integrations::Answer;
using integrations::Health;
using integrations::Mode;
using integrations::Probe;
using stripe::Pasted;

const std::string kNotAskedYet = "settle what stands above, then ask again";
const std::string kRollMasterKey =
    "treat it as leaked: dashboard.stripe.com/apikeys -> Standard keys -> Secret key -> Rotate key, now. "
    "Then put the "
    "restricted key back where it stood, and find out who put it there";

std::string_view word_for_mode(Mode mode) { return mode == Mode::test ? "test" : "live"; }

std::string fingerprinted(const KeySeen& key) {
  return key.fingerprint.empty() ? "" : ", fingerprint " + key.fingerprint;
}

// ---- Infisical

const std::string kIdentityRemedy =
    "Infisical -> Organization -> Access Control -> Identities -> the identity -> Universal Auth: is its "
    "client id the "
    "one of infisical.client_id? Otherwise add a client secret, put it into infisical-client-secret, and "
    "restart the "
    "bot";

std::string secret_remedy(const commands::Target& target) {
  return fmt::format(
      "in Infisical, project {}, environment {}, folder {}: is {} there? If it is: Access Control -> Machine "
      "Identities -> the identity needs to read secrets with their values, and to edit them, there",
      target.store.project, target.store.environment, target.store.path, target.store.name);
}

Finding judge_login(const Asked<Fine>& seen) {
  const std::string check = "login";
  if (!seen) return unknown(Part::infisical, check, "not tried: there is no client secret", kNotAskedYet);
  if (*seen) return ok(Part::infisical, check, "the machine identity can log in");
  Finding finding = failed(Part::infisical, check, seen->error(), kIdentityRemedy);
  if (seen->error().failure == integrations::Failure::unauthorized)
    finding.sentence += ". It was tried once, and won't be again: three wrong ones lock the identity";
  return finding;
}

Finding judge_stored_key(const commands::Target& target, const std::string& check,
                         const StoredKeySeen& stored) {
  constexpr Part part = Part::infisical;
  const std::string& name = target.store.name;
  if (stored.hidden || !stored.key) {
    return wrong(part, check, "Infisical hides its value from this identity: a rotation would be refused",
                 secret_remedy(target));
  }
  if (stored.key->kind == Pasted::master_key) {
    return wrong(
        part, check,
        fmt::format("SEV-1: it holds a Stripe *master* key ({}, environment {}, folder {}), which may be "
                    "stored nowhere. Billing is not touched by that",
                    name, target.store.environment, target.store.path),
        kRollMasterKey);
  }
  if (stored.is_reference) {
    return wrong(part, check, "it is a reference to another secret: a rotation would be refused",
                 "let the settings name the secret that it refers to");
  }
  if (stored.rotated_by_store) {
    return wrong(
        part, check, "Infisical rotates it itself, and refuses the bot's writes",
        "Infisical -> the project -> Secret Rotations: delete that rotation, or take the target out of the "
        "settings");
  }
  if (stored.key->kind == Pasted::wrong_mode) {
    return wrong(
        part, check,
        fmt::format("it holds a key of the wrong mode: the settings say {}", word_for_mode(target.mode)),
        "put the right key there, or correct mode in the settings");
  }
  if (stored.key->kind != Pasted::restricted_key) {
    return wrong(
        part, check,
        fmt::format("it holds no restricted key of Stripe, but {}", stripe::name_of(stored.key->kind)),
        "put the restricted key that the apps use there");
  }
  return ok(part, check,
            fmt::format("a restricted {} key, version {}{}", word_for_mode(target.mode), stored.version,
                        fingerprinted(*stored.key)));
}

Finding judge_stored(const commands::Target& target, const Asked<StoredKeySeen>& seen) {
  const std::string check = fmt::format("{} of {}", target.store.name, target.name());
  if (!seen) return unknown(Part::infisical, check, "not read, because of the login", kNotAskedYet);
  if (!*seen) return failed(Part::infisical, check, seen->error(), secret_remedy(target));
  return judge_stored_key(target, check, **seen);
}

Finding judge_syncs(const commands::Target& target,
                    const Asked<std::vector<commands::rotation::SyncSeen>>& seen) {
  const std::string check = "secret syncs of " + target.name();
  if (!seen) return unknown(Part::infisical, check, "not read, because of the login", kNotAskedYet);
  if (!*seen) {
    return failed(
        Part::infisical, check, seen->error(),
        "Infisical -> the project -> Access Control -> Machine Identities: the identity needs to read secret "
        "syncs");
  }
  if (const auto bar = commands::rotation::barred_by_syncs(target, **seen, /*compromise=*/false))
    return wrong(Part::infisical, check, "a rotation would be refused. " + bar->why, bar->remedy);
  std::vector<std::string> followed;
  for (const auto& consumer : target.consumers) {
    if (commands::rotation::followed(target, **seen, consumer.app)) followed.push_back(consumer.app);
  }
  if (followed.empty()) return ok(Part::infisical, check, "none copies it onward");
  return ok(Part::infisical, check,
            fmt::format("one brings it to {}: a rotation writes only Infisical there, and follows it",
                        fmt::join(followed, ", ")));
}

// ---- Heroku

const std::string kHerokuToken =
    "as the bot's own Heroku user: heroku authorizations:create -d keyturn -s read-protected,write-protected "
    "-S; put "
    "it into heroku-token and restart the bot";

Findings judge_account(const Asked<heroku::Account>& seen) {
  constexpr Part part = Part::heroku;
  if (!seen) return {unknown(part, "token", "not asked: there is no token to ask with", kNotAskedYet)};
  if (!*seen) return {failed(part, "token", seen->error(), kHerokuToken)};
  Findings findings{ok(part, "token", "it is " + (*seen)->email + "'s, and works")};
  const auto& quota = (*seen)->quota_remaining;
  if (!quota) {
    findings.push_back(unknown(part, "rate limit", "Heroku did not say how many calls are left",
                               "nothing to mend; ask again"));
  } else if (*quota < integrations::kFewCallsLeft) {
    findings.push_back(
        wrong(part, "rate limit",
              fmt::format("only {} calls of the account are left, and a rotation could stop for want "
                          "of them",
                          *quota),
              "about 75 come back each minute: wait, and find out what else uses this account's "
              "tokens"));
  } else {
    findings.push_back(ok(part, "rate limit", fmt::format("{} calls are left", *quota)));
  }
  return findings;
}

Finding judge_app(const std::string& app, const Asked<integrations::AppInfo>& seen) {
  const std::string check = "app " + app;
  if (!seen) return unknown(Part::heroku, check, "not asked, because of the token", kNotAskedYet);
  if (!*seen) {
    return failed(
        Part::heroku, check, seen->error(),
        fmt::format("heroku access:add EMAIL -a {} -p deploy,operate,view, with the e-mail of the bot's "
                    "Heroku user; or correct app in the settings",
                    app));
  }
  if ((*seen)->maintenance)
    return ok(Part::heroku, check, "it is there, in maintenance mode: nothing exercises the key");
  return ok(Part::heroku, check, "it is there");
}

Finding judge_value(const commands::ConsumerTarget& consumer, const std::string& check,
                    const VariableSeen& variable) {
  constexpr Part part = Part::heroku;
  if (!variable.key) {
    return wrong(part, check, "it is not set: either the app uses another variable, or billing is down there",
                 "correct variable in the settings; or set it to the key that Infisical holds");
  }
  if (variable.key->kind == Pasted::master_key) {
    return wrong(part, check,
                 fmt::format("SEV-1: the configuration of {} holds a Stripe *master* key in {}", consumer.app,
                             consumer.variable),
                 kRollMasterKey);
  }
  if (!variable.as_stored) {
    return unknown(part, check,
                   "it is set; whether to the key that Infisical holds can't be told without that one",
                   kNotAskedYet);
  }
  if (!*variable.as_stored) {
    return wrong(
        part, check,
        fmt::format("another key than in Infisical{}: somebody changed one of them by hand, and a rotation "
                    "would be refused. Billing runs on what the app holds",
                    fingerprinted(*variable.key)),
        fmt::format("settle which one is right (heroku releases -a {}, and the secret's version history in "
                    "Infisical), and put that one into both",
                    consumer.app));
  }
  return ok(part, check, "the key that Infisical holds");
}

Finding judge_variable(const commands::ConsumerTarget& consumer, const Asked<VariableSeen>& seen) {
  const std::string check = fmt::format("{} of {}", consumer.variable, consumer.app);
  if (!seen) return unknown(Part::heroku, check, "not read", kNotAskedYet);
  if (!*seen) {
    return failed(
        Part::heroku, check, seen->error(),
        "the token needs the scope read-protected, and its user the permission operate: " + kHerokuToken);
  }
  return judge_value(consumer, check, **seen);
}

// ---- Stripe

bool any(const std::vector<Probe>& probes, Answer answer) {
  return std::ranges::find(probes, answer, &Probe::answer) != probes.end();
}

const Probe* first(const std::vector<Probe>& probes, Answer answer) {
  const auto found = std::ranges::find(probes, answer, &Probe::answer);
  return found == probes.end() ? nullptr : &*found;
}

Finding judge_life(const commands::Target& target, const std::vector<Probe>& probes) {
  constexpr Part part = Part::stripe;
  const std::string check = "current key of " + target.name();
  const std::string replace = fmt::format(
      "in Slack: /rotate {} walks you through a fresh key, into Infisical and every app", target.name());
  if (probes.empty())
    return unknown(part, check, "not asked about: there is no key to ask with (see Infisical)", kNotAskedYet);
  if (any(probes, Answer::expired)) {
    return wrong(part, check, "Stripe says that it has expired: billing is down wherever it is used",
                 replace);
  }
  if (any(probes, Answer::unknown_key)) {
    return wrong(part, check,
                 "Stripe doesn't know it (deleted, or mistyped): billing is down wherever it is used",
                 replace);
  }
  if (any(probes, Answer::address)) {
    return wrong(part, check,
                 "Stripe refuses it from this host's address, which says nothing about the apps' addresses",
                 fmt::format("{} -> the key -> Manage IP restrictions: allow this host's address",
                             target.dashboard_url));
  }
  const bool alive = any(probes, Answer::granted) || any(probes, Answer::denied);
  if (alive) return ok(part, check, fmt::format("Stripe takes it (asked with {} calls)", probes.size()));
  return unknown(part, check, "Stripe said nothing about it: " + probes.front().note,
                 "look at status.stripe.com and at this host's network, and ask again");
}

Finding judge_account_of_key(const commands::Target& target, const std::vector<Probe>& probes) {
  constexpr Part part = Part::stripe;
  const std::string check = "account of " + target.name();
  const auto named = std::ranges::find_if(probes, [](const Probe& probe) { return !probe.account.empty(); });
  if (named != probes.end() && !target.account.empty() && named->account != target.account) {
    return wrong(
        part, check,
        fmt::format("the key belongs to {}, and the settings expect {}", named->account, target.account),
        "put that account's key into Infisical and the apps, or correct account in the settings");
  }
  const std::string ask_more =
      "add a call that the key may not make to denied in the settings: Stripe's refusal names the account";
  if (named == probes.end()) {
    const bool shows_something =
        std::ranges::any_of(probes, [](const Probe& probe) { return !probe.newest_object.empty(); });
    if (any(probes, Answer::inconclusive)) {
      return unknown(part, check, "no answer named it, and not every call was answered", "ask again");
    }
    if (!shows_something) {
      return wrong(
          part, check,
          "nothing that Stripe answers shows which account the key belongs to: a rotation would be refused",
          ask_more);
    }
    if (!target.account.empty())
      return unknown(part, check, "no answer named it, so it can't be compared with the settings'", ask_more);
    return ok(part, check, "told by what it lists; the settings name none");
  }
  return ok(part, check,
            target.account.empty() ? named->account + "; the settings name none"
                                   : named->account + ", as in the settings");
}

Finding judge_mode(const commands::Target& target, const std::vector<Probe>& probes) {
  const std::string check = "mode of " + target.name();
  const bool live = target.mode == Mode::live;
  for (const Probe& probe : probes) {
    if (probe.livemode && *probe.livemode != live) {
      return wrong(Part::stripe, check,
                   fmt::format("the key shows {} data, and the settings say {}",
                               *probe.livemode ? "live" : "test", word_for_mode(target.mode)),
                   "correct mode in the settings, or put the right key into Infisical and the apps");
    }
  }
  return ok(Part::stripe, check, std::string(word_for_mode(target.mode)));
}

std::string listed(const std::vector<Probe>& probes, const std::vector<std::string>& endpoints,
                   Answer answer) {
  std::string list;
  for (const Probe& probe : probes) {
    if (probe.answer == answer && std::ranges::find(endpoints, probe.endpoint) != endpoints.end())
      list += (list.empty() ? "" : ", ") + probe.endpoint;
  }
  return list;
}

Finding judge_permissions(const commands::Target& target, const std::vector<Probe>& probes) {
  constexpr Part part = Part::stripe;
  const std::string check = "permissions of " + target.name();
  const std::string lacking = listed(probes, target.permitted, Answer::denied);
  const std::string excess = listed(probes, target.denied, Answer::granted);
  const std::string remedy = fmt::format(
      "{} -> the key -> Edit key, or correct permitted and denied in the settings", target.dashboard_url);
  if (!lacking.empty()) {
    return wrong(
        part, check,
        fmt::format("it may not call {}, which the settings list as permitted: a rotation would be refused",
                    lacking),
        remedy);
  }
  if (!excess.empty()) {
    return wrong(part, check, fmt::format("it may call {}, which the settings list as denied", excess),
                 remedy);
  }
  if (const Probe* silent = first(probes, Answer::inconclusive)) {
    return unknown(part, check, fmt::format("{}: {}", silent->endpoint, silent->note),
                   "look at status.stripe.com, and ask again");
  }
  return ok(part, check,
            fmt::format("{} permitted, {} denied, as in the settings", target.permitted.size(),
                        target.denied.size()));
}

}  // namespace

Findings judge_infisical(const Config& config, const Observed& seen) {
  Findings findings{judge_login(seen.infisical_login)};
  for (std::size_t i = 0; i < seen.targets.size(); ++i) {
    findings.push_back(judge_stored(config.targets[i], seen.targets[i].stored));
    findings.push_back(judge_syncs(config.targets[i], seen.targets[i].syncs));
  }
  return findings;
}

Findings judge_heroku(const Config& config, const Observed& seen) {
  Findings findings = judge_account(seen.heroku_account);
  for (std::size_t i = 0; i < seen.targets.size(); ++i) {
    const auto& consumers = config.targets[i].consumers;
    for (std::size_t j = 0; j < consumers.size(); ++j) {
      const AppSeen app = j < seen.targets[i].apps.size() ? seen.targets[i].apps[j] : AppSeen();
      findings.push_back(judge_app(consumers[j].app, app.info));
      findings.push_back(judge_variable(consumers[j], app.variable));
    }
  }
  return findings;
}

Findings judge_stripe(const commands::Target& target, const TargetSeen& seen) {
  Findings findings{judge_life(target, seen.probes)};
  if (findings.front().verdict != Verdict::ok) return findings;  // a dead key's answers say nothing else
  findings.push_back(judge_account_of_key(target, seen.probes));
  findings.push_back(judge_mode(target, seen.probes));
  findings.push_back(judge_permissions(target, seen.probes));
  return findings;
}

Findings judge_billing(const commands::Target& target, const TargetSeen& seen) {
  const std::string check = "endpoint of " + target.name();
  const std::string where = target.billing.url;
  if (!seen.billing) return {unknown(Part::billing, check, "not asked", kNotAskedYet)};
  const auto& report = *seen.billing;
  switch (report.health) {
    case Health::healthy:
      return {ok(Part::billing, check, fmt::format("healthy (HTTP {})", report.status))};
    case Health::unhealthy:
      return {wrong(
          Part::billing, check,
          fmt::format("{} is not healthy: {}. A rotation would be refused, because afterwards nobody could "
                      "tell what broke it",
                      where, report.detail),
          "look at billing first; if it is well, correct [target.billing] in the settings")};
    case Health::unknown:
      break;
  }
  return {unknown(Part::billing, check,
                  fmt::format("{} gave no answer that says anything: {}", where, report.detail),
                  "open it from this host (curl -sS -o /dev/null -w '%{http_code}\\n' URL), and ask again")};
}

}  // namespace keyturn::bot::doctor
