// Infisical as a SecretStore: universal auth, secrets v4 (v3 raw on servers that have no v4), one secret at a
// time. A refused login is never repeated (three wrong ones lock the identity for five minutes); an expired
// token is replaced once and the call repeated once. 429, 5xx and unreachable reads are for the caller to
// repeat.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "integrations/error.h"
#include "integrations/net/http_client.h"
#include "integrations/secret_store.h"
#include "storage/clock.h"

namespace keyturn::infisical {

struct Credentials {
  std::string client_id;
  storage::SharedSecret client_secret;
};

class Infisical final : public integrations::SecretStore {
 public:
  using Observer = std::function<void(const std::string& operation, const std::string& outcome)>;
  // `base` with or without "/api" at its end. References must outlive this.
  Infisical(net::HttpClient& http, const storage::Clock& clock, std::string base, Credentials credentials,
            Observer observer);
  ~Infisical() override;

  boost::asio::awaitable<integrations::StoredSecret> read(integrations::SecretAddress address,
                                                          std::optional<int> version) override;
  boost::asio::awaitable<std::variant<integrations::SecretWritten, integrations::ApprovalPending>> write(
      integrations::SecretAddress address, storage::SharedSecret value, std::string comment,
      std::string rotation) override;
  boost::asio::awaitable<std::vector<integrations::SecretSync>> syncs(std::string project) override;
  // Logs in now, where the next call would: whoever must not try twice asks for this first, and asks for
  // nothing else when it fails.
  boost::asio::awaitable<void> log_in();
  // Revokes the access token it holds, if any; never throws. For shutdown.
  boost::asio::awaitable<void> log_out();

 private:
  class Client;
  std::unique_ptr<Client> client_;
};

}  // namespace keyturn::infisical
