// The family of systems that keep secrets with versions (first: Infisical).
// Failure: ApiError. A write that may or may not have happened is Failure::ambiguous: read before anything
// else.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/secret.h"

namespace keyturn::integrations {

struct SecretAddress {
  std::string project;      // Infisical's project id
  std::string environment;  // slug: "prod"
  std::string path;         // "/"
  std::string name;         // "STRIPE_RESTRICTED_KEY"
};

struct StoredSecret {
  storage::SharedSecret value;  // null when hidden, and of an old version that was redacted
  std::string id;  // the secret's own id: a version number alone can belong to a deleted namesake
  int version = 0;
  bool hidden = false;            // the store showed a placeholder: this identity may not read the value
  bool rotated_by_store = false;  // the store rotates it itself, and refuses our writes
  bool is_reference = false;      // the raw value refers to another secret ("${...}")
  std::string request_id;
};

struct SecretWritten {
  int version = 0;  // what the store says the write became; verify with a read
  std::string request_id;
};

// The store took the change as a request that somebody must approve. Nothing has changed yet.
struct ApprovalPending {
  std::string slug;
};

// How the newest run of a sync stands. While the store tries a failing run again, it is still running.
enum class SyncStatus { unknown, pending, running, succeeded, failed };

// Something that copies the store's secrets onward by itself ("secret sync").
struct SecretSync {
  std::string id;
  std::string destination;  // "heroku"
  std::string app;          // the destination's app by its name, where it says
  std::string app_id;       // and by its id
  std::string environment;  // slug
  std::string path;
  bool automatic = false;
  bool recursive = false;  // the folders below `path` too, all into one flat list
  std::string key_schema;  // how a secret is named there: "PROD_{{secretKey}}"; empty: as here
  bool deletes = false;    // what stands there and not here
  bool has_run = false;    // successfully, once at least
  SyncStatus status = SyncStatus::unknown;
  std::string last_run;  // id of the run that last came to an end, good or bad; empty: none did
};

// Whether the store copies what stands at `address` onward by itself, beside whatever we do.
bool copies_onward(const SecretSync& sync, const SecretAddress& address);

// The name under which the secret arrives there; empty: the schema holds something that we can't fill in.
std::string arrives_as(const SecretSync& sync, const SecretAddress& address);

class SecretStore {
 public:
  virtual ~SecretStore() = default;

  // The raw value (references and imports not expanded) of `version`, or of the newest without one. With a
  // version, the answer's own version is checked to be that one.
  virtual boost::asio::awaitable<StoredSecret> read(SecretAddress address, std::optional<int> version) = 0;

  // Sets the value; `comment` and `rotation` (as metadata) are seen by people and in the store's audit log.
  // Refuses an empty value.
  virtual boost::asio::awaitable<std::variant<SecretWritten, ApprovalPending>> write(
      SecretAddress address, storage::SharedSecret value, std::string comment, std::string rotation) = 0;

  virtual boost::asio::awaitable<std::vector<SecretSync>> syncs(std::string project) = 0;
};

}  // namespace keyturn::integrations
