// Who counts as one client, wherever something is shared out by address. Pure.
#pragma once

#include <boost/asio/ip/address.hpp>

namespace keyturn::net {

// The address itself; in IPv6, where a single customer usually owns a whole /64, its network.
boost::asio::ip::address one_client(const boost::asio::ip::address& peer);

}  // namespace keyturn::net
