// What a pasted text is. See key_format.h.
#include "integrations/stripe/key_format.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/credentials.h"

namespace keyturn::stripe {
namespace {

using integrations::Mode;

// What follows the prefix. 24 and 99 characters are seen today; the bounds are those of the secret scanners.
constexpr std::size_t kShortestBody = 20;
constexpr std::size_t kLongestBody = 247;

constexpr std::string_view kLivePrefix = "rk_live_";
constexpr std::string_view kTestPrefix = "rk_test_";

struct Family {
  std::string_view prefix;
  Pasted kind;
};

// Everything of Stripe's that isn't a restricted key or a secret key.
constexpr std::array kOtherFamilies{
    Family{"sk_org", Pasted::organization_key},    Family{"pk_live_", Pasted::publishable_key},
    Family{"pk_test_", Pasted::publishable_key},   Family{"whsec_", Pasted::webhook_secret},
    Family{"ek_live_", Pasted::other_credential},  Family{"ek_test_", Pasted::other_credential},
    Family{"pss_live_", Pasted::other_credential}, Family{"pss_test_", Pasted::other_credential},
    Family{"mk_", Pasted::other_credential},
};

constexpr std::array kMasterPrefixes{std::string_view("sk_live_"), std::string_view("sk_test_")};

constexpr std::array kAllKinds{
    Pasted::restricted_key,  Pasted::wrong_mode,     Pasted::master_key,       Pasted::organization_key,
    Pasted::publishable_key, Pasted::webhook_secret, Pasted::other_credential, Pasted::masked,
    Pasted::truncated,       Pasted::assignment,     Pasted::several,          Pasted::not_a_key,
};

constexpr std::string_view prefix_of(Mode mode) { return mode == Mode::live ? kLivePrefix : kTestPrefix; }
constexpr Mode other(Mode mode) { return mode == Mode::live ? Mode::test : Mode::live; }
constexpr std::string_view word_for(Mode mode) { return mode == Mode::live ? "live" : "test"; }

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool in_variable_name(char c) { return is_alphanumeric(c) || c == '_'; }

// ---- tidying ----

// U+200B..U+200F (zero-width space, joiners, direction marks), U+2060 (word joiner), U+FEFF (byte order
// mark).
bool ends_with_zero_width(std::string_view text) {
  if (text.size() < 3) return false;
  const std::string_view last = text.substr(text.size() - 3);
  if (last == "\xE2\x81\xA0" || last == "\xEF\xBB\xBF") return true;
  return last.starts_with("\xE2\x80") && last[2] >= '\x8B' && last[2] <= '\x8F';
}

// Looked for at the end of what has been kept, so that bytes which come together by a removal are seen as
// well.
std::string without_zero_width(std::string_view text) {
  std::string kept;
  kept.reserve(text.size());  // no growth: no copy of a key in freed memory
  for (const char c : text) {
    kept.push_back(c);
    if (ends_with_zero_width(kept)) kept.erase(kept.size() - 3);
  }
  return kept;
}

// ASCII white space, U+00A0, U+2000..U+200A, U+2028, U+2029, U+202F, U+3000: the bytes of one at the front,
// or 0.
std::size_t space_at_front(std::string_view text) {
  if (text.empty()) return 0;
  if (is_space(text.front())) return 1;
  if (text.starts_with("\xC2\xA0")) return 2;
  for (const std::string_view wide : {"\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE3\x80\x80"}) {
    if (text.starts_with(wide)) return 3;
  }
  return text.size() >= 3 && text.starts_with("\xE2\x80") && text[2] >= '\x80' && text[2] <= '\x8A' ? 3 : 0;
}

std::size_t space_at_back(std::string_view text) {
  for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
    if (space_at_front(text.substr(text.size() - length)) == length) return length;
  }
  return 0;
}

std::string_view without_outer_space(std::string_view text) {
  while (const std::size_t length = space_at_front(text)) text.remove_prefix(length);
  while (const std::size_t length = space_at_back(text)) text.remove_suffix(length);
  return text;
}

using Quotes = std::pair<std::string_view, std::string_view>;
constexpr std::array kQuotes{
    Quotes{"\"", "\""},
    Quotes{"'", "'"},
    Quotes{"`", "`"},
    Quotes{"\xE2\x80\x9C", "\xE2\x80\x9D"},  // U+201C U+201D
    Quotes{"\xE2\x80\x98", "\xE2\x80\x99"},  // U+2018 U+2019
    Quotes{"\xC2\xAB", "\xC2\xBB"},          // U+00AB U+00BB
};

std::string_view without_outer_quotes(std::string_view text) {
  for (const auto& [open, close] : kQuotes) {
    if (text.size() < open.size() + close.size() || !text.starts_with(open) || !text.ends_with(close))
      continue;
    text.remove_prefix(open.size());
    text.remove_suffix(close.size());
    return text;
  }
  return text;
}

// ---- classifying ----

// The secret key itself, whole or cut short, but not its masked display, which gives nothing away.
bool holds_master_key(std::string_view text) {
  if (integrations::contains_credential(text, integrations::Credential::stripe_secret_key)) return true;
  return std::ranges::any_of(kMasterPrefixes, [&](std::string_view prefix) {
    return text.starts_with(prefix) && text.size() > prefix.size() &&
           std::ranges::all_of(text.substr(prefix.size()), is_alphanumeric);
  });
}

// NAME=value, also with "export" before it or spaces around the sign, but one line and one value.
bool is_assignment(std::string_view text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string_view::npos) return false;
  std::string_view name = without_outer_space(text.substr(0, sign));
  if (name.starts_with("export ")) name = without_outer_space(name.substr(7));
  const std::string_view value = without_outer_space(text.substr(sign + 1));
  return !name.empty() && !value.empty() && std::ranges::all_of(name, in_variable_name) &&
         std::ranges::none_of(value, is_space);
}

