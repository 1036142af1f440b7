// The journal's hash chain.
#include <benchmark/benchmark.h>

#include "storage/chain_check.h"

namespace keyturn::bench {
namespace {

void verify(benchmark::State& state) {
  std::vector<storage::Entry> entries;
  storage::ChainHead head;
  std::int64_t bytes = 0;
  for (int i = 1; i <= 1000; ++i) {
    storage::Entry entry{.sequence = i,
                         .at = storage::TimePoint(storage::Duration(i)),
                         .rotation = "rot_1",
                         .type = "secret.rotate.action.started",
                         .actor = "keyturn",
                         .data = std::string(static_cast<std::size_t>(state.range(0)), 'x'),
                         .previous_hash = head.hash,
                         .hash = {}};
    entry.hash = storage::chain_hash(entry);
    head = {.sequence = entry.sequence, .hash = entry.hash};
    bytes += static_cast<std::int64_t>(entry.data.size());
    entries.push_back(std::move(entry));
  }
  for (auto turn : state) {
    storage::ChainCheck check;
    for (const auto& entry : entries) {
      if (check.next(entry)) state.SkipWithError("the chain doesn't hold");
    }
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.SetBytesProcessed(state.iterations() * bytes);
}

BENCHMARK(verify)->Name("verify a chain, bytes an entry")->Arg(100)->Arg(1000);

}  // namespace
}  // namespace keyturn::bench
