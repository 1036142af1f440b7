// The envelopes: one `/rotate`, as the sandbox's Slack makes it, with an envelope id and a trigger of its own
// each time. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyturn::bench {

class Envelopes {
 public:
  explicit Envelopes(const std::string& command_text);

  // The text of envelope `number`. Valid until the next call.
  std::string_view text(std::uint64_t number);

 private:
  std::string text_;
  std::size_t id_at_ = 0, trigger_at_ = 0;
};

// Which envelope an acknowledgement is for.
std::optional<std::uint64_t> acknowledged_by(std::string_view frame);

}  // namespace keyturn::bench
