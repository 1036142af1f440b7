// Every byte that went between the bot and Slack, so that a test can search it for a key that must not be
// there. Kept whole and in memory: a sandbox lives for minutes.
#pragma once

#include <string>
#include <string_view>

namespace keyturn::sandbox {

class Traffic {
 public:
  // `what`: "POST /api/chat.postMessage", "frame"; `towards` "slack" or "bot".
  void record(std::string_view towards, std::string_view what, std::string_view bytes);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace keyturn::sandbox
