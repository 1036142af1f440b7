#include "commands/rotation/decide.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <array>

#include "commands/rotation/attendance.h"
#include "commands/rotation/early_end.h"
#include "commands/rotation/judge.h"

namespace keyturn::commands::rotation {
namespace {

using Step = std::optional<Decision>;  // nothing: this step is done, go on to the next

constexpr Duration kSettleTime =
    std::chrono::seconds(30);  // a fresh key may need some seconds until Stripe knows it

Decision record(std::vector<Event> events) { return {.record = std::move(events)}; }
Decision wait() { return {}; }
Decision wait_until(TimePoint time) { return {.wake = time}; }
Decision end(const std::string& outcome) { return record({Closed{.outcome = outcome}}); }

// Before the new key exists nothing has changed, so giving up is safe; afterwards a person must decide.
Decision give_up(const State& s, const Action& action, const std::string& reason) {
  if (!s.received && s.forms == 0) {
    return record({Refused{.code = "check_failed",
                           .sentence = fmt::format("While {}: {}.", in_words(action), reason)}});
  }
  return record(
      {Halted{.action = action, .sentence = fmt::format("while {}: {}", in_words(action), reason)}});
}

// Asks for `action`, again after failures that may pass, until the time for retries is over.
Decision attempt(const State& s, TimePoint now, const Action& action) {
  const auto tries = s.tries.find(action);
  if (tries == s.tries.end()) return {.act = {action}};
  const Tries& failed = tries->second;
  if (!failed.failure.can_retry || failed.last - failed.first > s.target.timing.retry_limit) {
    return give_up(s, action, failed.failure.reason);
  }
  const TimePoint again = due_again(failed.last, s.target.timing.retry_every, now);
  if (now < again) return wait_until(again);
  return {.act = {action}};
}

// Several at once: conclusions of any come first, then everything that can run, then the earliest wake-up.
Decision attempt_all(const State& s, TimePoint now, const std::vector<Action>& actions) {
  Decision all;
  for (const Action& action : actions) {
    Decision one = attempt(s, now, action);
    if (!one.record.empty()) return one;
    all.act.insert(all.act.end(), one.act.begin(), one.act.end());
    if (one.wake) all.wake = std::min(all.wake.value_or(*one.wake), *one.wake);
  }
  return all;
}

Action plain(ActionKind kind) { return {kind, {}}; }

// ---- the steps, in order

Step finish(const State& s, TimePoint) {
  if (s.closed) return Decision{.done = true};
  if (s.refused) return end("refused");
  if (s.cancelled_at) return end(s.received ? "given_up" : "cancelled");
  return std::nullopt;
}

TimePoint reminder_at(const State& s);

// One message may be overlooked, and the old key dies all the same: the team hears of it again before it
// does.
Step wait_for_a_person(const State& s, TimePoint now) {
  if (!s.halted) return std::nullopt;
  if (!s.received || s.reminded || now >= *s.old_key_deadline()) return wait();
  const TimePoint reminder = reminder_at(s);
  if (now < reminder) return wait_until(reminder);
  return record({Reminded{}});
}

Step check_prerequisites(const State& s, TimePoint now) {
  if (s.confirmed_at) return std::nullopt;
  if (const auto refused = objection(s)) return record({*refused});
  std::vector<Action> missing;
  if (!s.operator_check) missing.push_back(plain(ActionKind::check_operator));
  if (!s.billing_before) missing.push_back(plain(ActionKind::check_billing));
  for (const auto& consumer : s.target.consumers) {
    if (!s.inspected.contains(consumer.app)) missing.push_back({ActionKind::inspect_consumer, consumer.app});
  }
  if (!s.current) {
    missing.push_back(plain(ActionKind::read_current_key));
  } else if (!s.probed.contains(ActionKind::probe_old_key)) {
    missing.push_back(plain(ActionKind::probe_old_key));
  }
  if (missing.empty()) return std::nullopt;
  return attempt_all(s, now, missing);
}

Step instruct(const State& s, TimePoint now) {
  if (!s.confirmed_at) return await_operator(s, now);  // for the boxes that only a person can tick
  return std::nullopt;
}

Step receive(const State& s, TimePoint now) {
  if (s.received) return std::nullopt;
  if (!s.form || !s.form->sent) return attempt(s, now, plain(ActionKind::issue_form));
  return await_operator(s, now);  // for the key; expired or locked, for the button that sends a new link
}

// Stripe may need some seconds to know a fresh key: a key that it refuses is asked about again before it is
// rejected.
bool unsettled(const State& s) {
  const auto& [probed, asked_at] = s.probed.at(ActionKind::probe_new_key);
  const bool refused = std::ranges::any_of(probed.probes, [](const Probe& probe) {
    return probe.answer == integrations::Answer::unknown_key || probe.answer == integrations::Answer::expired;
  });
  // By the time of the answer, not of this decision: what else takes long must not make an early one final.
  return refused && asked_at < s.received->at + kSettleTime;
}

Step validate(const State& s, TimePoint now) {
  if (s.stored) return std::nullopt;
  std::vector<Action> missing;
  if (!s.probed.contains(ActionKind::probe_new_key)) missing.push_back(plain(ActionKind::probe_new_key));
  if (!s.probed.contains(ActionKind::probe_old_again)) missing.push_back(plain(ActionKind::probe_old_again));
  if (!missing.empty()) return attempt_all(s, now, missing);
  if (unsettled(s)) {
    const TimePoint asked = s.probed.at(ActionKind::probe_new_key).at;
    const TimePoint again = due_again(asked, s.target.timing.retry_every, now);
    if (now < again) return wait_until(again);
    return attempt(s, now, plain(ActionKind::probe_new_key));
  }
  // Asked again, and the answer is still out, or it said nothing: an earlier one must not decide.
  const Action ask = plain(ActionKind::probe_new_key);
  if (s.in_flight.contains(ask) || s.tries.contains(ask)) return attempt(s, now, ask);
  const auto rejected = rejection(s);
  if (!rejected) return std::nullopt;
  // Missing evidence is no finding, and this key can be seen only once: it stays sealed.
  if (rejected->code == kAccountUnproven)
    return record({Halted{.action = ask, .sentence = rejected->sentence}});
  return record({*rejected});
}

Step store(const State& s, TimePoint now) {
  if (s.stored) return std::nullopt;
  return attempt(s, now, plain(ActionKind::store_key));
}

// The canary first; the others, together, only once every dyno of the canary runs with the new key.
Step propagate(const State& s, TimePoint now) {
  std::vector<Action> missing;
  for (const auto& consumer : s.target.consumers) {
    const bool canary = &consumer == &s.target.consumers.front();
    if (!s.updated.contains(consumer.app)) {
      missing.push_back({ActionKind::update_consumer, consumer.app});
    } else if (!s.running.contains(consumer.app)) {
      missing.push_back({ActionKind::await_consumer, consumer.app});
    }
    if (canary && !missing.empty()) break;
  }
  if (missing.empty()) return std::nullopt;
  return attempt_all(s, now, missing);
}

Step verify(const State& s, TimePoint now) {
  if (s.completed) return std::nullopt;
  if (auto failed = verification_failure(s)) return record({*failed});
  std::vector<Action> missing;
  for (const auto& consumer : s.target.consumers) {
    if (!s.watched.contains(consumer.app)) missing.push_back({ActionKind::watch_consumer, consumer.app});
  }
  if (!s.billing_watched) missing.push_back(plain(ActionKind::watch_billing));
  if (missing.empty()) return std::nullopt;
  return attempt_all(s, now, missing);
}

Step complete(const State& s, TimePoint now) {
  if (s.completed) return std::nullopt;
  return record({Completed{.context = completion_context(s, now)}});
}

// A reminder before the deadline: an hour for the usual day, a quarter of a short grace.
TimePoint reminder_at(const State& s) {
  const Duration grace = s.received->event.grace_chosen;
  return *s.old_key_deadline() - std::min(s.target.timing.reminder_before, grace / 4);
}

Step watch_grace(const State& s, TimePoint now) {
  const TimePoint first_proof = *s.old_key_deadline() + s.target.timing.proof_after;
  if (now >= first_proof || !s.proofs.empty() || ended_early(s)) return std::nullopt;
  Decision early = await_early_end(s, now);
  const auto also_until = [&early](TimePoint time) {
    early.wake = std::min(early.wake.value_or(time), time);
    return early;
  };
  if (s.reminded || s.received->event.grace_chosen == Duration::zero()) return also_until(first_proof);
  const TimePoint reminder = reminder_at(s);
  if (now < reminder) return also_until(reminder);
  if (now >= *s.old_key_deadline()) return also_until(first_proof);  // too late to remind of anything
  return record({Reminded{}});
}

// Since when no proof has said anything: the last one that did, the deadline, or a person's wish to try
// again.
TimePoint silent_since(const State& s) {
  TimePoint since = std::max(*s.old_key_deadline(), s.retried_at.value_or(*s.old_key_deadline()));
  for (const auto& proof : s.proofs) {
    // Not later than the last one: a clock that has been set back since wrote it.
    if (worth(proof.event, s.old_key_deleted()) != ProofWorth::nothing)
      since = std::max(since, std::min(proof.at, s.proofs.back().at));
  }
  return since;
}

std::string broken(const ProofTaken& last) {
  if (last.strays.empty()) return "because the new key, as stored in Infisical, is refused by Stripe";
  return fmt::format(
      "because {} no longer holds the key that Infisical holds: somebody set another one, or rolled a "
      "release "
      "back",
      fmt::join(last.strays, ", "));
}

std::string no_proof(const ProofTaken& last) {
  const auto said = [](const Probe& probe) {
    return fmt::format("{}{}", integrations::name_of(probe.answer),
                       probe.note.empty() ? "" : " (" + probe.note + ")");
  };
  return fmt::format(
      "because nothing proves that the old key is dead; the last answers: old key {}, new key {}",
      said(last.old_key), said(last.new_key));
}

Step prove_expiry(const State& s, TimePoint now) {
  if (s.proven_dead_at) return std::nullopt;
  const Timing& timing = s.target.timing;
  if (proofs_in_a_row(s) >= timing.proof_count) return record({ProvenDead{}});
  if (s.proofs.empty()) return attempt(s, now, plain(ActionKind::take_proof));

  const auto& last = s.proofs.back();
  const ProofWorth last_worth = worth(last.event, s.old_key_deleted());
  const bool asked_again = s.retried_at && last.at <= *s.retried_at;
  if (last_worth == ProofWorth::broken) {
    if (asked_again) return attempt(s, now, plain(ActionKind::take_proof));
    return record({Halted{.action = plain(ActionKind::take_proof), .sentence = broken(last.event)}});
  }
  // Proofs that say nothing for so long need somebody who looks why.
  if (last_worth == ProofWorth::nothing && last.at >= silent_since(s) + timing.late_after) {
    if (asked_again) return attempt(s, now, plain(ActionKind::take_proof));
    return record({Halted{.action = plain(ActionKind::take_proof), .sentence = no_proof(last.event)}});
  }
  const bool late = last.at >= *s.old_key_deadline() + timing.late_after;
  if (last_worth == ProofWorth::alive && late && !s.still_alive_at) return record({StillAlive{}});
  const TimePoint next = due_again(last.at, timing.proof_every, now);
  if (now < next) return wait_until(next);
  return attempt(s, now, plain(ActionKind::take_proof));
}

Step close(const State&, TimePoint) { return end("rotated"); }

constexpr std::array kProcedure = {
    finish,               // over already, or given up before anything changed
    wait_for_a_person,    // something went wrong after the new key existed
    check_prerequisites,  // by machine, all at once
    instruct,             // and by tick box
    receive,              // the one-time form
    validate,             // alive, same account, same mode, same permissions
    store,                // Infisical
    propagate,            // every consumer, canary first
    verify,               // logs and the billing endpoint, for the watch time
    complete,             // secret.rotate.completed
    watch_grace,          // the reminder
    prove_expiry,         // refused as expired, several times
    close,
};

}  // namespace

TimePoint due_again(TimePoint last, Duration pause, TimePoint now) { return last > now ? now : last + pause; }

Decision decide(const State& state, TimePoint now) {
  for (const auto step : kProcedure) {
    if (auto decision = step(state, now)) return *std::move(decision);
  }
  return {.done = true};
}

Stage stage_of(const State& s, TimePoint now) {
  if (s.closed) return Stage::closed;
  if (s.halted) return Stage::halted;
  if (s.completed) {
    return s.proofs.empty() && now < *s.old_key_deadline() ? Stage::grace : Stage::proving;
  }
  if (!s.updated.empty() && s.running.size() == s.target.consumers.size()) return Stage::verifying;
  if (s.stored) return Stage::propagating;
  if (s.received) {
    return s.probed.contains(ActionKind::probe_new_key) && s.probed.contains(ActionKind::probe_old_again)
               ? Stage::storing
               : Stage::validating;
  }
  if (s.confirmed_at) return Stage::awaiting_key;
  const bool checked = s.operator_check && s.billing_before && s.probed.contains(ActionKind::probe_old_key) &&
                       s.inspected.size() == s.target.consumers.size();
  return checked ? Stage::awaiting_operator : Stage::checking;
}

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::checking:
      return "checking";
    case Stage::awaiting_operator:
      return "awaiting_operator";
    case Stage::awaiting_key:
      return "awaiting_key";
    case Stage::validating:
      return "validating";
    case Stage::storing:
      return "storing";
    case Stage::propagating:
      return "propagating";
    case Stage::verifying:
      return "verifying";
    case Stage::grace:
      return "grace";
    case Stage::proving:
      return "proving";
    case Stage::halted:
      return "halted";
    case Stage::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace keyturn::commands::rotation
