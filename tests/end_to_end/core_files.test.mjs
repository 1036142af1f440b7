// A crash writes no memory to a disk: the bot lets the kernel make no core file and nobody look into it, whoever starts
// it with whatever limits; and the key that it held then is not lost.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { assertNowhere, disguises, Stage } from './support/stage.mjs';
import { Process, run, until } from './support/process.mjs';

const skip = /asan|tsan/.test(process.env.KEYTURN_BUILD ?? '') ? 'a sanitizer needs a process that can be looked into' : false;

// The kernel lets the powerful look into everything; so who looks, and who is looked at, has no capability.
const powerless = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];

async function opensItself(pid) {
  const { code } = await run(powerless[0], [...powerless.slice(1), 'head', '-c', '1', `/proc/${pid}/maps`]);
  return code === 0;
}
async function coreLimits(pid) {
  return /^Max core file size +(\S+) +(\S+)/m.exec(await readFile(`/proc/${pid}/limits`, 'utf8')).slice(1);
}
async function coreFiles(stage) {
  return (await readdir(stage.folder)).filter((name) => /core/.test(name));
}

// The same crash, of a process like any other: [how many core files it leaves]. Without this the rest would show nothing.
async function crashOfAnother(stage, how, signal) {
  const other = new Process(how[0], [...how.slice(1), 'sleep', '60']);
  await until('sleep', async () => (await readFile(`/proc/${other.pid}/cmdline`, 'utf8')).startsWith('sleep'));
  assert.deepEqual(await coreLimits(other.pid), ['unlimited', 'unlimited']);
  assert.equal(await opensItself(other.pid), true);
  await other.stop(signal);
  return (await coreFiles(stage)).length;
}

async function assertClosedToAll(stage, keys) {
  assert.deepEqual(await coreLimits(stage.bot.pid), ['0', '0']);
  assert.equal(await opensItself(stage.bot.pid), false, 'the bot is not dumpable');
  for (const name of ['environ', 'cmdline']) {
    const bytes = await readFile(`/proc/${stage.bot.pid}/${name}`); // throws when it can't be read: then nothing is known
    assert.ok(bytes.length > 0, name);
    for (const form of keys.flatMap(disguises)) assert.ok(!bytes.includes(form), `a key stands in ${name}`);
  }
}

for (const signal of ['SIGABRT', 'SIGSEGV']) {
  test(`a crash (${signal}) with a key in hand leaves no core file, and the key is not lost`, { skip }, async (t) => {
    assert.equal(process.getuid(), 0, 'who may look into the bot is known only to root');
    const stage = await Stage.open();
    t.after(() => stage.close());
    const how = ['env', '-C', stage.folder, 'prlimit', '--core=unlimited:unlimited', ...powerless];
    const others = await crashOfAnother(stage, how, signal);
    const pattern = (await readFile('/proc/sys/kernel/core_pattern', 'utf8')).trim();
    // A pipe's or another folder's: there the limits and the kernel's answer about the process have to do.
    if (/^[^|/]/.test(pattern)) assert.equal(others, 1, 'another process leaves a core file');
    else t.diagnostic(`core files go to ${pattern} on this machine`);

    const old = await stage.currentKey();
    const begin = async () => {
      stage.launch({}, how);
      await until('the bot to be ready', async () => stage.bot.ended || (await stage.ready()));
      assert.ok(!stage.bot.ended, stage.bot.errors);
    };
    await begin();
    const key = await stage.handOver();
    await assertClosedToAll(stage, [old, key]);
    assert.deepEqual(await stage.bot.stop(signal), { code: null, signal });
    assert.equal((await coreFiles(stage)).length, others, 'the bot leaves none');
    await assertNowhere(stage, [old, key]);

    await begin();
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    await assertClosedToAll(stage, [old, key]);
    await assertNowhere(stage, [old, key]);
    assert.equal((await coreFiles(stage)).length, others);
  });
}
