// Where a rotation stands: the fold of its events, and nothing else. Pure: no clock, no I/O.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands/rotation/events.h"

namespace keyturn::commands::rotation {

template <typename T>
struct Happened {  // an event with its time
  T event;
  TimePoint at;
};

struct Tries {  // failures of one action since it last succeeded or a person asked for a retry
  int count = 0;
  TimePoint first, last;
  ActionFailed failure;
};

struct PostedMessage {
  std::string channel, ts;  // empty ts: intended, outcome not known
};

struct Form {
  FormIssued issued;
  std::optional<FormSent> sent;
  std::vector<Happened<FormOpened>> openings;  // the first few
  int refused_pastes = 0;
};

// A direct message of the operator before the `number`th hand-over goes on under this name.
std::string former_slot(const std::string& slot, std::size_t number);

// Stripe refused that key: it can bill nothing.
bool dead(const Probe& probe);

// A key that was just made may need some seconds until Stripe knows it.
inline constexpr Duration kSettleTime = std::chrono::seconds(30);

inline constexpr int kPasteAttempts = 5;  // wrong pastes that lock a link
inline constexpr std::size_t kOpeningsKept = 20;
// So many who got nowhere with a link are journaled at once, and from then on one in each minute: whoever has
// a link, even a used one, may come again for as long as the rotation goes on.
inline constexpr int kTurnedAwayAtOnce = 50;
inline constexpr Duration kTurnedAwayEvery = std::chrono::minutes(1);

// Asked of a second person, and what came of it.
struct Approval {
  Happened<ApprovalRequested> asked;
  std::optional<Happened<ApprovalGiven>> given;
  std::optional<Happened<ApprovalDeclined>> declined;
  std::optional<Happened<ApprovalLapsed>> lapsed;
  bool waits() const { return !given && !declined && !lapsed; }
};

// What has been done with one key: put into the store and the consumers, seen running, watched.
struct Leg {
  bool store_begun = false;  // from here on the key may be in the store, whatever the answer was
  std::optional<Happened<KeyStored>> stored;
  std::map<std::string, Happened<ConsumerUpdated>> updated;
  std::map<std::string, Happened<ConsumerRunning>> running;
  std::map<std::string, Happened<WatchProgressed>> watching;
  std::map<std::string, Happened<WatchFinished>> watched;
  std::optional<Happened<BillingWatched>> billing_watched;
  std::optional<Happened<Completed>> completed;
};

// The leg that the rotation is on is its own: the way forth with the new key, or the way back with the old
// one.
struct State : Leg {
  std::string id;
  Target target;
  std::string operator_id, channel, reason;
  bool compromise = false;
  TimePoint started_at;

  std::optional<Happened<OperatorChecked>> operator_check;
  std::optional<Happened<CurrentKeyRead>> current;
  std::map<std::string, Happened<ConsumerInspected>> inspected;  // by app
  std::map<ActionKind, Happened<KeyProbed>> probed;              // by purpose, the newest
  std::optional<Happened<BillingChecked>> billing_before;
  std::optional<TimePoint> confirmed_at;

  std::optional<Form> form;
  int forms = 0;
  std::optional<Happened<KeyReceived>> received;
  std::string received_link;                      // the token's hash of the link that a key last came through
  std::optional<Happened<KeyRejected>> rejected;  // the last one, until another key is received
  std::set<std::string> rejected_fingerprints;
  // Every key that was ever received, also those that were rejected or given up since: each may be alive.
  std::set<std::string> keys_seen;
  int master_keys_pasted = 0;
  int turned_away = 0;
  TimePoint turned_away_at;  // the last time

  std::optional<Happened<RollbackRequested>> rollback;
  std::optional<TimePoint> back_since;  // on the way back since then
  Leg forth;                            // how far the new key had come when it began
  std::optional<Happened<PreviousKeyRead>> previous;
  std::optional<Happened<RollbackBarred>> rollback_barred;  // the last time
  int rollbacks_barred = 0;
  std::optional<Happened<RolledBack>> rolled_back;
  int leg = 0;  // counts: what was begun on an earlier one says nothing about this one

  bool reminded = false;
  std::vector<Happened<ProofTaken>> proofs;
  std::optional<TimePoint> still_alive_at, proven_dead_at;

  std::vector<Happened<OperatorNudged>> nudges;
  std::vector<Happened<OthersPaged>> pages;
  std::optional<Happened<OldKeyChecked>> old_key_checked;  // the newest
  int old_key_refusals = 0;  // looks at it since the new key came that found it dead, in a row
  std::vector<Happened<HandedOver>> handovers;
  std::optional<TimePoint> expiry_requested_at;  // the last time
  int expiry_requests = 0;
  std::optional<Happened<ExpiryChecked>> expiry_checked;  // since it was requested

  std::vector<Approval> approvals;  // approvals[0] is number 1; only the last one may be waiting
  std::optional<Happened<ApprovalBypassed>> approval_bypassed;
  std::optional<Happened<BypassTold>> bypass_told;

  std::optional<Happened<Halted>> halted;
  int halts = 0;
  std::optional<TimePoint> retried_at;  // the last time a person asked to try again
  std::optional<Happened<Refused>> refused;
  std::optional<TimePoint> cancelled_at;
  std::optional<Happened<Closed>> closed;

  std::map<Action, Tries> tries;
  std::set<Action> in_flight;                     // intents without an outcome
  std::map<std::string, PostedMessage> messages;  // by slot
  TimePoint last_event_at;

  // Stripe refused the key in use before anything began, by every answer: there is nothing to rotate, and no
  // grace. What follows puts a fresh key in its place.
  bool recovery() const;
  // Every answer refused it, and it may only be too new for Stripe to know it.
  bool key_may_be_too_new() const;
  // The planned grace: what the operator is asked to choose.
  Duration planned_grace() const { return compromise ? target.compromise_grace : target.grace; }
  // After this, the old key should be dead; nothing while no key was received.
  std::optional<TimePoint> old_key_deadline() const;
  // Looked at since the new key came, it was dead twice in a row: one answer may be a slip.
  bool old_key_found_dead() const { return old_key_refusals >= 2; }
  // The operator chose "Now", or the old key was found dead right after: billing depends on the propagation.
  bool old_key_died_early() const;
  // It was ended at once, then or by a person since: Stripe may not know it any more.
  bool old_key_deleted() const;
  bool way_back() const { return back_since.has_value(); }
  // Stopped with a key that nobody but us has seen yet: the operator may want to paste another one.
  bool may_set_key_aside() const;
  // Whether somebody who got nowhere with a link is worth an entry at `now`.
  bool notes_turned_away(TimePoint now) const;
  // Whether a link could be used at `now`.
  bool form_open(TimePoint now) const;
  bool live() const { return !closed; }
  // The purposes of the boxes that must be there (destroyed_by in events.h says when they go).
  std::vector<std::string_view> sealed() const;
  // Whoever typed /rotate: the operator, unless it was handed over.
  const std::string& started_by() const;
  // When the operator became the operator.
  TimePoint operator_since() const;
  // For people to read: the name where Slack told it, else the user id.
  std::string operator_name() const;
};

void apply(State& state, const Event& event, TimePoint at);

// Which action an outcome ends; nothing for events that are no outcome.
std::optional<Action> outcome_of(const Event& event);

}  // namespace keyturn::commands::rotation
