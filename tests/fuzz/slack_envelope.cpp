// What Slack's socket delivers: a reconnect story or an envelope, or anything at all.
#include "integrations/slack/envelope.h"
#include "integrations/slack/session.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn;
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto message = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!message.is_discarded()) slack::parse_envelope(std::move(message));
  slack::Session session({}, /*seed=*/1);
  const storage::TimePoint now{};
  session.step(slack::Started{}, now);
  session.step(slack::UrlReceived{.epoch = 1, .url = "wss://example.com"}, now);
  session.step(slack::Connected{.epoch = 1}, now);
  session.step(slack::TextReceived{.epoch = 1, .text = text}, now);
  return 0;
}
