// The key in use is dead before anything begins: not a rotation but a recovery, with a fresh key in its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertUntouched, oneRotation, since, snapshot } from './support/world.mjs';

const permissions = ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'];
const impatient = { nudge_after: '500ms', nudge_before: '700ms', page_after: '1s', unattended_every: '500ms' };

// Somebody has expired the key in use.
async function open(t, { settings = {}, rewrite } = {}) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  if (rewrite) await stage.rewrite(rewrite);
  stage.dead = await stage.currentKey();
  await stage.act('/stripe/expire', { name: 'raxx-billing' });
  await stage.startBot();
  return stage;
}
const fresh = (stage, may = permissions) => stage.createKey({ name: 'raxx-billing', mode: 'live', permissions: may });
const recovered = (stage) => stage.message(ops, /is recovered\./, 30000);

// The steps are out; answers the link.
async function begin(stage) {
  await stage.start();
  await stage.confirm();
  return stage.link();
}

test('from the outage to the proof: the team hears at once, the form asks for no expiration, billing works again', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  assert.match(boxes.all, /Stripe refuses the current key, so there is nothing to rotate/);
  assert.match(boxes.all, /I create a restricted key, not a master key/);
  const news = await stage.message(ops, /Stripe refuses the key that billing of stripe prod runs on/);
  assert.match(news.all, /billing is likely down now.*<@U0ADMIN>.*What to do/s);
  await stage.confirm();
  const link = await stage.link();
  const steps = await stage.message(adasMessages, /Create restricted key/);
  assert.match(steps.all, /must be able to call `GET \/v1\/customers`.*must not be able to call `GET \/v1\/balance`/s);
  const seen = await stage.look(link);
  assert.equal(seen.recovery, true);
  link.seen = undefined;

  const refused = await stage.submit(link, stage.dead);
  assert.equal(refused.code, 'same_key');
  assert.match(refused.sentence, /the key that Stripe refuses/);
  const key = await fresh(stage);
  assert.equal((await stage.submit(link, key, 24 * 3600)).state, 'received', 'a grace that a page sends is not asked for');
  const summary = await recovered(stage);
  assert.match(summary.all, /The old key was dead before this began/);
  assert.equal((await stage.closed()).context.outcome, 'rotated');

  const now = await since(stage, before);
  assert.deepEqual(now.writes, oneRotation);
  assert.equal(await stage.currentKey(), key);
  assert.equal(now.state.billing.last.healthy, true);
  const { context } = await stage.entry('secret.rotate.completed');
  assert.equal(context.recovery, true);
  assert.equal(context.grace_period_hours, 0);
  const said = now.said.map(({ text }) => text).join('\n');
  assert.doesNotMatch(said, /is rotated\.|died early|[Bb]illing runs on the (old|key it had)|Rotate API key/);
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, [...stage.keys, stage.dead]);
  assert.match(await stage.command('rollback stripe prod'), /nothing to roll back/);
});

test('a fresh key has to be what the settings say: each other one is refused, and a new link comes', async (t) => {
  const stage = await open(t);
  let link = await begin(stage);
  const before = await snapshot(stage);
  for (const [may, words] of [
    [['subscription_read'], /The fresh key may not call GET \/v1\/customers, which the settings list as permitted/],
    [[...permissions, 'balance_read'], /The fresh key may call GET \/v1\/balance, which the settings list as denied/],
  ]) {
    assert.equal((await stage.submit(link, await fresh(stage, may))).state, 'received');
    await stage.message(adasMessages, words, 20000);
    link = await stage.link(link.ts);
  }
  const foreign = await stage.createKey({ name: 'raxx-billing', mode: 'live', account: 'acct_1SomebodyElse4711', permissions });
  assert.equal((await stage.submit(link, foreign)).state, 'received');
  await stage.message(adasMessages, /belongs to another Stripe account/, 20000);
  link = await stage.link(link.ts);
  assert.deepEqual((await since(stage, before)).writes, []);
  assert.equal((await stage.submit(link, await fresh(stage))).state, 'received');
  await recovered(stage);
});

test('nobody comes in an outage: the page says that billing fails, and another superadmin finishes, across a crash', async (t) => {
  const stage = await open(t, { settings: impatient });
  await stage.start();
  const page = await stage.message(ops, /waits for its operator/, 20000);
  assert.match(page.all, /Billing fails, and nobody comes/);
  assert.match(page.all, /take over\. The steps in your direct message say what a fresh key has to be/);
  await stage.click(page, 'rotation_take_over', undefined, 'U0GRACE');
  await stage.confirm({ user: 'U0GRACE', channel: 'D0GRACE' });
  const link = await stage.link('', 'D0GRACE');
  assert.equal((await stage.submit(link, await fresh(stage))).state, 'received');
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await recovered(stage);
  assert.equal((await stage.entry('secret.rotate.completed')).context.actor, 'U0GRACE');
});

