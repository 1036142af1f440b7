// Infisical as a machine identity sees it: universal auth with its lockout, secrets v4 and v3 raw with
// versions, and the list of secret syncs. Source: infisical.com/docs/api-reference, and answers recorded from
// a self-hosted server of 2026. Knobs: {"kind":"approval_policy","on":true,"environment":"prod"}  a write
// becomes a change request: 200, no secret
//        {"kind":"approve"}                  somebody approves every change request that waits, and the
//        policy goes
//        {"kind":"hidden_value","on":true}   values read as "<hidden-by-infisical>"
//        {"kind":"read_only","on":true}      every write is 403
//        {"kind":"login_refused","on":true}  every login is 401
//        {"kind":"secret_expired","on":true} every login is 401: the client secret's time is over
//        {"kind":"v3_only","on":true}        an old server: v4 is no route
//        {"kind":"ignore_version","on":true} an older one still: ?version= is ignored
//        {"kind":"rotated_secret","name":"STRIPE_RESTRICTED_KEY","environment":"prod","on":true}
//        {"kind":"expire_tokens"}, {"kind":"revoke_tokens"}   at once, those handed out so far
//        {"kind":"imported","name":N,"environment":E,"from":"/shared"}   the secret moves there, and an
//        import brings it back
//        {"kind":"personal_override","name":N,"environment":E,"value":"..."}   somebody's own value of it
//        {"kind":"redact","name":N,"environment":E,"version":1}   that version's value is blanked
//        {"kind":"stores_otherwise","on":true}   what is written is stored with a line break more
//        {"kind":"foreign_write","name":N,"environment":E,"value":"..."}   somebody else writes now
//        {"kind":"heroku_sync","app":"raxx-api-prod","environment":"prod"}  a secret sync to that app, which
//        has been there for long; also "path":"/", "automatic":false (only by hand), "recursive":true,
//        "key_schema":"PROD_{{secretKey}}", "deletes":true (what Infisical doesn't hold), "status":"failed"
//        or "never" (how its last run ended)
//        {"kind":"sync_fails","app":"raxx-api-prod","on":true}   its runs fail from now on
//        {"kind":"sync_automatic","app":"raxx-api-prod","on":false}   it is switched off, or on again
//        {"kind":"sync_now","app":"raxx-api-prod"}   somebody presses "Trigger Sync"
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "deploy/sandbox/secret_sync.h"
#include "deploy/sandbox/timing.h"
#include "deploy/sandbox/vendor.h"

namespace keyturn::sandbox {

struct SecretVersion {
  int version = 1;
  std::string value;
  std::string comment;
  storage::TimePoint at{};
};

struct InfisicalSecret {
  std::string id;
  std::string environment;
  std::string path = "/";
  std::string name;
  std::vector<SecretVersion> versions;  // oldest first; never empty
  nlohmann::json metadata = nlohmann::json::array();
  bool deleted = false;  // its versions stay readable, under its old name
  bool rotated_by_infisical = false;
  std::string imported_into;                  // the folder that an import brings it into
  std::optional<std::string> personal_value;  // somebody's override: only they see it

  const SecretVersion& newest() const { return versions.back(); }
};

class InfisicalWorld final : public Vendor {
 public:
  InfisicalWorld(const storage::Clock& clock, SandboxTiming timing, std::string project);

  struct Identity {
    std::string name;
    std::string client_id;
    std::string client_secret;
    bool read_only = false;
    bool member = true;            // of the project
    std::optional<int> uses_left;  // of the client secret
    int failures = 0;              // wrong secrets in a row
    storage::TimePoint last_failure{};
    storage::TimePoint locked_until{};
  };

  const std::string& project() const { return project_; }
  void add_environment(std::string slug);
  Identity& add_identity(std::string name);  // with a new id and secret
  const std::deque<Identity>& identities() const { return identities_; }

