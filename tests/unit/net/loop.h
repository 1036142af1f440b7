// Runs coroutines for the tests in this folder: one io thread, as in the bot, and a guard against waiting for
// ever.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "integrations/net/http_client.h"

namespace keyturn::net {

class Loop {
 public:
  boost::asio::io_context io;

  boost::asio::any_io_executor executor() { return io.get_executor(); }

  // Runs the loop until `work` has ended, and rethrows what it threw.
  void run(boost::asio::awaitable<void> work) {
    bool ended = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown) {
      ended = true;
      failure = std::move(thrown);
    });
    io.restart();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!ended && std::chrono::steady_clock::now() < give_up) io.run_one_for(std::chrono::seconds(1));
    if (!ended) throw std::runtime_error("the test did not end within 30 seconds");
    if (failure) std::rethrow_exception(failure);
  }
};

// A client that speaks plain HTTP with the servers of these tests.
inline const ClientOptions kRehearsal{.allow_plain_loopback = true};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace keyturn::net
