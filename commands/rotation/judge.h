// The verdicts of the procedure, each a pure function of what was observed: may it begin, is the new key the
// right one, did the verification hold, does a proof count. `decide` asks them in order.
#pragma once

#include <optional>

#include "commands/rotation/state.h"

namespace keyturn::commands::rotation {

// Why the rotation must not begin, from the facts gathered so far; nothing: no objection yet.
std::optional<Refused> objection(const State& state);

// How long it takes until every app was watched with the new key, judging by the last releases: the canary's,
// then the longest of the others', then the watch. How long a dyno boots is nobody's to know.
Duration propagation_forecast(const State& state);

// What doesn't bar the rotation but belongs in front of the operator's eyes before the click.
std::vector<std::string> warnings(const State& state);

// Whether Stripe's answers show that the new key is the right one.
bool answered_well(const State& state);

// The code of a rejection that rests on missing evidence only.
inline constexpr std::string_view kAccountUnproven = "account_unproven";

// Why the new key is not the replacement of the old one; nothing: it is. Needs the new key's and the old
// key's probes.
std::optional<KeyRejected> rejection(const State& state);

// Why the verification failed; nothing: it held. Needs every watch finished.
std::optional<Halted> verification_failure(const State& state);

// How a single proof counts.
enum class ProofWorth {
  dead,     // the old key is refused as expired and the new key answers
  alive,    // the old key still works
  nothing,  // no answer that says anything: neither counts nor resets the count
  broken,   // the new key does not answer, or an app holds another one
};
ProofWorth worth(const ProofTaken& proof, bool old_key_was_deleted);

// How many refusals in a row stand at the end of the proofs.
int proofs_in_a_row(const State& state);

// The context of the audit entry `secret.rotate.completed`.
nlohmann::json completion_context(const State& state, TimePoint now);

}  // namespace keyturn::commands::rotation
