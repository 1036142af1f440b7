// The requests to Infisical, as its API reference has them (infisical.com/docs/api-reference). Pure.
// References and imports are never expanded, and personal overrides never read: the defaults differ between
// releases, so every flag is spelled out.
#pragma once

#include <optional>
#include <string>

#include "integrations/net/message.h"
#include "integrations/secret_store.h"
#include "storage/secret.h"

namespace keyturn::infisical {

// v3 ("raw") is deprecated and still served; older self-hosted servers have only that.
enum class Generation { v4, v3 };

// What `base` in the settings may look like, with or without "/api" or a slash at its end -> ".../api".
std::string api_base(std::string base);

net::Request login_request(const std::string& api, const std::string& client_id,
                           const storage::Secret& client_secret);
net::Request revoke_request(const std::string& api, const storage::Secret& token);
net::Request read_request(const std::string& api, Generation generation,
                          const integrations::SecretAddress& address, std::optional<int> version);
// The same secret if an import brings it into the folder, without its value.
net::Request import_request(const std::string& api, Generation generation,
                            const integrations::SecretAddress& address);
net::Request write_request(const std::string& api, Generation generation,
                           const integrations::SecretAddress& address, const storage::Secret& value,
                           const std::string& comment, const std::string& rotation);
net::Request syncs_request(const std::string& api, const std::string& project);

}  // namespace keyturn::infisical
