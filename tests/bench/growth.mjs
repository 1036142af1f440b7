// What a long journal costs: restart, memory, `/rotate status`, bytes on disk, and the check of the chain.
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { join } from 'node:path';
import { bytesOf } from './sides.mjs';
import { Driver } from './support.mjs';

const targets = 1000;
const rounds = 3;

// As many targets as the journal has, each like the first of the settings.
function manyTargets(text) {
  const [head, first] = text.split(/^(?=\[\[target\]\])/m);
  const sections = Array.from({ length: targets }, (_, i) => first.replace('environment = "prod"', `environment = "e${i}"`));
  return head + sections.join('');
}

async function measure(world, build, template, rotations) {
  const folder = join(world.folder, `growth-${rotations}`);
  await mkdir(folder);
  const journal = join(folder, 'journal.db');
  execFileSync(join(build, 'tests/bench/bench_journal'), [template, String(rotations), String(targets), journal]);
  const bytes = await bytesOf(journal);
  const [verifySeconds, starts, resident, peak, status] = [[], [], [], [], []];
  let said;
  for (let i = 0; i < rounds; ++i) {
    const began = performance.now();
    said = execFileSync(join(build, 'keyturn'), ['audit', 'verify', '--journal', journal], { encoding: 'utf8' });
    verifySeconds.push((performance.now() - began) / 1000);
  }

  const driver = await Driver.open(build);
  const settings = await world.settings(folder, driver.slack);
  await writeFile(settings, manyTargets(await readFile(settings, 'utf8')));
  const command = [join(build, 'keyturn'), 'run', '--config', settings];
  for (let i = 0; i < rounds; ++i) {
    starts.push((await driver.ask({ do: 'start', command, log: join(folder, `log-${i}`) })).ready);
    const memory = await driver.ask({ do: 'memory' });
    resident.push(memory.resident);
    peak.push(memory.peak);
  }
  await driver.ask({ do: 'say', text: 'status' });
  for (let i = 0; i < rounds; ++i) status.push((await driver.ask({ do: 'closed', outstanding: 1, seconds: 1.5 })).p50);
  await driver.ask({ do: 'stop' });
  await driver.close();
  return { rotations, entries: Number(said.split(' ')[0]), bytes, verifySeconds, starts, resident, peak, status };
}

// `journal`: the entries of one real rotation.
export async function measureGrowth(world, build, journal, sizes = [100, 1000, 10000]) {
  const template = join(world.folder, 'template.jsonl');
  await writeFile(template, journal.map((entry) => JSON.stringify(entry)).join('\n'));
  const found = [];
  for (const size of sizes) found.push(await measure(world, build, template, size));
  return found;
}
