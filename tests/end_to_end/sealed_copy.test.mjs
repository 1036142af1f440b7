// A byte that flips in a sealed key of an open rotation: the bot says so when it starts, and the rotation when it needs the
// copy; the others go on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { adasMessages, ops, Stage } from './support/stage.mjs';

const sql = (stage, text) => execFileSync('sqlite3', [`${stage.folder}/journal.db`, text], { encoding: 'utf8' }).trim();

// Stopped before anything was stored, so that both keys are sealed; and the bot is down.
async function bothSealed(t) {
  const stage = await Stage.open({ settings: { grace: '60s' } });
  t.after(() => stage.close());
  await stage.startBot();
  await stage.act('/fault', { system: 'infisical', kind: 'read_only' });
  const key = await stage.handOver(60);
  await stage.message(ops, /Stopped: stripe prod/);
  await stage.bot.stop();
  const purposes = sql(stage, "SELECT purpose FROM boxes WHERE purpose LIKE '%_key' ORDER BY purpose");
  assert.match(purposes, /new_key\nold_key$/);
  return { stage, key };
}

const boxOf = (stage, column, purpose) => Buffer.from(sql(stage, `SELECT hex(${column}) FROM boxes WHERE purpose = '${purpose}'`), 'hex');
const putBox = (stage, column, purpose, value) =>
  sql(stage, `UPDATE boxes SET ${column} = x'${value.toString('hex')}' WHERE purpose = '${purpose}'`);

function flipped(box, at) {
  const copy = Buffer.from(box);
  copy[at] ^= 1;
  return copy;
}

const retry = async (stage) => stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');

// Each of some bytes in turn, and the box is as it was afterwards.
async function toldForEachFlip(t, purpose, words) {
  const { stage, key } = await bothSealed(t);
  for (const column of ['wrapped_key', 'ciphertext']) {
    const whole = boxOf(stage, column, purpose);
    for (const at of [0, whole.length >> 1, whole.length - 1]) {
      putBox(stage, column, purpose, flipped(whole, at));
      await stage.startBot();
      assert.match(stage.bot.errors, new RegExp(`the sealed copy of the ${words} of rot_\\w+ does not open`), `byte ${at} of ${column}`);
      await stage.bot.stop();
      stage.count('bytes flipped');
    }
    putBox(stage, column, purpose, whole);
  }
  await stage.startBot();
  assert.doesNotMatch(stage.bot.errors, /does not open/);
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await retry(stage);
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal(await stage.currentKey(), key);
}

test('a byte that flips in the sealed old key is told at the start', (t) => toldForEachFlip(t, 'old_key', 'old key'));

test('a byte that flips in the sealed new key is told at the start', (t) => toldForEachFlip(t, 'new_key', 'new key'));

test('a damaged copy of the new key stops its rotation in words, writes nothing, and another rotation can begin', async (t) => {
  const { stage } = await bothSealed(t);
  const old = await stage.currentKey();
  putBox(stage, 'ciphertext', 'new_key', flipped(boxOf(stage, 'ciphertext', 'new_key'), 0));
  await stage.startBot();
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await retry(stage);
  const stopped = await stage.message(ops, /Stopped: stripe prod[^]*the sealed copy of the new key of rot_\w+ does not open/);
  assert.match(stopped.all, /it was changed on the disk, or the sealing key is not the one that it was sealed with/);
  assert.equal(await stage.currentKey(), old);
  assert.match(await stage.command('cancel stripe prod --give-up'), /given up/i);
  await stage.closed();
});

test('where nothing opens, the sealing key is asked about, and the bot does not start', async (t) => {
  const { stage } = await bothSealed(t);
  for (const purpose of ['old_key', 'new_key']) putBox(stage, 'ciphertext', purpose, flipped(boxOf(stage, 'ciphertext', purpose), 0));
  const refused = await stage.refusedBot();
  assert.equal(refused.ended.code, 1);
  assert.match(refused.errors, /is this the sealing key that the journal was written with\? If it is, the copy was changed on the disk/);
});
