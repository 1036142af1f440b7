#include "deploy/sandbox/rehearse.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <system_error>

#include "deploy/sandbox/child_process.h"
#include "deploy/sandbox/sandbox.h"
#include "deploy/sandbox/transcript.h"

namespace keyturn::sandbox {
namespace {

namespace asio = boost::asio;
namespace filesystem = std::filesystem;
using namespace std::chrono_literals;

constexpr storage::Duration kWaitStep = 100ms;
constexpr storage::Duration kBotStarts = 20s;
constexpr storage::Duration kBotStops = 15s;
constexpr std::size_t kLogLinesShown = 40;

// A folder that goes when this does: it holds what the sandbox's bot needs, keys of nobody among it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (filesystem::temp_directory_path() / "keyturn-rehearse.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), "can't make a folder like " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const filesystem::path& path() const { return path_; }

 private:
  filesystem::path path_;
};

filesystem::path bot_beside_us() {
  return filesystem::read_symlink("/proc/self/exe").parent_path() / "keyturn";
}

void show_end_of(const filesystem::path& log) {
  std::ifstream in(log);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
    if (lines.size() > kLogLinesShown) lines.pop_front();
  }
  std::cout << "--- the end of the bot's log\n";
  for (const std::string& line : lines) std::cout << line << '\n';
}

asio::awaitable<void> until_connected(Sandbox& sandbox, ChildProcess& bot) {
  for (storage::Duration waited{0}; !sandbox.bot_connected(); waited += kWaitStep) {
    if (const auto status = bot.ended())
      throw std::runtime_error(fmt::format("the bot ended with status {} before it was connected", *status));
    if (waited > kBotStarts) throw std::runtime_error("the bot did not connect to the sandbox's Slack");
    co_await net::sleep_for(kWaitStep);
  }
}

// True when it passed.
asio::awaitable<bool> play(Rehearsal& rehearsal, std::string name) {
  const Drill* drill = find_drill(name);
  std::cout << fmt::format("\n=== {} ({}): {}\n", drill->title, name, drill->sentence);
  Transcript transcript(std::cout);
  rehearsal.listen(transcript.teller());
  rehearsal.start(name, /*play=*/true);
  while (rehearsal.running()) co_await net::sleep_for(kWaitStep);
  rehearsal.listen({});
  for (const Fact& fact : rehearsal.facts()) transcript.tell("judge", fact);
  co_return rehearsal.score() == "passed";
}

asio::awaitable<bool> play_all(Sandbox& sandbox, std::vector<std::string> names) {
  std::string table;
  bool all = true;
  for (const std::string& name : names) {
    const bool passed = co_await play(sandbox.rehearsal(), name);
    table += fmt::format("  {:<14}  {}\n", name, passed ? "passed" : "FAILED");
    all = all && passed;
  }
  std::cout << "\n" << table;
  co_return all;
}

}  // namespace

void list_drills(std::ostream& out) {
  for (const Drill& drill : drills()) out << fmt::format("{:<14}  {}\n", drill.name, drill.sentence);
}

asio::awaitable<int> rehearse(asio::any_io_executor io, RehearseOptions options) {
  for (const std::string& name : options.drills) {
    if (find_drill(name) == nullptr)
      throw std::runtime_error("there is no drill \"" + name + "\"; --list shows them all");
  }
  const TemporaryFolder folder;
  const filesystem::path log = folder.path() / "keyturn.log";
  const std::string settings = (folder.path() / "keyturn.toml").string();
  const filesystem::path program = options.bot.empty() ? bot_beside_us() : options.bot;
  Sandbox sandbox(io, {.folder = folder.path(), .quick = true});
  sandbox.start();
  ChildProcess bot(program, {"run", "--config", settings}, log);
  co_await until_connected(sandbox, bot);
  std::cout << fmt::format("The workspace can be watched meanwhile: {}\n", sandbox.places().at("control"));
  const bool passed = co_await play_all(sandbox, options.drills);
  const int stopped = co_await bot.stop(kBotStops);
  ChildProcess audit(program, {"audit", "verify", "--config", settings}, log);
  const int verified = co_await audit.finish();
  co_await sandbox.stop();
  const bool good = passed && stopped == 0 && verified == 0;
  if (!good) show_end_of(log);
  co_return good ? 0 : 1;
}

}  // namespace keyturn::sandbox
