// A disk that is full, read-only, broken or slow; a byte that flips; a backup that is put back; a clock that jumps. The bot
// says so, says "received" only when it is true, and goes on where it was when the trouble is over.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it as test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { faulty, makeDisk, setClock, skip } from './support/faults.mjs';
import { run, until } from './support/process.mjs';
import { assertRotatedOnce, snapshot, writes } from './support/world.mjs';

const sealed = 'secret.rotate.new_key.received';

async function opened(t, options) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  if (options?.disk) makeDisk(stage, '');
  if (options?.clock) setClock(stage, 0);
  await stage.startBot({ env: faulty(stage, options) });
  stage.before = await snapshot(stage);
  return stage;
}

async function finish(stage, key, { before = stage.before } = {}) {
  assert.equal((await stage.closed(60000)).context.outcome, 'rotated');
  await assertRotatedOnce(stage, before, key);
  await assertNowhere(stage, stage.keys);
}

// They mostly wait, so some run at a time.
describe('the disk and the clock', { concurrency: 4 }, () => {
  for (const trouble of ['full', 'read-only', 'broken']) {
    test(`while the disk is ${trouble} no key is called received; the same paste is, once it is well`, { skip }, async (t) => {
      const stage = await opened(t, { disk: true });
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      const key = await stage.rotateInDashboard(9);
      const message = await stage.seal(link, key, 9);
      makeDisk(stage, trouble);
      const answer = await stage.send(`${link.address}/submit`, JSON.stringify({ token: link.token, ...message }));
      assert.doesNotMatch(answer.text, /"received"/, 'nothing is received that is not on the disk');
      assert.ok(answer.status >= 500, `${answer.status} ${answer.text}`);
      assert.equal(await stage.ready(), false, 'not ready while the journal refuses');
      assert.ok(!stage.bot.ended, 'it waits for the disk');
      assert.deepEqual(writes(await stage.state()), writes(stage.before.state), 'no vendor was written to');
      makeDisk(stage, '');
      assert.equal((await stage.post(link, 'submit', message)).state, 'received');
      await finish(stage, key);
    });
  }

  test('a disk that fills up after the key came stops the work before it changes anything, and frees it again', { skip }, async (t) => {
    const stage = await opened(t, { disk: true });
    await stage.start();
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(12);
    assert.equal((await stage.submit(link, key, 12)).state, 'received');
    makeDisk(stage, 'full');
    await until('the journal to be refused', async () => !(await stage.ready()));
    const asked = writes(await stage.state()).length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    // What had its intent on the disk before may end; nothing else begins.
    assert.ok(writes(await stage.state()).length - asked <= 0, 'no effect without its intent in the journal');
    assert.match(stage.bot.errors, /the commit failed, nothing was written/);
    makeDisk(stage, '');
    await finish(stage, key);
  });

  test('a slow disk makes it slow, and nothing else', { skip }, async (t) => {
    const stage = await opened(t, { disk: true });
    const delay = 250;
    makeDisk(stage, `slow ${delay}`);
    // Who waits for the disk waits at least as long as it takes: so it was slow, and nothing was promised before.
    const slowly = async (what, act) => {
      const began = performance.now();
      const answer = await act();
      assert.ok(performance.now() - began >= delay, `${what}: answered before it was on the disk`);
      return answer;
    };
    const started = await slowly('the command', () => stage.command('stripe prod')); // Slack itself fails it after three seconds
    assert.match(started, /^Rotation of [^\n]* started/);
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(15);
    await stage.look(link);
    const message = await stage.seal(link, key, 15);
    assert.equal((await slowly('the paste', () => stage.post(link, 'submit', message))).state, 'received');
    await finish(stage, key);
  });

  test('a bot that starts on a disk that is read-only says so and ends', { skip }, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    makeDisk(stage, 'read-only');
    const refused = await stage.refusedBot({ env: faulty(stage, { disk: true }) });
    assert.equal(refused.ended.code, 1);
    assert.match(refused.errors, /journal\.db/);
  });

  // Wherever a byte of the file flips, the journal is refused, or says exactly what it said before.
  test('a byte that flips anywhere in the journal is found, or was nobody\u2019s', async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    await stage.start();
    await stage.message(adasMessages, /What only you can check/);
    await stage.bot.stop();
    const file = `${stage.folder}/journal.db`;
    const whole = await readFile(file);
    const told = JSON.stringify(await stage.journal());
    const bot = `${process.env.KEYTURN_BUILD ?? 'build/dev'}/keyturn`;
    let found = 0, named = 0;
    const copy = `${stage.folder}/flipped.db`;
    const flip = async (at) => {
      const bytes = Buffer.from(whole);
      bytes[at] ^= 1 << (at % 8);
      await writeFile(copy, bytes);
      await Promise.all(['-wal', '-shm'].map((end) => rm(copy + end, { force: true })));
      const verified = await run(bot, ['audit', 'verify', '--journal', copy]);
      if (verified.code !== 0) {
        assert.equal(verified.code, 1, `byte ${at} was flipped, and that was no refusal: ${verified.errors}`);
        found += 1;
        named += /entry \d+/.test(verified.output + verified.errors) ? 1 : 0;
        return;
      }
      const { code, output } = await run(bot, ['audit', 'export', '--journal', copy]);
      assert.equal(code, 0, `byte ${at} was flipped, and the journal is verified and can't be read`);
      const now = JSON.stringify(output.trim().split('\n').map((line) => JSON.parse(line)));
      assert.equal(now, told, `byte ${at} was flipped, and the journal tells another story without saying so`);
    };
    for (let i = 0; i < 120; i++) await flip((i * 7919 * 13 + 41) % whole.length);
    const text = whole.indexOf('secret.rotate.started');
    await flip(text + 3);
    t.diagnostic(`${found} of 121 flipped bytes found, ${named} with the entry's number`);
    assert.ok(named > 10, 'a changed entry is named');
    stage.count('bytes flipped', 121);
    // And the bot itself refuses to start on it.
    whole[text + 3] ^= 1;
    await writeFile(file, whole);
    const refused = await stage.refusedBot();
    assert.equal(refused.ended.code, 1);
    assert.match(refused.errors, /journal\.db: the journal was changed from outside: entry 1: /);
  });

  test('a backup taken while it runs can be put back: the rotation goes on, and nothing is done twice', async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    const before = await snapshot(stage);
    await stage.start();
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(9);
    assert.equal((await stage.submit(link, key, 9)).state, 'received');
    await until('the key to be sealed', async () => (await stage.actions()).includes(sealed));
    execFileSync('sqlite3', [`${stage.folder}/journal.db`, `.backup ${stage.folder}/journal-backup.db`]);
    await stage.message(ops, /is rotated\./, 30000);
    const done = writes(await stage.state());
    await stage.bot.stop('SIGKILL');
    for (const end of ['-wal', '-shm']) await rm(`${stage.folder}/journal.db${end}`, { force: true });
    await copyFile(`${stage.folder}/journal-backup.db`, `${stage.folder}/journal.db`);
    await stage.startBot();
    assert.equal((await stage.closed(60000)).context.outcome, 'rotated');
    assert.deepEqual(writes(await stage.state()), done, 'what was done before is seen, and not done again');
    assert.equal((await stage.verifyJournal()).code, 0);
    assert.ok(before.journal.length < (await stage.journal()).length);
    await assertNowhere(stage, [...stage.keys]);
  });

  for (const [seconds, way] of [[5400, 'forward'], [-5400, 'back'], [86400 * 400, 'a year forward']]) {
    test(`a clock that jumps ${way} in the grace makes no dead key of a living one, and the rotation ends`, { skip }, async (t) => {
      const stage = await opened(t, { clock: true });
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      const clicked = Date.now();
      const key = await stage.rotateInDashboard(9);
      assert.equal((await stage.submit(link, key, 9)).state, 'received');
      await stage.message(ops, /is rotated\./, 30000);
      setClock(stage, seconds);
      await until('the end of the grace', async () => {
        if (Date.now() > clicked + 8500) return true;
        assert.ok(!(await stage.actions()).includes('secret.rotate.old_key.proven_dead'), 'proven dead while it lives');
        return false;
      });
      setClock(stage, 0);
      if (seconds > 0) {
        // Started again, it looks at once; else within a minute, which is how long it sleeps at most.
        await stage.bot.stop();
        await stage.startBot({ env: faulty(stage, { clock: true }) });
      }
      await stage.message(ops, /is dead\./, 90000);
      assert.equal((await stage.closed(60000)).context.outcome, 'rotated');
      assert.equal((await stage.verifyJournal()).code, 0);
      await assertNowhere(stage, stage.keys);
    });
  }
});
