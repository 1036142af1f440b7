#include "storage/chain_check.h"

#include <spdlog/fmt/fmt.h>

namespace keyturn::storage {
namespace {

ChainFault missing(std::int64_t sequence) {
  return {.sequence = sequence, .what = fmt::format("entry {} is missing", sequence)};
}

}  // namespace

std::optional<ChainFault> ChainCheck::next(const Entry& entry) {
  const std::int64_t expected = head_.sequence + 1;
  if (entry.sequence > expected) return missing(expected);
  if (entry.sequence < expected) {
    return ChainFault{.sequence = entry.sequence, .what = "was inserted: the journal counts from 1"};
  }
  if (chain_hash(entry) != entry.hash) {
    return ChainFault{.sequence = entry.sequence, .what = "hash does not match its content"};
  }
  if (entry.previous_hash != head_.hash) {
    return ChainFault{.sequence = entry.sequence, .what = "does not follow the entry before it"};
  }
  head_ = {.sequence = entry.sequence, .hash = entry.hash};
  return std::nullopt;
}

std::optional<ChainFault> ChainCheck::finish(const ChainHead& committed) const {
  if (committed.sequence > head_.sequence) return missing(head_.sequence + 1);
  if (committed.sequence < head_.sequence) {
    return ChainFault{.sequence = committed.sequence + 1,
                      .what = "was inserted after the last committed entry"};
  }
  if (committed.hash != head_.hash) {
    return ChainFault{.sequence = head_.sequence, .what = "is not the entry that was committed last"};
  }
  return std::nullopt;
}

}  // namespace keyturn::storage
