#include "commands/rotation/decide.h"

#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <array>

#include "commands/rotation/approval.h"
#include "commands/rotation/attendance.h"
#include "commands/rotation/early_end.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/old_key_watch.h"
#include "commands/rotation/steps.h"
#include "commands/rotation/way_back.h"

namespace keyturn::commands::rotation {
namespace {

// ---- the steps, in order

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
  if (!missing.empty()) return attempt_all(s, now, missing);
  // Nobody is told of an outage that is none.
  if (s.key_may_be_too_new()) {
    const TimePoint again =
        due_again(s.probed.at(ActionKind::probe_old_key).at, s.target.timing.retry_every, now);
    return now < again ? wait_until(again) : attempt(s, now, plain(ActionKind::probe_old_key));
  }
  return std::nullopt;
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
  const bool refused = std::ranges::any_of(probed.probes, dead);
  // By the time of the answer, not of this decision: what else takes long must not make an early one final.
  return refused && asked_at < s.received->at + kSettleTime;
}

// A recovery rests on the old key's death: while Stripe takes it, nothing is put anywhere.
Step old_key_lives_again(const State& s) {
  const auto& probes = s.probed.at(ActionKind::probe_old_again).event.probes;
  if (!s.recovery() || std::ranges::all_of(probes, dead)) return std::nullopt;
  return record(
      {Halted{.action = plain(ActionKind::probe_old_again),
              .sentence = fmt::format(
                  "because Stripe takes the old key again, which it refused at first: nothing was put "
                  "anywhere. Try again; if it stays so, this is no outage: give this up with `/rotate "
                  "cancel {} --give-up`, expire the fresh key in the dashboard, and start again",
                  s.target.name())}});
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
  if (auto doubt = old_key_lives_again(s)) return doubt;
  const auto rejected = rejection(s);
  if (!rejected) return std::nullopt;
  // Missing evidence is no finding, and this key can be seen only once: it stays sealed.
  if (rejected->code == kAccountUnproven)
    return record({Halted{.action = ask, .sentence = rejected->sentence}});
  return record({*rejected});
}

Step complete(const State& s, TimePoint now) {
  if (s.completed) return std::nullopt;
  return record({Completed{.context = completion_context(s, now)}});
}

Step watch_grace(const State& s, TimePoint now) {
  const TimePoint first_proof = *s.old_key_deadline() + s.target.timing.proof_after;
  if (now >= first_proof || !s.proofs.empty() || ended_early(s) || s.old_key_died_early())
    return std::nullopt;
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

// From when on proofs may be expected to say something: the deadline, or, where the key was dead before the
// new one was everywhere, the end of that.
TimePoint proofs_from(const State& s) {
  return s.completed ? std::max(*s.old_key_deadline(), s.completed->at) : *s.old_key_deadline();
}

// Since when no proof has said anything: the last one that did, the deadline, or a person's wish to try
// again.
TimePoint silent_since(const State& s) {
  TimePoint since = std::max(proofs_from(s), s.retried_at.value_or(*s.old_key_deadline()));
  for (const auto& proof : s.proofs) {
    // Not later than the last one: a clock that has been set back since wrote it.
    if (worth(proof.event, s.old_key_deleted()) != ProofWorth::nothing)
      since = std::max(since, std::min(proof.at, s.proofs.back().at));
  }
  return since;
}

std::string broken(const State& s, const ProofTaken& last) {
  if (last.strays.empty())
    return "because the new key, as stored in Infisical, is refused by Stripe: " + to_a_fresh_key(s);
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
    return record({Halted{.action = plain(ActionKind::take_proof), .sentence = broken(s, last.event)}});
  }
  // Proofs that say nothing for so long need somebody who looks why.
  if (last_worth == ProofWorth::nothing && last.at >= silent_since(s) + timing.late_after) {
    if (asked_again) return attempt(s, now, plain(ActionKind::take_proof));
    return record({Halted{.action = plain(ActionKind::take_proof), .sentence = no_proof(last.event)}});
  }
  const bool late = last.at >= proofs_from(s) + timing.late_after;
  if (last_worth == ProofWorth::alive && late && !s.still_alive_at) return record({StillAlive{}});
  const TimePoint next = due_again(last.at, timing.proof_every, now);
  if (now < next) return wait_until(next);
  return attempt(s, now, plain(ActionKind::take_proof));
}

Step close(const State&, TimePoint) { return end("rotated"); }

constexpr std::array<StepFunction, 14> kProcedure = {
    finish,               // over already, or given up before anything changed
    wait_for_a_person,    // something went wrong once a link was made
    check_prerequisites,  // by machine, all at once
    second_person,        // where the target asks for one; a leak waits for nobody
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

// Two things that go on at once.
Decision beside(Decision one, Decision other) {
  if (!other.record.empty()) return other;
  one.act.insert(one.act.end(), other.act.begin(), other.act.end());
  if (other.wake) one.wake = std::min(one.wake.value_or(*other.wake), *other.wake);
  return one;
}

}  // namespace

TimePoint due_again(TimePoint last, Duration pause, TimePoint now) { return last > now ? now : last + pause; }

Decision decide(const State& state, TimePoint now) {
  Decision next = state.rollback ? decide_way_back(state, now) : first_of(kProcedure, state, now);
  if (next.done || !next.record.empty()) return next;
  return beside(beside(std::move(next), approvals_beside(state, now)), watch_old_key(state, now));
}

Stage stage_of(const State& s, TimePoint now) {
  if (s.closed) return Stage::closed;
  if (s.halted) return Stage::halted;
  if (s.rolled_back) return Stage::rolled_back;
  if (s.rollback) return Stage::rolling_back;
  if (s.completed) {
    return s.proofs.empty() && now < *s.old_key_deadline() ? Stage::grace : Stage::proving;
  }
  if (!s.updated.empty() && s.running.size() == s.target.consumers.size()) return Stage::verifying;
  if (s.stored) return Stage::propagating;
  if (s.received) return answered_well(s) ? Stage::storing : Stage::validating;
  if (s.confirmed_at) return needs_approval(s) ? Stage::awaiting_approval : Stage::awaiting_key;
  const bool checked = s.operator_check && s.billing_before && s.probed.contains(ActionKind::probe_old_key) &&
                       s.inspected.size() == s.target.consumers.size() && !s.key_may_be_too_new();
  if (!checked) return Stage::checking;
  return needs_approval(s) ? Stage::awaiting_approval : Stage::awaiting_operator;
}

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::checking:
      return "checking";
    case Stage::awaiting_approval:
      return "awaiting_approval";
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
    case Stage::rolling_back:
      return "rolling_back";
    case Stage::rolled_back:
      return "rolled_back";
    case Stage::halted:
      return "halted";
    case Stage::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace keyturn::commands::rotation
