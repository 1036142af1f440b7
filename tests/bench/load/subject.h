// The process that is measured: started, asked what it costs, ended. Linux only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace keyturn::bench {

using Nanoseconds = std::chrono::nanoseconds;

class Subject {
 public:
  // Its output goes to `log`.
  Subject(const std::vector<std::string>& command, const std::string& log);
  ~Subject();
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  Nanoseconds processor_time() const;  // of all its threads, so far
  long resident_kilobytes() const;
  long peak_kilobytes() const;
  long own_kilobytes() const;  // what is not a page of a file
  bool ended();

 private:
  long status_kilobytes(const std::string& name) const;
  pid_t process_;
  bool ended_ = false;
};

}  // namespace keyturn::bench
