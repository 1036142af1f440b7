// The bot dies in the middle, or Slack's socket does: nothing is lost, and nothing is done twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, assertUntouched, said, since, snapshot, writes } from './support/world.mjs';

// Killed as soon as the journal holds that action, then started again: the rotation must finish all the same.
for (const moment of ['secret.rotate.new_key.received', 'secret.rotate.new_key.stored', 'secret.rotate.consumer.updated',
  'secret.rotate.watch.progressed']) {
  test(`killed right after ${moment}, it goes on where it was`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    const before = await snapshot(stage);
    const key = await stage.handOver();
    await until(moment, async () => (await stage.actions()).includes(moment));
    await stage.bot.stop('SIGKILL');
    await stage.startBot();
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    await assertRotatedOnce(stage, before, key);
    await assertNowhere(stage, stage.keys);
  });
}

test('killed while the operator reads the instructions, the link in the DM still works', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  assert.equal((await stage.look(link)).state, 'open');
  const links = (await said(stage)).filter(({ text }) => text.includes('/form#'));
  assert.deepEqual(links.map(({ to, text }) => [to, text.includes(link.token)]), [[ada, true]], 'still the one link');
  assertUntouched(before.state, await stage.state());
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  await assertRotatedOnce(stage, before, key);
  await assertNowhere(stage, stage.keys);
});

for (const kind of ['refresh', 'refresh_requested', 'cut']) {
  test(`Slack's socket going away (${kind}) in the middle loses no command`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    const before = await snapshot(stage);
    await stage.start();
    await stage.act('/slack/socket', { do: kind, seconds: 1 });
    if (kind === 'cut') await until('a new socket', () => stage.ready());
    for (let i = 0; i < 10; i++) assert.match(await stage.command('status', 'U0MEMBER'), /stripe prod/);
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    assert.equal((await stage.closed()).context.outcome, 'rotated');

    const { state, said: told } = await assertRotatedOnce(stage, before, key);
    assert.equal(told.filter(({ to }) => to === 'U0MEMBER').length, 10, 'each status is answered once, to who asked');
    const { opened, sockets, refused_frames: refused, stray_frames: stray } = state.slack.socket_mode;
    assert.equal(opened, 2, 'one more socket was opened');
    assert.equal(sockets.length, 1, 'and one is left');
    assert.deepEqual([refused, stray], [0, 0], 'Slack had nothing to complain about');
    await assertNowhere(stage, stage.keys);
  });
}

test('an envelope that is delivered twice starts one rotation', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.act('/slack/socket', { do: 'duplicate', count: 3 });
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  await stage.message(ops, /Rotation of stripe prod/);
  const now = await since(stage, before);
  const count = (action) => now.journal.filter((entry) => entry.action === action).length;
  assert.equal(count('secret.rotate.started'), 1);
  assert.equal(count('command.refused'), 0, 'the second delivery is no second start');
  const first = (place) => now.said.filter(({ to }) => to === place).map(({ text }) => text.split('\n')[0].split(/[:.]/)[0]);
  assert.deepEqual(first(ops), ['Rotation of stripe prod']);
  assert.deepEqual(first(ada), ['Rotation of stripe prod started', 'Rotation of stripe prod',
    'Tick the boxes to go on with the rotation of stripe prod']);
  assertUntouched(before.state, now.state);
});

test('an app that is set back by hand during the grace stops the close, instead of a false "nothing is left to do"', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.handOver();
  await stage.message(ops, /is rotated\./);
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: 'set by hand' });
  const stopped = await stage.message(ops, /no longer holds the key/, 20000);
  assert.match(stopped.all, /Billing is failing, or about to/);
  assert.ok(!(await stage.actions()).includes('secret.rotate.old_key.proven_dead'));
  // The way out for what can't be finished.
  assert.match(await stage.command('cancel stripe prod'), /--give-up/);
  assert.match(await stage.command('cancel stripe prod \u2014give-up'), /given up/);
  assert.equal((await stage.closed()).context.outcome, 'given_up');
  assert.equal(writes(await stage.state()).length, 2, 'what somebody set by hand is left to people');
});
