// What stands behind /rotate: nothing in it may ever hold a credential, and no bytes may break it.
#include <cstdlib>

#include "commands/command_line.h"
#include "integrations/credentials.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto line = keyturn::commands::read_command_line(text);
  if (const auto* rotate = std::get_if<keyturn::commands::RotateCommand>(&line)) {
    if (keyturn::integrations::contains_credential(rotate->reason)) std::abort();
    keyturn::commands::nearest(rotate->provider, {"stripe", "infisical"});
  }
  if (keyturn::integrations::contains_credential(keyturn::integrations::redact_credentials(text)))
    std::abort();
  return 0;
}
