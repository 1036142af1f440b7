// Seals and opens the keys of a rotation: the one place where the sealing key meets the journal's boxes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <stdexcept>
#include <string>

#include "storage/fingerprint.h"
#include "storage/journal.h"
#include "storage/sealed_box.h"

namespace keyturn::commands::rotation {

// Whether `key` is the one that `box` was sealed with. What is inside is wiped at once.
bool opens(const storage::SealingKey& key, const storage::NewBox& box);

// A sealed copy that is there and doesn't open: it was sealed with another key, or changed on the disk since.
class DoesNotOpen : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Vault {
 public:
  // `journal` must outlive this.
  Vault(std::shared_ptr<const storage::SealingKey> key, storage::Journal& journal);

  // A box to commit together with the event that says why it exists.
  storage::NewBox seal(const std::string& rotation, std::string_view purpose,
                       const storage::Secret& secret) const;

  // Throws std::runtime_error when there is no such box, DoesNotOpen when it doesn't open: never a wrong key.
  boost::asio::awaitable<storage::SharedSecret> open(std::string rotation, std::string purpose) const;

  std::string fingerprint(const storage::Secret& secret) const { return fingerprinter_.of(secret); }

  // The six digits that belong to a link, by its token's hash. Derived and never stored, so that neither the
  // journal nor a copy of it holds a code.
  std::string form_code(std::string_view token_hash) const;

 private:
  std::shared_ptr<const storage::SealingKey> key_;
  storage::Journal& journal_;
  storage::Fingerprinter fingerprinter_;
  storage::Secret code_key_;
};

}  // namespace keyturn::commands::rotation
