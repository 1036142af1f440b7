#include "integrations/secret_store.h"

namespace keyturn::integrations {

bool copies_onward(const SecretSync& sync, const SecretAddress& address) {
  if (!sync.automatic || sync.environment != address.environment) return false;
  if (sync.path == address.path) return true;
  const std::string below = sync.path.ends_with('/') ? sync.path : sync.path + "/";
  return sync.recursive && address.path.starts_with(below);
}

std::string in_words(const SecretSync& sync) {
  return sync.destination + (sync.app.empty() ? "" : " " + sync.app);
}

}  // namespace keyturn::integrations
