#include "integrations/net/client_address.h"

#include <algorithm>
#include <cstdint>

namespace keyturn::net {

namespace ip = boost::asio::ip;

ip::address one_client(const ip::address& peer) {
  if (!peer.is_v6()) return peer;
  if (peer.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, peer.to_v6());
  auto bytes = peer.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return ip::address_v6(bytes);
}

}  // namespace keyturn::net
