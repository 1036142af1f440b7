#include "commands/rotation/way_back.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "commands/json.h"
#include "commands/rotation/approval.h"
#include "commands/rotation/attendance.h"
#include "commands/rotation/judge.h"
#include "commands/rotation/steps.h"

namespace keyturn::commands::rotation {

using integrations::Answer;

namespace {

// A write that is under way may still arrive: it is brought to its end (after a crash: asked for again, which
// looks before it writes) before anything is put back.
Step begin_way_back(const State& s, TimePoint) {
  if (s.way_back()) return std::nullopt;
  Decision writes;
  for (const Action& action : s.in_flight) {
    if (action.kind == ActionKind::store_key || action.kind == ActionKind::update_consumer)
      writes.act.push_back(action);
  }
  return writes.act.empty() ? record({RollbackBegan{}}) : writes;
}

// Why the old key can't take over again; nothing: it can.
std::optional<std::string> unfit(const State& s) {
  for (const Probe& probe : s.probed.at(ActionKind::probe_previous_key).event.probes) {
    if (dead(probe)) return "Stripe refuses the old key by now";
    const bool needed = std::ranges::find(s.target.permitted, probe.endpoint) != s.target.permitted.end();
    const bool could = std::ranges::any_of(
        s.probed.at(ActionKind::probe_old_key).event.probes,
        [&](const Probe& old) { return old.endpoint == probe.endpoint && old.answer == Answer::granted; });
    if (needed && could && probe.answer == Answer::denied)
      return fmt::format("the old key may no longer call {}", probe.endpoint);
  }
  return std::nullopt;
}

Step look_back(const State& s, TimePoint now) {
  if (s.stored) return std::nullopt;
  std::vector<Action> missing;
  if (!s.previous) missing.push_back(plain(ActionKind::read_previous_key));
  if (!s.probed.contains(ActionKind::probe_previous_key))
    missing.push_back(plain(ActionKind::probe_previous_key));
  if (!missing.empty()) return attempt_all(s, now, missing);
  const auto reason = unfit(s);
  if (!reason) return std::nullopt;
  // Once something may have been put back, "nothing was put back" would be a guess.
  if (s.store_begun)
    return record(
        {Halted{.action = plain(ActionKind::probe_previous_key), .sentence = "because " + *reason}});
  return record({RollbackBarred{*reason}});
}

// Since when a look at the whole tells what the watch has led to.
TimePoint watched_since(const State& s) {
  TimePoint since = std::max(s.billing_watched->at, s.retried_at.value_or(s.billing_watched->at));
  for (const auto& [app, watched] : s.watched) since = std::max(since, watched.at);
  return since;
}

Decision stop(Action action, std::string reason) {
  return record({Halted{.action = std::move(action), .sentence = "because " + std::move(reason)}});
}

// The old key may have died during the watch, without a line in any log.
Step old_key_lives(const State& s, TimePoint now) {
  const Action ask = plain(ActionKind::check_old_key);
  const TimePoint since = watched_since(s);
  const auto& checked = s.old_key_checked;
  if (!checked || checked->at < since) return attempt(s, now, ask);
  const Probe& probe = checked->event.old_key;
  if (dead(probe)) {
    return stop(ask, "Stripe refuses the old key, which was just put back: " + to_a_fresh_key(s));
  }
  if (now >= *s.old_key_deadline()) {
    return stop(ask, "the old key's time was over before the way back was: " + to_a_fresh_key(s));
  }
  if (probe.answer == Answer::granted || probe.answer == Answer::denied) return std::nullopt;
  if (checked->at > since + s.target.timing.retry_limit)
    return stop(ask, "Stripe gives no usable answer about the old key");
  const TimePoint again = due_again(checked->at, s.target.timing.retry_every, now);
  return now < again ? wait_until(again) : attempt(s, now, ask);
}

// What was put back may have been replaced again. The action is what trying again does anew.
Step old_key_held(const State& s, TimePoint now) {
  const Action look = plain(ActionKind::check_expiry);
  const auto& checked = s.expiry_checked;
  if (!checked || checked->at < watched_since(s)) return attempt(s, now, look);
  const ExpiryChecked& found = checked->event;
  if (found.stored_fingerprint != s.current->event.fingerprint) {
    return stop(plain(ActionKind::store_key),
                found.stored_fingerprint.empty()
                    ? "Infisical does not show which key it holds"
                    : "Infisical holds another key by now, " + found.stored_fingerprint);
  }
  if (found.strays.empty()) return std::nullopt;
  return stop({ActionKind::await_consumer, found.strays.front()},
              found.strays.front() + " no longer holds the old key: somebody set another one");
}

Step confirm(const State& s, TimePoint now) {
  if (s.rolled_back) return std::nullopt;
  if (auto decision = old_key_held(s, now)) return decision;
  return old_key_lives(s, now);
}

Step roll_back(const State& s, TimePoint now) {
  if (s.rolled_back) return std::nullopt;
  return record({RolledBack{.context = rollback_context(s, now)}});
}

// Billing runs on a key that dies at its deadline. The next rotation ends this one before that; if nobody
// starts it, the team hears of it before, and when it has happened.
Step await_old_keys_end(const State& s, TimePoint now) {
  const TimePoint end = *s.old_key_deadline() + s.target.timing.proof_after;
  if (now < end) {
    if (s.reminded) return wait_until(end);
    const TimePoint reminder = std::max(reminder_at(s), s.rolled_back->at);
    return now < reminder ? wait_until(reminder) : record({Reminded{}});
  }
  const auto& checked = s.old_key_checked;
  const bool asked = checked && checked->at >= end;
  if (asked && dead(checked->event.old_key)) return std::nullopt;
  if (now > *s.old_key_deadline() + kLongestGrace) return std::nullopt;  // nobody can say, and nobody asked
  const TimePoint next = asked ? due_again(checked->at, s.target.timing.proof_every, now) : end;
  if (now < next) return wait_until(next);
  return keep_trying(s, now, ActionKind::check_old_key);
}

Step close_rolled_back(const State&, TimePoint) { return end("rolled_back"); }

constexpr std::array<StepFunction, 11> kWayBack = {
    finish,              // over already
    begin_way_back,      // once no write of the way forth is under way
    wait_for_a_person,   // something went wrong on the way back
    look_back,           // the old key in the store's history; alive, with its permissions
    store,               // Infisical
    propagate,           // every consumer, canary first; those that never changed are left alone
    verify,              // logs and the billing endpoint, for the watch time
    confirm,             // once more: the old key lives, and everything holds it
    roll_back,           // secret.rotate.rolled_back
    await_old_keys_end,  // the deadline stands
    close_rolled_back,
};

// A guess where the way forth didn't come so far: a good part of what is allowed.
constexpr int kPartOfReleaseLimit = 5;

}  // namespace

Decision decide_way_back(const State& state, TimePoint now) { return first_of(kWayBack, state, now); }

Duration way_back_takes(const State& s) {
  const Leg& forth = s.way_back() ? s.forth : s;
  Duration propagation = s.target.timing.release_limit / kPartOfReleaseLimit;
  if (forth.stored && forth.running.size() == s.target.consumers.size()) {
    TimePoint last = forth.stored->at;
    for (const auto& [app, running] : forth.running) last = std::max(last, running.at);
    propagation = last - forth.stored->at;
  }
  return propagation + s.target.watch;
}

std::optional<Obstacle> no_way_back(const State& s, TimePoint now) {
  if (s.rolled_back) return Obstacle{"already_rolled_back", "This rotation is rolled back already."};
  if (s.rollback) return Obstacle{"rollback_under_way", "The way back is being gone already."};
  if (s.cancelled_at || s.refused || !s.live()) return Obstacle{"rotation_over", "This rotation is over."};
  if (s.compromise) {
    return Obstacle{"barred_under_compromise", "Rolling back is barred: the old key may be in other hands."};
  }
  if (!s.store_begun && !s.stored) {
    return Obstacle{"nothing_to_roll_back",
                    "There is nothing to roll back: the new key has been put nowhere."};
  }
  // Rejected after it may have been stored: there is no deadline to reckon with.
  if (!s.received)
    return Obstacle{"no_new_key", "No new key is there at the moment, so there is none to go back from."};
  if (s.old_key_deleted() || s.proven_dead_at || now >= *s.old_key_deadline())
    return Obstacle{"old_key_dead", "The old key is dead, so there is no way back to it."};
  const Duration left = *s.old_key_deadline() - now;
  if (left < way_back_takes(s)) {
    return Obstacle{"too_late",
                    fmt::format("The old key dies in {}, and putting it back and watching it takes about {}.",
                                storage::in_words(left), storage::in_words(way_back_takes(s)))};
  }
  return std::nullopt;
}

nlohmann::json rollback_context(const State& s, TimePoint now) {
  nlohmann::json context = completion_context(s, now);
  context.erase("next_rotation_due_at");
  context.erase("completed_at");
  context.erase("scopes");  // of the key that was given up
  context["rolled_back_at"] = now;
  context["requested_by"] = s.rollback->event.by;
  context["requested_at"] = s.rollback->at;
  context["abandoned_key_fingerprint"] = s.received->event.fingerprint;
  context["key_in_use_fingerprint"] = s.current->event.fingerprint;
  context.erase("approval");
  if (const Approval* given = given_approval(s, kOfRollback)) context["approval"] = approval_context(*given);
  if (s.previous) {
    context["pinned_version"] = {{"version", s.previous->event.version},
                                 {"found", s.previous->event.found},
                                 {"request_id", s.previous->event.request_id}};
  }
  return context;
}

}  // namespace keyturn::commands::rotation
