// What Infisical's answers mean. Pure: each reader takes one whole answer and gives the value or throws
// ApiError. An answer's body is spent: values are cut out of it into locked memory before anything parses it.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "integrations/http_failure.h"
#include "integrations/net/message.h"
#include "integrations/secret_store.h"
#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::infisical {

struct Session {
  storage::SharedSecret token;
  storage::Duration life{};  // from the answer on
};

// Any refusal of a login is final for the caller: repeating it locks the identity.
Session read_login(net::Response& response);

// Whether the access token (not the identity's permission) was refused, so that a new login can help.
bool token_was_refused(const net::Response& response);

// Whether the router doesn't know the path at all: a server without this API. (A secret that is missing is a
// 404 as well, but with a request id.)
bool route_is_missing(const net::Response& response);

// Whether the folder itself holds no such secret.
bool secret_is_missing(const net::Response& response);

// Where an import takes the secret from ("/shared of prod"), of the answer to import_request; nothing: no
// import brings it, or the answer doesn't say so.
std::optional<std::string> imported_from(const net::Response& response, const std::string& name);
// Whether the secret, its folder or its project is not where the settings say; and that, in words.
bool is_not_there(const net::Response& response);
integrations::ApiError not_there(const net::Response& response, const integrations::SecretAddress& address);
integrations::ApiError secret_is_imported(const net::Response& response, const std::string& from);

integrations::StoredSecret read_secret(net::Response& response, const std::string& name,
                                       std::optional<int> version);
std::variant<integrations::SecretWritten, integrations::ApprovalPending> read_written(
    net::Response& response);
std::vector<integrations::SecretSync> read_syncs(const net::Response& response);

}  // namespace keyturn::infisical
