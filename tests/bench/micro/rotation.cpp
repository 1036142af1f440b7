// The heart: folding the events of a rotation, and deciding what comes next.
#include <benchmark/benchmark.h>

#include "commands/rotation/events.h"
#include "tests/unit/commands/story.h"

namespace keyturn::bench {
namespace {

using namespace keyturn::test;

commands::Target target_with(int consumers) {
  auto target = sample_target();
  target.consumers.clear();
  for (int i = 0; i < consumers; ++i) {
    target.consumers.push_back({"app-" + std::to_string(i), "STRIPE_RESTRICTED_KEY"});
  }
  return target;
}

// One rotation up to the end of its verification, as a journal holds it.
std::vector<Event> whole_rotation(const commands::Target& target) {
  std::vector<Event> events;
  events.emplace_back(
      Started{.target = target, .operator_id = "U1", .channel = "C1", .compromise = false, .reason = {}});
  events.emplace_back(OperatorChecked{true, ""});
  events.emplace_back(current_key());
  events.emplace_back(BillingChecked{.health = Health::healthy, .status = 200, .detail = {}});
  for (const auto& consumer : target.consumers) events.emplace_back(inspected(consumer.app));
  events.emplace_back(healthy_probe(ActionKind::probe_old_key));
  events.emplace_back(OperatorConfirmed{{"ready"}, ""});
  events.emplace_back(FormIssued{"hash-1", kStart + 15min});
  events.emplace_back(FormSent{"D1", "1.1"});
  events.emplace_back(KeyReceived{.fingerprint = "new-1",
                                  .grace_chosen = 24h,
                                  .rotated_at = kStart,
                                  .old_key_expires_at = kStart + 24h,
                                  .peer = "192.0.2.1"});
  events.emplace_back(healthy_probe(ActionKind::probe_new_key));
  events.emplace_back(healthy_probe(ActionKind::probe_old_again));
  events.emplace_back(
      KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = "inf-1"});
  for (const auto& consumer : target.consumers) {
    events.emplace_back(
        ConsumerUpdated{.app = consumer.app, .already_there = false, .release = 11, .request_id = "her-1"});
    events.emplace_back(
        ConsumerRunning{.app = consumer.app, .release = 11, .dynos = 2, .request_id = "her-2"});
  }
  for (const auto& consumer : target.consumers) events.emplace_back(quiet_watch(consumer.app));
  events.emplace_back(healthy_billing());
  return events;
}

void fold(benchmark::State& benchmark_state) {
  const auto events = whole_rotation(target_with(static_cast<int>(benchmark_state.range(0))));
  for (auto turn : benchmark_state) {
    State state;
    for (const Event& event : events) apply(state, event, kStart);
    benchmark::DoNotOptimize(state);
  }
  benchmark_state.SetItemsProcessed(benchmark_state.iterations() * static_cast<std::int64_t>(events.size()));
}

void decide_next(benchmark::State& benchmark_state) {
  State state;
  for (const Event& event : whole_rotation(target_with(static_cast<int>(benchmark_state.range(0))))) {
    apply(state, event, kStart);
  }
  for (auto turn : benchmark_state) benchmark::DoNotOptimize(decide(state, kStart + 10min));
}

void read_back(benchmark::State& benchmark_state) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Event& event : whole_rotation(target_with(1))) {
    rows.emplace_back(type_of(event), data_of(event).dump());
  }
  for (auto turn : benchmark_state) {
    for (const auto& [type, data] : rows)
      benchmark::DoNotOptimize(read_event(type, nlohmann::json::parse(data)));
  }
  benchmark_state.SetItemsProcessed(benchmark_state.iterations() * static_cast<std::int64_t>(rows.size()));
}

BENCHMARK(fold)->Name("fold a rotation, apps")->Arg(1)->Arg(10)->Arg(100);
BENCHMARK(decide_next)->Name("decide, apps")->Arg(1)->Arg(10)->Arg(100);
BENCHMARK(read_back)->Name("read a rotation's events from JSON");

}  // namespace
}  // namespace keyturn::bench
