#include "commands/rotation/state.h"

#include <algorithm>
#include <utility>

namespace keyturn::commands::rotation {

using integrations::Answer;

bool dead(const Probe& probe) {
  return probe.answer == Answer::expired || probe.answer == Answer::unknown_key;
}

bool State::recovery() const {
  const auto at_first = probed.find(ActionKind::probe_old_key);
  if (at_first == probed.end() || at_first->second.event.probes.empty()) return false;
  return std::ranges::all_of(at_first->second.event.probes, rotation::dead) && !key_may_be_too_new();
}

bool State::key_may_be_too_new() const {
  const auto at_first = probed.find(ActionKind::probe_old_key);
  if (at_first == probed.end() || at_first->second.event.probes.empty()) return false;
  const auto unknown = [](const Probe& probe) { return probe.answer == Answer::unknown_key; };
  return std::ranges::all_of(at_first->second.event.probes, unknown) &&
         at_first->second.at < started_at + kSettleTime;
}

std::optional<TimePoint> State::old_key_deadline() const {
  if (!received) return std::nullopt;
  return received->event.old_key_expires_at;
}

bool State::old_key_died_early() const {
  if (!received) return false;
  if (received->event.grace_chosen == Duration::zero()) return true;
  if (old_key_found_dead() && old_key_checked->at < *old_key_deadline()) return true;
  const auto again = probed.find(ActionKind::probe_old_again);
  if (again == probed.end()) return false;
  return std::ranges::any_of(again->second.event.probes, dead);
}

std::string State::operator_name() const {
  const bool named = operator_check && !operator_check->event.name.empty();
  return named ? operator_check->event.name : operator_id;
}

bool State::old_key_deleted() const {
  if (old_key_died_early() || old_key_found_dead()) return true;
  // Asked about it to put it back, Stripe refused it.
  if (const auto back = probed.find(ActionKind::probe_previous_key); back != probed.end()) {
    if (std::ranges::any_of(back->second.event.probes, dead)) return true;
  }
  if (!expiry_requested_at || !old_key_checked || old_key_checked->at < *expiry_requested_at) return false;
  return dead(old_key_checked->event.old_key);
}

std::vector<std::string_view> State::sealed() const {
  std::vector<std::string_view> purposes;
  if (closed) return purposes;
  if (current && !proven_dead_at) purposes.push_back(kOldKey);
  if (received && !rejected && !completed && !forth.completed) purposes.push_back(kNewKey);
  return purposes;
}

const std::string& State::started_by() const {
  return handovers.empty() ? operator_id : handovers.front().event.from;
}

TimePoint State::operator_since() const { return handovers.empty() ? started_at : handovers.back().at; }

std::string former_slot(const std::string& slot, std::size_t number) {
  return slot + "@" + std::to_string(number);
}

bool State::may_set_key_aside() const { return live() && halted && received && !store_begun && !rollback; }

bool State::notes_turned_away(TimePoint now) const {
  return live() && (turned_away < kTurnedAwayAtOnce || now >= turned_away_at + kTurnedAwayEvery);
}

bool State::form_open(TimePoint now) const {
  return live() && !cancelled_at && !refused && form && !received && form->refused_pastes < kPasteAttempts &&
         now < form->issued.expires_at;
}

namespace {

struct OutcomeOf {
  using Result = std::optional<Action>;
  Result operator()(const ActionFailed& e) const { return e.action; }
  Result operator()(const OperatorChecked&) const { return Action{ActionKind::check_operator, {}}; }
  Result operator()(const CurrentKeyRead&) const { return Action{ActionKind::read_current_key, {}}; }
  Result operator()(const ConsumerInspected& e) const { return Action{ActionKind::inspect_consumer, e.app}; }
  Result operator()(const KeyProbed& e) const { return Action{e.purpose, {}}; }
  Result operator()(const BillingChecked&) const { return Action{ActionKind::check_billing, {}}; }
  Result operator()(const FormSent&) const { return Action{ActionKind::issue_form, {}}; }
  Result operator()(const KeyStored&) const { return Action{ActionKind::store_key, {}}; }
  Result operator()(const ConsumerUpdated& e) const {
    return Action{e.by_sync ? ActionKind::follow_sync : ActionKind::update_consumer, e.app};
  }
  Result operator()(const ConsumerRunning& e) const { return Action{ActionKind::await_consumer, e.app}; }
  Result operator()(const WatchFinished& e) const { return Action{ActionKind::watch_consumer, e.totals.app}; }
  Result operator()(const BillingWatched&) const { return Action{ActionKind::watch_billing, {}}; }
  Result operator()(const PreviousKeyRead&) const { return Action{ActionKind::read_previous_key, {}}; }
  Result operator()(const ProofTaken&) const { return Action{ActionKind::take_proof, {}}; }
  Result operator()(const OthersPaged&) const { return Action{ActionKind::page_others, {}}; }
  Result operator()(const BypassTold&) const { return Action{ActionKind::find_superadmins, {}}; }
  Result operator()(const OldKeyChecked&) const { return Action{ActionKind::check_old_key, {}}; }
  Result operator()(const ExpiryChecked&) const { return Action{ActionKind::check_expiry, {}}; }
  Result operator()(const auto&) const { return std::nullopt; }
};

}  // namespace

std::optional<Action> outcome_of(const Event& event) { return std::visit(OutcomeOf{}, event); }

namespace {

struct Apply {
  State& s;
  TimePoint at;

