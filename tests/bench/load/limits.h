// What the machine itself can do, to stand beside the figures. Each gives microseconds, the median of many.
#pragma once

#include <string>

namespace keyturn::bench {

// 4 KiB appended to a file in `folder` and synced, as a commit of a write-ahead log does at least once.
double sync_microseconds(const std::string& folder);

// One byte to another thread over a TCP connection on loopback, and one byte back.
double loopback_microseconds();

// A bot that does nothing: acknowledges each envelope at once, over the same WebSocket code as Keyturn. Until
// its socket closes. `api` is the base of Slack's methods.
void echo(const std::string& api);

}  // namespace keyturn::bench
