#include "integrations/secret_store.h"

#include <string_view>

namespace keyturn::integrations {
namespace {

void fill_in(std::string& text, std::string_view placeholder, const std::string& value) {
  for (std::size_t at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + value.size())) {
    text.replace(at, placeholder.size(), value);
  }
}

}  // namespace

bool copies_onward(const SecretSync& sync, const SecretAddress& address) {
  if (!sync.automatic || sync.environment != address.environment) return false;
  if (sync.path == address.path) return true;
  const std::string below = sync.path.ends_with('/') ? sync.path : sync.path + "/";
  return sync.recursive && address.path.starts_with(below);
}

// A recursive sync takes no part of the folder into the name; two of one name make the whole run fail.
std::string arrives_as(const SecretSync& sync, const SecretAddress& address) {
  if (sync.key_schema.empty()) return address.name;
  std::string name = sync.key_schema;
  fill_in(name, "{{environment}}", sync.environment);
  fill_in(name, "{{secretKey}}", address.name);
  return name.find("{{") == std::string::npos ? name : "";
}

}  // namespace keyturn::integrations
