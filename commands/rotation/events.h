// Everything that can happen in a rotation. The journal holds these, in order; the state is their fold, and
// the audit log is nothing else. No event holds a key: keys are named by their fingerprint.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "commands/rotation/action.h"
#include "commands/target.h"
#include "integrations/error.h"
#include "integrations/health.h"
#include "integrations/provider.h"
#include "storage/clock.h"

namespace keyturn::commands::rotation {

using integrations::Health;
using integrations::Probe;
using storage::Duration;
using storage::TimePoint;

// ---- start
struct Started {
  Target target;  // a copy: later changes of the settings don't touch this rotation
  std::string operator_id;
  std::string channel;  // where the team is told
  bool compromise = false;
  std::string reason;  // what happened, under --compromise; may come later
};

// ---- every action: its intent, and how it failed if it did
struct ActionStarted {
  Action action;
};
struct ActionFailed {
  Action action;
  bool can_retry = false;
  std::string reason;  // in our words: "Heroku answered 503"
  std::string request_id;
};

// ---- prerequisites
struct OperatorChecked {
  bool allowed = false;
  std::string reason;  // why not
  std::string name;    // as Slack shows it; for people to read, never for a decision
};
// A sync that copies the secret onward by itself, as it stood before anything was clicked.
struct SyncSeen {
  std::string id;
  std::string destination;  // "heroku"; in older journals with the app behind it
  std::string app, app_id;
  std::string variable;  // the name under which the secret arrives there; empty: nobody can tell
  bool deletes = false;  // what stands there and not in the store
  bool has_run = false;  // successfully, once at least
  bool failed = false;   // the last time
};
struct CurrentKeyRead {
  std::string secret_id;
  int version = 0;
  std::string fingerprint;
  std::string kind;  // what its format says: "restricted_key", "master_key", ...
  bool hidden = false, rotated_by_store = false, is_reference = false;
  std::vector<SyncSeen> syncs;  // what copies this path onward by itself
  std::string request_id;
};
struct ConsumerInspected {
  std::string app;
  std::string fingerprint;  // of the key in its configuration; empty: none
  bool holds_master_key = false;
  bool maintenance = false;
  int release = 0;
  bool release_pending = false;
  int dynos_up = 0, dynos = 0;
  Duration release_takes{0};  // the longest of the last ten that succeeded
  std::optional<int>
      calls_left;  // that its host answers the account before it asks to wait; absent: not said
  std::string request_id;
};
struct KeyProbed {
  ActionKind purpose{};  // probe_old_key, probe_new_key or probe_old_again
  std::vector<Probe> probes;
  std::string fingerprint;  // of the key that was asked with
};
struct BillingChecked {
  Health health = Health::unknown;
  int status = 0;
  std::string detail;
};
struct OperatorConfirmed {
  std::vector<std::string> confirmations;
  std::string reason;
};

// ---- the form
struct FormIssued {
  std::string token_hash;  // the token itself is only in the link
  TimePoint expires_at;
  std::string public_key;   // what the page seals to (base64url); the private one is a sealed box
  std::string operator_id;  // whom it is for; empty in older journals
};
struct FormSent {
  std::string channel, ts;  // the DM that holds the link
};
struct FormOpened {
  std::string peer;
};
struct FormTurnedAway {  // somebody with the link got nowhere, and it cost nothing
  std::string peer;
  std::string
      why;  // "expired", "used", "locked", "cancelled", "unsealable", "not_signed_in", "another_person"
};
struct PasteRefused {
  std::string code;
  int attempts_left = 0;
};
struct KeyReceived {
  std::string fingerprint;
  Duration grace_chosen{};
  TimePoint rotated_at;
  TimePoint old_key_expires_at;
  std::string peer;
  std::string sealed_hash;  // of the message as it came: the same one again is the same handover
};
struct KeyRejected {  // by validation; the sealed copy is destroyed
  std::string code;
  std::string sentence;
};
inline constexpr std::string_view kSetAside = "set_aside";  // a rejection by the operator
struct LinkRequested {};                                    // by the operator: a new one

// ---- store and propagate
struct KeyStored {
  int version = 0, previous_version = 0;
  bool already_there = false;
  std::string request_id;
  // Where a sync is followed: its last run before the write. A failure that is older is none of ours.
  std::map<std::string, std::string> sync_runs = {};
};
struct ConsumerUpdated {
  std::string app;
  bool already_there = false;
  int release = 0;
  std::string request_id;
  bool by_sync = false;          // Keyturn changed nothing there: the store's sync brought the key
  std::string released_by = {};  // by_sync: whom Heroku names as the maker of that release
};
struct ConsumerRunning {
  std::string app;
  int release = 0;
  int dynos = 0;
  std::string request_id;
};

// ---- verify
struct WatchProgressed {  // totals since the watch began
  std::string app;
  Duration watched{};  // time in which the log was seen
  Duration blind{};    // time in which it wasn't
  int lines = 0, gaps = 0;
  std::vector<std::string> failures;  // lines with a failure in them, redacted; the first few
};
struct WatchFinished {
  WatchProgressed totals;
};
struct BillingWatched {
  int healthy = 0, unhealthy = 0, unknown = 0;
  bool failed = false;  // unhealthy twice in a row: once may be the restart
  std::string last_problem;
};
struct Completed {
  nlohmann::json context;  // what the procedure's audit entry lists, and the evidence
};

// ---- the end of the old key
struct Reminded {};
struct ProofTaken {
  Probe old_key, new_key;
  std::vector<std::string> strays;  // apps that do not hold the key of the secret store
};
struct StillAlive {};  // the old key, too long after its deadline: the team is told
struct ProvenDead {};

// ---- people, and ends
struct Halted {  // waits for a person
  Action action;
  std::string sentence;
};
struct RetryRequested {};
struct Cancelled {};
struct Refused {
  std::string code;
  std::string sentence;
  bool alarm = false;  // a master key where none may be: SEV-1
};
struct Closed {
  std::string outcome;  // "rotated", "refused", "cancelled", "given_up", "rolled_back"
};

// ---- messages in Slack
struct MessageIntended {
  std::string slot;
};
struct MessagePosted {
  std::string slot, channel, ts;
};

// ---- an operator who doesn't come, and another one
struct OperatorNudged {
  std::string why;   // one of attendance.h's reasons
  int link = 0;      // number of the form it is about; 0: none was sent yet
  int approval = 0;  // number of the approval that nobody gives; 0: it is about the operator
};
struct OthersPaged {
  std::vector<std::string> people;  // superadmins but the operator; empty: Slack did not say who they are
  Probe old_key;                    // asked right before: the operator may have rotated, and gone
  int link = 0;
  int approval = 0;      // number of the approval that is waited for; 0: the operator is
  bool stopped = false;  // before any link could be used
};
struct OldKeyChecked {  // while nobody comes, or while it is to be expired early
  Probe old_key;
};
struct HandedOver {
  std::string from, to;
  std::string name;  // of the new operator, as Slack shows it
};

// ---- the old key's early end
struct ExpiryRequested {};  // by a person: end it before its deadline
struct ExpiryChecked {
  std::string stored_fingerprint;   // what the secret store holds now; empty: it doesn't show it
  std::vector<std::string> strays;  // apps that do not hold that key
  std::string request_id;
};

// ---- a second person, where the target asks for one
struct ApprovalRequested {
  std::string of;  // kOfRotation or kOfRollback
  std::string by;  // who wants it
};
inline constexpr std::string_view kOfRotation = "rotation";
inline constexpr std::string_view kOfRollback = "rollback";
struct ApprovalGiven {
  std::string by;
};
struct ApprovalDeclined {
  std::string by;
};
struct ApprovalLapsed {  // what was to be approved can't be done any more
  std::string sentence;
};
struct ApprovalBypassed {  // a leak waits for nobody
  std::string by;
};
struct BypassTold {
  std::vector<std::string> people;  // every other superadmin: each gets a direct message
};

// ---- the way back
struct RollbackRequested {
  std::string by;
};
// No write of the way forth is under way any more. From here on "stored", "updated", "running", "watched" are
// about the old key.
struct RollbackBegan {};
struct PreviousKeyRead {  // the pinned version in the secret store; what is put back is our sealed copy
  int version = 0;
  // "same" as the sealed copy; else why it can't be compared: "hidden", "redacted", "missing",
  // "another_secret", "another_value"
  std::string found;
  std::string request_id;
};
struct RollbackBarred {  // looking back showed that there is no way: the way forth goes on
  std::string sentence;
};
struct RolledBack {
  nlohmann::json context;  // the evidence, as with Completed
};

using Event =
    std::variant<Started, ActionStarted, ActionFailed, OperatorChecked, CurrentKeyRead, ConsumerInspected,
                 KeyProbed, BillingChecked, OperatorConfirmed, FormIssued, FormSent, FormOpened,
                 FormTurnedAway, PasteRefused, KeyReceived, KeyRejected, LinkRequested, KeyStored,
                 ConsumerUpdated, ConsumerRunning, WatchProgressed, WatchFinished, BillingWatched, Completed,
                 Reminded, ProofTaken, StillAlive, ProvenDead, Halted, RetryRequested, Cancelled, Refused,
                 Closed, MessageIntended, MessagePosted, OperatorNudged, OthersPaged, OldKeyChecked,
                 HandedOver, ExpiryRequested, ExpiryChecked, RollbackRequested, RollbackBegan,
                 PreviousKeyRead, RollbackBarred, RolledBack, ApprovalRequested, ApprovalGiven,
                 ApprovalDeclined, ApprovalLapsed, ApprovalBypassed, BypassTold>;

// "secret.rotate.completed": the entry's type in the journal, and the `action` of the audit log.
std::string_view type_of(const Event& event);
nlohmann::json data_of(const Event& event);

// The event behind a journal entry. Throws std::runtime_error for a type or shape that this program doesn't
// know: a journal that can't be read whole must not be continued.
Event read_event(std::string_view type, const nlohmann::json& data);

// Purposes of the sealed boxes.
inline constexpr std::string_view kOldKey = "old_key";
inline constexpr std::string_view kNewKey = "new_key";
inline constexpr std::string_view kFormKey =
    "form_key";  // the private key that opens what the form's page sealed

// Which sealed keys die with this event.
std::vector<std::string_view> destroyed_by(const Event& event);

}  // namespace keyturn::commands::rotation
