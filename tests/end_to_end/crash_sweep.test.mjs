// Killed at every instant that matters: before and after every write, truncation and sync of the journal, every connect
// and every send of a whole rotation, and of the way back from one, on a disk that keeps what was not synced, loses it, or keeps some of its sectors.
// After each, the bot is started again, the operator repeats what got no answer, and the world must look as if nothing had
// happened. One undisturbed run finds the points.
//   KEYTURN_CRASH_SECONDS=3600      sweeps that long instead of a minute (0: until all are done)
//   KEYTURN_CRASH_AT="17 before all"   that one alone (--test-name-pattern chooses which of the two)
import assert from 'node:assert/strict';
import { availableParallelism, cpus } from 'node:os';
import { test } from 'node:test';
import { Stage, noteFigures, ops } from './support/stage.mjs';
import { faulty, pointsOf, skip } from './support/faults.mjs';
import { Stubborn } from './support/stubborn.mjs';
import { assertRolledBackOnce, assertRotatedOnce, snapshot } from './support/world.mjs';

const seconds = Number(process.env.KEYTURN_CRASH_SECONDS ?? 60);
// A life is nine tenths waiting. A sweep that is longer than the usual one has the machine to itself.
const together = (seconds > 0 && seconds <= 60 ? 4 : 10) * (availableParallelism?.() ?? cpus().length);

// Quicker than a quick rehearsal; the grace has room for a death and a start.
const quicker = { watch: '600ms', grace: '5s', compromise_grace: '4s', reminder_before: '1s', proof_after: '200ms', proof_every: '200ms',
  poll_every: '150ms', health_every: '250ms', retry_every: '250ms', late_after: '20s' };

async function rotation(faults, patience) {
  const stage = await Stage.open({ settings: quicker });
  try {
    await stage.startBot();
    const before = await snapshot(stage);
    await stage.bot.stop();
    stage.bot = undefined;
    const operator = new Stubborn(stage, faulty(stage, { ...faults, log: true }), { grace: 5, patience });
    const key = await operator.rotate();
    await assertRotatedOnce(stage, before, key, { repeated: operator.deaths > 0 });
    return { deaths: operator.deaths, points: pointsOf(stage) };
  } finally {
    await stage.close();
  }
}

// Every way to die at these points, the rare kinds of points first, then the others in an order that is always the same.
function ways(points) {
  const all = points.flatMap(({ number, what }, i) => ['before', 'after'].flatMap((when) =>
    (/journal|wal/.test(what) ? ['', 'all', 'some'] : ['']).map((lose) => ({ number, what, when, lose, order: (i * 7919 + when.length * 31 + lose.length * 17) % 10007 }))));
  all.sort((one, other) => one.order - other.order);
  const seen = new Map();
  const rarity = new Map(all.map((way) => {
    const kind = `${way.what} ${way.when} ${way.lose}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return [way, seen.get(kind)];
  }));
  return all.sort((one, other) => rarity.get(one) - rarity.get(other) || one.order - other.order);
}

// A rotation that went well, and the way back from it, on which the bot dies.
async function rollback(faults, patience) {
  const stage = await Stage.open({ settings: { ...quicker, grace: '90s' } });
  try {
    await stage.startBot();
    const before = await snapshot(stage);
    await stage.start();
    await stage.confirm();
    const key = await stage.rotateInDashboard(90);
    assert.equal((await stage.submit(await stage.link(), key, 90)).state, 'received');
    await stage.message(ops, /is rotated\./, 30000);
    await stage.bot.stop('SIGKILL');
    stage.bot = undefined;
    const operator = new Stubborn(stage, faulty(stage, { ...faults, log: true }), { patience });
    await operator.rollBack();
    await assertRolledBackOnce(stage, before);
    return { deaths: operator.deaths, points: pointsOf(stage) };
  } finally {
    await stage.close();
  }
}

// `play` is a life; `share` of the time is for its deaths. {swept, missed, total, failures, points, report}.
async function sweep(play, share, enough) {
  const undisturbed = await play({});
  assert.equal(undisturbed.deaths, 0);
  const wanted = ways(undisturbed.points);
  const total = wanted.length;
  assert.ok(total > enough, `${total} ways to die`);
  const until = seconds ? Date.now() + seconds * share * 1000 : Infinity;
  const failures = [];
  let swept = 0, missed = 0;
  const kinds = new Set();
  const work = async () => {
    while (wanted.length > 0 && Date.now() < until && failures.length < 20) {
      const { number, what, when, lose } = wanted.shift();
      try {
        const { deaths } = await play({ die: { number, when, lose } });
        if (deaths === 0) missed += 1; // this run had fewer points
        else swept += 1;
        kinds.add(what);
      } catch (error) {
        failures.push(`KEYTURN_CRASH_AT="${number} ${when}${lose && ` ${lose}`}" (${play.name}, ${what}): ${error.message.slice(0, 1500)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: together }, work));
  noteFigures({ 'crash points': undisturbed.points.length, 'ways to die swept': swept, 'ways not reached': missed, 'ways to die': total });
  return { swept, missed, total, failures, points: undisturbed.points, report: `${swept} of ${total} ways to die, ${kinds.size} kinds of points, ${missed} not reached` };
}

// Where all were asked for, none is left out, and hardly any run had fewer points than the undisturbed one.
function assertSwept({ swept, missed, total }) {
  assert.ok(swept > 0);
  if (seconds) return;
  assert.equal(swept + missed, total, 'ways to die that were left out');
  assert.ok(missed * 10 <= total, `${missed} of ${total} ways to die were not reached`);
}

// That one alone, where one is asked for.
async function alone(play) {
  const [number, when, lose = ''] = process.env.KEYTURN_CRASH_AT.split(' ');
  assert.ok((await play({ die: { number, when, lose } })).deaths <= 1);
}

test('killed at any write, sync, connect or send, a rotation ends as if nothing had happened', { skip }, async (t) => {
  if (process.env.KEYTURN_CRASH_AT) return alone(rotation);
  const swept = await sweep(rotation, 2 / 3, 300);
  t.diagnostic(swept.report);
  assert.deepEqual(swept.failures, [], `${swept.failures.length} rotations did not survive`);
  assertSwept(swept);
  // A disk that lies about its syncs loses the key that was received, and that is seen: this test can fail.
  const write = swept.points.find(({ what }) => /PATCH \/api\/v\d\/secrets/.test(what));
  await assert.rejects(rotation({ die: { number: write.number, when: 'after', lose: 'all', lies: true } }, 20000), /in vain/);
});

test('killed at any write, sync, connect or send, the way back ends as if nothing had happened', { skip }, async (t) => {
  if (process.env.KEYTURN_CRASH_AT) return alone(rollback);
  const swept = await sweep(rollback, 1 / 3, 200);
  t.diagnostic(swept.report);
  assert.deepEqual(swept.failures, [], `${swept.failures.length} ways back did not survive`);
  assertSwept(swept);
});
