// Runs the parts that are asked for, keeps what each found in BUILD/bench/, and writes the report from all that lies there.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { measureAcks, measureStarts } from './acks.mjs';
import { criticalPath, milliseconds } from './critical_path.mjs';
import { measureGrowth } from './growth.mjs';
import { measureMicro, namesOfMicro, published } from './micro.mjs';
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
  sandbox: (world) => measureAcks(world, build, sides, { rounds: 3, seconds: 1, openSeconds: 3, emulated: true }),
  starts: (world) => measureStarts(world, build, compared, 7),
  sockets: (world) => measureRefresh(world, build, compared, { rounds: 3, seconds: 9 }),
  rotation20: () => measureRotations(20),
  rotation100: () => measureRotations(100),
  async growth(world) {
    const { found } = JSON.parse(await readFile(join(results, 'rotation20.json'), 'utf8'));
    return measureGrowth(world, build, found[0].rounds[0].journal);
  },
  async micro() {
    const benchmarks = measureMicro(build, ['--benchmark_min_time=0.2', '--benchmark_repetitions=3', '--benchmark_report_aggregates_only']);
    return { benchmarks, before: await published('docs/performance.md') };
  },
  halfopen: (world) => measureHalfOpen(world, build, compared, { rounds: 3, seconds: 45 }),
};

// What is measured, if the build is new. It ends in "dirty" when the tree holds something that no commit does.
function commitOfTheTree() {
  return execFileSync('git', ['describe', '--always', '--dirty', '--exclude', '*'], { encoding: 'utf8' }).trim();
}

// From the end: what was answered last, then what was answered last before that began; whatever went on beside is left out.
function checkTheCriticalPath() {
  const requests = [[2, 30], [3, 10], [11, 20], [31, 40], [35, 50]].map(([from, to]) => ({ from, to }));
  const path = criticalPath(requests, 1, 41);
  assert.deepEqual(path, [{ from: 2, to: 30 }, { from: 31, to: 40 }]);
  assert.equal(milliseconds(path, 5), 34, 'what was before the stretch does not count');
}

function checkThatEveryMicroBenchmarkRuns() {
  const ran = measureMicro(build, ['--benchmark_min_time=0.001']).filter(({ error_occurred: failed }) => !failed).map(({ name }) => name);
  assert.deepEqual(ran, namesOfMicro(build));
}

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
  const [{ closed }] = (await measureAcks(world, build, ['keyturn'], { rounds: 1, seconds: 0.2, openSeconds: 0.2, emulated: true })).keyturn;
  for (const { sent, lost, answer } of Object.values(closed)) {
    assert.ok(sent > 0);
    assert.equal(lost, 0, "envelopes of the sandbox's Slack were lost");
    answers.add(JSON.parse(answer).payload.text);
  }
  assert.equal(answers.size, 1, `all answer alike: ${[...answers].join(' / ')}`);
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
  checkTheCriticalPath();
  checkThatEveryMicroBenchmarkRuns();
  await withWorld(checkThatItWorks);
  console.log('the bench works, and nothing was lost');
} else {
  const publish = asked.includes('--publish');
  const wanted = asked.filter((word) => !word.startsWith('--'));
  for (const part of wanted.length || publish ? wanted : Object.keys(parts)) {
    assert.ok(parts[part], `there is no part ${part}; there are ${Object.keys(parts).join(', ')}`);
    console.error(`measuring: ${part}`);
    const [at, commit] = [new Date().toISOString(), commitOfTheTree()];
    const found = await withWorld(parts[part]);
    await writeFile(join(results, `${part}.json`), JSON.stringify({ at, commit, found }, null, 1));
  }
  await writeReport(results, 'performance');
  if (publish) await writeReport('docs', 'performance');
  console.log(`written: ${join(results, 'performance.md')}${publish ? ' and docs/performance.md' : ''}`);
}
