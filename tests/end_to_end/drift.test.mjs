// What somebody changes outside of a rotation: an app that holds another key than Infisical.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertUntouched, said, since, snapshot } from './support/world.mjs';

const often = { drift_every: '300ms' };

async function rotated(t, { grace = 7, settings = {}, closed = true } = {}) {
  const stage = await Stage.open({ settings: { ...often, ...settings } });
  t.after(() => stage.close());
  stage.before = await stage.currentKey();
  await stage.startBot();
  stage.newKey = await stage.handOver(grace);
  await stage.message(ops, /is rotated\./, 30000);
  if (closed) assert.equal((await stage.closed()).context.outcome, 'rotated');
  return stage;
}

async function heroku(stage, method, path, body) {
  const { heroku: { token } } = await (await fetch(`${stage.places.control}/places`)).json();
  const answer = await fetch(`${stage.places.heroku}/apps/raxx-api-prod${path}`, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.heroku+json; version=3', 'content-type': 'application/json' } });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

// `heroku rollback`: code and configuration of the release before the newest one.
async function rollBackTheCode(stage) {
  const releases = (await heroku(stage, 'GET', '/releases')).sort((a, b) => b.version - a.version);
  return heroku(stage, 'POST', '/releases', { release: releases[1].id });
}

const told = (stage, pattern, time = 30000) => stage.message(ops, pattern, time);
const count = async (stage, pattern) => (await stage.messages(ops)).filter(({ all }) => pattern.test(all)).length;

test('a code rollback that brings the dead key back is told once across a crash, and put right with one click', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  assert.equal(await stage.currentKey(), stage.before, 'the old configuration is back');
  const alarm = await told(stage, /raxx-api-prod does not hold the key of stripe prod/);
  assert.match(alarm.all, /proven dead/);
  assert.match(alarm.all, /Billing is likely down in raxx-api-prod/);
  assert.match(alarm.all, /v\d+ \(Rollback to v\d+\)/);
  assert.match(alarm.all, /<@U0ADMIN>/);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();

  await stage.click(alarm, 'drift_repair', {}, 'U0GRACE');
  const end = await told(stage, /\*Put right\*/);
  assert.match(end.all, /asked by <@U0GRACE>/);
  assert.equal(end.ts, alarm.ts, 'the same message');
  assert.equal(await stage.currentKey(), stage.newKey);
  assert.equal(await count(stage, /does not hold the key of/), 1);
  const actions = (await stage.journal()).filter(({ action }) => action.startsWith('drift.'));
  assert.deepEqual(actions.map(({ action }) => action),
    ['drift.found', 'drift.posted', 'drift.repair.requested', 'drift.ended', 'drift.settled']);
  assert.equal(actions[2].actor, 'U0GRACE');
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, [stage.before, stage.newKey]);
});

test('killed in the middle of a repair, the next bot goes on with it, and writes once', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  const alarm = await told(stage, /does not hold the key of stripe prod/);
  const writes = async () => (await stage.state()).heroku.requests.filter(({ method, path }) => method === 'PATCH' && path.endsWith('/config-vars')).length;
  const before = await writes();
  await stage.act('/fault', { system: 'heroku', kind: 'release_pending', seconds: 4 });
  await stage.click(alarm, 'drift_repair', {}, ada);
  await until('the write', async () => (await writes()) > before, 10000);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await told(stage, /\*Put right\*/);
  assert.equal(await writes(), before + 1);
  assert.equal(await stage.currentKey(), stage.newKey);
});

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

test('a repair is refused when Stripe refuses the stored key, and can be asked for again', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  const alarm = await told(stage, /does not hold the key of stripe prod/);
  await stage.act('/stripe/expire', { name: 'raxx-billing' });
  await stage.click(alarm, 'drift_repair', {}, ada);
  const failed = await told(stage, /The repair came to nothing/);
  assert.match(failed.all, /Stripe refuses the key that Infisical holds/);
  assert.match(JSON.stringify(failed.blocks), /drift_repair/, 'the button is there again');
  assert.equal(await stage.currentKey(), stage.before, 'nothing was written');
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

test('a release that fails in a repair is said to be unproven, and the next try makes a new one', async (t) => {
  const stage = await rotated(t, { settings: { retry_limit: '1s' } });
  await rollBackTheCode(stage);
  const alarm = await told(stage, /does not hold the key of stripe prod/);
  await stage.act('/fault', { system: 'heroku', kind: 'release_fails' });
  await stage.click(alarm, 'drift_repair', {}, ada);
  await told(stage, /not seen to its end.*release v\d+ of raxx-api-prod failed/);
  await stage.act('/fault', { system: 'heroku', kind: 'release_fails', on: false });
  await new Promise((done) => setTimeout(done, 1500));
  assert.equal(await count(stage, /No longer so/), 0, 'that no dyno runs it is not forgotten');
  await stage.click(alarm, 'drift_repair', {}, ada);
  await told(stage, /\*Put right\*/);
  const { state } = { state: await stage.state() };
  const { dynos, releases } = state.heroku.apps.find(({ name }) => name === 'raxx-api-prod');
  assert.ok(dynos.every((dyno) => dyno.state === 'up' && dyno.release === releases.at(-1).version));
});

test('a bot that is stopped in the middle of a repair ends in order', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  const alarm = await told(stage, /does not hold the key of stripe prod/);
  await stage.act('/fault', { system: 'heroku', kind: 'release_pending', seconds: 20 });
  await stage.click(alarm, 'drift_repair', {}, ada);
  await told(stage, /asked for the repair/);
  await stage.bot.stop('SIGTERM');
  assert.equal(stage.bot.ended.code, 0, stage.bot.errors.slice(-500));
  assert.ok(!(await stage.actions()).includes('drift.repair.failed'));
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

test('the repair of a drift that is over does nothing any more, and says so to who presses it', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  const alarm = await told(stage, /raxx-api-prod does not hold the key of stripe prod/);
  // Slack takes no update, so the button still stands there.
  await stage.act('/fault', { system: 'slack', kind: 'error', method: 'chat.update', error: 'internal_error', times: 100000 });
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: stage.newKey });
  await until('the drift to be over', async () => (await stage.actions()).includes('drift.ended'), 20000);
  const before = await snapshot(stage);
  await stage.click(alarm, 'drift_repair', {}, ada);
  await until('ada to be told', async () => (await said(stage)).some(({ to, text }) =>
    to === ada && /^This is over; the button no longer does anything\.$/.test(text)));
  const now = await since(stage, before);
  assert.deepEqual(now.journal, []);
  assert.deepEqual(now.said.map(({ to }) => to), [ada]);
  assertUntouched(before.state, now.state);
  assert.equal(await stage.currentKey(), stage.newKey);
});
