// `keyturn rehearse`: a sandbox and a bot of its own, one drill after the other, the transcript and the score
// on standard output. Thread: io only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

namespace keyturn::sandbox {

struct RehearseOptions {
  std::vector<std::string> drills;
  std::filesystem::path bot;  // the keyturn program; empty: the one beside this program
};

void list_drills(std::ostream& out);

// 0 only when every drill passed and the bot's journal verifies. Throws std::runtime_error when there is no
// such drill, or the bot doesn't start.
boost::asio::awaitable<int> rehearse(boost::asio::any_io_executor io, RehearseOptions options);

}  // namespace keyturn::sandbox
