// The journal: the only thing that remembers. State is a fold over its entries, the audit log is its entries,
// and sealed secrets change together with the entry that says so, in one transaction. Each entry carries the
// SHA-256 of the one before it, so a changed, removed or inserted entry is found. Thread: call from the io
// thread; every awaitable resumes there. Failure: a commit that throws wrote nothing.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "storage/clock.h"
#include "storage/sealed_box.h"

namespace keyturn::storage {

// What is to be appended. `rotation` is empty for what belongs to none (a refused command).
struct NewEntry {
  TimePoint at;
  std::string rotation;
  std::string type;   // "secret.rotate.started", ...
  std::string actor;  // a Slack user id, or "keyturn"
  nlohmann::json data;
};

// What was appended. `data` is the JSON text exactly as it was hashed.
struct Entry {
  std::int64_t sequence = 0;  // 1, 2, 3, ... without holes
  TimePoint at;
  std::string rotation;
  std::string type;
  std::string actor;
  std::string data;
  std::string previous_hash;  // 64 hex digits; zeros for the first entry
  std::string hash;
};

// SHA-256 (lower-case hex) over the entry's fields, each as "LENGTH:BYTES", so that no two entries serialise
// alike: sequence, at (milliseconds since the epoch), rotation, type, actor, data, previous_hash; numbers in
// decimal.
std::string chain_hash(const Entry& entry);

struct BoxName {
  std::string rotation;
  std::string purpose;  // "old_key", "new_key"
};

struct NewBox {
  BoxName name;
  SealedBox box;
};

// All of it happens, or none. A box that exists already under its name is replaced.
struct Batch {
  std::vector<NewEntry> entries;
  std::vector<NewBox> boxes;
  std::vector<BoxName> destroyed;
  // Set: the batch happens once for this key, for ever (the dedupe key of a Slack envelope).
  std::optional<std::string> once;
};

struct Committed {
  bool duplicate = false;  // `once` was known already: nothing was written
  std::vector<Entry> entries;
};

struct ChainFault {
  std::int64_t sequence = 0;
  std::string what;  // "hash does not match its content", "entry 7 is missing", ...
};

class Journal {
 public:
  virtual ~Journal() = default;

  // On disk (fsync done) when it returns. Commits that wait together share one fsync.
  virtual boost::asio::awaitable<Committed> commit(Batch batch) = 0;

  // The box under that name; nothing if there was none, or it was destroyed.
  virtual boost::asio::awaitable<std::optional<SealedBox>> box(BoxName name) = 0;

  // The entries of one rotation, oldest first.
  virtual boost::asio::awaitable<std::vector<Entry>> entries_of(std::string rotation) = 0;
};

}  // namespace keyturn::storage
