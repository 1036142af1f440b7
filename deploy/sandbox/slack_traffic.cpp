#include "deploy/sandbox/slack_traffic.h"

#include <spdlog/fmt/fmt.h>

namespace keyturn::sandbox {

void Traffic::record(std::string_view towards, std::string_view what, std::string_view bytes) {
  text_ += fmt::format("--> {} {}\n{}\n", towards, what, bytes);
}

}  // namespace keyturn::sandbox