  void operator()(const Started& e) const {
    s.target = e.target;
    s.operator_id = e.operator_id;
    s.channel = e.channel;
    s.compromise = e.compromise;
    s.reason = e.reason;
    s.started_at = at;
  }
  void operator()(const ActionStarted& e) const {
    s.in_flight.insert(e.action);
    if (e.action.kind == ActionKind::store_key) s.store_begun = true;
  }
  void operator()(const ActionFailed& e) const {
    Tries& tries = s.tries[e.action];
    if (tries.count++ == 0 || at < tries.first) tries.first = at;  // the clock may have been set back
    tries.last = at;
    tries.failure = e;
  }
  void operator()(const OperatorChecked& e) const { s.operator_check = {e, at}; }
  void operator()(const CurrentKeyRead& e) const { s.current = {e, at}; }
  void operator()(const ConsumerInspected& e) const { s.inspected[e.app] = {e, at}; }
  void operator()(const KeyProbed& e) const {
    // An answer that comes late, about a key that was rejected meanwhile, says nothing about the next one.
    const bool fresh = e.purpose == ActionKind::probe_new_key;
    if (fresh && (!s.received || s.received->event.fingerprint != e.fingerprint)) return;
    s.probed[e.purpose] = {e, at};
  }
  void operator()(const BillingChecked& e) const { s.billing_before = {e, at}; }
  void operator()(const OperatorConfirmed& e) const {
    s.confirmed_at = at;
    if (!e.reason.empty()) s.reason = e.reason;
  }
  void operator()(const FormIssued& e) const {
    // Minted for somebody who has handed the rotation over meanwhile: that link leads nowhere.
    if (!e.operator_id.empty() && e.operator_id != s.operator_id) return;
    s.form = Form{.issued = e, .sent = {}, .openings = {}};
    ++s.forms;
  }
  void operator()(const FormSent& e) const {
    if (s.form) {
      s.form->sent = e;
    } else if (!s.handovers.empty()) {
      s.messages[former_slot("dm_link", s.handovers.size())] = {e.channel, e.ts};
    }
  }
  void operator()(const FormOpened& e) const {
    if (s.form && s.form->openings.size() < kOpeningsKept) s.form->openings.push_back({e, at});
  }
  void operator()(const FormTurnedAway&) const {
    ++s.turned_away;
    s.turned_away_at = at;
  }
  void operator()(const PasteRefused& e) const {
    if (s.form) ++s.form->refused_pastes;
    if (e.code == "master_key") ++s.master_keys_pasted;
  }
  void operator()(const KeyReceived& e) const {
    s.received = {e, at};
    s.old_key_refusals = 0;
    s.keys_seen.insert(e.fingerprint);
    if (s.form) s.received_link = s.form->issued.token_hash;
    s.rejected.reset();
    s.probed.erase(ActionKind::probe_new_key);
    s.probed.erase(ActionKind::probe_old_again);
  }
  void operator()(const KeyRejected& e) const {
    s.rejected = {e, at};
    // A verdict about what the key is, is final. What Stripe didn't know a minute ago it may know now, and a
    // person who set a key aside may take it up again.
    const bool final_verdict = e.code != "dead" && e.code != kSetAside;
    if (s.received && final_verdict) s.rejected_fingerprints.insert(s.received->event.fingerprint);
    s.received.reset();
    s.form.reset();
  }
  void operator()(const LinkRequested&) const { s.form.reset(); }
  void operator()(const KeyStored& e) const { s.stored = {e, at}; }
  void operator()(const ConsumerUpdated& e) const { s.updated[e.app] = {e, at}; }
  void operator()(const ConsumerRunning& e) const { s.running[e.app] = {e, at}; }
  void operator()(const WatchProgressed& e) const { s.watching[e.app] = {e, at}; }
  void operator()(const WatchFinished& e) const {
    s.watching[e.totals.app] = {e.totals, at};
    s.watched[e.totals.app] = {e, at};
  }
  void operator()(const BillingWatched& e) const { s.billing_watched = {e, at}; }
  void operator()(const Completed& e) const { s.completed = {e, at}; }
  void operator()(const Reminded&) const { s.reminded = true; }
  void operator()(const ProofTaken& e) const { s.proofs.push_back({e, at}); }
  void operator()(const StillAlive&) const { s.still_alive_at = at; }
  void operator()(const ProvenDead&) const { s.proven_dead_at = at; }
  void operator()(const Halted& e) const {
    s.halted = {e, at};
    ++s.halts;
  }
  // A retry forgets what made the procedure stop: the failures, and a watch that found something.
  void operator()(const RetryRequested&) const {
    forget_consumer_of(s.halted);
    if (s.halted && s.halted->event.action.kind == ActionKind::store_key) store_again();
    s.halted.reset();
    s.retried_at = at;
    s.tries.clear();
    std::erase_if(s.watched, [](const auto& entry) { return !entry.second.event.totals.failures.empty(); });
    std::erase_if(s.watching, [&](const auto& entry) { return !s.watched.contains(entry.first); });
    if (s.billing_watched && (s.billing_watched->event.failed || s.billing_watched->event.healthy == 0)) {
      s.billing_watched.reset();
    }
    if (s.stored) return;  // what Stripe said before that is evidence now
    s.previous.reset();
    s.probed.erase(ActionKind::probe_previous_key);
    if (s.way_back()) return;
    s.probed.erase(ActionKind::probe_new_key);
    s.probed.erase(ActionKind::probe_old_again);
  }
  // What a sync had brought it brings anew, when the store is written again.
  void store_again() const {
    s.stored.reset();
    std::erase_if(s.updated, [&](const auto& entry) {
      if (!entry.second.event.by_sync) return false;
      s.running.erase(entry.first);
      s.watched.erase(entry.first);
      s.billing_watched.reset();
      return true;
    });
  }
  // Whether a consumer still holds the new key is asked again when its release or its watch came to nothing:
  // the release may have failed for good, or somebody brought the old configuration back.
  void forget_consumer_of(const std::optional<Happened<Halted>>& halted) const {
    if (!halted) return;
    const auto& [kind, app] = halted->event.action;
    const bool by_release = kind == ActionKind::await_consumer;
    const bool by_watch = kind == ActionKind::watch_consumer && !s.watched.contains(app);
    if (!by_release && !by_watch) return;
    s.updated.erase(app);
    s.running.erase(app);
    s.watched.erase(app);
    s.billing_watched.reset();  // perhaps healthy with the old key
  }
  void operator()(const RollbackRequested& e) const { s.rollback = {e, at}; }
  void operator()(const RollbackBegan&) const {
    s.back_since = at;
    s.forth = std::exchange(static_cast<Leg&>(s), Leg{});
    s.previous.reset();
    s.probed.erase(ActionKind::probe_previous_key);
    begin_leg();
  }
  void operator()(const PreviousKeyRead& e) const { s.previous = {e, at}; }
  void operator()(const RollbackBarred& e) const {
    static_cast<Leg&>(s) = std::exchange(s.forth, Leg{});
    s.rollback_barred = {e, at};
    ++s.rollbacks_barred;
    s.rollback.reset();
    s.back_since.reset();
    begin_leg();
  }
  // The key in use dies at the deadline: that is another reminder than the one of the grace.
  void operator()(const RolledBack& e) const {
    s.rolled_back = {e, at};
    s.reminded = false;
  }
  // Whatever made the leg before stop, or was going on, is no business of this one.
  void begin_leg() const {
    ++s.leg;
    s.halted.reset();
    s.tries.clear();
    s.in_flight.clear();
  }
  void operator()(const Cancelled&) const { s.cancelled_at = at; }
  void operator()(const Refused& e) const { s.refused = {e, at}; }
  void operator()(const Closed& e) const { s.closed = {e, at}; }
  void operator()(const OperatorNudged& e) const { s.nudges.push_back({e, at}); }
  void operator()(const OthersPaged& e) const { s.pages.push_back({e, at}); }
  void operator()(const OldKeyChecked& e) const {
    s.old_key_checked = {e, at};
    s.old_key_refusals =
        s.received && !s.rollback && !s.expiry_requested_at && dead(e.old_key) ? s.old_key_refusals + 1 : 0;
  }
  // The direct messages so far are the former operator's. A link that is out dies: the new one gets another.
  void operator()(const HandedOver& e) const {
    s.handovers.push_back({e, at});
    std::map<std::string, PostedMessage> messages;
    for (const auto& [slot, posted] : s.messages) {
      const bool own = slot.starts_with("dm_") && !slot.contains('@');
      messages[own ? former_slot(slot, s.handovers.size()) : slot] = posted;
    }
    s.messages = std::move(messages);
    s.operator_id = e.to;
    s.operator_check = {OperatorChecked{.allowed = true, .reason = {}, .name = e.name}, at};
    if (s.received) return;
    if (s.form && s.form->sent) {
      s.messages[former_slot("dm_link", s.handovers.size())] = {s.form->sent->channel, s.form->sent->ts};
    }
    s.form.reset();
  }
  void operator()(const ApprovalRequested& e) const { s.approvals.push_back({.asked = {e, at}}); }
  void operator()(const ApprovalGiven& e) const {
    if (!s.approvals.empty()) s.approvals.back().given = {e, at};
  }
  void operator()(const ApprovalDeclined& e) const {
    if (!s.approvals.empty()) s.approvals.back().declined = {e, at};
  }
  void operator()(const ApprovalLapsed& e) const {
    if (!s.approvals.empty()) s.approvals.back().lapsed = {e, at};
  }
  void operator()(const ApprovalBypassed& e) const { s.approval_bypassed = {e, at}; }
  void operator()(const BypassTold& e) const { s.bypass_told = {e, at}; }
  void operator()(const ExpiryRequested&) const {
    s.expiry_requested_at = at;
    ++s.expiry_requests;
    s.expiry_checked.reset();
  }
  void operator()(const ExpiryChecked& e) const { s.expiry_checked = {e, at}; }
  void operator()(const MessageIntended& e) const { s.messages[e.slot]; }
  void operator()(const MessagePosted& e) const { s.messages[e.slot] = {e.channel, e.ts}; }
};

}  // namespace

void apply(State& state, const Event& event, TimePoint at) {
  state.last_event_at = at;
  if (const auto action = outcome_of(event)) {
    state.in_flight.erase(*action);
    if (!std::holds_alternative<ActionFailed>(event)) state.tries.erase(*action);
  }
  std::visit(Apply{state, at}, event);
}

}  // namespace keyturn::commands::rotation
