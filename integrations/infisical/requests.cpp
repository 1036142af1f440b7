#include "integrations/infisical/requests.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "integrations/net/url.h"
#include "integrations/secret_json.h"

namespace keyturn::infisical {
namespace {

using integrations::SecretAddress;
using nlohmann::json;

net::Request get(std::string url) {
  return {.method = "GET",
          .url = std::move(url),
          .headers = {{"Accept", "application/json"}},
          .body = "",
          .bearer = nullptr,
          .secret_body = nullptr};
}

net::Request with_body(std::string method, std::string url, storage::Secret body) {
  return {.method = std::move(method),
          .url = std::move(url),
          .headers = {{"Accept", "application/json"}, {"Content-Type", "application/json"}},
          .body = "",
          .bearer = nullptr,
          .secret_body = storage::share(std::move(body))};
}

std::string secret_url(const std::string& api, Generation generation, const std::string& name) {
  const std::string path = generation == Generation::v4 ? "/v4/secrets/" : "/v3/secrets/raw/";
  return api + path + net::percent_encode(name);
}

const char* project_field(Generation generation) {
  return generation == Generation::v4 ? "projectId" : "workspaceId";
}

using Query = std::vector<std::pair<std::string, std::string>>;

// The shared value, never somebody's personal override; a reference as it stands.
Query secret_query(Generation generation, const SecretAddress& address, bool with_value, bool with_imports) {
  return {
      {project_field(generation), address.project},
      {"environment", address.environment},
      {"secretPath", address.path},
      {"type", "shared"},
      {"viewSecretValue", with_value ? "true" : "false"},
      {"expandSecretReferences", "false"},
      {generation == Generation::v4 ? "includeImports" : "include_imports", with_imports ? "true" : "false"}};
}

}  // namespace

std::string api_base(std::string base) {
  while (base.ends_with('/')) base.pop_back();
  if (!base.ends_with("/api")) base += "/api";
  return base;
}

net::Request login_request(const std::string& api, const std::string& client_id,
                           const storage::Secret& client_secret) {
  return with_body(
      "POST", api + "/v1/auth/universal-auth/login",
      integrations::json_with_secrets({{"clientId", client_id}}, {{"clientSecret", &client_secret}}));
}

net::Request revoke_request(const std::string& api, const storage::Secret& token) {
  return with_body("POST", api + "/v1/auth/token/revoke",
                   integrations::json_with_secrets(json::object(), {{"accessToken", &token}}));
}

net::Request read_request(const std::string& api, Generation generation, const SecretAddress& address,
                          std::optional<int> version) {
  Query query = secret_query(generation, address, /*with_value=*/true, /*with_imports=*/false);
  if (version) query.emplace_back("version", std::to_string(*version));
  return get(secret_url(api, generation, address.name) + "?" + net::form_encode(query));
}

net::Request import_request(const std::string& api, Generation generation, const SecretAddress& address) {
  return get(
      secret_url(api, generation, address.name) + "?" +
      net::form_encode(secret_query(generation, address, /*with_value=*/false, /*with_imports=*/true)));
}

net::Request write_request(const std::string& api, Generation generation, const SecretAddress& address,
                           const storage::Secret& value, const std::string& comment,
                           const std::string& rotation) {
  json fields{{project_field(generation), address.project},
              {"environment", address.environment},
              {"secretPath", address.path},
              {"type", "shared"},
              {"secretComment", comment}};
  // Not encrypted, so that the store's own audit log names the rotation.
  if (!rotation.empty()) {
    const json entry{{"key", "rotation_id"}, {"value", rotation}, {"isEncrypted", false}};
    fields["secretMetadata"] = json::array({entry});
  }
  return with_body("PATCH", secret_url(api, generation, address.name),
                   integrations::json_with_secrets(fields, {{"secretValue", &value}}));
}

net::Request syncs_request(const std::string& api, const std::string& project) {
  return get(api + "/v1/secret-syncs?" + net::form_encode({{"projectId", project}}));
}

}  // namespace keyturn::infisical
