// What the procedure can ask to be done in the world. An action is named by its kind and its subject (the
// app, where it is about one consumer), and may be asked for again after a crash: each looks before it
// writes.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::commands::rotation {

enum class ActionKind {
  check_operator,     // Slack: an active member, no guest, no bot
  read_current_key,   // the secret store: value, id and version; sealed, so that a rollback and the proof can
                      // use it
  inspect_consumer,   // the consumer: same key as the store, dynos, newest release
  probe_old_key,      // the provider, before anything: alive, account, scopes
  check_billing,      // the billing endpoint, before anything
  issue_form,         // mint a one-time link and send it to the operator
  page_others,        // the operator doesn't come: who else may act, and does the old key live?
  find_superadmins,   // a leak went on without an approval: who is to hear of it?
  check_old_key,      // the provider, once: does the old key still live?
  check_expiry,       // which key do the store and every app hold? Before the old one is ended early, and
                      // after it was put back
  probe_new_key,      // the provider, with the key received
  probe_old_again,    // the provider, right after: is the old key still alive?
  read_previous_key,  // way back: the secret store's own copy of the old key, by secret id and version
  probe_previous_key,  // way back: the provider, with the old key: it must still be able to do everything
  store_key,           // the secret store: write, read back
  update_consumer,     // the consumer: set the one variable, read back, find the release
  follow_sync,         // the consumer: until the store's sync has brought it the key; writes nothing
  await_consumer,      // the consumer: until every dyno runs that release
  watch_consumer,      // the consumer's log, for the watch time
  watch_billing,       // the billing endpoint, for the watch time
  take_proof,          // the provider, after the deadline: old and new key, once
};

struct Action {
  ActionKind kind{};
  std::string subject;

  auto operator<=>(const Action&) const = default;
};

// "read_current_key": in the journal, the log and the metrics.
std::string_view name_of(ActionKind kind);
std::optional<ActionKind> action_named(std::string_view name);

// "reading the current key from Infisical": for a person, after "while ".
std::string in_words(const Action& action);

}  // namespace keyturn::commands::rotation
