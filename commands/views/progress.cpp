#include "commands/views/progress.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/rotation/approval.h"
#include "commands/rotation/decide.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/syncs.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands::views {

using namespace rotation;
using integrations::Answer;
using storage::in_words;

namespace {

std::string request(const std::string& id) { return id.empty() ? "" : fmt::format(" · `{}`", escape(id)); }
std::string fingerprint(const std::string& value) { return "`" + value + "`"; }

Mark mark(bool done, bool doing) { return done ? Mark::done : doing ? Mark::doing : Mark::pending; }

// A failed try that will be repeated is shown, so that a silence has a reason.
std::string trouble(const State& s, const Action& action) {
  const auto tries = s.tries.find(action);
  if (tries == s.tries.end()) return {};
  return fmt::format(" (try {}: {})", tries->second.count + 1, escape(tries->second.failure.reason));
}

Line current_key(const State& s) {
  const Action action{ActionKind::read_current_key, {}};
  if (!s.current) return {Mark::doing, "Reading the current key from Infisical" + trouble(s, action)};
  const auto& key = s.current->event;
  if (key.fingerprint.empty()) {
    return {Mark::problem, fmt::format("Infisical hides the value of `{}`, version {}{}",
                                       escape(s.target.store.name), key.version, request(key.request_id))};
  }
  return {Mark::done,
          fmt::format("Current key {} is version {} of `{}` in Infisical{}", fingerprint(key.fingerprint),
                      key.version, escape(s.target.store.name), request(key.request_id))};
}

Line old_probe(const State& s) {
  const auto probed = s.probed.find(ActionKind::probe_old_key);
  if (probed == s.probed.end()) {
    return {mark(false, s.current.has_value()),
            "Asking Stripe about the current key" + trouble(s, {ActionKind::probe_old_key, {}})};
  }
  if (s.key_may_be_too_new())
    return {Mark::doing, "Stripe does not know the current key; if it is new, it will, so it is asked again"};
  if (s.recovery())
    return {Mark::problem, "*Stripe refuses the current key*; " + endpoint_summary(probed->second.event)};
  return {Mark::done, "Stripe: the current key is alive; " + endpoint_summary(probed->second.event)};
}

// "The same" can be said only once it is known what Infisical holds.
Line consumer_before(const State& s, const ConsumerInspected& found) {
  const bool known = s.current && !s.current->event.fingerprint.empty();
  std::string holds = "holds no key";
  if (!found.fingerprint.empty()) {
    const bool same = known && s.current->event.fingerprint == found.fingerprint;
    holds =
        same ? "holds the same key"
             : "holds " + std::string(known ? "another key, " : "the key ") + fingerprint(found.fingerprint);
  }
  const bool differs =
      found.fingerprint.empty() || (known && s.current->event.fingerprint != found.fingerprint);
  return {differs ? Mark::problem : Mark::done,
          fmt::format("{} {}, release v{}, {} of {} dynos up{}", escape(found.app), holds, found.release,
                      found.dynos_up, found.dynos, request(found.request_id))};
}

std::vector<Line> consumers_before(const State& s) {
  std::vector<Line> lines;
  for (const auto& consumer : s.target.consumers) {
    const auto inspected = s.inspected.find(consumer.app);
    if (inspected == s.inspected.end()) {
      lines.push_back({Mark::doing, "Inspecting " + escape(consumer.app) +
                                        trouble(s, {ActionKind::inspect_consumer, consumer.app})});
      continue;
    }
    lines.push_back(consumer_before(s, inspected->second.event));
  }
  return lines;
}

Line billing_before(const State& s) {
  if (!s.billing_before) {
    return {Mark::doing, "Asking the billing endpoint" + trouble(s, {ActionKind::check_billing, {}})};
  }
  const auto& billing = s.billing_before->event;
  const bool healthy = billing.health == Health::healthy;
  return {healthy ? Mark::done : Mark::problem,
          healthy ? fmt::format("Billing endpoint healthy (HTTP {})", billing.status)
                  : "Billing endpoint: " + escape(billing.detail)};
}

// Nothing where no second person is wanted.
std::optional<Line> approved(const State& s) {
  const std::string words = approved_in_words(s, kOfRotation);
  if (needs_approval(s)) {
    const bool waits = waiting_approval(s) != nullptr;
    return Line{waits ? Mark::waiting : Mark::pending,
                "Another superadmin than " + mention(s.operator_id) + " approves, in the channel"};
  }
  if (words.empty()) return std::nullopt;
  return Line{s.approval_bypassed ? Mark::problem : Mark::done, "The rotation: " + words};
}

// A way back that nobody has approved yet.
std::optional<Line> way_back_waits(const State& s) {
  const Approval* waiting = waiting_approval(s);
  if (waiting == nullptr || waiting->asked.event.of != kOfRollback) return std::nullopt;
  return Line{Mark::waiting,
              fmt::format("The way back, asked for by {}, waits for an approval in the channel",
                          mention(waiting->asked.event.by))};
}

Line ready(const State& s) {
  if (s.confirmed_at) return {Mark::done, "Operator ready at " + time_of_day(*s.confirmed_at)};
  return {Mark::waiting, mention(s.operator_id) + " ticks the boxes in the DM"};
}

Line received(const State& s, TimePoint now) {
  if (s.received) {
    const auto& key = s.received->event;
    if (s.recovery())
      return {Mark::done, fmt::format("Fresh key {} received and sealed at {}", fingerprint(key.fingerprint),
                                      time_of_day(s.received->at))};
    return {Mark::done, fmt::format("New key {} received and sealed at {}; the old one expires {}",
                                    fingerprint(key.fingerprint), time_of_day(s.received->at),
                                    date(key.old_key_expires_at))};
  }
  if (!s.confirmed_at) return {Mark::pending, "Receive the new key through the one-time form"};
  if (s.rejected && (!s.form || s.form->refused_pastes == 0)) {
    return {Mark::problem, escape(s.rejected->event.sentence) + " A new link is in the DM."};
  }
  if (!s.form || !s.form->sent)
    return {Mark::doing, "Sending the one-time link" + trouble(s, {ActionKind::issue_form, {}})};
  if (s.form->refused_pastes >= kPasteAttempts) {
    return {Mark::problem, "The link is locked after several wrong pastes. Ask for a new one below."};
  }
  if (!s.form_open(now)) return {Mark::problem, "The link has expired. Ask for a new one below."};
  return {Mark::waiting,
          fmt::format("{} {} in the dashboard and pastes {} into the form{}", mention(s.operator_id),
                      s.recovery() ? "creates a fresh key" : "rotates the key",
                      s.recovery() ? "it" : "the new one", s.form->openings.empty() ? "" : " (form opened)")};
}

Line validated(const State& s) {
  const auto fresh = s.probed.find(ActionKind::probe_new_key);
  if (!answered_well(s)) {
    const bool both = fresh != s.probed.end() && s.probed.contains(ActionKind::probe_old_again);
    const auto rejected = both && s.received ? rejection(s) : std::nullopt;
    if (rejected && rejected->code == kAccountUnproven)
      return {Mark::problem, "Stripe: the new key answers, and nothing shows its account; " +
                                 endpoint_summary(fresh->second.event)};
    if (rejected && rejected->code == "dead")
      return {Mark::doing, "Validate the new key: Stripe doesn't know it yet, and is asked again; " +
                               endpoint_summary(fresh->second.event)};
    return {mark(false, s.received.has_value()), "Validate the new key" +
                                                     trouble(s, {ActionKind::probe_new_key, {}}) +
                                                     trouble(s, {ActionKind::probe_old_again, {}})};
  }
  if (s.recovery()) {
    return {Mark::done,
            "Stripe: the fresh key is alive, of the right account, and answers the calls of the settings as "
            "it should (what it may write can't be asked); " +
                endpoint_summary(fresh->second.event)};
  }
  if (s.old_key_died_early()) {
    return {Mark::problem,
            "Stripe: the new key is good; *the old key is dead already*, so billing depends on how fast "
            "the new one arrives. " +
                endpoint_summary(fresh->second.event)};
  }
  return {Mark::done, "Stripe: new key alive, same account, same permissions, old key still alive; " +
                          endpoint_summary(fresh->second.event)};
}

Line stored(const State& s) {
  if (!s.stored) {
    const bool doing =
        s.in_flight.contains({ActionKind::store_key, {}}) || s.tries.contains({ActionKind::store_key, {}});
    return {mark(false, doing), "Store in Infisical" + trouble(s, {ActionKind::store_key, {}})};
  }
  return {Mark::done, fmt::format("Infisical: version {} stored and read back{}", s.stored->event.version,
                                  request(s.stored->event.request_id))};
}

Line propagated(const State& s, const ConsumerTarget& consumer) {
  const std::string app = escape(consumer.app);
  const auto updated = s.updated.find(consumer.app);
  if (updated == s.updated.end()) {
    const bool follows = followed(s, consumer.app);
    const Action action{follows ? ActionKind::follow_sync : ActionKind::update_consumer, consumer.app};
    const std::string_view what = follows ? s.way_back() ? "Infisical's sync brings the old key back to "
                                                         : "Infisical's sync brings the new key to "
                                  : s.way_back() ? "Give the old key back to "
                                                 : "Give the new key to ";
    return {mark(false, s.in_flight.contains(action) || s.tries.contains(action)),
            std::string(what) + app + trouble(s, action)};
  }
  const auto running = s.running.find(consumer.app);
  const int release =
      running == s.running.end() ? updated->second.event.release : running->second.event.release;
  if (running == s.running.end()) {
    return {
        Mark::doing,
        fmt::format("{}: {} v{} made, waiting for its dynos{}{}", app,
                    updated->second.event.by_sync ? "the key came by Infisical's sync, release" : "release",
                    release, request(updated->second.event.request_id),
                    trouble(s, {ActionKind::await_consumer, consumer.app}))};
  }
  if (running->second.event.dynos == 0)
    return {Mark::done, fmt::format("{}: release v{}; no dynos to wait for", app, release)};
  return {Mark::done,
          fmt::format("{}: all {} dynos run release v{} since {}{}", app, running->second.event.dynos,
                      release, time_of_day(running->second.at), request(updated->second.event.request_id))};
}

std::string gaps(const WatchProgressed& totals) {
  if (totals.gaps == 0) return "no gaps";
  return fmt::format("{} gap{}, {} not seen", totals.gaps, totals.gaps == 1 ? "" : "s",
                     in_words(totals.blind));
}

Line watched(const State& s, const ConsumerTarget& consumer) {
  const std::string app = escape(consumer.app);
  const auto finished = s.watched.find(consumer.app);
  if (finished != s.watched.end()) {
    const auto& totals = finished->second.event.totals;
    if (!totals.failures.empty())
      return {Mark::problem, fmt::format("{} log: `{}`", app, escape(totals.failures.front()))};
    const std::string lines = totals.lines == 0 ? "no line of any dyno: not exercised"
                                                : fmt::format("{} line{}, no authentication failure",
                                                              totals.lines, totals.lines == 1 ? "" : "s");
    return {Mark::done,
            fmt::format("{} log watched for {}: {}, {}", app, in_words(totals.watched), lines, gaps(totals))};
  }
  const auto watching = s.watching.find(consumer.app);
  const Action action{ActionKind::watch_consumer, consumer.app};
  if (watching == s.watching.end()) {
    return {mark(false, s.in_flight.contains(action)),
            fmt::format("Watch the log of {} for {}{}", app, in_words(s.target.watch), trouble(s, action))};
  }
  const double fraction = static_cast<double>(watching->second.event.watched.count()) /
                          static_cast<double>(s.target.watch.count());
  return {Mark::doing, fmt::format("Watching the log of {} {} ({}){}", app, progress_bar(fraction),
                                   gaps(watching->second.event), trouble(s, action))};
}

Line billing_after(const State& s) {
  if (!s.billing_watched) {
    const Action action{ActionKind::watch_billing, {}};
    return {mark(false, s.in_flight.contains(action)), std::string("Billing endpoint with the ") +
                                                           (s.way_back() ? "old" : "new") + " key" +
                                                           trouble(s, action)};
  }
  const auto& billing = s.billing_watched->event;
  if (billing.failed || billing.healthy == 0)
    return {Mark::problem, "Billing endpoint: " + escape(billing.last_problem)};
  return {Mark::done, fmt::format("Billing endpoint healthy {} of {} times", billing.healthy,
                                  billing.healthy + billing.unhealthy + billing.unknown)};
}

Line grace(const State& s, TimePoint now) {
  const auto deadline = s.old_key_deadline();
  if (s.proven_dead_at) {
    return {Mark::done,
            fmt::format("Old key proven dead at {}: {} refusals as expired, while the new key answers",
                        date(*s.proven_dead_at), proofs_in_a_row(s))};
  }
  if (!s.completed || !deadline)
    return {Mark::pending,
            s.recovery() ? "Prove that the old key is dead" : "Wait for the old key to expire, and prove it"};
  if (now < *deadline) {
    const auto whole = static_cast<double>(s.received->event.grace_chosen.count());
    const double passed = whole <= 0 ? 1 : 1 - static_cast<double>((*deadline - now).count()) / whole;
    return {Mark::doing,
            fmt::format("Grace of the old key {} until {}", progress_bar(passed), date(*deadline))};
  }
  if (s.still_alive_at)
    return {Mark::problem, "*The old key still works*, past its deadline " + date(*deadline)};
  return {Mark::doing, fmt::format("Proving that the old key is dead: {} of {} refusals", proofs_in_a_row(s),
                                   s.target.timing.proof_count)};
}

std::string_view sign(Mark mark) {
  switch (mark) {
    case Mark::done:
      return "✓";
    case Mark::doing:
      return "…";
    case Mark::waiting:
      return "→";
    case Mark::problem:
      return "✗";
    case Mark::pending:
      return "·";
  }
  return "·";
}

}  // namespace