  // As a person in the web page would: makes the secret, or its next version. Returns the version.
  int put(const std::string& environment, const std::string& name, std::string value,
          std::string comment = "");
  void remove(const std::string& environment, const std::string& name);
  const InfisicalSecret* find(const std::string& environment, const std::string& name) const;
  std::deque<SecretSync>& syncs() { return syncs_; }
  // What a sync copies: the values of a folder's secrets, by name; and how often they were written so far.
  std::map<std::string, std::string> values(const std::string& environment, const std::string& path) const;
  int changes(const std::string& environment, const std::string& path) const;

  nlohmann::json state() const override;
  net::Response answer(const net::ServerRequest& request) override;

 protected:
  bool turn_knob(const nlohmann::json& knob) override;
  void reset_knobs() override;
  net::Response fault_answer(int status) override;

 private:
  struct Token {
    std::string value;
    std::string client_id;
    storage::TimePoint created{};
    storage::TimePoint expires{};
    bool revoked = false;
  };
  struct Knobs {
    std::optional<std::string> approval_environment;  // "": every environment
    bool hidden_value = false;
    bool read_only = false;
    bool login_refused = false;
    bool secret_expired = false;
    bool v3_only = false;
    bool ignore_version = false;
    bool stores_otherwise = false;
  };
  struct Address {
    std::string project, environment, path = "/", name;
  };
  struct ChangeRequest {  // a write that waits for an approval
    std::string method;
    nlohmann::json fields;
    Address address;
  };
  using MaybeResponse = std::optional<net::Response>;

  net::Response authenticate(const net::ServerRequest& request);
  net::Response login(const nlohmann::json& body);
  net::Response renew(const nlohmann::json& body);
  net::Response revoke(const nlohmann::json& body);
  net::Response hand_out(const std::string& client_id, storage::TimePoint creation);
  // `purpose` is how the refusal begins: "Failed to authorize", "Cannot renew".
  MaybeResponse refuse_token(const Token* token, std::string_view purpose) const;
  bool right_secret(Identity& identity, const std::string& secret);

  net::Response secrets(const net::ServerRequest& request, const Identity& identity, const std::string& name,
                        bool v3);
  net::Response list_secrets(const Address& address, bool hidden) const;
  net::Response read_secret(const net::ServerRequest& request, const Address& address, bool hidden,
                            bool expand) const;
  net::Response write_secret(const std::string& method, const nlohmann::json& body, const Address& address);
  net::Response update(InfisicalSecret& secret, const nlohmann::json& body);
  MaybeResponse refuse_address(const Address& address, const Identity& identity) const;
  MaybeResponse refuse_write(const std::string& method, const nlohmann::json& fields, const Address& address,
                             const Identity& identity);
  void approve_all();
  InfisicalSecret& existing(const nlohmann::json& knob);      // throws when there is none
  std::vector<SecretSync*> syncs_to(const std::string& app);  // throws when there is none
  net::Response list_syncs(const Identity& identity, const std::string& project) const;
  nlohmann::json read_body(const InfisicalSecret& secret, bool hidden, bool expand) const;
  nlohmann::json version_body(const InfisicalSecret& secret, const SecretVersion& version, bool hidden) const;
  nlohmann::json personal_body(const InfisicalSecret& secret, bool hidden) const;
  const InfisicalSecret* imported(const Address& address) const;
  std::string expanded(const InfisicalSecret& secret, const std::string& value) const;

  InfisicalSecret& add_secret(const Address& address, std::string value, std::string comment);
  InfisicalSecret* live(const std::string& environment, const std::string& path, const std::string& name);
  const InfisicalSecret* live(const std::string& environment, const std::string& path,
                              const std::string& name) const;
  Token* token(const std::string& value);
  Identity* identity(const std::string& client_id);

  SandboxTiming timing_;
  std::string project_;
  std::vector<std::string> environments_;
  std::deque<Identity> identities_;
  std::deque<Token> tokens_;
  std::deque<InfisicalSecret> secrets_;
  std::deque<SecretSync> syncs_;
  nlohmann::json approvals_ = nlohmann::json::array();  // for people to read
  std::vector<ChangeRequest> waiting_;
  Knobs knobs_;
};

}  // namespace keyturn::sandbox
