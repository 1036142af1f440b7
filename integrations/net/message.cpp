#include "integrations/net/message.h"

#include <boost/beast/core/string.hpp>

namespace keyturn::net {

std::optional<std::string> find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (boost::beast::iequals(key, {name.data(), name.size()})) return value;
  }
  return std::nullopt;
}

}  // namespace keyturn::net
