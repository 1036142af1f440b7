#include "commands/rotation/action.h"

#include <array>

namespace keyturn::commands::rotation {
namespace {

struct Words {
  ActionKind kind;
  std::string_view name;
  std::string_view doing;  // the subject follows
};

constexpr std::array kWords{
    Words{ActionKind::check_operator, "check_operator", "checking the operator's Slack account"},
    Words{ActionKind::read_current_key, "read_current_key", "reading the current key from Infisical"},
    Words{ActionKind::inspect_consumer, "inspect_consumer", "inspecting "},
    Words{ActionKind::probe_old_key, "probe_old_key", "asking Stripe about the current key"},
    Words{ActionKind::check_billing, "check_billing", "asking the billing endpoint"},
    Words{ActionKind::issue_form, "issue_form", "sending the one-time link"},
    Words{ActionKind::page_others, "page_others", "looking for another superadmin"},
    Words{ActionKind::find_superadmins, "find_superadmins", "looking who the other superadmins are"},
    Words{ActionKind::check_old_key, "check_old_key", "asking Stripe whether the old key lives"},
    Words{ActionKind::check_expiry, "check_expiry", "checking which key Infisical and every app hold"},
    Words{ActionKind::probe_new_key, "probe_new_key", "asking Stripe about the new key"},
    Words{ActionKind::probe_old_again, "probe_old_again", "asking Stripe whether the old key still works"},
    Words{ActionKind::read_previous_key, "read_previous_key", "reading the old key from Infisical's history"},
    Words{ActionKind::probe_previous_key, "probe_previous_key",
          "asking Stripe whether the old key can do its work"},
    Words{ActionKind::store_key, "store_key", "storing the key in Infisical"},
    Words{ActionKind::update_consumer, "update_consumer", "giving the key to "},
    Words{ActionKind::follow_sync, "follow_sync", "waiting for Infisical's sync to "},
    Words{ActionKind::await_consumer, "await_consumer", "waiting for the dynos of "},
    Words{ActionKind::watch_consumer, "watch_consumer", "watching the log of "},
    Words{ActionKind::watch_billing, "watch_billing", "watching the billing endpoint"},
    Words{ActionKind::take_proof, "take_proof", "asking Stripe whether the old key is dead"},
};

}  // namespace

std::string_view name_of(ActionKind kind) {
  for (const Words& words : kWords) {
    if (words.kind == kind) return words.name;
  }
  return "unknown";
}

std::optional<ActionKind> action_named(std::string_view name) {
  for (const Words& words : kWords) {
    if (words.name == name) return words.kind;
  }
  return std::nullopt;
}

std::string in_words(const Action& action) {
  for (const Words& words : kWords) {
    if (words.kind == action.kind) return std::string(words.doing) + action.subject;
  }
  return "doing something unknown";
}

}  // namespace keyturn::commands::rotation
