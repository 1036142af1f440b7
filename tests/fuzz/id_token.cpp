// An ID token that Slack, or somebody on the way, could send: the payload is what comes, the rest is as it
// should be. Only one for us, of our workspace, with our nonce and in its time is anybody's identity.
#include <cstdlib>

#include "integrations/slack/openid.h"
#include "storage/base64url.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn;
  const std::string payload(reinterpret_cast<const char*>(data), size);
  const slack::OpenIdClient client{.origin = "https://slack.com",
                                   .client_id = "1.2",
                                   .redirect_uri = "https://form.example/form",
                                   .team = "T1"};
  const storage::TimePoint now{std::chrono::hours(500'000)};
  (void)slack::read_id_token(client, payload, "nonce", now);
  const std::string token =
      storage::to_base64url(R"({"alg":"RS256"})") + "." + storage::to_base64url(payload) + ".c2ln";
  const auto identity = slack::read_id_token(client, token, "nonce", now);
  if (!identity) return 0;
  for (const char* needed : {"nonce", "T1", "1.2"}) {
    if (payload.find(needed) == std::string::npos && payload.find('\\') == std::string::npos) std::abort();
  }
  return 0;
}
