#include "tests/bench/load/lean_slack.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "deploy/sandbox/slack_people.h"
#include "tests/bench/load/wire.h"

namespace keyturn::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kRoom = 256UL * 1024;

void check(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

std::string hello(std::size_t connections) {
  return json{
      {"type", "hello"},
      {"num_connections", connections},
      {"debug_info", {{"host", "bench"}, {"build_number", 1}, {"approximate_connection_time", 18060}}},
      {"connection_info", {{"app_id", sandbox::kApp}}}}
      .dump();
}

}  // namespace

struct LeanSlack::Connection {
  explicit Connection(int descriptor) : socket(descriptor) {}
  ~Connection() { ::close(socket); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool usable() const { return greeted && !gone; }

  const int socket;
  std::string in, out;
  std::size_t written = 0;
  bool websocket = false, greeted = false, silent = false, gone = false;
  std::optional<Steady::time_point> cut_at;
};

LeanSlack::LeanSlack(const std::string& command_text) : envelopes_(command_text) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(listener_ >= 0, "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  check(::listen(listener_, SOMAXCONN) == 0, "listen");
  socklen_t length = sizeof address;
  check(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  check(epoll_ >= 0, "epoll");
  epoll_event wanted{.events = EPOLLIN, .data = {.fd = listener_}};
  check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &wanted) == 0, "epoll");
}

LeanSlack::~LeanSlack() {
  connections_.clear();
  ::close(epoll_);
  ::close(listener_);
}

std::size_t LeanSlack::sockets() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections_, [](const auto& entry) { return entry.second->usable(); }));
}

void LeanSlack::send(std::uint64_t number) {
  auto next = connections_.upper_bound(last_used_);
  for (std::size_t looked = 0; looked < connections_.size(); ++looked, ++next) {
    if (next == connections_.end()) next = connections_.begin();
    Connection& connection = *next->second;
    if (!connection.usable()) continue;
    last_used_ = next->first;
    if (!connection.silent) append_frame(connection.out, Opcode::text, envelopes_.text(number));
    return;
  }
}

void LeanSlack::turn(Steady::time_point until) {
  for (auto& [socket, connection] : connections_) write_to(*connection);
  const auto now = Steady::now();
  cut_due(now);
  const auto wait = std::max(Steady::duration::zero(), until - now);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_pwait2(epoll_, events.data(), events.size(), &limit, nullptr);
  check(count >= 0 || errno == EINTR, "epoll");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    if (event.data.fd == listener_) {
      accept_all();
    } else if (const auto found = connections_.find(event.data.fd); found != connections_.end()) {
      read_from(*found->second);
    }
  }
  forget_gone();
}

void LeanSlack::accept_all() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_[socket] = std::make_unique<Connection>(socket);
    epoll_event wanted{.events = EPOLLIN, .data = {.fd = socket}};
    check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &wanted) == 0, "epoll");
  }
}

void LeanSlack::read_from(Connection& connection) {
  static std::array<char, kRoom> room;
  const ssize_t count = ::recv(connection.socket, room.data(), room.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    connection.gone = true;
    return;
  }
  const auto at = Steady::now();
  connection.in.append(room.data(), static_cast<std::size_t>(count));
  if (!connection.websocket) take_requests(connection);
  if (connection.websocket) take_frames(connection, at);
}

void LeanSlack::take_requests(Connection& connection) {
  while (const auto request = first_request(connection.in)) {
    connection.in.erase(0, request->size);
    if (request->websocket_key.empty()) {
      answer(connection, request->target);
      continue;
    }
    connection.out += upgrade_answer(request->websocket_key);
    connection.websocket = true;
    greet(connection);
    return;
  }
}

void LeanSlack::greet(Connection& connection) {
  std::erase_if(connections_, [](const auto& entry) { return entry.second->silent; });
  connection.greeted = true;
  append_frame(connection.out, Opcode::text, hello(sockets()));
}

void LeanSlack::answer(Connection& connection, const std::string& target) {
  json said = {{"ok", true}, {"channel", "D0ADMIN"}, {"ts", "1700000000.000100"}};
  if (target.ends_with("/auth.test")) {
    said = {{"ok", true},
            {"url", "https://raxx.slack.com/"},
            {"team", "Raxx"},
            {"user", "keyturn"},
            {"team_id", sandbox::kTeam},
            {"user_id", sandbox::kBotUser},
            {"bot_id", sandbox::kBot},
            {"is_enterprise_install", false}};
  } else if (target.ends_with("/apps.connections.open")) {
    said = {{"ok", true},
            {"url", fmt::format("ws://127.0.0.1:{}/link/?ticket=bench&app_id={}", port_, sandbox::kApp)}};
  }
  connection.out += http_answer(said.dump());
}

void LeanSlack::take_frames(Connection& connection, Steady::time_point at) {
  std::size_t taken = 0;
  while (const auto frame = first_frame(connection.in.data() + taken, connection.in.size() - taken)) {
    taken += frame->size;
    if (frame->opcode == Opcode::ping) append_frame(connection.out, Opcode::pong, frame->payload);
    if (frame->opcode == Opcode::close) {
      append_frame(connection.out, Opcode::close, frame->payload);
      write_to(connection);
      connection.gone = true;
      return;
    }
    if (frame->opcode != Opcode::text) continue;
    if (const auto number = acknowledged_by(frame->payload)) acknowledged(*number, at, frame->payload);
  }
  connection.in.erase(0, taken);
}

void LeanSlack::write_to(Connection& connection) {
  if (connection.silent || connection.written == connection.out.size()) return;
  const ssize_t count = ::send(connection.socket, connection.out.data() + connection.written,
                               connection.out.size() - connection.written, MSG_NOSIGNAL);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) connection.gone = true;
    return;
  }
  connection.written += static_cast<std::size_t>(count);
  if (connection.written < connection.out.size()) return;
  connection.out.clear();
  connection.written = 0;
}

void LeanSlack::ask_for_refresh(const std::string& reason, Steady::duration notice) {
  for (auto& [socket, connection] : connections_) {
    if (!connection->usable()) continue;
    append_frame(
        connection->out, Opcode::text,
        json{{"type", "disconnect"}, {"reason", reason}, {"debug_info", {{"host", "bench"}}}}.dump());
    connection->cut_at = Steady::now() + notice;
  }
}

void LeanSlack::cut_due(Steady::time_point now) {
  for (auto& [socket, connection] : connections_) {
    if (!connection->cut_at || now < *connection->cut_at) continue;
    append_frame(connection->out, Opcode::close, std::string_view("\x03\xe8", 2));  // 1000
    write_to(*connection);
    connection->gone = true;
  }
  forget_gone();
}

void LeanSlack::fall_silent() {
  for (auto& [socket, connection] : connections_) {
    if (!connection->usable()) continue;
    connection->silent = true;
    check(::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr) == 0, "epoll");
  }
}

void LeanSlack::close_all() { connections_.clear(); }

void LeanSlack::forget_gone() {
  std::erase_if(connections_, [](const auto& entry) { return entry.second->gone; });
}

}  // namespace keyturn::bench
