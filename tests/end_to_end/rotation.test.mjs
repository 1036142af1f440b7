// The whole life of a rotation, as the operator, the team and the auditor see it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';

for (const compromise of [false, true]) {
  test(`a rotation${compromise ? ' after a leak' : ''} goes from the command to the proof`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    const before = await stage.state();

    await stage.start(compromise ? 'stripe prod \u2014compromise' : 'stripe prod');
    if (compromise) await stage.message(ops, /suspected leak/);
    await stage.confirm({ reason: compromise ? 'seen in a public gist' : undefined });
    const link = await stage.link();
    const instructions = await stage.message(adasMessages, /one-time form: <|open the one-time form/);
    assert.match(instructions.all, /Rotate key/);
    assert.match(instructions.all, compromise ? /6 seconds/ : /7 seconds/);
    assert.match(instructions.all, /Infisical: prod\/STRIPE_RESTRICTED_KEY/);
    const info = await stage.look(link);
    assert.equal(info.state, 'open');
    assert.equal(info.compromise, compromise);

    const grace = compromise ? 6 : 7;
    const key = await stage.rotateInDashboard(grace);
    const received = await stage.submit(link, key, grace);
    assert.equal(received.state, 'received');

    const summary = await stage.message(ops, /is rotated\./, 30000);
    assert.match(summary.all, /no authentication failure/);
    if (!compromise) await stage.message(ops, /expires/, 15000);
    await stage.message(ops, /is dead\./, 30000);
    const closed = await stage.closed();
    assert.equal(closed.context.outcome, 'rotated');

    // The auditor: one entry with what the written procedure lists, and a chain that holds.
    const completed = await stage.entry('secret.rotate.completed');
    assert.equal(completed.context.secret_name, 'STRIPE_RESTRICTED_KEY');
    assert.equal(completed.context.method, 'operator-assisted-dashboard');
    assert.equal(completed.context.actor, ada);
    assert.ok(Math.abs(completed.context.grace_period_hours - grace / 3600) < 1e-6);
    assert.ok(Date.parse(completed.context.old_key_expires_at) > Date.parse(completed.context.rotated_at));
    assert.equal(completed.context.scopes.length, 3);
    assert.ok(completed.context.scopes.every(({ request_id }) => request_id.startsWith('req_')));
    if (compromise) assert.equal(completed.context.reason, 'seen in a public gist');
    const actions = await stage.actions();
    for (const action of ['started', 'current_key.read', 'operator.confirmed', 'new_key.received', 'new_key.stored',
      'consumer.updated', 'consumer.running', 'watch.finished', 'old_key.proven_dead']) {
      assert.ok(actions.includes(`secret.rotate.${action}`), action);
    }
    const proofs = (await stage.journal()).filter(({ action }) => action === 'secret.rotate.old_key.proof_taken');
    const dead = proofs.filter(({ context }) => context.old_key.answer === 'expired');
    assert.ok(dead.length >= 3, 'three refusals as expired');
    assert.ok(dead.every(({ context }) => context.old_key.status === 401 && context.new_key.status === 200));
    const verified = await stage.verifyJournal();
    assert.equal(verified.code, 0, verified.output);

    // The world: exactly one write each, and everything runs on the new key.
    const now = await stage.state();
    const secret = now.infisical.secrets.find(({ environment, name }) => environment === 'prod' && name === 'STRIPE_RESTRICTED_KEY');
    const old = before.infisical.secrets.find(({ id }) => id === secret.id);
    assert.equal(secret.version, old.version + 1);
    assert.equal(secret.versions.at(-1).tail, key.slice(-6));
    const app = now.heroku.apps.find(({ name }) => name === 'raxx-api-prod');
    const release = app.releases.reduce((newest, each) => Math.max(newest, each.version), 0);
    assert.ok(app.dynos.every(({ state, release: runs }) => state === 'up' && runs === release));
    const patches = now.heroku.requests.filter(({ method, path }) => method === 'PATCH' && path.includes('raxx-api-prod'));
    assert.equal(patches.length, 1);
    assert.equal(now.billing.last.healthy, true);

    // Messages: one live message in each place, links never unfurled, none left that leads into the form.
    for (const channel of [ops, adasMessages]) {
      await stage.message(channel, /closed: rotated/);
      const live = (await stage.messages(channel)).filter(({ all }) => all.includes('Rotation of stripe prod') && /closed: rotated/.test(all));
      assert.equal(live.length, 1, `one live message in ${channel}`);
    }
    assert.equal((await stage.messages(adasMessages)).filter(({ all }) => all.includes(link.token)).length, 0);

    // Messages that follow the close are changes too, and none of them counts as another rotation.
    assert.match(await stage.metrics(), /^keyturn_rotations_closed_total\{outcome="rotated"\} 1$/m);

    await stage.bot.stop();
    assert.equal(stage.bot.ended.code, 0);
    await assertNowhere(stage, stage.keys);
  });
}

test('what the bot counts can be scraped', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  const text = await stage.metrics();
  for (const name of ['keyturn_slack_ready', 'keyturn_slack_num_connections', 'keyturn_ack_seconds', 'keyturn_step_seconds',
    'keyturn_rotations']) {
    assert.ok(text.includes(name), name);
  }
  assert.equal((await fetch(`${stage.places.metrics}/healthz`)).status, 200);
});
