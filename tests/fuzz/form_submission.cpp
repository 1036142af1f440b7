// What a stranger may post to the one-time form, what may stand in a message that opened, and what may be
// pasted.
#include "commands/form_submission.h"
#include "bot/intake/protocol.h"
#include "integrations/stripe/key_format.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn;
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)bot::read_token(text);
  (void)bot::read_submission(text);
  (void)bot::read_sign_in(text);
  (void)commands::read_handover(storage::Secret::copy_of(text));
  const std::string tidied = stripe::tidy_paste(text);
  stripe::explain(stripe::classify_paste(tidied, integrations::Mode::live), integrations::Mode::live);
  return 0;
}
