// Around the old key's deadline: what is no proof of its death, and what stops the rotation although it is over for the old key.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, oneRotation, since, snapshot } from './support/world.mjs';

const grace = 10;
const variable = 'STRIPE_RESTRICTED_KEY';
const permissions = ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'];
const fault = (stage, knob) => stage.act('/fault', { system: 'stripe', ...knob });
const idOf = async (stage, key) => (await stage.state()).stripe.keys.find(({ masked }) => masked.endsWith(key.slice(-6))).id;
const count = async (stage, pattern) => (await stage.messages(ops)).filter(({ all }) => pattern.test(all)).length;
const proofs = async (stage) => (await stage.journal()).filter(({ action }) => action === 'secret.rotate.old_key.proof_taken')
  .map(({ context }) => context);
const tryAgain = async (stage) => stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');

// In its grace: {stage, before, old, key}.
async function rotated(t, settings = {}) {
  const stage = await Stage.open({ settings: { grace: `${grace}s`, ...settings } });
  t.after(() => stage.close());
  await stage.startBot();
  const [before, old] = [await snapshot(stage), await stage.currentKey()];
  const key = await stage.handOver(grace);
  await stage.message(ops, /is rotated\./, 30000);
  return { stage, before, old, key };
}
async function assertOpen(stage) {
  assert.ok(!(await stage.actions()).some((action) => /proven_dead|rotate\.closed/.test(action)), 'nothing is proven, and nothing closed');
  assert.equal(await count(stage, /old key of stripe prod is (proven )?dead/), 0, 'never called dead');
}
async function assertClosed(stage, before, keys) {
  assert.equal((await stage.closed(20000)).context.outcome, 'rotated');
  await stage.message(ops, /The old key of stripe prod is dead\.\* Stripe refused `[^`]*` 3 times/);
  assert.deepEqual((await since(stage, before)).writes, oneRotation, 'each system is written once');
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, keys);
}

test('an old key that lives on after its time is told once, also across a crash, and the rotation closes when it is dead', async (t) => {
  const { stage, before, old, key } = await rotated(t);
  await fault(stage, { kind: 'expiry_lag', seconds: 600 });
  const alarm = await stage.message(ops, /The old key of stripe prod still works\*, past its deadline/, 30000);
  assert.match(alarm.all, /Billing is not affected: it runs on the new key/);
  assert.match(alarm.all, /\*What to do\*: open .*the dashboard.*find `raxx-billing`.*\*Expire key\* ends it now. Keyturn keeps watching/s);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  const taken = (await proofs(stage)).length;
  await until('it to be asked again', async () => (await proofs(stage)).length > taken + 2);
  await assertOpen(stage);
  await stage.message(ops, /✗ {2}\*The old key still works\*, past its deadline/);
  await fault(stage, { kind: 'clear' });
  await assertClosed(stage, before, [old, key]);
  assert.equal(await count(stage, /still works\*, past its deadline [^.]*\. Billing/), 1, 'one alarm');
  assert.equal((await stage.actions()).filter((action) => action === 'secret.rotate.old_key.still_alive').length, 1);
});

const noProofs = {
  'another 401, of a key that lives on': { arrange: async (stage, old) => {
    await fault(stage, { kind: 'expiry_lag', seconds: 600 });
    await fault(stage, { kind: 'ip_denied', key: await idOf(stage, old) });
  }, answers: ['address', 'granted'], words: /the last answers: old key address, new key granted/ },
  'no usable answer at all': { arrange: (stage) => fault(stage, { kind: 'status', status: 500 }), answers: ['inconclusive', 'inconclusive'],
    words: /the last answers: old key inconclusive \(Stripe has a server error \(500\)\), new key inconclusive/ },
};
describe('no proof of death', { concurrency: 2 }, () => {
  for (const [name, { arrange, answers, words }] of Object.entries(noProofs)) {
    test(`${name}: it is asked again, and closed once Stripe answers`, async (t) => {
      const { stage, before, old, key } = await rotated(t, { late_after: '60s' });
      await arrange(stage, old);
      await until('three answers', async () => (await proofs(stage)).length >= 3, 20000);
      for (const taken of (await proofs(stage)).slice(0, 3)) assert.deepEqual([taken.old_key.answer, taken.new_key.answer], answers);
      await assertOpen(stage);
      await fault(stage, { kind: 'clear' });
      await assertClosed(stage, before, [old, key]);
      assert.ok(!(await stage.actions()).includes('secret.rotate.halted'), 'without a person');
    });

    test(`${name}: after long it waits for a person, and is never closed before Stripe answers`, async (t) => {
      const { stage, before, old, key } = await rotated(t);
      await arrange(stage, old);
      const news = await stage.message(ops, /Stopped: stripe prod/, 30000);
      assert.match(news.all, words);
      assert.match(news.all, /because nothing proves that the old key is dead/);
      assert.match(news.all, /Billing runs on the new key/);
      assert.match(news.all, /with \*Try again\* in the DM/);
      assert.match((await stage.entry('secret.rotate.halted')).context.sentence, words);
      await tryAgain(stage);
      await until('a second stop', async () => (await stage.actions()).filter((action) => action === 'secret.rotate.halted').length === 2);
      await assertOpen(stage);
      await fault(stage, { kind: 'clear' });
      await tryAgain(stage);
      await assertClosed(stage, before, [old, key]);
    });
  }
});

test('a new key that is dead too stops the rotation, and it closes once a fresh one is everywhere', async (t) => {
  const { stage, before, old, key } = await rotated(t);
  await stage.act('/stripe/expire', { id: await idOf(stage, key) });
  const news = await stage.message(ops, /Stopped: stripe prod/, 30000);
  assert.match(news.all, /because the new key, as stored in Infisical, is refused by Stripe/);
  assert.match(news.all, /\*Billing is failing, or about to\*: what it runs with is not a key that works/);
  assert.match(news.all, /with \*Try again\* in the DM[^]*The old key is dead, so there is no way back to it/);
  assert.match((await stage.entry('secret.rotate.halted')).context.sentence, /the new key, as stored in Infisical, is refused by Stripe/);
  await assertOpen(stage);
  assert.match(await stage.command('rollback stripe prod'),
    /no way back to it\. If the new key is broken: dashboard → \*Create restricted key\*.*Put it into Infisical.*and every app/);

  const fresh = await stage.createKey({ name: 'raxx-billing', mode: 'live', permissions });
  await stage.act('/infisical/put', { environment: 'prod', name: variable, value: fresh });
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: variable, value: fresh });
  await tryAgain(stage);
  await stage.message(ops, /the key that Infisical holds by now \(another than this rotation's\) answered each time/, 20000);
  await assertClosed(stage, before, [old, key, fresh]);
});

// Killed in the middle of it, and started again when the old key's time is over.
async function downOverTheDeadline(stage, old) {
  const { expires_at: expires } = (await stage.state()).stripe.keys.find(({ masked }) => masked.endsWith(old.slice(-6)));
  await stage.bot.stop('SIGKILL');
  assert.deepEqual(await proofs(stage), [], 'it has not begun with the proof');
  await until('the deadline to be over', () => Date.now() > Date.parse(expires) + 1000, 30000);
  await stage.startBot();
}

test('a bot that is down over the deadline takes the proof when it is back, and the rotation closes once', async (t) => {
  const { stage, before, old, key } = await rotated(t);
  await downOverTheDeadline(stage, old);
  await assertClosed(stage, before, [old, key]);
  const { said } = await assertRotatedOnce(stage, before, key);
  assert.ok(!said.some(({ text }) => /expires soon|still works|Stopped/.test(text)), 'nothing is said of a time that is over');
  const taken = await proofs(stage);
  assert.deepEqual(taken.map(({ old_key: dead, new_key: living }) => [dead.answer, living.answer]), Array(3).fill(['expired', 'granted']));
});

// Stopped before anything was stored: {stage, before, old, key}.
async function stopped(t, settings) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  await stage.startBot();
  const [before, old] = [await snapshot(stage), await stage.currentKey()];
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(12);
  await stage.act('/fault', { system: 'infisical', kind: 'read_only' });
  assert.equal((await stage.submit(link, key, 12)).state, 'received');
  await stage.message(ops, /Stopped: stripe prod/);
  return { stage, before, old, key };
}
// Refused once, and written once when it could be.
async function assertMended(stage, before, old, key) {
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await tryAgain(stage);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  await assertRotatedOnce(stage, before, key, { written: [oneRotation[0], ...oneRotation] });
  await assertNowhere(stage, [old, key]);
}

test('a stop that nobody mends is told once more before the old key dies: that it is not finished, and what that means', async (t) => {
  const { stage, before, old, key } = await stopped(t, { grace: '12s', reminder_before: '6s' });
  const reminder = await stage.message(ops, /^The old key of stripe prod expires soon, and its rotation is not finished/, 15000);
  assert.match(reminder.all, /\*The old key of stripe prod expires <!date[^>]*>, and its rotation is not finished\*: it stopped while storing the key in Infisical: .*doesn't have the permission/);
  assert.match(reminder.all, /Billing runs on the old key, which expires <!date[^>]*>\. What still uses the old key then fails\.\nOperator: <@U0ADMIN>, with \*Try again\* in the DM\./);
  const now = await since(stage, before);
  assert.equal(now.journal.filter(({ action }) => action === 'secret.rotate.grace.reminded').length, 1);
  assert.deepEqual(now.writes, oneRotation.slice(0, 1), 'the one that was refused');
  await assertMended(stage, before, old, key);
});

test('a bot that is down over the deadline of a stopped rotation waits for a person as before, and ends it when asked', async (t) => {
  const { stage, before, old, key } = await stopped(t, { grace: '12s' });
  await downOverTheDeadline(stage, old);
  assert.match(await stage.command('status'), /\*stripe prod\*: halted .*stopped while storing the key in Infisical: .*doesn't have the permission/s);
  await assertOpen(stage);
  assert.deepEqual((await since(stage, before)).writes, oneRotation.slice(0, 1), 'nothing is tried again by itself');
  await assertMended(stage, before, old, key);
  await stage.message(ops, /the new key is good; \*the old key is dead already\*, so billing depends on how fast the new one arrives/);
});
