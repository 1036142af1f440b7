#include "deploy/sandbox/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <system_error>

#include "integrations/net/within.h"

namespace keyturn::sandbox {
namespace {

constexpr storage::Duration kReapEvery = std::chrono::milliseconds(20);
constexpr int kAfterSignal = 128;

}  // namespace

ChildProcess::ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                           const std::filesystem::path& log) {
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   S_IRUSR | S_IWUSR);
  const int failure = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw std::system_error(failure, std::generic_category(), "can't start " + program.string());
}

ChildProcess::~ChildProcess() {
  if (ended()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : kAfterSignal + WTERMSIG(status);
  return status_;
}

boost::asio::awaitable<int> ChildProcess::finish() {
  while (!ended()) co_await net::sleep_for(kReapEvery);
  co_return *status_;
}

boost::asio::awaitable<int> ChildProcess::stop(storage::Duration limit) {
  if (!ended()) ::kill(pid_, SIGTERM);
  for (storage::Duration waited{0}; !ended() && waited < limit; waited += kReapEvery)
    co_await net::sleep_for(kReapEvery);
  if (!ended()) ::kill(pid_, SIGKILL);
  co_return co_await finish();
}

}  // namespace keyturn::sandbox
