// Asking a consumer's own endpoint. See endpoint_probe.h.
#include "integrations/probe/endpoint_probe.h"

#include <spdlog/fmt/fmt.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/credentials.h"
#include "integrations/http_failure.h"
#include "integrations/secret_json.h"

namespace keyturn::probe {
namespace {

using integrations::Health;
using integrations::HealthExpectation;
using integrations::HealthReport;
using nlohmann::json;

constexpr std::chrono::seconds kLimit{10};
constexpr std::size_t kLongestQuote = 60;

bool looks_like_html(const std::string& body) {
  const std::size_t at = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return at != std::string::npos && body[at] == '<';
}

// A foreign text, made fit for a message: short, no credentials, no control characters.
std::string quoted(const std::string& foreign) {
  std::string text = integrations::redact_credentials(foreign).substr(0, kLongestQuote);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  // dump() mends a character that the cut went through.
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// The value at an RFC 6901 pointer, or null when there is none (or the pointer isn't one).
const json* value_at(const json& document, const std::string& pointer) {
  try {
    return &document.at(json::json_pointer(pointer));
  } catch (const json::exception&) {
    return nullptr;
  }
}

// Empty when the body is as expected.
std::string wrong_with(const HealthExpectation& expectation, const std::string& body) {
  if (looks_like_html(body)) return "answered with a page (HTML)";
  if (expectation.json_pointer.empty()) return "";
  const json document = integrations::parse_json(body);
  if (document.is_discarded()) return "answered with something that isn't JSON";
  const json* value = value_at(document, expectation.json_pointer);
  if (value == nullptr) return fmt::format("the answer has no {}", quoted(expectation.json_pointer));
  const std::string actual = text_of(*value);
  if (actual == expectation.json_equals) return "";
  return fmt::format("{} is {}, expected {}", quoted(expectation.json_pointer), quoted(actual),
                     quoted(expectation.json_equals));
}

std::string wrong_status(const HealthExpectation& expectation, int status) {
  if (status >= 300 && status < 400)
    return fmt::format("answered {} (a redirect, which isn't followed)", status);
  return fmt::format("answered {}, expected {}", status, expectation.status);
}

HealthReport report(Health health, int status, std::string detail) {
  return {.health = health, .status = status, .detail = std::move(detail), .at = {}};
}

net::Request request_for(const std::string& url) {
  return {.method = "GET",
          .url = url,
          .headers = {{"Accept", "application/json"}, {"Cache-Control", "no-cache"}},
          .body = "",
          .bearer = nullptr,
          .secret_body = nullptr};
}

}  // namespace

HealthReport read_answer(const HealthExpectation& expectation, int status, const std::string& body) {
  if (status == 429 && expectation.status != 429)
    return report(Health::unknown, status, "rate limited (429)");
  if (status != expectation.status)
    return report(Health::unhealthy, status, wrong_status(expectation, status));
  if (std::string wrong = wrong_with(expectation, body); !wrong.empty()) {
    return report(Health::unhealthy, status, std::move(wrong));
  }
  return report(Health::healthy, status, fmt::format("answered {}", status));
}

EndpointProbe::EndpointProbe(net::HttpClient& http, const storage::Clock& clock, Observer observer)
    : http_(http), clock_(clock), observer_(std::move(observer)) {}

boost::asio::awaitable<HealthReport> EndpointProbe::check(HealthExpectation expectation) {
  HealthReport result;
  std::string outcome(name_of(integrations::Failure::unreachable));
  try {
    const net::Response response = co_await http_.send(request_for(expectation.url), kLimit);
    result = read_answer(expectation, response.status, response.body);
    outcome = result.health == Health::healthy
                  ? "ok"
                  : integrations::outcome_of(response.status, integrations::Effect::none);
  } catch (const net::NetError& error) {
    result.detail = fmt::format("no answer: {}", error.what());
  }
  if (observer_) observer_("check the endpoint", outcome);
  result.at = clock_.now();
  co_return result;
}

}  // namespace keyturn::probe
