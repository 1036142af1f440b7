#include "integrations/http_failure.h"

#include <algorithm>
#include <charconv>

#include "integrations/net/http_client.h"

namespace keyturn::integrations {
namespace {

// A vendor that asks for more patience than this is not waited for by us, but by the caller's own schedule.
constexpr std::chrono::seconds kLongestRetryAfter = std::chrono::hours(1);

bool in_request_id(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// Only the form in seconds: none of our vendors sends a date.
std::optional<storage::Duration> retry_after(const net::Response& response) {
  const std::string header = response.header("Retry-After");
  int seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (error != std::errc() || end != header.data() + header.size() || seconds < 0) return std::nullopt;
  return std::min(std::chrono::seconds(seconds), kLongestRetryAfter);
}

std::string reason_for(Failure failure, int status) {
  switch (failure) {
    case Failure::busy:
      return status == 429 ? "the rate limit was reached" : "it answered with a server error";
    case Failure::ambiguous:
      return "it answered with a server error, so the change may or may not have happened";
    case Failure::unauthorized:
      return "our credentials were refused";
    case Failure::forbidden:
      return "our credentials don't allow this";
    case Failure::not_found:
      return "what was asked for was not found";
    case Failure::refused:
      return "the request was refused";
    case Failure::not_understood:
      return "the answer has a status that we don't know";
    case Failure::unreachable:
      return "no answer came";
  }
  return "";
}

}  // namespace

Failure failure_of(int status, Effect effect) {
  if (status == 401) return Failure::unauthorized;
  if (status == 403) return Failure::forbidden;
  if (status == 404 || status == 410) return Failure::not_found;
  if (status == 429) return Failure::busy;
  if (status >= 500) return effect == Effect::write ? Failure::ambiguous : Failure::busy;
  if (status >= 400) return Failure::refused;
  return Failure::not_understood;
}

std::string request_id_from(std::string_view header) {
  constexpr std::size_t kLongest = 64;
  std::string id;
  for (const char c : header) {
    if (!id.empty() && (c == ',' || c == ' ')) break;
    if (in_request_id(c) && id.size() < kLongest) id.push_back(c);
  }
  return id;
}

ApiError::Details details_of(const Call& call, const net::Response& response) {
  const Failure failure = failure_of(response.status, call.effect);
  return {.system = call.system,
          .failure = failure,
          .operation = call.operation,
          .reason = reason_for(failure, response.status),
          .status = response.status,
          .request_id = request_id_from(response.header("Request-Id")),
          .retry_after = retry_after(response)};
}

ApiError not_understood(const Call& call, const net::Response& response, std::string reason) {
  ApiError::Details details = details_of(call, response);
  // A write that was answered by somebody else's page may have reached the vendor all the same.
  details.failure = call.effect == Effect::write ? Failure::ambiguous : Failure::not_understood;
  details.reason = std::move(reason);
  return ApiError(std::move(details));
}

ApiError no_answer(const Call& call, const net::NetError& error) {
  const bool may_have_happened = call.effect == Effect::write && error.sent;
  return ApiError(
      {.system = call.system,
       .failure = may_have_happened ? Failure::ambiguous : Failure::unreachable,
       .operation = call.operation,
       .reason = std::string(may_have_happened ? "the request was sent, but no whole answer came: "
                                               : "no answer came: ") +
                 error.what(),
       .status = 0,
       .request_id = "",
       .retry_after = std::nullopt});
}

std::string outcome_of(int status, Effect effect) {
  return status >= 200 && status < 300 ? "ok" : std::string(name_of(failure_of(status, effect)));
}

}  // namespace keyturn::integrations
