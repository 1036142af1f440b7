// What `keyturn doctor` came to: one finding for each thing that it looked at. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "integrations/error.h"

namespace keyturn::bot::doctor {

// In the order in which they are printed.
enum class Part { settings, journal, slack, infisical, heroku, stripe, billing, form, clock };
std::string_view name_of(Part part);

// `unknown` is an answer of its own, and never green: what could not be seen is not known to be well.
enum class Verdict { ok, wrong, unknown };

struct Finding {
  Part part;
  std::string check;  // what was looked at: "bot token", "channel C0123ABCD"
  Verdict verdict = Verdict::unknown;
  std::string sentence;  // what was seen, and what it means
  std::string remedy;    // where to click or what to run; empty when there is nothing to mend
};
using Findings = std::vector<Finding>;

Finding ok(Part part, std::string check, std::string sentence);
Finding wrong(Part part, std::string check, std::string sentence, std::string remedy);
Finding unknown(Part part, std::string check, std::string sentence, std::string remedy);

// A question that got no good answer. A vendor that says no is wrong, and `remedy` mends it; one that says
// nothing of ours (no connection, 429, 5xx, a proxy's page) is unknown.
Finding failed(Part part, std::string check, const integrations::ApiError::Details& why, std::string remedy);

// 0: all of it is well. 1: something is wrong. 69 (EX_UNAVAILABLE): nothing that was seen is wrong, and
// something could not be seen.
int exit_status(const Findings& findings);

// As it is printed: grouped by part, one line a finding and one for its remedy. Holds no credential, whatever
// the findings hold, and no control character.
std::string report(const Findings& findings);

}  // namespace keyturn::bot::doctor
