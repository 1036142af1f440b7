// keyturn-sandbox: every system that Keyturn talks to, emulated on loopback, with a workspace page; a player
// that goes through a whole rotation as an operator would; and the drills.
#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>

#include "deploy/sandbox/player.h"
#include "deploy/sandbox/rehearse.h"
#include "deploy/sandbox/sandbox.h"

namespace {

using namespace keyturn::sandbox;
namespace asio = boost::asio;

// Until SIGTERM or SIGINT.
asio::awaitable<void> run(Sandbox& sandbox) {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGTERM, SIGINT);
  sandbox.start();
  std::cout << nlohmann::json(sandbox.places()).dump() << std::endl;
  co_await signals.async_wait(asio::use_awaitable);
  co_await sandbox.stop();
}

// Runs `task` to its end; its exception is ours.
template <typename T>
T finish(asio::io_context& io, asio::awaitable<T> task) {
  std::exception_ptr failure;
  if constexpr (std::is_void_v<T>) {
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr error) {
      failure = std::move(error);
      io.stop();
    });
    io.run();
    if (failure) std::rethrow_exception(failure);
  } else {
    T result{};
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T value) {
      failure = std::move(error);
      result = std::move(value);
      io.stop();
    });
    io.run();
    if (failure) std::rethrow_exception(failure);
    return result;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The outside world of Keyturn, emulated.");
  app.require_subcommand(1);

  SandboxOptions options;
  std::string folder;
  CLI::App* serve = app.add_subcommand("serve", "start every emulator and the workspace page, until SIGTERM");
  serve->add_option("--port", options.port, "of the workspace page; 0: any");
  serve->add_option("--folder", folder, "where keyturn.toml, secrets/ and ports.json are written")
      ->required();
  serve->add_option("--consumers", options.consumers, "apps that use the live key")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  serve->add_flag("--quick", options.quick, "a whole rotation, its grace included, in about a minute");

  PlayOptions play_options;
  CLI::App* play = app.add_subcommand("play", "play the operator; exit 0 only if the old key is proven dead");
  play->add_option("--control", play_options.control, "the workspace page's URL")->required();
  play->add_flag("--compromise", play_options.compromise, "rotate as after a leak");
  int limit_seconds = 180;
  play->add_option("--limit", limit_seconds, "seconds that it waits for one thing at most");

  RehearseOptions rehearse_options;
  bool list = false;
  CLI::App* rehearse = app.add_subcommand(
      "rehearse", "play a drill with a bot of its own, and judge it; exit 0 only if every fact held");
  rehearse->add_option("drill", rehearse_options.drills, "which; several are played one after the other");
  rehearse->add_flag("--list", list, "what can be rehearsed");
  rehearse->add_option("--bot", rehearse_options.bot, "the keyturn program (default: the one beside this)");
  CLI11_PARSE(app, argc, argv);

  try {
    asio::io_context io;
    if (rehearse->parsed()) {
      if (list || rehearse_options.drills.empty()) {
        list_drills(std::cout);
        return 0;
      }
      return finish(io, keyturn::sandbox::rehearse(io.get_executor(), rehearse_options));
    }
    if (play->parsed()) {
      play_options.limit = std::chrono::seconds(limit_seconds);
      return finish(io, keyturn::sandbox::play(io.get_executor(), play_options));
    }
    options.folder = folder;
    Sandbox sandbox(io.get_executor(), options);
    finish(io, run(sandbox));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "keyturn-sandbox: " << error.what() << '\n';
    return 1;
  }
}
