// keyturn: the command line. Thread: the main thread is the io thread.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "bot/app.h"
#include "bot/audit.h"
#include "bot/doctor/doctor.h"
#include "bot/log.h"
#include "storage/wiping_allocation.h"

namespace {

constexpr int kBadSettings = 78;  // EX_CONFIG
constexpr int kUnavailable = 69;  // EX_UNAVAILABLE

struct Settings {
  keyturn::bot::Config config;
  int status = 0;
};

Settings read(const std::string& file) {
  auto config = keyturn::bot::read_config(file);
  if (config) return {*std::move(config), 0};
  std::cerr << config.error().text << '\n';
  return {{}, kBadSettings};
}

// The form takes 4,096 connections, and the soft limit of a shell or of systemd is 1,024: more of them would
// leave no descriptor for Slack or the vendors. Not beyond what can be needed, where there is no hard limit.
void allow_many_connections() {
  constexpr rlim_t kPlenty = 65536;
  struct rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const rlim_t wanted = std::min(files.rlim_max, kPlenty);
  if (files.rlim_cur >= wanted) return;
  files.rlim_cur = wanted;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0)
    keyturn::bot::log::warning("the limit of open files stays as it is", {});
}

int run(const std::string& file) {
  auto [config, status] = read(file);
  if (status != 0) return status;
  if (!keyturn::bot::log::set_level(config.log_level)) return kBadSettings;
  allow_many_connections();
  std::string why;
  if (!keyturn::storage::protect_process_memory(why)) {
    keyturn::bot::log::warning("process memory is not fully protected", {{"why", why}});
  }
  auto secrets = keyturn::bot::read_secrets(config);
  if (!secrets) {
    std::cerr << secrets.error().text << '\n';
    return kBadSettings;
  }
  return keyturn::bot::App(std::move(config), *std::move(secrets)).run();
}

int check(const std::string& file) {
  auto [config, status] = read(file);
  if (status != 0) return status;
  std::cout << file << ": good, " << config.targets.size() << " target(s)\n";
  return 0;
}

int examine(const std::string& file) {
  std::string why;
  if (!keyturn::storage::protect_process_memory(why)) {
    keyturn::bot::log::warning("process memory is not fully protected", {{"why", why}});
  }
  return keyturn::bot::doctor::examine_and_report(file);
}

// The journal's file: named, or the one of the settings.
int with_journal(const std::string& settings, std::string journal, int (*command)(const std::string&)) {
  if (journal.empty()) {
    auto [config, status] = read(settings);
    if (status != 0) return status;
    journal = config.journal;
  }
  return command(journal);
}

// The drills are the sandbox's, which is a program of its own: it takes over from here.
int rehearse(const std::vector<std::string>& words) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keyturn-sandbox";
  std::vector<std::string> all{program.string(), "rehearse"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(all.size() + 1);
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  std::cerr << "keyturn: can't run " << program.string() << ": " << std::strerror(errno)
            << "; the drills come with keyturn-sandbox, which is built and installed beside keyturn\n";
  return kUnavailable;
}

}  // namespace

int main(int argc, char** argv) {
  keyturn::storage::wipe_freed_memory();
  umask(S_IRWXG | S_IRWXO);

  CLI::App cli(
      "Keyturn rotates production API keys together with an operator in Slack, and proves each step.");
  cli.set_version_flag("--version", "keyturn 0.1.0");
  cli.require_subcommand(1);
  std::string settings = "/etc/keyturn/keyturn.toml";
  std::string journal;

  auto* run_command = cli.add_subcommand("run", "run the bot until SIGTERM or SIGINT");
  auto* check_command = cli.add_subcommand(
      "check",
      "read the settings and say what is wrong with them; asks nobody, and doesn't look at the secrets");
  auto* doctor = cli.add_subcommand("doctor",
                                    "ask every system whether the bot could work (credentials, permissions, "
                                    "keys, certificate, clock), change "
                                    "nothing, and say how to mend what is wrong; status 0: all is well, 1: "
                                    "something is wrong, 69: something "
                                    "could not be seen");
  auto* audit = cli.add_subcommand("audit", "read the journal (also while the bot runs)");
  audit->require_subcommand(1);
  auto* verify = audit->add_subcommand("verify", "follow the hash chain from the first entry to the last");
  auto* export_command = audit->add_subcommand("export", "every entry as a line of JSON, oldest first");
  for (auto* command : {run_command, check_command, doctor, verify, export_command}) {
    command->add_option("--config", settings, "the settings")->capture_default_str();
  }
  for (auto* command : {verify, export_command}) {
    command->add_option("--journal", journal, "the journal's file, instead of the one in the settings");
  }
  auto* rehearse_command = cli.add_subcommand(
      "rehearse", "play a drill among emulators of every system, and judge it; without a name: list them");
  std::vector<std::string> drill;
  rehearse_command->add_option("drill", drill, "which; several are played one after the other");
  CLI11_PARSE(cli, argc, argv);

  try {
    if (run_command->parsed()) return run(settings);
    if (rehearse_command->parsed()) return rehearse(drill);
    if (check_command->parsed()) return check(settings);
    if (doctor->parsed()) return examine(settings);
    if (verify->parsed()) return with_journal(settings, journal, keyturn::bot::audit_verify);
    return with_journal(settings, journal, keyturn::bot::audit_export);
  } catch (const std::exception& error) {
    std::cerr << "keyturn: " << error.what() << '\n';
    return 1;
  }
}
