// What the form's page seals to us: its bytes, and what they are bound to. Pure. The page's side of both is
// bot/intake/form.js.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::commands {

// HPKE's `info`: what these messages are for.
inline constexpr std::string_view kFormInfo = "keyturn form v1";

// HPKE's associated data: a message opens only for this rotation, this operator and this link.
std::string form_binding(std::string_view rotation, std::string_view operator_id, std::string_view token);

struct Handover {
  storage::Secret pasted;
  std::string code;                  // as typed
  storage::Duration grace_chosen{};  // what was chosen in the dashboard; 0: "Now"
  storage::TimePoint rotated_at;     // when "Rotate API key" was clicked
};

// {"key","code","grace_seconds","rotated_at"}; blanks may follow, so that the length tells nothing. The error
// is a sentence for the person in front of the page, and holds nothing of what came.
std::expected<Handover, std::string> read_handover(const storage::Secret& plain);

// The digits of a code as it was typed: "483 920" is "483920".
std::string digits_of(std::string_view typed);

}  // namespace keyturn::commands
