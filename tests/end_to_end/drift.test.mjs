// What somebody changes outside of a rotation, in an app or in Infisical: what is told, and what is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, rotated, told } from './support/drift.mjs';
import { assertNowhere } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { since, snapshot } from './support/world.mjs';

test('inside the grace an app that is set back is told, put right by hand, and the rotation closes as it should', async (t) => {
  const stage = await rotated(t, { grace: 15, closed: false, settings: { grace: '15s' } });
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: stage.before });
  const alarm = await told(stage, /raxx-api-prod does not hold the key of stripe prod/);
  assert.match(alarm.all, /\*dies /);
  assert.match(alarm.all, /Billing works until then/);
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: stage.newKey });
  await told(stage, /No longer so/);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
});

test('Infisical that is set back inside the grace is told, and no app is offered the dying key', async (t) => {
  const stage = await rotated(t, { grace: 12, closed: false, settings: { grace: '12s' } });
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: stage.before });
  const alarm = await told(stage, /Infisical no longer holds the new key of stripe prod/);
  assert.doesNotMatch(JSON.stringify(alarm.blocks), /drift_repair/);
  assert.equal(await stage.currentKey(), stage.newKey);
});

test('an app that can not be looked at is no alarm, and the log says so', async (t) => {
  const stage = await rotated(t, { settings: { drift_every: '2s' } });
  await stage.act('/fault', { system: 'heroku', kind: 'status', status: 503, path: '/apps/raxx-api-prod/config-vars', times: 3 });
  await until('the log to say so', () => stage.bot.errors.includes('the stored key can\'t be seen') || stage.bot.output.includes('the stored key can\'t be seen'), 20000);
  await new Promise((done) => setTimeout(done, 5000));
  assert.equal(await count(stage, /does not hold the key of/), 0);
  assert.deepEqual((await stage.actions()).filter((action) => action.startsWith('drift.')), []);
});

test('Infisical that is set back after the close is told as that, and no app that is right is called wrong', async (t) => {
  const stage = await rotated(t);
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: stage.before });
  await told(stage, /The key of stripe prod was set back/, 75000);
  assert.equal(await count(stage, /does not hold the key of/), 0);
  assert.ok(!(await stage.actions()).some((action) => action.startsWith('drift.')));
  assert.equal(await stage.currentKey(), stage.newKey);
});

test('a living key that somebody put into Infisical after the close, and not into the apps, is offered to no app', async (t) => {
  const stage = await rotated(t);
  const before = await snapshot(stage);
  const theirs = await stage.createKey({ name: 'raxx-billing', mode: 'live',
    permissions: ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'] });
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: theirs });
  const alarm = await told(stage, /raxx-api-prod does not hold the key of stripe prod/, 40000);
  assert.match(alarm.all, /the app holds `[^`]*`, which Keyturn does not know/);
  assert.match(alarm.all, /Whether billing works in raxx-api-prod depends on a key about which nothing is proven/);
  assert.match(alarm.all, /\*What to do\*: settle which of the two is right, and give it to the other.*it is not offered to the app/);
  assert.doesNotMatch(JSON.stringify(alarm.blocks), /drift_repair/, 'no repair');
  await told(stage, /The key of stripe prod was rotated by hand on or before/, 75000);
  assert.equal((await stage.entry('drift.found')).context.offered, false);
  assert.equal(await stage.currentKey(), stage.newKey);

  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: theirs });
  assert.equal((await told(stage, /No longer so/)).ts, alarm.ts, 'the same message');
  const now = await since(stage, before);
  assert.deepEqual(now.writes, [], 'Keyturn wrote nothing');
  assert.deepEqual(now.journal.map(({ action }) => action).filter((action) => action.startsWith('drift.')),
    ['drift.found', 'drift.posted', 'drift.ended', 'drift.settled']);
  await assertNowhere(stage, stage.keys);
});

test('a master key that somebody puts into an app or into Infisical between rotations is a SEV-1, once, with its place', async (t) => {
  const stage = await rotated(t);
  const master = `sk_${'live'}_${'6mT'.repeat(33)}`;
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: master });
  const inApp = await told(stage, /SEV-1: a Stripe master key was\* found in the configuration of raxx-api-prod/);
  assert.match(inApp.all, /treat it as leaked and roll it now, then find out who put it there/);
  await told(stage, /raxx-api-prod does not hold the key of stripe prod/);
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: master });
  await told(stage, /SEV-1: a Stripe master key was\* found in Infisical, under STRIPE_RESTRICTED_KEY \(prod\)/);
  assert.equal(await count(stage, /SEV-1: a Stripe master key was/), 2, 'once for each place');
  await assertNowhere(stage, [master]);
});
