// What happens to a slash command before anybody decides anything.
#include <benchmark/benchmark.h>

#include "commands/command_line.h"
#include "integrations/slack/envelope.h"
#include "tests/bench/load/envelopes.h"

namespace keyturn::bench {
namespace {

void parse(benchmark::State& state) {
  Envelopes envelopes("stripe prod");
  const std::string text(envelopes.text(1));
  for (auto turn : state) benchmark::DoNotOptimize(slack::parse_envelope(nlohmann::json::parse(text)));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void read_words(benchmark::State& state) {
  for (auto turn : state) {
    benchmark::DoNotOptimize(commands::read_command_line("stripe prod \u2014compromise seen in a gist"));
  }
}

BENCHMARK(parse)->Name("parse an envelope");
BENCHMARK(read_words)->Name("read a command line");

}  // namespace
}  // namespace keyturn::bench
