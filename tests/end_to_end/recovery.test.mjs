// The bot dies in the middle, or Slack's socket does: nothing is lost, and nothing is done twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';

const writes = (state, system) => state[system].requests.filter(({ method }) => method === 'PATCH').length;

// Killed as soon as the journal holds that action, then started again: the rotation must finish all the same.
for (const moment of ['secret.rotate.new_key.received', 'secret.rotate.new_key.stored', 'secret.rotate.consumer.updated',
  'secret.rotate.watch.progressed']) {
  test(`killed right after ${moment}, it goes on where it was`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    await stage.start();
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    await until(moment, async () => (await stage.actions()).includes(moment));
    await stage.bot.stop('SIGKILL');
    await stage.startBot();
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    await stage.message(ops, /is dead\./);
    const state = await stage.state();
    assert.equal(writes(state, 'heroku'), 1, 'one change of the config');
    assert.equal(writes(state, 'infisical'), 1, 'one new version');
    assert.equal((await stage.verifyJournal()).code, 0);
    await assertNowhere(stage, stage.keys);
  });
}

test('killed while the operator reads the instructions, the link in the DM still works', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(7))).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
});

for (const kind of ['refresh', 'refresh_requested', 'cut']) {
  test(`Slack's socket going away (${kind}) in the middle loses no command`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    await stage.start();
    await stage.act('/slack/socket', { do: kind, seconds: 1 });
    if (kind === 'cut') await until('a new socket', () => stage.ready());
    for (let i = 0; i < 10; i++) assert.match(await stage.command('status', 'U0MEMBER'), /stripe prod/);
    await stage.confirm();
    const link = await stage.link();
    assert.equal((await stage.submit(link, await stage.rotateInDashboard(7))).state, 'received');
    assert.equal((await stage.closed()).context.outcome, 'rotated');
  });
}

test('an envelope that is delivered twice starts one rotation', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.act('/slack/socket', { do: 'duplicate', count: 3 });
  await stage.start();
  await stage.message(ops, /Rotation of stripe prod/);
  const started = (await stage.actions()).filter((action) => action === 'secret.rotate.started');
  assert.equal(started.length, 1);
});

test('an app that is set back by hand during the grace stops the close, instead of a false "nothing is left to do"', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(7))).state, 'received');
  await stage.message(ops, /is rotated\./);
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: 'set by hand' });
  const stopped = await stage.message(ops, /no longer holds the key/, 20000);
  assert.match(stopped.all, /Billing is failing, or about to/);
  assert.ok(!(await stage.actions()).includes('secret.rotate.old_key.proven_dead'));
  // The way out for what can't be finished.
  assert.match(await stage.command('cancel stripe prod'), /--give-up/);
  assert.match(await stage.command('cancel stripe prod \u2014give-up'), /given up/);
  assert.equal((await stage.closed()).context.outcome, 'given_up');
});
