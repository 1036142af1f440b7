// A program that runs beside this one and doesn't outlive it.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/clock.h"

namespace keyturn::sandbox {

class ChildProcess {
 public:
  // Standard error goes to `log`, standard output is ours. Throws std::system_error when it can't be started.
  ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
               const std::filesystem::path& log);
  ~ChildProcess();  // kills what still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Its exit status once it has ended (128 + n after signal n); nothing while it runs.
  std::optional<int> ended();
  // SIGTERM, and SIGKILL after `limit`; its exit status.
  boost::asio::awaitable<int> stop(storage::Duration limit);
  // Waits for the end.
  boost::asio::awaitable<int> finish();

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace keyturn::sandbox
