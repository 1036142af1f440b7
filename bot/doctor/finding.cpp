#include "bot/doctor/finding.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "integrations/credentials.h"

namespace keyturn::bot::doctor {
namespace {

using integrations::Failure;

constexpr int kWrong = 1;
constexpr int kUnavailable = 69;  // EX_UNAVAILABLE

constexpr const char* kBlindSpots =
    "Nothing was changed. What no read shows, and what therefore was not looked at: whether Infisical lets "
    "this "
    "identity\nwrite the secret and whether an approval policy is in the way, and whether Heroku's token may "
    "set "
    "config vars.\n";

bool said_no(Failure failure) {
  switch (failure) {
    case Failure::unauthorized:
    case Failure::forbidden:
    case Failure::not_found:
    case Failure::refused:
      return true;
    case Failure::unreachable:
    case Failure::ambiguous:
    case Failure::busy:
    case Failure::not_understood:
      return false;
  }
  return false;
}

std::string_view word_for(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::wrong:
      return "wrong";
    case Verdict::unknown:
      return "can't tell";
  }
  return "";
}

// What a vendor sent is for a terminal now, which obeys control characters.
std::string printable(std::string text) {
  text = integrations::redact_credentials(text);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::size_t count(const Findings& findings, Verdict verdict) {
  return static_cast<std::size_t>(std::ranges::count(findings, verdict, &Finding::verdict));
}

std::string lines_of(const Finding& finding) {
  std::string lines = fmt::format("  {:<11} {}: {}\n", word_for(finding.verdict), printable(finding.check),
                                  printable(finding.sentence));
  if (!finding.remedy.empty()) lines += fmt::format("  {:<11} -> {}\n", "", printable(finding.remedy));
  return lines;
}

}  // namespace

std::string_view name_of(Part part) {
  switch (part) {
    case Part::settings:
      return "Settings";
    case Part::journal:
      return "Journal";
    case Part::slack:
      return "Slack";
    case Part::infisical:
      return "Infisical";
    case Part::heroku:
      return "Heroku";
    case Part::stripe:
      return "Stripe";
    case Part::billing:
      return "Billing";
    case Part::form:
      return "Form";
    case Part::clock:
      return "Clock";
  }
  return "";
}

Finding ok(Part part, std::string check, std::string sentence) {
  return {.part = part,
          .check = std::move(check),
          .verdict = Verdict::ok,
          .sentence = std::move(sentence),
          .remedy = {}};
}

Finding wrong(Part part, std::string check, std::string sentence, std::string remedy) {
  return {.part = part,
          .check = std::move(check),
          .verdict = Verdict::wrong,
          .sentence = std::move(sentence),
          .remedy = std::move(remedy)};
}

Finding unknown(Part part, std::string check, std::string sentence, std::string remedy) {
  return {.part = part,
          .check = std::move(check),
          .verdict = Verdict::unknown,
          .sentence = std::move(sentence),
          .remedy = std::move(remedy)};
}

Finding failed(Part part, std::string check, const integrations::ApiError::Details& why, std::string remedy) {
  const std::string what = integrations::ApiError(why).what();
  if (said_no(why.failure)) return wrong(part, std::move(check), what, std::move(remedy));
  return unknown(
      part, std::move(check), what,
      fmt::format("nothing to mend here as far as can be seen: look at {}'s status page and at this "
                  "host's network, and ask again",
                  integrations::name_of(why.system)));
}

int exit_status(const Findings& findings) {
  if (count(findings, Verdict::wrong) > 0) return kWrong;
  return count(findings, Verdict::unknown) > 0 || findings.empty() ? kUnavailable : 0;
}

std::string report(const Findings& findings) {
  constexpr Part kLast = Part::clock;
  std::string text;
  for (int number = 0; number <= static_cast<int>(kLast); ++number) {
    const auto part = static_cast<Part>(number);
    if (std::ranges::find(findings, part, &Finding::part) == findings.end()) continue;
    text += fmt::format("{}\n", name_of(part));
    for (const Finding& finding : findings) {
      if (finding.part == part) text += lines_of(finding);
    }
  }
  return text +
         fmt::format("\n{} ok, {} wrong, {} can't be told. ", count(findings, Verdict::ok),
                     count(findings, Verdict::wrong), count(findings, Verdict::unknown)) +
         kBlindSpots;
}

}  // namespace keyturn::bot::doctor
