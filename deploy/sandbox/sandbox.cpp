#include "deploy/sandbox/sandbox.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <iostream>
#include <random>
#include <stdexcept>
#include <system_error>

#include "deploy/sandbox/bot_settings.h"
#include "deploy/sandbox/random_text.h"

namespace keyturn::sandbox {
namespace {

namespace filesystem = std::filesystem;

void report(const std::string& task, std::exception_ptr failure) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const std::exception& error) {
    std::cerr << "keyturn-sandbox: " << task << ": " << error.what() << '\n';
  }
}

// A port for the bot, which listens there again and again. It is held for as long as this lives, bound and
// not listened to, so that nobody else takes it between two lives of the bot: with SO_REUSEADDR on both sides
// the bot may bind to it all the same (socket(7)). Below those that Linux gives to outgoing connections
// (32768 and up).
boost::asio::ip::tcp::acceptor held_port(const boost::asio::any_io_executor& io) {
  using boost::asio::ip::tcp;
  std::random_device random;
  std::uniform_int_distribution<std::uint16_t> any(15'000, 32'000);
  for (int attempt = 1;; ++attempt) {
    try {
      tcp::acceptor held(io, tcp::v4());
      held.bind(
          {boost::asio::ip::make_address("127.0.0.1"), any(random)});  // refused where another one holds it
      held.set_option(tcp::acceptor::reuse_address(true));
      return held;
    } catch (const boost::system::system_error&) {
      if (attempt == 100) throw;
    }
  }
}

std::string url_of(std::uint16_t port) { return fmt::format("http://127.0.0.1:{}", port); }

// Readable by its owner only, from its first byte on.
void write_private(const filesystem::path& file, const std::string& text) {
  filesystem::remove(file);
  const int handle = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  const bool written =
      handle >= 0 && ::write(handle, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int reason = errno;
  if (handle >= 0) ::close(handle);
  if (!written) throw std::system_error(reason, std::generic_category(), "can't write " + file.string());
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

Sandbox::Sandbox(boost::asio::any_io_executor io, SandboxOptions options)
    : io_(io),
      options_(std::move(options)),
      world_(io, clock_, SandboxTiming{}),
      slack_(io, clock_),
      rehearsal_(io, world_, slack_, control_url_),
      control_(world_, slack_, rehearsal_, places_),
      // Whatever ends because we are leaving is no news.
      tasks_(io, [this](const std::string& task, std::exception_ptr failure) {
        if (!stopping_) report(task, std::move(failure));
      }) {
  for (const auto& app : further_apps(options_.consumers - 1)) seed_app(world_, app);
  serve("stripe", world_.stripe.handler());
  serve("infisical", world_.infisical.handler());
  serve("heroku", world_.heroku.handler());
  serve("billing", world_.billing.handler());
  serve("billing_staging", world_.billing_staging.handler());
  serve("slack", slack_.handler());
  serve("control", control_.handler(), options_.port);
  control_url_ = places_.at("control");
  for (const char* name : {"form", "metrics"}) {
    held_ports_.push_back(held_port(io_));
    places_[name] = url_of(held_ports_.back().local_endpoint().port());
  }
  world_.connect(places_.at("stripe"));
  slack_.connect(places_.at("slack").substr(std::string_view("http://").size()));
  slack_.allow_redirect(places_.at("form") + "/form");
  write_folder();
}

void Sandbox::serve(const std::string& name, net::Handler handler, std::uint16_t port) {
  net::ServerOptions options;
  options.port = port;
  options.body_limit = 1024UL * 1024;
  servers_.push_back(std::make_unique<net::HttpServer>(io_, options, std::move(handler)));
  places_[name] = url_of(servers_.back()->port());
}

void Sandbox::write_folder() const {
  const filesystem::path folder = filesystem::absolute(options_.folder);
  filesystem::create_directories(folder / "secrets");
  filesystem::permissions(folder / "secrets", filesystem::perms::owner_all);
  const auto& identity = world_.bot_identity();
  write_private(folder / "secrets/slack-app-token", slack_.app_token());
  write_private(folder / "secrets/slack-bot-token", slack_.bot_token());
  write_private(folder / "secrets/slack-client-secret", slack_.client_secret());
  write_private(folder / "secrets/infisical-client-secret", identity.client_secret);
  write_private(folder / "secrets/heroku-token", world_.heroku.token());
  // Kept when it is there: it belongs to the journal beside it.
  const auto sealing_key = folder / "secrets/sealing-key";
  if (!filesystem::exists(sealing_key)) write_private(sealing_key, random_text(64, kHexDigits));
  write_private(folder / "keyturn.toml",
                settings_toml({.places = places_,
                               .folder = folder.string(),
                               .infisical_identity = identity.client_id,
                               .quick = options_.quick,
                               .further_apps = further_apps(options_.consumers - 1)}));
  write_private(folder / "ports.json", nlohmann::json(places_).dump(2) + "\n");
}

void Sandbox::start() {
  for (auto& server : servers_) tasks_.spawn("server", server->run());
  tasks_.spawn("world", world_.run());
}

boost::asio::awaitable<void> Sandbox::stop() {
  stopping_ = true;
  rehearsal_.shut_down();
  for (auto& server : servers_) server->stop();
  tasks_.cancel();
  co_await tasks_.wait(std::chrono::seconds(2));
}

}  // namespace keyturn::sandbox
