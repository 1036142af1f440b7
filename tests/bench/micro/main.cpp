// The pure parts, each by itself, with Google Benchmark.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
