// A byte that flips in a sealed key of an open rotation: the bot says so when it starts, and not when that key is the last
// copy that is needed.
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

// Each of some bytes in turn, and the box is as it was afterwards.
async function refusedForEachFlip(t, purpose) {
  const { stage, key } = await bothSealed(t);
  for (const column of ['wrapped_key', 'ciphertext']) {
    const box = (value) => `UPDATE boxes SET ${column} = x'${value.toString('hex')}' WHERE purpose = '${purpose}'`;
    const whole = Buffer.from(sql(stage, `SELECT hex(${column}) FROM boxes WHERE purpose = '${purpose}'`), 'hex');
    for (const at of [0, whole.length >> 1, whole.length - 1]) {
      const flipped = Buffer.from(whole);
      flipped[at] ^= 1;
      sql(stage, box(flipped));
      const refused = await stage.refusedBot();
      assert.equal(refused.ended.code, 1, `byte ${at} of ${column}`);
      assert.match(refused.errors, /sealed/);
      stage.count('bytes flipped');
    }
    sql(stage, box(whole));
  }
  // And with its boxes as they were it goes on.
  await stage.startBot();
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal(await stage.currentKey(), key);
}

test('a byte that flips in the sealed old key is told at the start', (t) => refusedForEachFlip(t, 'old_key'));

test('a byte that flips in the sealed new key is told at the start', (t) => refusedForEachFlip(t, 'new_key'));
