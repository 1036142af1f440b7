// An app that holds another key than Infisical, put right with one click.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, rollBackTheCode, rotated, told } from './support/drift.mjs';
import { ada, assertNowhere } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertUntouched, said, since, snapshot } from './support/world.mjs';

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

test('the repair of a drift that is over does nothing any more, and says so to who presses it', async (t) => {
  const stage = await rotated(t);
  await rollBackTheCode(stage);
  const alarm = await told(stage, /raxx-api-prod does not hold the key of stripe prod/);
  // Slack takes no update, so the button still stands there.
  await stage.act('/fault', { system: 'slack', kind: 'error', method: 'chat.update', error: 'internal_error', times: 100000 });
  await stage.putInApp(stage.newKey);
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
