// Runs the parts that are asked for, keeps what each found in BUILD/bench/, and writes the report from all that lies there.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { measureAcks, measureStarts } from './acks.mjs';
import { measureGrowth } from './growth.mjs';
import { measureHalfOpen, measureRefresh } from './sockets.mjs';
import { measureRotations } from './rotation.mjs';
import { report } from './report.mjs';
import { sides, World } from './sides.mjs';
import { Driver } from './support.mjs';

const [build, ...asked] = process.argv.slice(2);
const smoke = asked.includes('--smoke');
const results = join(build, 'bench');
const compared = ['keyturn', 'bolt'];
await mkdir(results, { recursive: true }); // journals lie there too: /tmp may be memory, which no fsync waits for

async function withWorld(use) {
  const world = await World.open(build, await mkdtemp(join(results, 'run-')));
  try {
    return await use(world);
  } finally {
    await world.close();
  }
}

const parts = {
  async limits(world) {
    const driver = await Driver.open(build);
    const found = [];
    for (let i = 0; i < 3; ++i) found.push(await driver.ask({ do: 'limits', folder: world.folder }));
    await driver.close();
    return found;
  },
  acks: (world) => measureAcks(world, build, sides, { rounds: 3, seconds: 1, openSeconds: 3 }),
  starts: (world) => measureStarts(world, build, compared, 7),
  sockets: (world) => measureRefresh(world, build, compared, { rounds: 2, seconds: 9 }),
  rotation20: () => measureRotations(20),
  rotation100: () => measureRotations(100),
  async growth(world) {
    const { found } = JSON.parse(await readFile(join(results, 'rotation20.json'), 'utf8'));
    return measureGrowth(world, build, found[0].exported);
  },
  micro: () => JSON.parse(execFileSync(join(build, 'tests/bench/bench_micro'),
    ['--benchmark_format=json', '--benchmark_min_time=0.2', '--benchmark_repetitions=3', '--benchmark_report_aggregates_only'])),
  halfopen: (world) => measureHalfOpen(world, build, compared, 75),
};

// Whatever can be asserted without a clock: everything was answered alike, and nothing was lost that need not be.
async function checkThatItWorks(world) {
  const acks = await measureAcks(world, build, compared, { rounds: 1, seconds: 0.3, openSeconds: 0.5 });
  const answers = new Set();
  for (const side of compared) {
    const [{ closed, open }] = acks[side];
    for (const [how, result] of [...Object.entries(closed), ...Object.entries(open)]) {
      assert.ok(result.sent > 0);
      assert.equal(result.lost, 0, `${side}, ${how}: envelopes were lost`);
      answers.add(JSON.parse(result.answer).payload.text);
    }
  }
  assert.equal(answers.size, 1, `both sides answer alike: ${[...answers].join(' / ')}`);
  const refreshed = await measureRefresh(world, build, ['keyturn'], { rounds: 1, seconds: 2 });
  for (const [fault, { keyturn: [{ sent, lost }] }] of Object.entries(refreshed)) {
    assert.ok(sent > 0);
    assert.equal(lost, 0, `${fault}: envelopes were lost while the socket was replaced`);
  }
}

async function writeReport(folder, pictures) {
  await mkdir(join(folder, pictures), { recursive: true });
  for (const [name, text] of Object.entries(await report(results))) {
    await writeFile(name.endsWith('.svg') ? join(folder, pictures, name) : join(folder, name), text);
  }
}

if (smoke) {
  await withWorld(checkThatItWorks);
  console.log('the bench works, and nothing was lost');
} else {
  const publish = asked.includes('--publish');
  const wanted = asked.filter((word) => !word.startsWith('--'));
  for (const part of wanted.length || publish ? wanted : Object.keys(parts)) {
    assert.ok(parts[part], `there is no part ${part}; there are ${Object.keys(parts).join(', ')}`);
    console.error(`measuring: ${part}`);
    const found = await withWorld(parts[part]);
    await writeFile(join(results, `${part}.json`), JSON.stringify({ at: new Date().toISOString(), found }, null, 1));
  }
  await writeReport(results, 'performance');
  if (publish) await writeReport('docs', 'performance');
  console.log(`written: ${join(results, 'performance.md')}${publish ? ' and docs/performance.md' : ''}`);
}