// Stars, bullets or an ellipsis, as the dashboard and error messages show keys.
bool has_mask(std::string_view text) {
  for (const std::string_view mark :
       {"*", "...", "\xE2\x80\xA6", "\xE2\x80\xA2", "\xE2\x97\x8F", "\xC2\xB7"}) {
    if (text.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

// `body` is what follows a restricted key's prefix.
Pasted classify_body(std::string_view body, Mode of_key, Mode expected) {
  if (body.find(kLivePrefix) != std::string_view::npos || body.find(kTestPrefix) != std::string_view::npos) {
    return Pasted::several;  // pasted twice, without anything between
  }
  if (has_mask(body) || body.find('.') != std::string_view::npos) return Pasted::masked;
  if (!std::ranges::all_of(body, is_alphanumeric) || body.size() > kLongestBody) return Pasted::not_a_key;
  if (of_key != expected) return Pasted::wrong_mode;
  return body.size() < kShortestBody ? Pasted::truncated : Pasted::restricted_key;
}

bool is_beginning_of_prefix(std::string_view text) {
  return text.size() >= 3 && (kLivePrefix.starts_with(text) || kTestPrefix.starts_with(text));
}

Pasted classify_word(std::string_view word, Mode expected) {
  for (const Mode mode : {expected, other(expected)}) {
    const std::string_view prefix = prefix_of(mode);
    if (word.starts_with(prefix)) return classify_body(word.substr(prefix.size()), mode, expected);
  }
  if (is_beginning_of_prefix(word)) return Pasted::truncated;
  for (const Family& family : kOtherFamilies) {
    if (word.starts_with(family.prefix)) return family.kind;
  }
  return has_mask(word) ? Pasted::masked : Pasted::not_a_key;
}

}  // namespace

std::string_view name_of(Pasted kind) {
  switch (kind) {
    case Pasted::restricted_key:
      return "restricted_key";
    case Pasted::wrong_mode:
      return "wrong_mode";
    case Pasted::master_key:
      return "master_key";
    case Pasted::organization_key:
      return "organization_key";
    case Pasted::publishable_key:
      return "publishable_key";
    case Pasted::webhook_secret:
      return "webhook_secret";
    case Pasted::other_credential:
      return "other_credential";
    case Pasted::masked:
      return "masked";
    case Pasted::truncated:
      return "truncated";
    case Pasted::assignment:
      return "assignment";
    case Pasted::several:
      return "several";
    case Pasted::not_a_key:
      return "not_a_key";
  }
  return "";
}

std::string tidy_paste(std::string_view text) {
  std::string kept = without_zero_width(text);
  std::string_view tidied = without_outer_space(kept);
  for (std::string_view before; before != tidied;) {
    before = tidied;
    tidied = without_outer_space(without_outer_quotes(tidied));
  }
  std::string result(tidied);
  storage::wipe(kept);
  return result;
}

Pasted classify_paste(std::string_view text, Mode expected) {
  if (holds_master_key(text)) return Pasted::master_key;
  if (is_assignment(text)) return Pasted::assignment;
  if (std::ranges::any_of(text, is_space)) return Pasted::several;
  return classify_word(text, expected);
}

std::string explain(Pasted kind, Mode expected) {
  const std::string mode(word_for(expected));
  const std::string wanted = "a key that starts with " + std::string(prefix_of(expected));
  switch (kind) {
    case Pasted::restricted_key:
      return "This is a restricted " + mode + " key.";
    case Pasted::wrong_mode:
      return "This is a restricted key of " + std::string(word_for(other(expected))) +
             " mode; switch the dashboard to " + mode + " mode and copy " + wanted + ".";
    case Pasted::master_key:
      return "This is the account's secret key (sk_), which must never leave the dashboard; expire it there "
             "now, and "
             "paste the restricted key (rk_) here instead.";
    case Pasted::organization_key:
      return "This is an organization key (sk_org); copy the restricted key of the account instead, " +
             wanted + ".";
    case Pasted::publishable_key:
      return "This is a publishable key (pk_); copy the restricted key instead, " + wanted + ".";
    case Pasted::webhook_secret:
      return "This is a webhook signing secret (whsec_), which is rotated another way; copy the restricted "
             "key "
             "instead, " +
             wanted + ".";
    case Pasted::other_credential:
      return "This is something else of Stripe's, not an API key; copy the restricted key instead, " +
             wanted + ".";
    case Pasted::masked:
      return "This is the masked display of a key; click the value in the dashboard to copy the whole key.";
    case Pasted::truncated:
      return "This is only the beginning of a key; click the value in the dashboard to copy the whole key.";
    case Pasted::assignment:
      return "This is a setting (NAME=value); paste only the value, " + wanted + ".";
    case Pasted::several:
      return "This is more than one word or line; paste only the key, " + wanted + ".";
    case Pasted::not_a_key:
      return "This is not a Stripe key; copy the new restricted key from the dashboard, " + wanted + ".";
  }
  return "";
}

std::string pasted_rules_json(Mode expected) {
  auto prefixes = nlohmann::json::array();
  const auto add = [&](std::string_view prefix, Pasted kind) {
    prefixes.push_back({{"prefix", std::string(prefix)}, {"kind", std::string(name_of(kind))}});
  };
  add(prefix_of(expected), Pasted::restricted_key);
  add(prefix_of(other(expected)), Pasted::wrong_mode);
  for (const std::string_view prefix : kMasterPrefixes) add(prefix, Pasted::master_key);
  for (const Family& family : kOtherFamilies) add(family.prefix, family.kind);

  auto advice = nlohmann::json::object();
  for (const Pasted kind : kAllKinds) advice[std::string(name_of(kind))] = explain(kind, expected);
  return nlohmann::json{{"prefixes", prefixes},
                        {"shortest_body", kShortestBody},
                        {"longest_body", kLongestBody},
                        {"advice", advice}}
      .dump();
}

bool contains_credential(std::string_view text) { return integrations::contains_credential(text); }

std::string redact(std::string_view text) { return integrations::redact_credentials(text); }

}  // namespace keyturn::stripe
