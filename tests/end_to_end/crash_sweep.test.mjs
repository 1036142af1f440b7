// Killed at every instant that matters: before and after every write, truncation and sync of the journal, every connect
// and every send of a whole rotation, on a disk that keeps what was not synced, loses it, or keeps some of its sectors.
// After each, the bot is started again, the operator repeats what got no answer, and the world must look as if nothing had
// happened. One undisturbed run finds the points.
//   KEYTURN_CRASH_SECONDS=3600      sweeps that long instead of a minute (0: until all are done)
//   KEYTURN_CRASH_AT="17 before all"   that one alone
import assert from 'node:assert/strict';
import { availableParallelism, cpus } from 'node:os';
import { test } from 'node:test';
import { Stage, noteFigures } from './support/stage.mjs';
import { faulty, pointsOf, skip } from './support/faults.mjs';
import { Stubborn } from './support/stubborn.mjs';
import { assertRotatedOnce, snapshot } from './support/world.mjs';

const seconds = Number(process.env.KEYTURN_CRASH_SECONDS ?? 60);
const together = 4 * (availableParallelism?.() ?? cpus().length);

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
    await assertRotatedOnce(stage, before, key);
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

test('killed at any write, sync, connect or send, a rotation ends as if nothing had happened', { skip }, async (t) => {
  if (process.env.KEYTURN_CRASH_AT) {
    const [number, when, lose = ''] = process.env.KEYTURN_CRASH_AT.split(' ');
    assert.ok((await rotation({ die: { number, when, lose } })).deaths <= 1);
    return;
  }
  const undisturbed = await rotation({});
  assert.equal(undisturbed.deaths, 0);
  const wanted = ways(undisturbed.points);
  const total = wanted.length;
  assert.ok(total > 300, `${total} ways to die`);
  const until = seconds ? Date.now() + seconds * 1000 : Infinity;
  const failures = [];
  let swept = 0, missed = 0;
  const kinds = new Set();
  const work = async () => {
    while (wanted.length > 0 && Date.now() < until && failures.length < 20) {
      const { number, what, when, lose } = wanted.shift();
      try {
        const { deaths } = await rotation({ die: { number, when, lose } });
        if (deaths === 0) missed += 1; // this run had fewer points
        else swept += 1;
        kinds.add(what);
      } catch (error) {
        failures.push(`KEYTURN_CRASH_AT="${number} ${when}${lose && ` ${lose}`}" (${what}): ${error.message.slice(0, 1500)}`);
      }
    }
  };
  // A disk that lies about its syncs loses the key that was received, and that is seen: this test can fail.
  const write = undisturbed.points.find(({ what }) => /PATCH \/api\/v\d\/secrets/.test(what));
  const lying = assert.rejects(rotation({ die: { number: write.number, when: 'after', lose: 'all', lies: true } }, 20000), /in vain/);
  await Promise.all([lying, ...Array.from({ length: together }, work)]);
  noteFigures({ 'crash points': undisturbed.points.length, 'ways to die swept': swept, 'ways to die': total });
  t.diagnostic(`${swept} of ${total} ways to die, ${kinds.size} kinds of points, ${missed} not reached`);
  assert.deepEqual(failures, [], `${failures.length} rotations did not survive`);
  assert.ok(swept > 0);
});
