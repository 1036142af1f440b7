// What a handler gets to see of a request that the parser has read, without I/O. Internal to
// integrations/net.
#pragma once

#include <memory>
#include <string>

#include "integrations/net/http_parser.h"
#include "integrations/net/http_server.h"

namespace keyturn::net {

// Takes what `parser` holds; it has to be done. `peer`: the TCP peer's address.
std::shared_ptr<ServerRequest> make_request(RequestParser& parser, std::string peer);

}  // namespace keyturn::net
