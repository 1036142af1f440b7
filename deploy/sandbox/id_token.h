// Signs ID tokens as Slack does: a JSON Web Token under RS256, with a key of this process's own, and the
// key's public half for whoever checks (RFC 7515, 7517, 7518). Thread: one. Failure: std::runtime_error when
// OpenSSL refuses what it never should.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace keyturn::sandbox {

class IdTokenSigner {
 public:
  IdTokenSigner();
  ~IdTokenSigner();
  IdTokenSigner(const IdTokenSigner&) = delete;
  IdTokenSigner& operator=(const IdTokenSigner&) = delete;

  // header.claims.signature
  std::string sign(const nlohmann::json& claims);
  // {"keys":[{"kty":"RSA",...}]}
  nlohmann::json public_keys();

 private:
  struct Key;
  // Made when it is first needed: most tests never do, and it takes a while.
  Key& key();

  std::unique_ptr<Key> key_;
};

// OpenID Connect Core 1.0, 3.1.3.6: the left half of the access token's SHA-256.
std::string access_token_hash(std::string_view access_token);

}  // namespace keyturn::sandbox
