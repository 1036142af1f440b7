// What a pasted text is: which kind of Stripe credential, for which mode, and whether it is whole.
// Source: docs.stripe.com/keys (prefixes); lengths as seen in the wild (32 and 107 characters), so never
// hard-coded. The pure rules; the page's script applies the same table (see pasted_rules_json) so that the
// two can't disagree.
#pragma once

#include <string>
#include <string_view>

#include "integrations/provider.h"

namespace keyturn::stripe {

enum class Pasted {
  restricted_key,    // whole, of the expected mode
  wrong_mode,        // restricted, of the other mode
  master_key,        // sk_live_, sk_test_: SEV-1, never stored
  organization_key,  // sk_org
  publishable_key,   // pk_
  webhook_secret,    // whsec_
  other_credential,  // ek_, pss_, mk_ (an object id): Stripe's, but no API key for an application
  masked,            // contains '*', '.', or bullets: the dashboard's masked display
  truncated,         // a restricted prefix, too short
  assignment,        // NAME=value
  several,           // more than one line or word
  not_a_key          // anything else, empty included
};

std::string_view name_of(Pasted kind);

// Removes what surrounds a key when it is copied: white space at both ends, matching quotes, zero-width
// characters. What it returns may be a key: the caller wipes it.
std::string tidy_paste(std::string_view text);

// `text` as tidied by tidy_paste. A secret key anywhere in it makes it master_key, whatever else it is: that
// alarm beats every other advice.
Pasted classify_paste(std::string_view text, integrations::Mode expected);

// One sentence for the person who pasted it: what it is, and what to do instead.
std::string explain(Pasted kind, integrations::Mode expected);

// The table behind classify_paste for the form's script, so that the page can advise before anything is sent:
// {"prefixes":[{"prefix":"rk_live_","kind":"restricted_key"},...],"shortest_body":20,"longest_body":247,
//  "advice":{"master_key":"...",...}}. The page only advises; the verdict is classify_paste's.
std::string pasted_rules_json(integrations::Mode expected);

// Whether any credential of Stripe (or of Slack, Heroku) stands somewhere in a text that a person typed.
bool contains_credential(std::string_view text);

// The text with every such credential replaced by "[redacted]".
std::string redact(std::string_view text);

}  // namespace keyturn::stripe
