#include "integrations/secret_store.h"

#include <algorithm>
#include <string_view>

namespace keyturn::integrations {
namespace {

void fill_in(std::string& text, std::string_view placeholder, const std::string& value) {
  for (std::size_t at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + value.size())) {
    text.replace(at, placeholder.size(), value);
  }
}

// "/payments/" and "/payments" are one folder.
std::vector<std::string_view> folders(std::string_view path) {
  std::vector<std::string_view> found;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) found.push_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return found;
}

}  // namespace

bool copies_onward(const SecretSync& sync, const SecretAddress& address) {
  if (!sync.automatic || sync.environment != address.environment) return false;
  const auto from = folders(sync.path), wanted = folders(address.path);
  if (from == wanted) return true;
  return sync.recursive && from.size() < wanted.size() &&
         std::equal(from.begin(), from.end(), wanted.begin());
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
