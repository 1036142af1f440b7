// Follows the hash chain of a journal, entry by entry, and names the first one that is wrong.
// The chain alone can't tell that its last entries were cut off, so the journal also keeps its head (the last
// sequence and hash), changed in the same transaction. All of this finds accidents and careless hands;
// somebody who can write the file and recomputes every hash is only found by an anchor outside of it (the
// hash in the channel's audit summary). Thread: one at a time; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/journal.h"

namespace keyturn::storage {

// The last entry of a journal; of an empty one, number 0 with a hash of zeros.
struct ChainHead {
  std::int64_t sequence = 0;
  std::string hash = std::string(64, '0');
};

class ChainCheck {
 public:
  // Feeds the next entry, oldest first. After a fault nothing more may be fed.
  std::optional<ChainFault> next(const Entry& entry);

  // After the last entry: is it the one that was committed last?
  std::optional<ChainFault> finish(const ChainHead& committed) const;

  const ChainHead& head() const { return head_; }

 private:
  ChainHead head_;
};

}  // namespace keyturn::storage
