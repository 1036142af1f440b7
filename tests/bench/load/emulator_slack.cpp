#include "tests/bench/load/emulator_slack.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "deploy/sandbox/slack_world.h"
#include "integrations/net/http_server.h"
#include "storage/clock.h"

namespace keyturn::bench {
namespace {

using nlohmann::json;

constexpr auto kUntilGone = std::chrono::milliseconds(50);  // what a socket that is cut takes to be gone

}  // namespace

struct EmulatorSlack::Emulator {
  Emulator() {
    slack.connect(fmt::format("127.0.0.1:{}", server.port()));
    boost::asio::co_spawn(io, server.run(), boost::asio::detached);
  }

  boost::asio::io_context io{1};
  storage::SystemClock clock;
  sandbox::SlackWorld slack{io.get_executor(), clock};
  net::HttpServer server{io.get_executor(), net::ServerOptions(), slack.handler()};
};

EmulatorSlack::EmulatorSlack(std::string command_text)
    : emulator_(std::make_unique<Emulator>()), command_text_(std::move(command_text)) {}

EmulatorSlack::~EmulatorSlack() = default;

const std::string& EmulatorSlack::app_token() const { return emulator_->slack.app_token(); }
const std::string& EmulatorSlack::bot_token() const { return emulator_->slack.bot_token(); }
std::uint16_t EmulatorSlack::port() const { return emulator_->server.port(); }

std::size_t EmulatorSlack::sockets() const {
  const json state = emulator_->slack.state().at("socket_mode");
  return static_cast<std::size_t>(std::ranges::count_if(
      state.at("sockets"), [](const json& socket) { return socket.at("greeted") == true; }));
}

void EmulatorSlack::send(std::uint64_t number) {
  boost::asio::co_spawn(emulator_->io, type(number), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);  // out of turn()
  });
}

boost::asio::awaitable<void> EmulatorSlack::type(std::uint64_t number) {
  const json result =
      co_await emulator_->slack.command({{"user", "U0ADMIN"}, {"channel", "C0OPS"}, {"text", command_text_}});
  const json& error = result.at("error");
  if (error == "operation_timeout") co_return;  // Slack's three seconds are over
  if (!error.is_null()) throw std::runtime_error("the emulator refuses the answer: " + error.dump());
  acknowledged(number, Steady::now(), json{{"payload", result.at("ack")}}.dump());
}

void EmulatorSlack::turn(Steady::time_point until) { emulator_->io.run_one_until(until); }

void EmulatorSlack::close_all() {
  emulator_->slack.fault({{"kind", "socket"}, {"do", "cut"}});
  emulator_->io.run_for(kUntilGone);
}

}  // namespace keyturn::bench
