// A settings file that somebody broke: always an answer, never a crash.
#include "bot/config.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  (void)keyturn::bot::parse_config(std::string_view(reinterpret_cast<const char*>(data), size),
                                   "keyturn.toml");
  return 0;
}