test('the old key lives again meanwhile: nothing is put anywhere, and it goes on once that is over', async (t) => {
  const stage = await open(t);
  const link = await begin(stage);
  const before = await snapshot(stage);
  await stage.act('/fault', { system: 'stripe', kind: 'expiry_lag', seconds: 1000 }); // it is taken again
  assert.equal((await stage.submit(link, await fresh(stage))).state, 'received');
  const news = await stage.message(ops, /Stopped: stripe prod/, 20000);
  assert.match(news.all, /Stripe takes the old key again, which it refused at first: nothing was put anywhere/);
  assert.match(news.all, /\/rotate cancel stripe prod --give-up`, expire the fresh key/);
  assert.deepEqual((await since(stage, before)).writes, []);
  await stage.act('/fault', { system: 'stripe', kind: 'clear' });
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await recovered(stage);
});

test('billing can not be reached at all: an outage does not wait for what it causes', async (t) => {
  const stage = await open(t, { settings: { retry_limit: '2s' } });
  await stage.act('/fault', { system: 'billing', kind: 'delay', milliseconds: 12000, times: 2 });
  await stage.start();
  assert.match((await stage.message(adasMessages, /What only you can check/, 40000)).all, /Stripe refuses the current key/);
  await stage.confirm();
  assert.equal((await stage.submit(await stage.link(), await fresh(stage))).state, 'received');
  await recovered(stage);
});

test('the settings name the permissions, and the steps do', async (t) => {
  const stage = await open(t, { rewrite: (text) => text.replace(/^(denied = .*)$/m, '$1\npermissions = ["Customers: Write", "Subscriptions: Read"]') });
  await begin(stage);
  const steps = await stage.message(adasMessages, /Create restricted key/);
  assert.match(steps.all, /Permissions: \*Customers: Write\*, \*Subscriptions: Read\*\. It must be able to call/);
  assert.doesNotMatch(steps.all, /Who knows what the old key could do/);
});

test('cancelled, the team is told that the outage goes on', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  assert.match(await stage.command('cancel stripe prod'), /Stripe refuses the key that billing runs on/);
  const told = await stage.message(ops, /was cancelled while its key was dead/);
  assert.match(told.all, /billing fails until a new key is in place.*start `\/rotate stripe prod` again/s);
  assertUntouched(before.state, (await since(stage, before)).state);
});

test('where nothing could show the fresh key’s account, nobody is asked to create one', async (t) => {
  const stage = await open(t, { rewrite: (text) => text.replace(/^account = .*$/gm, '') });
  const before = await snapshot(stage);
  await stage.start();
  assert.equal((await stage.closed()).context.outcome, 'refused');
  assert.equal((await stage.entry('secret.rotate.refused')).context.code, 'account_unprovable');
  const answer = await stage.message(adasMessages, /did not begin/);
  assert.match(answer.all, /billing is likely down now.*Add `account` and `denied`.*Or do it by hand/s);
  assertUntouched(before.state, (await since(stage, before)).state);
});

test('the new key dies in the grace as well: the stop leads to a fresh one', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const link = await begin(stage);
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  const { stripe } = await stage.state();
  await stage.act('/stripe/expire', { id: stripe.keys.find(({ masked }) => masked.endsWith(key.slice(-6))).id });
  const stopped = await stage.message(ops, /Stopped: stripe prod/, 30000);
  assert.match(stopped.all, /the new key, as stored in Infisical, is refused by Stripe/);
  assert.match(stopped.all, /\/rotate cancel stripe prod --give-up`, then `\/rotate stripe prod` walks you through a fresh key/);
  assert.match(stopped.all, /Billing is failing, or about to/);
  assert.match(await stage.command('cancel stripe prod --give-up'), /given up/);
  await until('it to be over', async () => (await stage.entry('secret.rotate.closed'))?.context.outcome === 'given_up');
  const now = (await stage.messages(adasMessages)).at(-1).ts;
  await stage.start();
  await until('the boxes', async () => (await stage.messages(adasMessages)).some(({ all, ts }) => ts > now && /I create a restricted key/.test(all)));
  await stage.confirm();
  const next = await stage.link(link.ts);
  assert.equal((await stage.submit(next, await fresh(stage))).state, 'received');
  await recovered(stage);
  assert.equal((await stage.entry('secret.rotate.started')).actor, ada);
});
