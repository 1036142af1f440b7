// Plays the operator of one rotation, with nothing but what an operator has: Slack (through the control
// server), the dashboard's buttons, and the one-time form. Prints what happens, and at the end asks every
// system itself whether the key was rotated: the exit status rests on their answers, not on what the bot
// says. Thread: io only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "storage/clock.h"

namespace keyturn::sandbox {

struct PlayOptions {
  std::string control;  // "http://127.0.0.1:4000"
  bool compromise = false;
  storage::Duration limit = std::chrono::minutes(3);
};

// 0 only when the old key is proven dead and the new one is everywhere; 1 otherwise, with the reasons on
// standard output.
boost::asio::awaitable<int> play(boost::asio::any_io_executor io, PlayOptions options);

}  // namespace keyturn::sandbox
