// The pure parts, with Google Benchmark (micro/), beside what the page said of them before.
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const ask = (build, args) => execFileSync(join(build, 'tests/bench/bench_micro'), args, { encoding: 'utf8' });

export const measureMicro = (build, args) => JSON.parse(ask(build, ['--benchmark_format=json', ...args])).benchmarks;

export const namesOfMicro = (build) => ask(build, ['--benchmark_list_tests']).trim().split('\n');

export const microTitle = 'The pure parts';

// {name: time} of the page that is there. Kept with what is measured now, so that publishing twice doesn't lose it.
export async function published(page) {
  const section = (await readFile(page, 'utf8')).split(/^## /m).find((text) => text.startsWith(microTitle)) ?? '';
  return Object.fromEntries([...section.matchAll(/^\| (.+?) \| ([\d.,]+ \w+) \|/gm)].map(([, name, time]) => [name, time]));
}
