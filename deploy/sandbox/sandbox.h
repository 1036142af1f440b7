// The whole sandbox: every emulator on a loopback port of its own, the control server, and a folder with what
// a bot needs to run among them (keyturn.toml, secrets/, ports.json). Thread: io only. Construction binds
// every port and writes the folder, or throws std::runtime_error.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "deploy/sandbox/control.h"
#include "deploy/sandbox/slack_world.h"
#include "deploy/sandbox/world.h"
#include "integrations/net/http_server.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {

struct SandboxOptions {
  std::uint16_t port = 0;  // of the control server; 0: any
  std::filesystem::path folder;
  bool quick = false;
  int consumers = 1;  // apps that use the live key
};

class Sandbox {
 public:
  Sandbox(boost::asio::any_io_executor io, SandboxOptions options);

  // Where everything is; "form" and "metrics" are the ports that the bot is told to take.
  const Places& places() const { return places_; }
  Rehearsal& rehearsal() { return rehearsal_; }
  // Whether a bot is at the other end of Slack's socket.
  bool bot_connected() const { return look(world_, slack_).bot_connected; }

  // Serves until stop().
  void start();
  boost::asio::awaitable<void> stop();

 private:
  void serve(const std::string& name, net::Handler handler, std::uint16_t port = 0);
  void write_folder() const;

  boost::asio::any_io_executor io_;
  SandboxOptions options_;
  storage::SystemClock clock_;
  Places places_;
  std::vector<boost::asio::ip::tcp::acceptor> held_ports_;  // the bot's
  World world_;
  SlackWorld slack_;
  std::string control_url_;
  Rehearsal rehearsal_;
  Control control_;
  std::vector<std::unique_ptr<net::HttpServer>> servers_;
  bool stopping_ = false;
  net::TaskGroup tasks_;
};

}  // namespace keyturn::sandbox
