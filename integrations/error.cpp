// The words for a failure of the world. See error.h.
#include "integrations/error.h"

#include <spdlog/fmt/fmt.h>

namespace keyturn::integrations {
namespace {

std::string sentence_of(const ApiError::Details& details) {
  std::string text(name_of(details.system));
  if (!details.operation.empty()) text += ": " + details.operation;
  text += fmt::format(": {} ({}", details.reason, name_of(details.failure));
  if (details.status != 0) text += fmt::format(", HTTP {}", details.status);
  if (!details.request_id.empty()) text += fmt::format(", request {}", details.request_id);
  return text + ")";
}

}  // namespace

std::string_view name_of(System system) {
  switch (system) {
    case System::slack:
      return "Slack";
    case System::stripe:
      return "Stripe";
    case System::infisical:
      return "Infisical";
    case System::heroku:
      return "Heroku";
    case System::billing:
      return "billing";
  }
  return "an unknown system";
}

std::string_view name_of(Failure failure) {
  switch (failure) {
    case Failure::unreachable:
      return "unreachable";
    case Failure::ambiguous:
      return "ambiguous";
    case Failure::busy:
      return "busy";
    case Failure::unauthorized:
      return "unauthorized";
    case Failure::forbidden:
      return "forbidden";
    case Failure::not_found:
      return "not_found";
    case Failure::refused:
      return "refused";
    case Failure::not_understood:
      return "not_understood";
  }
  return "unknown";
}

ApiError::ApiError(Details details)
    : std::runtime_error(sentence_of(details)), details_(std::move(details)) {}

bool ApiError::can_retry() const noexcept {
  // Not `ambiguous`: it has to be read back first. Not `not_understood`: a login page stays a login page.
  return details_.failure == Failure::unreachable || details_.failure == Failure::busy;
}

}  // namespace keyturn::integrations
