// Sealing at rest, and the form's message (HPKE).
#include <benchmark/benchmark.h>

#include "storage/fingerprint.h"
#include "storage/hpke.h"
#include "storage/sealed_box.h"

namespace keyturn::bench {
namespace {

constexpr std::string_view kText =
    "not a key, but as long as one: 107 characters, as Stripe's restricted keys are now........";
constexpr std::string_view kAssociated = "rot_1/new_key";

storage::SealingKey sealing_key() {
  return storage::SealingKey::parse(storage::Secret::copy_of(std::string(64, 'a'))).value();
}

void seal(benchmark::State& state) {
  const auto key = sealing_key();
  const auto text = storage::Secret::copy_of(kText);
  for (auto turn : state) benchmark::DoNotOptimize(storage::seal(key, text, kAssociated));
}

void unseal(benchmark::State& state) {
  const auto key = sealing_key();
  const auto box = storage::seal(key, storage::Secret::copy_of(kText), kAssociated);
  for (auto turn : state) benchmark::DoNotOptimize(storage::unseal(key, box, kAssociated));
}

void generate(benchmark::State& state) {
  for (auto turn : state) benchmark::DoNotOptimize(storage::hpke::generate());
}

void open(benchmark::State& state) {
  const auto pair = storage::hpke::generate();
  const storage::hpke::Context context{.info = "bench", .associated_data = kAssociated};
  const auto message = storage::hpke::seal(pair.public_key, kText, context);
  for (auto turn : state) benchmark::DoNotOptimize(storage::hpke::open(pair, message, context));
}

BENCHMARK(seal)->Name("seal a key at rest");
BENCHMARK(unseal)->Name("unseal it");
BENCHMARK(generate)->Name("HPKE: make a form's key pair");
BENCHMARK(open)->Name("HPKE: open what the form sent");

}  // namespace
}  // namespace keyturn::bench