std::string endpoint_summary(const KeyProbed& probed) {
  std::string text;
  for (const Probe& probe : probed.probes) {
    if (!text.empty()) text += ", ";
    text += fmt::format("`{}` {}{}", escape(probe.endpoint), integrations::name_of(probe.answer),
                        probe.request_id.empty() ? "" : fmt::format(" (`{}`)", escape(probe.request_id)));
  }
  return text;
}

namespace {

// What was going on when it was over no longer does.
std::vector<Line> given_up(std::vector<Line> lines) {
  for (Line& line : lines) {
    if (line.mark == Mark::doing) line.mark = Mark::pending;
  }
  return lines;
}

}  // namespace

namespace {

Line previous_version(const State& s) {
  const Action action{ActionKind::read_previous_key, {}};
  if (!s.previous) return {Mark::doing, "Reading the old key from Infisical's history" + trouble(s, action)};
  const auto& read = s.previous->event;
  if (read.found == "same")
    return {Mark::done,
            fmt::format("Infisical: version {} is the old key{}", read.version, request(read.request_id))};
  const std::string why = read.found == "hidden"           ? "is hidden from this bot"
                          : read.found == "redacted"       ? "was redacted"
                          : read.found == "missing"        ? "is gone"
                          : read.found == "another_secret" ? "belongs to another secret by now"
                                                           : "is another value";
  return {Mark::problem, fmt::format("Infisical: version {} {}; the sealed copy is used{}", read.version, why,
                                     request(read.request_id))};
}

Line previous_probe(const State& s) {
  const auto probed = s.probed.find(ActionKind::probe_previous_key);
  if (probed == s.probed.end()) {
    return {Mark::doing, "Asking Stripe whether the old key can do its work" +
                             trouble(s, {ActionKind::probe_previous_key, {}})};
  }
  return {Mark::done, "Stripe: the old key is alive; " + endpoint_summary(probed->second.event)};
}

std::vector<Line> way_back(const State& s) {
  std::vector<Line> lines{
      {Mark::done, fmt::format("Way back asked for by {} at {}", mention(s.rollback->event.by),
                               time_of_day(s.rollback->at))},
      previous_version(s),
      previous_probe(s),
      stored(s)};
  for (const auto& consumer : s.target.consumers) lines.push_back(propagated(s, consumer));
  for (const auto& consumer : s.target.consumers) lines.push_back(watched(s, consumer));
  lines.push_back(billing_after(s));
  lines.push_back(
      {s.closed ? Mark::done : Mark::waiting,
       fmt::format("The old key expires {}; a new rotation before that", date(*s.old_key_deadline()))});
  return lines;
}

}  // namespace

std::vector<Line> progress(const State& s, TimePoint now) {
  if (s.way_back()) return way_back(s);
  std::vector<Line> lines{current_key(s), old_probe(s)};
  for (auto& line : consumers_before(s)) lines.push_back(std::move(line));
  lines.push_back(billing_before(s));
  if (auto line = approved(s)) lines.push_back(*std::move(line));
  if (s.refused || (s.cancelled_at && !s.confirmed_at)) return given_up(std::move(lines));
  lines.push_back(ready(s));
  lines.push_back(received(s, now));
  if (s.cancelled_at && !s.received) return lines;
  lines.push_back(validated(s));
  lines.push_back(stored(s));
  for (const auto& consumer : s.target.consumers) lines.push_back(propagated(s, consumer));
  for (const auto& consumer : s.target.consumers) lines.push_back(watched(s, consumer));
  lines.push_back(billing_after(s));
  lines.push_back(grace(s, now));
  if (auto line = way_back_waits(s)) lines.push_back(*std::move(line));
  return lines;
}

std::string render(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += fmt::format("{}  {}\n", sign(line.mark), line.text);
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace keyturn::commands::views
