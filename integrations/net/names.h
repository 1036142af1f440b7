// The addresses of names. The system's lookup runs on one thread of Asio's, one name after the other, so what
// many connections want at once is asked once, and what came is used again for a while. Internal to
// integrations/net. Thread: io only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/clock.h"

namespace keyturn::net {

// What a lookup came to. No addresses: `error` says why.
struct Found {
  std::vector<boost::asio::ip::address> addresses;
  std::string error;
};

class Names {
 public:
  // Looks `host` up without blocking, and calls `done` once, later, on `io`.
  using LookUp = std::function<void(const boost::asio::any_io_executor& io, const std::string& host,
                                    std::function<void(Found)> done)>;

  // The system's lookup, whose answers are used for half a minute: it doesn't tell how long they hold.
  Names();
  Names(LookUp look_up, storage::Duration kept);

  // Of `host`, in the order to try them; an address is its own. Throws NetError (sent = false) when there is
  // none, which is not remembered. A lookup can't be interrupted: whoever is cancelled stops waiting for it.
  // Static, because a call outlives the client that made it.
  static boost::asio::awaitable<std::vector<boost::asio::ip::address>> addresses(std::shared_ptr<Names> names,
                                                                                 std::string host);

  // Its addresses led nowhere: whoever comes next asks again.
  void forget(const std::string& host);

 private:
  struct Lookup;
  std::shared_ptr<Lookup> lookup(const boost::asio::any_io_executor& io, const std::string& host);

  LookUp look_up_;
  storage::Duration kept_;
  std::map<std::string, std::shared_ptr<Lookup>> lookups_;  // of a host: under way, or what it came to
};

}  // namespace keyturn::net
