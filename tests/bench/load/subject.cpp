#include "tests/bench/load/subject.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace keyturn::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(15);

}  // namespace

Subject::Subject(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  const int failed = posix_spawnp(&process_, words.front(), &files, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), command.front());
}

Subject::~Subject() {
  if (ended()) return;
  kill(process_, SIGTERM);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!ended()) {
    if (std::chrono::steady_clock::now() > until) kill(process_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

bool Subject::ended() {
  int status = 0;
  if (!ended_) ended_ = waitpid(process_, &status, WNOHANG) == process_;
  return ended_;
}

Nanoseconds Subject::processor_time() const {
  clockid_t clock{};
  timespec spent{};
  if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &spent) != 0)
    throw std::runtime_error("the measured process is gone");
  return std::chrono::seconds(spent.tv_sec) + Nanoseconds(spent.tv_nsec);
}

long Subject::status_kilobytes(const std::string& name) const {
  std::ifstream status("/proc/" + std::to_string(process_) + "/status");
  for (std::string word; status >> word;) {
    long kilobytes = 0;
    if (word == name && status >> kilobytes) return kilobytes;
  }
  throw std::runtime_error("the measured process is gone");
}

long Subject::resident_kilobytes() const { return status_kilobytes("VmRSS:"); }
long Subject::peak_kilobytes() const { return status_kilobytes("VmHWM:"); }
long Subject::own_kilobytes() const { return status_kilobytes("RssAnon:"); }

}  // namespace keyturn::bench
