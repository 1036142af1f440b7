#include "integrations/credentials.h"

#include <algorithm>
#include <array>

namespace keyturn::integrations {
namespace {

struct Shape {
  std::string_view prefix;  // lower case
  Credential kind;
  std::string_view also;     // what its body may hold besides letters and digits
  std::size_t shortest = 0;  // letters, digits and `also` that must follow for it to be worth hiding
};

// Sources: docs.stripe.com/keys, docs.slack.dev/authentication/tokens, devcenter.heroku.com/articles/oauth,
// and for the lengths the rules of secret scanners (10 is the shortest body that one of them reports).
constexpr std::array kShapes{
    Shape{"sk_live_", Credential::stripe_secret_key, "", 10},
    Shape{"sk_test_", Credential::stripe_secret_key, "", 10},
    Shape{"sk_prod_", Credential::stripe_secret_key, "", 10},
    Shape{"sk_org_", Credential::stripe_organization_key, "_", 10},
    Shape{"rk_live_", Credential::stripe_restricted_key, "", 10},
    Shape{"rk_test_", Credential::stripe_restricted_key, "", 10},
    Shape{"rk_prod_", Credential::stripe_restricted_key, "", 10},
    Shape{"whsec_", Credential::stripe_other, "+/=", 10},
    Shape{"ek_live_", Credential::stripe_other, "", 10},
    Shape{"ek_test_", Credential::stripe_other, "", 10},
    Shape{"pss_live_", Credential::stripe_other, "", 10},
    Shape{"pss_test_", Credential::stripe_other, "", 10},
    Shape{"xoxb-", Credential::slack_token, "-", 10},
    Shape{"xoxp-", Credential::slack_token, "-", 10},
    Shape{"xoxa-", Credential::slack_token, "-", 10},
    Shape{"xoxe-", Credential::slack_token, "-", 10},
    Shape{"xoxe.", Credential::slack_token, "-.", 10},
    Shape{"xoxr-", Credential::slack_token, "-", 10},
    Shape{"xoxs-", Credential::slack_token, "-", 10},
    Shape{"xapp-", Credential::slack_token, "-", 10},
    Shape{"hrku-", Credential::heroku_token, "-_", 20},
};

// "task_test_integration" and "disk_live_migration" end in a prefix by chance. After a letter or digit only a
// body that looks random counts ("\nrk_live_..." in escaped JSON has an "n" before it).
constexpr std::size_t kShortestInsideWord = 20;

// Nothing needs more of a body than this to be recognised; without an end to the look, a text made of
// prefixes would cost the square of its length.
constexpr std::size_t kLongestLook = 64;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_alphanumeric(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) { return a == lower(b); });
}

bool in_body(char c, std::string_view also) {
  return is_alphanumeric(c) || also.find(c) != std::string_view::npos;
}

// Every prefix begins with one of these: the cheap test that most bytes end with.
constexpr bool may_begin(char c) {
  return std::string_view("srwepxh").find(lower(c)) != std::string_view::npos;
}

// Once recognised, more is hidden than was needed to recognise it: rather too much than the tail of a key.
std::size_t end_of_hidden(std::string_view text, std::size_t at, std::string_view also) {
  while (at < text.size() && (in_body(text[at], also) || text[at] == '_')) ++at;
  return at;
}

bool stands_at(std::string_view text, std::size_t begin, const Shape& shape) {
  if (!starts_with(text.substr(begin), shape.prefix)) return false;
  const std::size_t body = begin + shape.prefix.size();
  const std::size_t look_end = std::min(text.size(), body + kLongestLook);
  std::size_t end = body;
  bool digit = false;
  for (; end < look_end && in_body(text[end], shape.also); ++end) digit = digit || is_digit(text[end]);
  const bool inside_word = begin > 0 && is_alphanumeric(text[begin - 1]);
  if (!inside_word) return end - body >= shape.shortest;
  return digit && end - body >= kShortestInsideWord;
}

// The shape of the credential that begins there, or null.
const Shape* shape_at(std::string_view text, std::size_t begin) {
  if (!may_begin(text[begin])) return nullptr;
  for (const Shape& shape : kShapes) {
    if (stands_at(text, begin, shape)) return &shape;
  }
  return nullptr;
}

}  // namespace

std::optional<FoundCredential> find_credential(std::string_view text, std::size_t from) {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (const Shape* shape = shape_at(text, begin)) {
      const std::size_t end = end_of_hidden(text, begin + shape->prefix.size(), shape->also);
      return FoundCredential{shape->kind, begin, end};
    }
  }
  return std::nullopt;
}

bool contains_credential(std::string_view text) { return find_credential(text).has_value(); }

bool contains_credential(std::string_view text, Credential kind) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    const Shape* shape = shape_at(text, begin);
    if (shape != nullptr && shape->kind == kind) return true;
  }
  return false;
}

std::string redact_credentials(std::string_view text) {
  std::string redacted;
  std::size_t at = 0;
  while (auto found = find_credential(text, at)) {
    redacted.append(text.substr(at, found->begin - at)).append("[redacted]");
    at = found->end;
  }
  return redacted.append(text.substr(at));
}

}  // namespace keyturn::integrations
