#include "commands/rotation/judge.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/json.h"
#include "commands/rotation/approval.h"
#include "commands/rotation/syncs.h"
#include "integrations/consumer.h"

namespace keyturn::commands::rotation {

using integrations::Answer;
using integrations::Mode;

namespace {

const KeyProbed* probes_of(const State& state, ActionKind purpose) {
  const auto found = state.probed.find(purpose);
  return found == state.probed.end() ? nullptr : &found->second.event;
}

const Probe* probe_of(const KeyProbed& probed, const std::string& endpoint) {
  const auto found = std::ranges::find(probed.probes, endpoint, &Probe::endpoint);
  return found == probed.probes.end() ? nullptr : &*found;
}

bool alive(const Probe& probe) { return probe.answer == Answer::granted || probe.answer == Answer::denied; }

// The account that any of the answers named.
std::string account_in(const KeyProbed& probed) {
  for (const Probe& probe : probed.probes) {
    if (!probe.account.empty()) return probe.account;
  }
  return {};
}

bool same_newest(const Probe& a, const Probe& b) {
  return !a.newest_object.empty() && a.newest_object == b.newest_object;
}

Refused refuse(std::string code, std::string sentence, bool alarm = false) {
  return {.code = std::move(code), .sentence = std::move(sentence), .alarm = alarm};
}

std::optional<Refused> objection_to_current_key(const State& s, const CurrentKeyRead& key) {
  const auto& name = s.target.store.name;
  if (key.hidden) {
    return refuse("hidden",
                  fmt::format("Infisical hides the value of {} from this bot. Its machine identity needs the "
                              "permission to read values.",
                              name));
  }
  if (key.kind == "master_key") {
    return refuse(
        "master_key_stored",
        fmt::format("SEV-1: Infisical holds a Stripe *master* key under {} ({}). A master key may be stored "
                    "nowhere. Treat it as leaked: roll it in the dashboard now.",
                    name, s.target.store.environment),
        /*alarm=*/true);
  }
  if (key.is_reference) {
    return refuse(
        "reference",
        fmt::format("{} is a reference to another secret in Infisical. Rotate that one instead.", name));
  }
  if (key.rotated_by_store) {
    return refuse("rotated_by_store",
                  fmt::format("Infisical rotates {} itself and refuses our writes.", name));
  }
  if (key.kind == "wrong_mode") {
    return refuse("wrong_mode", fmt::format("Infisical holds a {} key under {}, where a {} key belongs.",
                                            s.target.mode == Mode::live ? "test" : "live", name,
                                            s.target.mode == Mode::live ? "live" : "test"));
  }
  if (key.kind != "restricted_key") {
    return refuse("not_restricted",
                  fmt::format("What Infisical holds under {} is no restricted key of Stripe.", name));
  }
  return std::nullopt;
}

// Only once it is known whether the key lives: neither a leak nor an outage waits for a sync that has failed.
std::optional<Refused> objection_to_syncs(const State& s) {
  if (!s.current || !probes_of(s, ActionKind::probe_old_key)) return std::nullopt;
  const auto bar = barred_by_syncs(s.target, s.current->event.syncs, s.compromise || s.recovery());
  if (!bar) return std::nullopt;
  return refuse("sync", fmt::format("{} {} Then start again.", bar->why, bar->remedy));
}

std::optional<Refused> objection_to_consumer(const State& s, const ConsumerInspected& consumer) {
  if (consumer.holds_master_key) {
    return refuse("master_key_stored",
                  fmt::format("SEV-1: the configuration of {} holds a Stripe *master* key. Treat it "
                              "as leaked: roll it in the dashboard now.",
                              consumer.app),
                  /*alarm=*/true);
  }
  if (s.current && consumer.fingerprint != s.current->event.fingerprint) {
    return refuse(
        "drift",
        fmt::format("{} and Infisical do not hold the same key (Infisical {}, {} {}). Somebody changed "
                    "one of them by hand; settle which one is right first.",
                    consumer.app, s.current->event.fingerprint, consumer.app,
                    consumer.fingerprint.empty() ? "none" : consumer.fingerprint));
  }
  if (consumer.release_pending) {
    return refuse("release_pending",
                  fmt::format("{} has a release running (v{}). Wait for it, then start again.", consumer.app,
                              consumer.release));
  }
  return std::nullopt;
}

// A dead key shows neither its account nor its permissions: the settings have to.
std::optional<Refused> objection_to_recovery(const State& s) {
  if (!s.target.account.empty() && !s.target.denied.empty()) return std::nullopt;
  return refuse("account_unprovable",
                "Stripe refuses the current key already: billing is likely down now. A fresh key has to take "
                "its place, and nothing could show which account that one belongs to: the settings name no "
                "account, or no call that the key may not make (Stripe's refusal of it names the account). "
                "Add `account` and `denied`, restart the bot and start again. Or do it by hand: create a "
                "restricted key with the same permissions in the dashboard, and put it into Infisical and "
                "every app.");
}

std::optional<Refused> objection_to_scopes(const State& s, const KeyProbed& old_key) {
  if (s.key_may_be_too_new()) return std::nullopt;
  if (s.recovery()) return objection_to_recovery(s);
  // Asked before the click, because afterwards a good key could not be told from another account's.
  const bool names_nothing =
      account_in(old_key).empty() &&
      std::ranges::all_of(old_key.probes, [](const Probe& probe) { return probe.newest_object.empty(); });
  if (names_nothing) {
    return refuse("account_unprovable",
                  "Nothing that Stripe answers to the current key shows which account it belongs to, so "
                  "nothing could show it of the new key. Add a call that the key may not make to the "
                  "settings' denied list: Stripe's refusal names the account.");
  }
  if (s.compromise) return std::nullopt;  // a leak doesn't wait for a tidy scope set; see warnings()
  for (const auto& endpoint : s.target.permitted) {
    const Probe* probe = probe_of(old_key, endpoint);
    if (probe && probe->answer == Answer::denied) {
      return refuse("missing_permission",
                    fmt::format("The current key may not call {}, which the settings list as "
                                "permitted. A rotation keeps the permissions, so settle that first.",
                                endpoint));
    }
  }
  return std::nullopt;
}

// The account's calls, as the last answers of its apps' host had them.
std::optional<int> fewest_calls_left(const State& s) {
  std::optional<int> fewest;
  for (const auto& [app, inspected] : s.inspected) {
    const auto& left = inspected.event.calls_left;
    if (left && (!fewest || *left < *fewest)) fewest = left;
  }
  return fewest;
}

}  // namespace

std::optional<Refused> objection(const State& s) {
  if (s.operator_check && !s.operator_check->event.allowed) {
    return refuse("operator", s.operator_check->event.reason);
  }
  if (s.current) {
    if (auto refused = objection_to_current_key(s, s.current->event)) return refused;
  }
  if (auto refused = objection_to_syncs(s)) return refused;
  for (const auto& [app, inspected] : s.inspected) {
    if (auto refused = objection_to_consumer(s, inspected.event)) return refused;
  }
  if (const KeyProbed* old_key = probes_of(s, ActionKind::probe_old_key)) {
    if (auto refused = objection_to_scopes(s, *old_key)) return refused;
    const std::string account = account_in(*old_key);
    if (!s.target.account.empty() && !account.empty() && account != s.target.account) {
      return refuse("account", fmt::format("The current key belongs to {}, and the settings expect {}.",
                                           account, s.target.account));
    }
  }
  // Only once it is known whether the key is what makes it so: then something else is to be done.
  const bool key_known = probes_of(s, ActionKind::probe_old_key) != nullptr;
  const bool unhealthy = s.billing_before && s.billing_before->event.health == Health::unhealthy;
  if (unhealthy && key_known && !s.compromise && !s.recovery()) {
    return refuse("billing_unhealthy",
                  fmt::format("The billing endpoint is not healthy before the rotation ({}). Fix that "
                              "first: afterwards nobody could tell what broke it.",
                              s.billing_before->event.detail));
  }
  return std::nullopt;
}

Duration propagation_forecast(const State& s) {
  Duration first{0}, others{0};
  for (const auto& consumer : s.target.consumers) {
    const auto found = s.inspected.find(consumer.app);
    if (found == s.inspected.end()) continue;
    // What a sync changes, it changes as soon as the key is stored, beside the canary.
    const bool at_once = &consumer == &s.target.consumers.front() || followed(s, consumer.app);
    Duration& takes = at_once ? first : others;
    takes = std::max(takes, found->second.event.release_takes);
  }
  return first + others + s.target.watch;
}

std::vector<std::string> warnings(const State& s) {
  std::vector<std::string> found;
  const bool healthy = s.billing_before && s.billing_before->event.health == Health::healthy;
  if (s.recovery()) {
    found.push_back(
        "Stripe refuses the current key, so there is nothing to rotate. What follows puts a fresh key in its "
        "place.");
    if (healthy)
      found.push_back(
          "The billing endpoint calls itself healthy all the same: it may not ask Stripe each time, or run "
          "on "
          "another key. Look before you go on.");
  }
  std::ranges::move(sync_warnings(s), std::back_inserter(found));
  for (const auto& [app, inspected] : s.inspected) {
    if (inspected.event.dynos == 0)
      found.push_back(app + " runs no dyno: nothing there will exercise the new key.");
    if (inspected.event.maintenance) found.push_back(app + " is in maintenance mode.");
  }
  if (const auto left = fewest_calls_left(s); left && *left < integrations::kFewCallsLeft) {
    found.push_back(
        fmt::format("Heroku answers this account only {} more calls before it makes it wait, and a rotation "
                    "could stop for "
                    "want of them. About 75 come back each minute: wait, and find out what else uses them.",
                    *left));
  }
  const Duration forecast = propagation_forecast(s);
  if (!s.recovery() && forecast > s.planned_grace()) {
    found.push_back(fmt::format(
        "Judging by the last releases, giving the new key to every app and watching it takes about {}, and "
        "the "
        "grace to choose is {}: the old key may die before that. Choose a longer grace, or be ready for it.",
        storage::in_words(forecast), storage::in_words(s.planned_grace())));
  }
  if (const KeyProbed* old_key = probes_of(s, ActionKind::probe_old_key)) {
    for (const auto& endpoint : s.target.denied) {
      const Probe* probe = probe_of(*old_key, endpoint);
      if (probe && probe->answer == Answer::granted) {
        found.push_back("The current key may call " + endpoint + ", which the settings list as denied.");
      }
    }
    for (const auto& endpoint : s.target.permitted) {
      const Probe* probe = probe_of(*old_key, endpoint);
      if (probe && probe->answer == Answer::denied) {
        found.push_back("The current key may not call " + endpoint +
                        ", which the settings list as permitted.");
      }
    }
  }
  if (s.billing_before && s.billing_before->event.health != Health::healthy) {
    found.push_back("The billing endpoint is not healthy already: " + s.billing_before->event.detail + ".");
  }
  return found;
}

namespace {

constexpr const char* kUntouched = " The key in use has not been touched.";

std::optional<KeyRejected> changed_permission(const KeyProbed& before, const KeyProbed& fresh) {
  for (const Probe& old_probe : before.probes) {
    const Probe* probe = probe_of(fresh, old_probe.endpoint);
    if (!probe) continue;
    if (old_probe.answer == Answer::granted && probe->answer == Answer::denied) {
      return KeyRejected{
          "lost_permission",
          fmt::format("The new key may not call {}, and the old one may. A rotation keeps the permissions, "
                      "so this is another key.{}",
                      probe->endpoint, kUntouched)};
    }
    if (old_probe.answer == Answer::denied && probe->answer == Answer::granted) {
      return KeyRejected{
          "gained_permission",
          fmt::format("The new key may call {}, and the old one may not. A rotation keeps the permissions, "
                      "so this is another key.{}",
                      probe->endpoint, kUntouched)};
    }
  }
  return std::nullopt;
}

// Where no living key is there to compare with.
std::optional<KeyRejected> unlike_settings(const State& s, const KeyProbed& fresh) {
  const auto answered = [&](const std::string& endpoint, Answer answer) {
    const Probe* probe = probe_of(fresh, endpoint);
    return probe && probe->answer == answer;
  };
  const std::string again =
      " Create it anew with the permissions of the steps, paste that one, and expire this one in the "
      "dashboard "
      "(⋯ → Expire key).";
  for (const auto& endpoint : s.target.permitted) {
    if (answered(endpoint, Answer::denied))
      return KeyRejected{"lost_permission",
                         fmt::format("The fresh key may not call {}, which the settings list as permitted.{}",
                                     endpoint, again)};
  }
  for (const auto& endpoint : s.target.denied) {
    if (answered(endpoint, Answer::granted))
      return KeyRejected{
          "gained_permission",
          fmt::format("The fresh key may call {}, which the settings list as denied.{}", endpoint, again)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<KeyRejected> rejection(const State& s) {
  const KeyProbed* fresh = probes_of(s, ActionKind::probe_new_key);
  const KeyProbed* before = probes_of(s, ActionKind::probe_old_key);
  if (!fresh || !before) return std::nullopt;
  const std::string back = s.recovery() ? "" : kUntouched;

  if (fresh->probes.empty() || std::ranges::any_of(fresh->probes, dead)) {
    return KeyRejected{"dead", "Stripe does not accept the key that you pasted." + back};
  }
  const std::string account = account_in(*fresh);
  const std::string expected = account_in(*before).empty() ? s.target.account : account_in(*before);
  if (!account.empty() && !expected.empty() && account != expected) {
    return KeyRejected{
        "account", fmt::format("The new key belongs to another Stripe account ({}, expected {}).{}", account,
                               expected, back)};
  }
  for (const Probe& probe : fresh->probes) {
    if (probe.livemode && *probe.livemode != (s.target.mode == Mode::live))
      return KeyRejected{"mode", "The new key answers with data of the other mode." + back};
  }
  if (auto another = s.recovery() ? unlike_settings(s, *fresh) : changed_permission(*before, *fresh))
    return another;
  bool same_account_shown = !account.empty() && account == expected;
  for (const Probe& old_probe : before->probes) {
    const Probe* probe = probe_of(*fresh, old_probe.endpoint);
    if (probe && same_newest(*probe, old_probe)) same_account_shown = true;
  }
  // In a busy account the newest object is another one minutes later; this answer is as fresh as the new
  // key's.
  if (const KeyProbed* again = probes_of(s, ActionKind::probe_old_again)) {
    for (const Probe& old_probe : again->probes) {
      const Probe* probe = probe_of(*fresh, old_probe.endpoint);
      if (probe && same_newest(*probe, old_probe)) same_account_shown = true;
    }
  }
  if (!same_account_shown) {
    return KeyRejected{
        std::string(kAccountUnproven),
        (s.recovery() ? "Nothing that Stripe answered shows that the fresh key belongs to " + expected + "."
                      : "Nothing that Stripe answered shows that the new key belongs to the same account as "
                        "the old one.") +
            back +
            " Compare the account that the dashboard shows: if it is another one, paste another key; if it "
            "is the right one, trying again asks both keys anew."};
  }
  return std::nullopt;
}

bool answered_well(const State& s) {
  if (s.stored) return true;  // what was asked anew since then changes nothing
  const bool answered =
      s.probed.contains(ActionKind::probe_new_key) && s.probed.contains(ActionKind::probe_old_again);
  return answered && !rejection(s);
}

std::optional<Halted> verification_failure(const State& s) {
  for (const auto& [app, watched] : s.watched) {
    const auto& failures = watched.event.totals.failures;
    if (failures.empty()) continue;
    return Halted{.action = {ActionKind::watch_consumer, app},
                  .sentence = fmt::format("the log of {} shows a failure that points at the key: {}", app,
                                          failures.front())};
  }
  if (!s.billing_watched) return std::nullopt;
  const BillingWatched& billing = s.billing_watched->event;
  if (billing.failed) {
    return Halted{.action = {ActionKind::watch_billing, {}},
                  .sentence = "the billing endpoint was not healthy: " + billing.last_problem};
  }
  if (billing.healthy == 0) {
    return Halted{.action = {ActionKind::watch_billing, {}},
                  .sentence = "the billing endpoint never gave an answer: " + billing.last_problem};
  }
  return std::nullopt;
}

ProofWorth worth(const ProofTaken& proof, bool old_key_was_deleted) {
  // Billing depends on the new key, in every app: that comes first.
  if (dead(proof.new_key) || !proof.strays.empty()) return ProofWorth::broken;
  if (alive(proof.old_key)) return ProofWorth::alive;
  if (proof.new_key.answer != Answer::granted) return ProofWorth::nothing;
  if (proof.old_key.answer == Answer::expired) return ProofWorth::dead;
  // A key that "Now" deleted (also when the form was told otherwise) may be unknown to Stripe instead of
  // expired; an expiry is always named as one.
  if (proof.old_key.answer == Answer::unknown_key && old_key_was_deleted) return ProofWorth::dead;
  return ProofWorth::nothing;
}

int proofs_in_a_row(const State& s) {
  const bool deleted = s.old_key_deleted();
  int count = 0;
  for (const auto& proof : s.proofs) {
    switch (worth(proof.event, deleted)) {
      case ProofWorth::dead:
        ++count;
        break;
      case ProofWorth::nothing:
        break;
      case ProofWorth::alive:
      case ProofWorth::broken:
        count = 0;
        break;
    }
  }
  return count;
}

nlohmann::json completion_context(const State& s, TimePoint now) {
  using nlohmann::json;
  const auto hours = [](Duration duration) {
    return std::chrono::duration<double, std::ratio<3600>>(duration).count();
  };
  json context = {{"secret_name", s.target.store.name},
                  {"provider", s.target.provider},
                  {"environment", s.target.environment},
                  {"actor", s.operator_id},
                  {"method", "operator-assisted-dashboard"},
                  {"compromise", s.compromise},
                  {"completed_at", now},
                  {"next_rotation_due_at", now + s.target.cadence}};
  if (!s.reason.empty()) context["reason"] = s.reason;
  if (s.recovery()) context["recovery"] = true;
  if (s.approval_bypassed) {
    context["approval"] = {{"bypassed_by", s.approval_bypassed->event.by},
                           {"bypassed_at", s.approval_bypassed->at}};
  } else if (const Approval* given = given_approval(s, kOfRotation)) {
    context["approval"] = approval_context(*given);
  }
  if (s.received) {
    context["grace_period_hours"] = hours(s.received->event.grace_chosen);
    // Of a key that was dead before nobody knows when it died.
    if (!s.recovery()) {
      context["rotated_at"] = s.received->event.rotated_at;
      context["old_key_expires_at"] = s.received->event.old_key_expires_at;
    }
    context["new_key_fingerprint"] = s.received->event.fingerprint;
  }
  if (s.current) context["old_key_fingerprint"] = s.current->event.fingerprint;
  if (s.stored) {
    context["infisical"] = {{"version", s.stored->event.version},
                            {"previous_version", s.stored->event.previous_version},
                            {"request_id", s.stored->event.request_id}};
  }
  context["consumers"] = json::array();
  for (const auto& [app, updated] : s.updated) {
    json consumer = {
        {"app", app}, {"release", updated.event.release}, {"request_id", updated.event.request_id}};
    if (updated.event.by_sync) {
      consumer["by_sync"] = true;
      consumer["released_by"] = updated.event.released_by;
    }
    if (const auto running = s.running.find(app); running != s.running.end()) {
      consumer["dynos"] = running->second.event.dynos;
    }
    if (const auto watched = s.watched.find(app); watched != s.watched.end()) {
      const auto& totals = watched->second.event.totals;
      consumer["log_watch"] = {{"watched_ms", totals.watched},
                               {"blind_ms", totals.blind},
                               {"gaps", totals.gaps},
                               {"lines", totals.lines},
                               {"failures", totals.failures.size()}};
    }
    context["consumers"].push_back(std::move(consumer));
  }
  if (const KeyProbed* fresh = probes_of(s, ActionKind::probe_new_key)) {
    json scopes = json::array();
    for (const Probe& probe : fresh->probes) {
      scopes.push_back({{"endpoint", probe.endpoint},
                        {"answer", integrations::name_of(probe.answer)},
                        {"status", probe.status},
                        {"request_id", probe.request_id}});
    }
    context["scopes"] = std::move(scopes);
  }
  if (s.billing_watched) {
    context["billing"] = {{"healthy", s.billing_watched->event.healthy},
                          {"unhealthy", s.billing_watched->event.unhealthy},
                          {"unknown", s.billing_watched->event.unknown}};
  }
  return context;
}

}  // namespace keyturn::commands::rotation
