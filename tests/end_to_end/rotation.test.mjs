// The whole life of a rotation, as the operator, the team and the auditor see it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, said, snapshot } from './support/world.mjs';

for (const compromise of [false, true]) {
  test(`a rotation${compromise ? ' after a leak' : ''} goes from the command to the proof`, async (t) => {
    const stage = await Stage.open();
    t.after(() => stage.close());
    await stage.startBot();
    const before = await snapshot(stage);

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
    const readers = (await said(stage)).filter(({ text }) => text.includes(link.token)).map(({ to }) => to);
    assert.deepEqual(readers, [ada], 'the link is told to the operator alone');

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
    const proofs = (await stage.journal()).filter(({ action }) => action === 'secret.rotate.old_key.proof_taken');
    const dead = proofs.filter(({ context }) => context.old_key.answer === 'expired');
    assert.ok(dead.length >= 3, 'three refusals as expired');
    assert.ok(dead.every(({ context }) => context.old_key.status === 401 && context.new_key.status === 200));

    // Everything else in the journal, in Slack and at the vendors: done once, told once, and nothing but this.
    const { state, journal } = await assertRotatedOnce(stage, before, key);
    const started = journal.find(({ action }) => action === 'secret.rotate.started');
    assert.equal(started.context.compromise, compromise);
    assert.equal(started.context.channel, ops);
    assert.equal(completed.context.compromise, compromise);
    assert.equal(completed.context.infisical.version, completed.context.infisical.previous_version + 1);
    assert.equal(state.billing.last.healthy, true);
    assert.equal((await stage.messages(adasMessages)).filter(({ all }) => all.includes(link.token)).length, 0);
    const told = await said(stage);
    assert.equal(told.some(({ to, text }) => to === ops && /suspected leak/.test(text)), compromise);
    assert.deepEqual([...new Set(told.map(({ to }) => to))].sort(), [ops, ada], 'nobody but the team and the operator');

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

test("the app's home tab shows everybody their keys, and follows a rotation while it is open", async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const words = async (user) => JSON.stringify((await stage.state()).slack.homes[user] ?? '');
  const shows = (user, pattern) => until(`${user}'s home tab to show ${pattern}`, async () => pattern.test(await words(user)));
  for (const user of [ada, 'U0MEMBER']) await stage.act('/slack/home', { user });
  await shows(ada, /You may rotate/);
  await shows('U0MEMBER', /Only superadmins/);
  await shows(ada, /never rotated by Keyturn/);
  await stage.start();
  await shows('U0MEMBER', /Going on.*waiting for the operator/);
  assert.doesNotMatch(await words(ada), /None yet/);
  assert.match(await words('U0MEMBER'), /None yet/);
  await stage.command('cancel stripe prod');
  await shows(ada, /cancelled/);
});

test("the app's home tab shows the old key's deadline during the grace, and then the new key's age and its next date", async (t) => {
  const stage = await Stage.open({ settings: { grace: '12s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const mel = 'U0MEMBER';
  for (const user of [ada, mel]) await stage.act('/slack/home', { user });
  // The words of stripe prod's block, and of "Your rotations".
  const words = async (user) => {
    const texts = ((await stage.state()).slack.homes[user]?.blocks ?? []).map(({ text }) => text?.text ?? '');
    return { key: texts.find((text) => text.startsWith('*stripe prod*')) ?? '', own: texts.at(-1) || texts.at(-2) };
  };
  const shows = (user, pattern) => until(`${user}'s home tab to show ${pattern}`, async () => pattern.test((await words(user)).key), 40000);
  const date = String.raw`<!date\^(\d+)\^[^>]*>`;
  await stage.handOver(12);
  await stage.message(ops, /is rotated\./, 30000);
  const deadline = new RegExp(`The old key's deadline: ${date}\\.`);
  for (const user of [ada, mel]) await shows(user, new RegExp(`Going on\\*: [^]*Started by <@U0ADMIN>\\. Billing runs on the new key[^]*${deadline.source}`));
  const { context: { old_key_expires_at: expires } } = await stage.entry('secret.rotate.completed');
  assert.equal(Number(deadline.exec((await words(mel)).key)[1]), Math.floor(Date.parse(expires) / 1000));

  await stage.closed();
  const age = new RegExp(`rotated [^;]* ago by <@U0ADMIN>; due ${date}$`);
  for (const user of [ada, mel]) {
    await shows(user, age);
    const { key } = await words(user);
    assert.doesNotMatch(key, /Going on|deadline|overdue/);
    const { at } = await stage.entry('secret.rotate.completed');
    assert.ok(Math.abs(Number(age.exec(key)[1]) - Date.parse(at) / 1000 - 90 * 24 * 3600) < 2, 'in 90 days');
  }
  assert.match((await words(ada)).own, /stripe prod {2}· {2}rotated, old key proven dead/);
  assert.match((await words(mel)).own, /None yet/);
});
