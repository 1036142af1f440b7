// Faults that every vendor can have, ordered by JSON and spent by matching requests.
//   {"kind":"status","status":503,"html":true}   answers in the vendor's own words for that status, or an
//   HTML page
//   {"kind":"delay","milliseconds":500}          waits first (combines with the others)
//   {"kind":"close"}                             closes the connection without looking at the request
//   {"kind":"close","after":true}                does what was asked, then closes without an answer
// Each may carry "path" (a prefix), "method", and "times" (absent: until cleared). {"kind":"clear"} removes
// all. Thread: io only. Failure: std::invalid_argument for a knob that makes no sense.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "storage/clock.h"

namespace keyturn::sandbox {

enum class FaultKind { status, delay, close };

struct Fault {
  FaultKind kind = FaultKind::status;
  std::string path;    // a prefix; empty: any
  std::string method;  // empty: any
  std::optional<int> times;
  int status = 500;
  bool html = false;
  bool after = false;
  storage::Duration delay{0};
};

// What the faults make of one request.
struct Verdict {
  storage::Duration delay{0};
  std::optional<int> status;  // answer this instead
  bool html = false;
  bool close_before = false;
  bool close_after = false;
};

class Faults {
 public:
  // False when `knob` is none of the kinds above (it may be the vendor's own).
  bool add(const nlohmann::json& knob);
  void clear() { faults_.clear(); }

  // Spends one of each fault that takes part.
  Verdict spend(const std::string& method, const std::string& path);

  nlohmann::json state() const;

 private:
  std::vector<Fault> faults_;
};

}  // namespace keyturn::sandbox
