#include "deploy/sandbox/transcript.h"

#include <spdlog/fmt/fmt.h>

namespace keyturn::sandbox {

void Transcript::tell(const std::string& who, const std::string& what) {
  const auto since = (clock_.now() - began_).count();
  out_ << fmt::format("{:02}:{:02}.{:03}  {:<14}  {}", since / 60000, since / 1000 % 60, since % 1000, who,
                      what)
       << std::endl;
}

void Transcript::tell(const std::string& who, const Fact& fact) {
  const char* sign = !fact.holds ? "UNSEEN" : *fact.holds ? "yes" : "MISSING";
  tell(who, fmt::format("{:<7} {} ({})", sign, fact.what, fact.found));
}

}  // namespace keyturn::sandbox
