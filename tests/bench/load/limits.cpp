#include "tests/bench/load/limits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <vector>

#include "integrations/net/http_client.h"
#include "integrations/net/websocket.h"

namespace keyturn::bench {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

constexpr auto kLong = std::chrono::milliseconds(700);  // how long each is repeated

void check(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

double median_microseconds(const std::function<void()>& once) {
  std::vector<double> took;
  for (const auto until = Steady::now() + kLong; Steady::now() < until;) {
    const auto began = Steady::now();
    once();
    took.push_back(std::chrono::duration<double, std::micro>(Steady::now() - began).count());
  }
  std::ranges::nth_element(took, took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2));
  return took[took.size() / 2];
}

int tcp_socket() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(socket >= 0, "socket");
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

boost::asio::awaitable<void> acknowledge_all(boost::asio::any_io_executor io, std::string api) {
  net::ClientOptions options;
  options.allow_plain_loopback = true;
  net::HttpClient http(io, options);
  net::Request request;
  request.method = "POST";
  request.url = api + "/apps.connections.open";
  if (const char* token = std::getenv("SLACK_APP_TOKEN"))
    request.bearer = storage::share(storage::Secret::copy_of(token));
  const auto answer = co_await http.send(std::move(request), std::chrono::seconds(5));
  const std::string url = json::parse(answer.body).at("url");
  const auto socket = co_await net::connect_websocket(io, url, options, net::WebSocketOptions());
  while (const auto text = co_await socket->read()) {
    constexpr std::string_view kName = "\"envelope_id\":\"";
    const std::size_t found = text->find(kName);
    if (found == std::string::npos) continue;
    const std::size_t begin = found + kName.size();
    co_await socket->write("{\"envelope_id\":\"" + text->substr(begin, text->find('"', begin) - begin) +
                           R"(","payload":{"response_type":"ephemeral","text":"There is no such target."}})");
  }
}

}  // namespace

double sync_microseconds(const std::string& folder) {
  const std::string file = folder + "/sync";
  const int handle = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  check(handle >= 0, "open");
  const std::array<char, 4096> page{};
  const double took = median_microseconds([&] {
    check(::write(handle, page.data(), page.size()) == static_cast<ssize_t>(page.size()), "write");
    check(::fdatasync(handle) == 0, "fdatasync");
  });
  ::close(handle);
  ::unlink(file.c_str());
  return took;
}

double loopback_microseconds() {
  const int listener = tcp_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  check(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  check(::listen(listener, 1) == 0, "listen");
  check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  std::thread other([listener] {
    const int socket = ::accept(listener, nullptr, nullptr);
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (char byte = 0; ::recv(socket, &byte, 1, 0) == 1;) {
      if (::send(socket, &byte, 1, MSG_NOSIGNAL) != 1) break;
    }
    ::close(socket);
  });
  const int socket = tcp_socket();
  check(::connect(socket, reinterpret_cast<sockaddr*>(&address), length) == 0, "connect");
  char byte = 'x';
  const double took = median_microseconds([&] {
    check(::send(socket, &byte, 1, MSG_NOSIGNAL) == 1, "send");
    check(::recv(socket, &byte, 1, 0) == 1, "recv");
  });
  ::close(socket);
  other.join();
  ::close(listener);
  return took;
}

void echo(const std::string& api) {
  boost::asio::io_context io{1};
  boost::asio::co_spawn(io, acknowledge_all(io.get_executor(), api), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  io.run();
}

}  // namespace keyturn::bench
