// Finds credentials that people and programs write where they don't belong: in a chat message, in a log line.
// Recognised by their vendors' fixed prefixes (Stripe sk_/rk_/whsec_/ek_/pss_, Slack xox*-/xapp-, Heroku
// HRKU-), without regard to case, since phones capitalise. Publishable keys (pk_) are public and left alone.
// Thread: any. Linear in the length of the text; any bytes will do.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::integrations {

enum class Credential {
  stripe_secret_key,
  stripe_organization_key,
  stripe_restricted_key,
  stripe_other,
  slack_token,
  heroku_token
};

struct FoundCredential {
  Credential kind;
  std::size_t begin;
  std::size_t end;  // one past its last byte
};

// The first credential at or after `from`, or nothing. A prefix alone, or one that is masked
// ("rk_live_****"), isn't one.
std::optional<FoundCredential> find_credential(std::string_view text, std::size_t from = 0);

bool contains_credential(std::string_view text);

// Also where it is glued to the end of another one, which find_credential takes for one.
bool contains_credential(std::string_view text, Credential kind);

// The text with every credential replaced by "[redacted]".
std::string redact_credentials(std::string_view text);

}  // namespace keyturn::integrations
