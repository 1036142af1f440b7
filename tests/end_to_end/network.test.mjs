// The network between the bot and each outside system: slow, cut in the middle of an answer, half open, refused, falsified,
// without names; and Slack away for the whole of a rotation. Nothing is lost, nothing is done twice, nothing is told wrong.
import assert from 'node:assert/strict';
import { describe, it as test } from 'node:test';
import { assertNowhere, ops, Stage } from './support/stage.mjs';
import { faulty, setNames, skip } from './support/faults.mjs';
import { until } from './support/process.mjs';
import { makeCertificate, wireUp } from './support/wire.mjs';
import { assertRotatedOnce, snapshot } from './support/world.mjs';

const vendors = ['stripe', 'infisical', 'heroku', 'billing'];

async function wired(t, systems, options) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await wireUp(stage, systems, options);
  t.after(() => Object.values(stage.wires).forEach((wire) => wire.close()));
  return stage;
}

async function readyForTheKey(stage, env) {
  await stage.startBot({ env });
  stage.before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  return stage.link();
}

// The key comes, and `hurt` has been done to it; then to the end.
async function finish(stage, key) {
  assert.equal((await stage.closed(90000)).context.outcome, 'rotated');
  await assertRotatedOnce(stage, stage.before, key);
  for (const [name, wire] of Object.entries(stage.wires)) {
    assert.ok(wire.connections > 0, `${name} went over its wire`);
    stage.count('network faults', wire.hurt);
  }
  await assertNowhere(stage, stage.keys);
}

// They mostly wait, so some run at a time.
describe('the network', { concurrency: 4 }, () => {
  test('with every system slow, a rotation is slow, and all else is as always', async (t) => {
    const stage = await wired(t, [...vendors, 'slack']);
    for (const wire of Object.values(stage.wires)) wire.become({ kind: 'slow', milliseconds: 120 });
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(14);
    assert.equal((await stage.submit(link, key, 14)).state, 'received');
    await finish(stage, key);
  });

  for (const system of vendors) {
    test(`answers of ${system} that break off in the middle are read again, and nothing is done twice`, async (t) => {
      const stage = await wired(t, [system]);
      const link = await readyForTheKey(stage);
      const key = await stage.rotateInDashboard(14);
      const wire = stage.wires[system];
      wire.become({ kind: 'cut', bytes: 90 });
      const before = wire.hurt;
      assert.equal((await stage.submit(link, key, 14)).state, 'received');
      await until('some answers to break off', () => wire.hurt > before + 2, 30000);
      wire.become({ kind: 'good' });
      await finish(stage, key);
    });
  }

  test('a vendor that takes connections and never answers is given up on in time, and asked again', async (t) => {
    const stage = await wired(t, ['heroku', 'infisical']);
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(40);
    stage.wires.infisical.become({ kind: 'dead' });
    assert.equal((await stage.submit(link, key, 40)).state, 'received');
    await until('a request into nothing', () => stage.wires.infisical.hurt > 0);
    assert.equal((await stage.metrics()).includes('keyturn_rotations'), true, 'meanwhile it answers others');
    assert.match(await stage.command('status'), /stripe prod/);
    stage.wires.infisical.become({ kind: 'good' });
    stage.wires.heroku.become({ kind: 'dead' });
    await until('a request to Heroku into nothing', () => stage.wires.heroku.hurt > 0, 30000);
    stage.wires.heroku.become({ kind: 'good' });
    await finish(stage, key);
  });

  test('nobody listens at any vendor for a while: the key waits in its box', async (t) => {
    const stage = await wired(t, vendors);
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(14);
    for (const wire of Object.values(stage.wires)) wire.become({ kind: 'refused' });
    assert.equal((await stage.submit(link, key, 14)).state, 'received');
    await until('some refusals', () => stage.wires.stripe.hurt > 3, 30000);
    for (const wire of Object.values(stage.wires)) wire.become({ kind: 'good' });
    await finish(stage, key);
  });

  test('a certificate of somebody else gets no key and no token', async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    const tls = makeCertificate(stage.folder, 'false', 'DNS:elsewhere.example');
    await wireUp(stage, ['stripe', 'infisical', 'heroku'], { tls });
    t.after(() => Object.values(stage.wires).forEach((wire) => wire.close()));
    await stage.startBot();
    await stage.start();
    const failed = await until('the first failure', () => stage.entry('secret.rotate.action.failed'), 30000);
    assert.equal(failed.context.can_retry, true);
    assert.match(failed.context.reason, /no answer came/);
    for (const [name, { connections, hurt }] of Object.entries(stage.wires)) {
      assert.equal(connections, 0, `nothing was said to the false ${name}`);
      stage.count('network faults', hurt);
    }
    assert.ok(stage.wires.infisical.hurt > 0, 'it was tried');
    await stage.command('cancel stripe prod');
    assert.equal((await stage.closed()).context.outcome, 'cancelled');
    await assertNowhere(stage, [await stage.currentKey()]);
  });

  test('without names the bot goes on asking, and goes on when they are back', { skip }, async (t) => {
    const stage = await wired(t, ['stripe', 'infisical']);
    await stage.rewrite((text) => text.replaceAll(stage.wires.stripe.url, stage.wires.stripe.url.replace('127.0.0.1', 'localhost'))
      .replaceAll(stage.wires.infisical.url, stage.wires.infisical.url.replace('127.0.0.1', 'localhost')));
    setNames(stage, true);
    const link = await readyForTheKey(stage, faulty(stage, { names: true }));
    const key = await stage.rotateInDashboard(14);
    setNames(stage, false);
    for (const wire of Object.values(stage.wires)) {
      wire.become({ kind: 'refused' }); // kept connections need no names
      wire.become({ kind: 'good' });
    }
    assert.equal((await stage.submit(link, key, 14)).state, 'received');
    await until('a call without a name', async () =>
      (await stage.journal()).filter(({ action }) => action === 'secret.rotate.action.failed').length > 2, 30000);
    setNames(stage, true);
    await finish(stage, key);
  });

  test('Slack is away from the key to the close: the rotation finishes, and its story is told afterwards', async (t) => {
    const stage = await wired(t, ['slack']);
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    stage.wires.slack.become({ kind: 'refused' });
    await stage.act('/slack/socket', { do: 'cut', seconds: 1 });
    assert.equal((await stage.submit(link, key)).state, 'received');
    assert.equal((await stage.closed(60000)).context.outcome, 'rotated');
    assert.ok(!(await stage.messages(ops)).some(({ all }) => /is rotated\.|is dead\./.test(all)), 'Slack was away');
    stage.wires.slack.become({ kind: 'good' });
    await stage.message(ops, /is rotated\./, 30000);
    await finish(stage, key);
  });
});
