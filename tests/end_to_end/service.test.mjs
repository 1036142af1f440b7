// The service's hardening takes away nothing that the bot uses: a whole rotation is traced, and each system call, socket
// and file that it wrote is held against what deploy/systemd/keyturn.service allows. (How strict that is, tests/checks/service
// judges.)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';

const skip = /asan|tsan/.test(process.env.KEYTURN_BUILD ?? '') ? 'a sanitizer calls what the bot never does' : false;
const unit = await readFile(new URL('../../deploy/systemd/keyturn.service', import.meta.url), 'utf8');
const settings = (name) => [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value);

// The calls of a group, and of the groups in it, as this machine's systemd knows them.
function callsOf(name) {
  if (!name.startsWith('@')) return [name];
  const lines = execFileSync('systemd-analyze', ['--no-pager', 'syscall-filter', name], { encoding: 'utf8' }).split('\n');
  return lines.slice(1).map((line) => line.trim()).filter((line) => line && !line.startsWith('#')).flatMap(callsOf);
}

function allowedCalls() {
  const allowed = new Set();
  for (const value of settings('SystemCallFilter')) {
    const names = value.replace(/^~/, '').split(' ').flatMap(callsOf);
    for (const name of names) {
      if (value.startsWith('~')) allowed.delete(name);
      else allowed.add(name);
    }
  }
  return allowed;
}

// Reads "PID call(arguments) = result"; a call that another thread interrupted stands in two lines, the first of which says all.
function readTrace(text) {
  return text.split('\n').map((line) => /^\d+ +(\w+)\((.*)$/.exec(line)).filter(Boolean)
    .map(([, call, rest]) => ({ call, rest }));
}

test('a whole rotation needs no system call, socket or file that the service is denied', { skip, timeout: 90000 }, async (t) => {
  const allowed = allowedCalls();
  assert.ok(allowed.size > 100 && !allowed.has('mount'), 'the filter can be read');

  const stage = await Stage.open();
  t.after(() => stage.close());
  const log = `${stage.folder}/trace`;
  // -D: the bot is our child, and gets our signals; -s 0: no byte of what it sends or stores.
  stage.launch({}, ['strace', '-D', '-f', '-qq', '-s', '0', '-o', log]);
  await until('the bot to be ready', async () => stage.bot.ended || (await stage.ready()));
  assert.ok(!stage.bot.ended, stage.bot.errors);
  await stage.handOver();
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  await stage.bot.stop();

  const trace = readTrace(await readFile(log, 'utf8'));
  const calls = new Set(trace.map(({ call }) => call));
  for (const call of ['fdatasync', 'connect', 'accept', 'prlimit64', 'prctl']) assert.ok(calls.has(call), `the trace shows ${call}`);
  // SQLite gives the files that root makes to the owner of the database. This test's bot is root's; the service's is not.
  allowed.add('fchown');
  assert.deepEqual([...calls].filter((call) => !allowed.has(call)), [], 'system calls that the service is denied');
  t.diagnostic(`${trace.length} calls of ${calls.size} kinds`);

  const families = new Set(trace.filter(({ call }) => /^socket(pair)?$/.test(call)).map(({ rest }) => /^[^,]+/.exec(rest)[0]));
  const open = new Set(settings('RestrictAddressFamilies').flatMap((value) => value.split(' ')));
  assert.deepEqual([...families].filter((family) => !open.has(family.replace('AF_LOCAL', 'AF_UNIX'))), [], 'sockets that it is denied');

  // Everything but the journal's folder is read-only, and there are no devices but the harmless ones.
  const written = trace.filter(({ call, rest }) => /^(openat|open|creat|mkdir|mkdirat|unlink|unlinkat|rename|renameat2?)$/.test(call)
    && (!call.startsWith('open') || /O_WRONLY|O_RDWR|O_CREAT/.test(rest))).map(({ rest }) => /"([^"]*)"/.exec(rest)[1]);
  assert.ok(written.some((path) => path === `${stage.folder}/journal.db`), 'the trace shows the journal');
  assert.deepEqual(written.filter((path) => !path.startsWith(`${stage.folder}/journal`) && path !== '/dev/null'), []);

  if (settings('MemoryDenyWriteExecute').includes('yes')) {
    const both = trace.filter(({ call, rest }) => /^(mmap|mprotect|pkey_mprotect)$/.test(call) && /PROT_EXEC/.test(rest) && /PROT_WRITE/.test(rest));
    assert.deepEqual(both, [], 'memory that is written and run');
  }
});
