// The network between the bot and each outside system: slow, cut in the middle of an answer, half open, refused, falsified,
// without names; and Slack away for the whole of a rotation. Nothing is lost, nothing is done twice, nothing is told wrong.
import assert from 'node:assert/strict';
import { describe, it as test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
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
    for (const [name, { hurt }] of Object.entries(stage.wires)) assert.ok(hurt > 0, `${name} was slow`);
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

  for (const system of [...vendors, 'slack']) {
    test(`${system} takes connections and never answers: it is given up on, and asked again`, async (t) => {
      const stage = await wired(t, [system]);
      const link = await readyForTheKey(stage);
      const key = await stage.rotateInDashboard(40);
      const wire = stage.wires[system];
      wire.become({ kind: 'dead' });
      assert.equal((await stage.submit(link, key, 40)).state, 'received');
      await until('a request into nothing', () => wire.hurt > 0, 30000);
      assert.match(await stage.metrics(), /keyturn_rotations/, 'meanwhile it answers others');
      assert.match(await stage.command('status'), /stripe prod/);
      await until('it to be given up on', () => wire.givenUp > 0, 40000);
      wire.become({ kind: 'good' });
      await finish(stage, key);
    });
  }

  test('Slack\u2019s socket falls silent: people get no answer, then they do, and the rotation goes on', async (t) => {
    const stage = await wired(t, []);
    await stage.startBot();
    stage.before = await snapshot(stage);
    await stage.start();
    await stage.message(adasMessages, /What only you can check/);
    await stage.act('/slack/socket', { do: 'half_open' });
    const status = () => stage.act('/slack/command', { user: ada, channel: ops, text: 'status' });
    assert.equal((await status()).error, 'operation_timeout');
    const [silent] = (await stage.state()).slack.socket_mode.sockets.filter(({ half_open: half }) => half);
    assert.ok(silent, 'it still looks alive to Slack');
    await until('an answer over another socket', async () => /stripe prod/.test((await status()).ack?.text), 90000);
    // Slack goes on sending every other thing into the socket that it takes for open.
    await until('a click that is heard', async () => (await stage.confirm()).error === null, 30000);
    const link = await stage.link();
    const key = await stage.rotateInDashboard(14);
    assert.equal((await stage.submit(link, key, 14)).state, 'received');
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

  const mismatch = /no answer( came)?: TLS handshake with 127\.0\.0\.1 failed: IP address mismatch/;
  async function falsified(t, system) {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await wireUp(stage, [system], { tls: makeCertificate(stage.folder, 'false', 'DNS:elsewhere.example') });
    t.after(() => stage.wires[system].close());
    return stage;
  }
  function assertNothingSaid(stage, system) {
    const { connections, hurt } = stage.wires[system];
    assert.ok(hurt > 0, 'it was tried');
    assert.equal(connections, 0, `nothing was said to the false ${system}`);
    stage.count('network faults', hurt);
  }

  for (const system of vendors) {
    test(`${system} shows a certificate of somebody else, and gets no key and no token`, async (t) => {
      const stage = await falsified(t, system);
      await stage.startBot();
      await stage.start();
      const failed = await until('the first failure', () => stage.entry('secret.rotate.action.failed'), 30000);
      assert.equal(failed.context.can_retry, true);
      assert.match(failed.context.reason, mismatch);
      await stage.command('cancel stripe prod');
      assert.equal((await stage.closed()).context.outcome, 'cancelled');
      assertNothingSaid(stage, system);
    });
  }

  test('Slack shows a certificate of somebody else, and gets no token: the bot waits, and is not ready', async (t) => {
    const stage = await falsified(t, 'slack');
    stage.launch();
    await until('a second try', () => stage.wires.slack.hurt > 1, 30000);
    assert.match(stage.bot.errors, /"slack does not answer","why":"Slack: call auth\.test: no answer came: TLS handshake with 127\.0\.0\.1 failed: IP address mismatch/);
    assert.equal(await stage.ready(), false);
    assert.ok(!stage.bot.ended, 'it goes on trying');
    assertNothingSaid(stage, 'slack');
  });

  test('without names the bot goes on asking, and goes on when they are back', { skip }, async (t) => {
    const stage = await wired(t, ['stripe', 'infisical', 'slack']);
    for (const { url } of Object.values(stage.wires))
      await stage.rewrite((text) => text.replaceAll(url, url.replace('127.0.0.1', 'localhost')));
    setNames(stage, true);
    const link = await readyForTheKey(stage, faulty(stage, { names: true }));
    const key = await stage.rotateInDashboard(14);
    setNames(stage, false);
    // Kept connections need no names, and names are remembered until they lead nowhere.
    for (const wire of Object.values(stage.wires)) wire.become({ kind: 'refused' });
    const hurt = () => Object.values(stage.wires).reduce((sum, wire) => sum + wire.hurt, 0);
    const unhurt = hurt();
    await stage.act('/slack/socket', { do: 'cut' });
    await until('a connection to break', () => hurt() > unhurt, 30000);
    for (const wire of Object.values(stage.wires)) wire.become({ kind: 'good' });
    const before = Object.values(stage.wires).map(({ connections }) => connections);
    assert.equal((await stage.submit(link, key, 14)).state, 'received');
    await until('calls without a name', async () =>
      (await stage.journal()).filter(({ action }) => action === 'secret.rotate.action.failed').length > 2, 30000);
    const { reason } = (await stage.entry('secret.rotate.action.failed')).context;
    assert.match(reason, /localhost has no address/);
    await until('Slack to be missed', () => /"why":"Slack: call chat\.update: no answer came/.test(stage.bot.errors), 30000);
    assert.equal(await stage.ready(), false, 'not ready without Slack');
    assert.deepEqual(Object.values(stage.wires).map(({ connections }) => connections), before, 'nobody was reached');
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
