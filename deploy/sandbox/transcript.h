// What happens, line by line, with the time since it began.
#pragma once

#include <ostream>
#include <string>

#include "deploy/sandbox/fact.h"
#include "deploy/sandbox/operator.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

class Transcript {
 public:
  // `out` must outlive this, and this must outlive its tellers.
  explicit Transcript(std::ostream& out) : out_(out), began_(clock_.now()) {}
  void tell(const std::string& who, const std::string& what);
  void tell(const std::string& who, const Fact& fact);
  Tell teller() {
    return [this](const std::string& who, const std::string& what) { tell(who, what); };
  }

 private:
  std::ostream& out_;
  storage::SystemClock clock_;
  storage::TimePoint began_;
};

}  // namespace keyturn::sandbox
