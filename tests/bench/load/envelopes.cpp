#include "tests/bench/load/envelopes.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "deploy/sandbox/slack_interactions.h"
#include "storage/clock.h"

namespace keyturn::bench {
namespace {

using nlohmann::json;

constexpr std::string_view kId = "b0a1e000-0000-4000-8000-000000000000";  // the last twelve digits count
constexpr std::string_view kTrigger = "1700000000000.0000000000.000000000000";
constexpr std::size_t kDigits = 12;

void write_number(std::string& text, std::size_t at, std::uint64_t number) {
  for (std::size_t i = kDigits; i-- > 0; number /= 10) text[at + i] = static_cast<char>('0' + number % 10);
}

}  // namespace

Envelopes::Envelopes(const std::string& command_text) {
  const storage::SystemClock clock;
  sandbox::Workspace workspace(clock);
  sandbox::Interactions people(workspace);
  people.set_origin("https://hooks.slack.com");
  auto typed = people.command({{"user", "U0ADMIN"}, {"channel", "C0OPS"}, {"text", command_text}});
  typed.payload["trigger_id"] = kTrigger;
  text_ = json{{"envelope_id", kId},
               {"type", typed.type},
               {"accepts_response_payload", typed.accepts_response_payload},
               {"payload", std::move(typed.payload)}}
              .dump();
  id_at_ = text_.find(kId) + kId.size() - kDigits;
  trigger_at_ = text_.find(kTrigger) + kTrigger.size() - kDigits;
}

std::string_view Envelopes::text(std::uint64_t number) {
  write_number(text_, id_at_, number);
  write_number(text_, trigger_at_, number);
  return text_;
}

std::optional<std::uint64_t> acknowledged_by(std::string_view frame) {
  const std::string_view same = kId.substr(0, kId.size() - kDigits);
  const std::size_t found = frame.find(same);
  if (found == std::string_view::npos || frame.size() < found + kId.size()) return std::nullopt;
  const char* digits = frame.data() + found + same.size();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits, digits + kDigits, number);
  if (error != std::errc() || end != digits + kDigits) return std::nullopt;
  return number;
}

}  // namespace keyturn::bench
