// The way back, with the real bot: out of the grace, out of a stop, across a crash; and where there is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { holdings, oneRotation, said, since, snapshot } from './support/world.mjs';

const grace = 60;
const button = 'rotation_roll_back';
const variable = 'STRIPE_RESTRICTED_KEY';

async function open(t) {
  const stage = await Stage.open({ settings: { grace: `${grace}s`, reminder_before: '5s' } });
  t.after(() => stage.close());
  await stage.startBot();
  return stage;
}
async function handOver(stage, seconds = grace) {
  const key = await stage.handOver(seconds);
  return key;
}
// Asks for it, and presses the button that only she who asked sees.
async function rollBack(stage, user) {
  assert.match(await stage.command('rollback stripe prod', user), /works until .* left\).*a new rotation must follow/s);
  const { slack } = await stage.state();
  const answers = slack.channels.find(({ id }) => id === ops).ephemerals;
  const answer = answers.findLast((one) => one.only_for === user && JSON.stringify(one.blocks).includes(button));
  await stage.click({ ...answer, channel: ops }, button, undefined, user);
}
const newest = (state) => state.infisical.secrets.find(({ name, environment }) => name === variable && environment === 'prod').versions.at(-1);
const config = (state) => state.heroku.apps.find(({ name }) => name === 'raxx-api-prod').config[variable];

// The old key is everywhere again; each system was written once on the way there and once on the way back.
async function assertRolledBack(stage, before, { heroku }) {
  const summary = await stage.message(ops, /is rolled back\./, 40000);
  assert.match(summary.all, /still expires/);
  assert.match(summary.all, /\/rotate stripe prod/);
  const { state, writes, journal } = await since(stage, before);
  assert.equal(newest(state).tail, newest(before.state).tail);
  assert.equal(newest(state).version, newest(before.state).version + 2);
  assert.equal(config(state), config(before.state));
  assert.deepEqual(writes.filter((write) => write.startsWith('infisical')).length, 2);
  assert.deepEqual(writes.filter((write) => write.startsWith('heroku')).length, heroku);
  const { dynos, releases } = holdings(state).heroku.find(({ name }) => name === 'raxx-api-prod');
  assert.ok(dynos.every((dyno) => dyno.state === 'up' && dyno.release === releases.at(-1).version), 'every dyno runs it');
  const entry = journal.find(({ action }) => action === 'secret.rotate.rolled_back');
  assert.equal(entry.context.pinned_version.found, 'same');
  assert.equal(entry.context.infisical.version, newest(state).version);
  const [given, kept] = ['new_key.received', 'current_key.read'].map((action) => journal.find((one) => one.action === `secret.rotate.${action}`).context.fingerprint);
  assert.deepEqual([entry.context.abandoned_key_fingerprint, entry.context.key_in_use_fingerprint], [given, kept]);
  assert.ok(summary.all.includes(`Billing runs on the old key \`${kept}\` again`));
  assert.ok(summary.all.includes(`The new key \`${given}\` is abandoned, and *still works*: rotating it replaces it`), summary.all);
  assert.match(summary.all, /if nobody does, <[^|>]*\|dashboard> → \*raxx-billing\*, of the two the one without a remaining time → ⋯ → \*Expire key\*/);
  assert.equal(state.billing.last.healthy, true);
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, stage.keys);
}

test('inside the grace any superadmin can go back, and the next rotation closes this one', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await rollBack(stage, 'U0GRACE');
  await stage.message(ops, /asked for the way back/);
  await assertRolledBack(stage, before, { heroku: 2 });
  const requested = await stage.entry('secret.rotate.rollback.requested');
  assert.equal(requested.actor, 'U0GRACE');
  assert.match(await stage.command('rollback stripe prod'), /rolled back already/);
  assert.equal((await stage.entry('command.refused')).context.code, 'already_rolled_back');
  assert.match(await stage.command('stripe prod'), /started/);
  assert.equal((await stage.closed()).context.outcome, 'rolled_back');
  await stage.message(adasMessages, /What only you can check/);
});

test('out of a stop: the button beside Try again goes back, also when the release had failed', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.act('/fault', { system: 'heroku', kind: 'release_fails' });
  await handOver(stage);
  await stage.message(ops, /There is a way back/);
  const status = await stage.message(adasMessages, /stopped; it waits for a person/);
  await stage.click(status, button);
  await assertRolledBack(stage, before, { heroku: 2 });
});

// One key for both apps, and the second one as the prod target's second consumer.
async function twoConsumers(stage, second) {
  const shared = await stage.createKey({ name: 'raxx-shared', mode: 'live',
    permissions: ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'] });
  await stage.act('/infisical/put', { environment: 'prod', name: variable, value: shared });
  for (const app of ['raxx-api-prod', second]) await stage.putInApp(shared, { app });
  await stage.rewrite((text) => text.replace(/(app = "raxx-api-prod"\nvariable = .*\n)/,
    `$1\n[[target.consumer]]\napp = "${second}"\nvariable = "${variable}"\n`));
}

test('out of a propagation that stopped at the second app: the first goes back, the second is left alone', async (t) => {
  const second = 'raxx-api-staging';
  const stage = await Stage.open({ settings: { grace: `${grace}s`, reminder_before: '5s' } });
  t.after(() => stage.close());
  await twoConsumers(stage, second);
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.act('/fault', { system: 'heroku', kind: 'status', status: 403, method: 'PATCH', path: `/apps/${second}/config-vars` });
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(grace, 'raxx-shared');
  assert.equal((await stage.submit(link, key, grace)).state, 'received');
  await stage.message(ops, /There is a way back/, 30000);
  assert.ok(config(await stage.state()).endsWith(key.slice(-6)), 'the canary has the new key');
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), button);
  await stage.message(ops, /is rolled back\./, 40000);
  const { state, writes } = await since(stage, before);
  const [now, then] = [state, before.state].map((one) => holdings(one).heroku);
  const of = (apps, app) => apps.find(({ name }) => name === app);
  assert.deepEqual(of(now, second), of(then, second), 'not a release, not a restart');
  assert.equal(of(now, 'raxx-api-prod').config[variable], of(then, 'raxx-api-prod').config[variable]);
  assert.equal(of(now, 'raxx-api-prod').releases.length, of(then, 'raxx-api-prod').releases.length + 2);
  assert.equal(newest(state).tail, newest(before.state).tail);
  assert.equal(writes.filter((write) => write.includes(second)).length, 1, 'the one that was refused');
  await assertNowhere(stage, stage.keys);
});

// Three apps on one key; the third one's configuration may not be changed.
const further = ['raxx-worker-002', 'raxx-worker-003'];
const patch = (app) => `heroku PATCH /apps/${app}/config-vars`;
async function stoppedAtTheThird(t, start, confirm = {}) {
  const stage = await Stage.open({ consumers: 3, settings: { grace: `${grace}s`, compromise_grace: `${grace}s`, reminder_before: '5s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.act('/fault', { system: 'heroku', kind: 'status', status: 403, method: 'PATCH', path: `/apps/${further[1]}/config-vars` });
  await stage.start(start);
  await stage.confirm(confirm);
  const link = await stage.link();
  const key = await stage.rotateInDashboard(grace);
  assert.equal((await stage.submit(link, key, grace)).state, 'received');
  const news = await stage.message(ops, /Stopped: stripe prod/, 30000);
  assert.match(news.all, /while giving the key to raxx-worker-003: .*has no access to this app, or not to its config vars/);
  assert.match(news.all, /Some consumers may run on the new key and some on the old one; both work until the old one expires\./);
  const now = await since(stage, before);
  const [then, today] = [holdings(before.state), holdings(now.state)].map(({ heroku }) => heroku);
  for (const app of ['raxx-api-prod', further[0]]) assert.ok(of(today, app).config[variable].endsWith(key.slice(-6)), `${app} has the new key`);
  assert.deepEqual(of(today, further[1]), of(then, further[1]), 'the third has the old one, and no release');
  assert.deepEqual(now.writes, [...oneRotation, patch(further[0]), patch(further[1])]);
  assert.deepEqual(now.journal.filter(({ action }) => action === 'secret.rotate.consumer.updated').map(({ context }) => context.app),
    ['raxx-api-prod', further[0]]);
  return { stage, before, key, news };
}
const of = (apps, app) => apps.find(({ name }) => name === app);

test('the third of three apps refuses: the two that changed go back, the third is left alone', async (t) => {
  const { stage, before, news } = await stoppedAtTheThird(t);
  assert.match(news.all, /There is a way back as long as the old key lives: `\/rotate rollback stripe prod`, or \*Roll back\*/);
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), button);
  const summary = await stage.message(ops, /is rolled back\./, 40000);
  assert.match(summary.all, /Infisical version 5; raxx-api-prod release v\d+, raxx-worker-002 release v\d+, raxx-worker-003 release v41\./);
  const { state, writes } = await since(stage, before);
  const [then, now] = [holdings(before.state), holdings(state)].map(({ heroku }) => heroku);
  assert.deepEqual(of(now, further[1]), of(then, further[1]), 'not a release, not a restart');
  for (const app of ['raxx-api-prod', further[0]]) {
    assert.equal(of(now, app).config[variable], of(then, app).config[variable], `${app} has the old key`);
    assert.equal(of(now, app).releases.length, of(then, app).releases.length + 2);
  }
  assert.equal(newest(state).tail, newest(before.state).tail);
  const [stored, canary] = oneRotation; // one system after the other
  assert.deepEqual(writes, [stored, stored, canary, patch(further[0]), patch(further[1]), canary, patch(further[0])]);
  await assertNowhere(stage, stage.keys);
});

test('after a leak the third of three apps refuses: no way back is offered, and trying again ends it', async (t) => {
  const { stage, before, key, news } = await stoppedAtTheThird(t, 'stripe prod --compromise', { reason: 'seen in a gist' });
  const status = await stage.message(adasMessages, /stopped; it waits for a person/);
  for (const { all } of [news, await stage.message(adasMessages, /\*The rotation stopped/)]) {
    assert.match(all, /Rolling back is barred: the old key may be in other hands\./);
    assert.doesNotMatch(all, /There is a way back/);
  }
  assert.match(JSON.stringify(status.blocks), /"rotation_retry"/);
  assert.doesNotMatch(JSON.stringify(status.blocks), new RegExp(button), 'no such button');
  assert.match(await stage.command('rollback stripe prod'), /^Rolling back is barred: the old key may be in other hands\./);
  assert.equal((await stage.entry('command.refused')).context.code, 'barred_under_compromise');
  await stage.act('/fault', { system: 'heroku', kind: 'clear' });
  await stage.click(status, 'rotation_retry');
  assert.match((await stage.message(ops, /is rotated\./, 40000)).all, /\*After a leak, end it now\*: `\/rotate expire-now stripe prod`/);
  const { state, writes, journal } = await since(stage, before);
  for (const app of ['raxx-api-prod', ...further]) assert.ok(of(state.heroku.apps, app).config[variable].endsWith(key.slice(-6)));
  assert.deepEqual(writes, [...oneRotation, patch(further[0]), patch(further[1]), patch(further[1])], 'the one that refused is asked again, no other');
  assert.ok(!journal.some(({ action }) => action.includes('.rollback.')));
  await assertNowhere(stage, stage.keys);
});

for (const moment of ['secret.rotate.rollback.began', 'secret.rotate.rollback.previous_key.read']) {
  test(`killed right after ${moment}, the way back is gone to its end`, async (t) => {
    const stage = await open(t);
    const before = await snapshot(stage);
    await handOver(stage);
    await stage.message(ops, /is rotated\./, 30000);
    await rollBack(stage, 'U0ADMIN');
    await until(moment, async () => (await stage.actions()).includes(moment));
    await stage.bot.stop('SIGKILL');
    await stage.startBot();
    await assertRolledBack(stage, before, { heroku: 2 });
  });
}

test('if no new rotation follows, the channel is warned before the key in use dies, and told when it has', async (t) => {
  const stage = await Stage.open({ settings: { grace: '30s', reminder_before: '4s' } });
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(30);
  await stage.submit(link, key, 30);
  await stage.message(ops, /is rotated\./, 30000);
  await rollBack(stage, 'U0ADMIN');
  await stage.message(ops, /is rolled back\./, 40000);
  await stage.message(ops, /runs on a key that expires/, 60000);
  await stage.message(ops, /Billing fails now/, 60000);
  assert.equal((await stage.closed()).context.outcome, 'rolled_back');
});

test('after a leak, for a stranger, and with nothing put anywhere there is no way back, in words', async (t) => {
  const stage = await open(t);
  assert.match(await stage.command('rollback stripe prod', 'U0MEMBER'), /Only a superadmin/);
  assert.equal((await stage.entry('command.refused')).actor, 'U0MEMBER');
  await stage.start('stripe prod --compromise');
  await stage.confirm({ reason: 'seen in a gist' });
  await stage.link();
  assert.match(await stage.command('rollback stripe prod'), /barred: the old key may be in other hands/);
  assert.equal((await stage.entry('command.refused')).context.code, 'barred_under_compromise');
  await stage.command('cancel stripe prod');
  await stage.over((await stage.closed()).rotation);
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  assert.match(await stage.command('rollback stripe prod'), /nothing to roll back/);
  assert.equal((await stage.entry('command.refused')).context.code, 'nothing_to_roll_back');
});

test('a rotation that follows a rollback and is cancelled leaves the deadline watched: warned before, told after', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await rollBack(stage, 'U0ADMIN');
  await assertRolledBack(stage, before, { heroku: 2 });
  assert.match(await stage.command('stripe prod'), /started/);
  assert.equal((await stage.closed()).context.outcome, 'rolled_back');
  await stage.message(adasMessages, /What only you can check/);
  assert.match(await stage.command('cancel stripe prod'), /cancelled/i);
  await until('it to be over', async () => (await stage.entry('secret.rotate.closed')).context.outcome === 'cancelled');
  await stage.bot.stop('SIGKILL'); // a bot that goes on looks once a minute
  await stage.startBot();
  await stage.message(ops, /overdue.*rolled back to the key from before its last rotation, which \*dies.*Billing works until then/s, 20000);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  const told = await stage.message(ops, /should be dead since.*billing is likely down now/s, 60000);
  assert.match(told.all, /<@U0ADMIN>/);
  assert.equal((await stage.messages(ops)).filter(({ all }) => /should be dead since/.test(all)).length, 1);
  await assertNowhere(stage, stage.keys);
});

async function inTheGrace(t, seconds, settings = {}) {
  const stage = await Stage.open({ settings: { grace: `${seconds}s`, reminder_before: '2s', ...settings } });
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await handOver(stage, seconds);
  await stage.message(ops, /is rotated\./, 30000);
  return { stage, before };
}
// The way forth has gone on to its end, and nothing was put back.
async function assertWentForth(stage, before) {
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  const { state, writes } = await since(stage, before);
  assert.deepEqual(writes, oneRotation);
  for (const tail of [newest(state).tail, config(state).slice(-6)]) assert.equal(tail, stage.keys.at(-1).slice(-6));
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, stage.keys);
}

test('too late, and with the old key dead, nothing is begun: by command and by a button from before', async (t) => {
  const { stage, before } = await inTheGrace(t, 26, { watch: '4s', proof_after: '4s' });
  const old = config(before.state).slice(-6);
  assert.match(await stage.command('rollback stripe prod'), /the way back takes about \d+ seconds/);
  const { slack, stripe } = await stage.state();
  const early = { ...slack.channels.find(({ id }) => id === ops).ephemerals.at(-1), channel: ops };
  const { expires_at: expires } = stripe.keys.find(({ masked }) => masked.endsWith(old));
  const left = () => new Date(expires) - Date.now();
  const told = (pattern) => until(`to be told ${pattern}`, async () =>
    (await said(stage)).some(({ to, text }) => to === 'U0ADMIN' && pattern.test(text)));
  const refused = [
    [5000, /The old key dies in \d seconds, and putting it back and watching it takes about \d+ seconds\./, 'too_late'],
    [-1000, /The old key is dead, so there is no way back to it\./, 'old_key_dead'],
  ];
  for (const [time, words, code] of refused) {
    await until('the time', () => left() < time, 30000);
    const answer = await stage.command('rollback stripe prod');
    assert.match(answer, words);
    assert.match(answer, /If the new key is broken: dashboard → \*Create restricted key\*, named `raxx-billing`, that may call `GET \/v1\/customers` `GET \/v1\/subscriptions` and must not call `GET \/v1\/balance`\./);
    assert.match(answer, /Put it into Infisical \(`STRIPE_RESTRICTED_KEY`\) and every app\. .*Keyturn does this with you: `\/rotate cancel stripe prod --give-up`, then `\/rotate stripe prod`\./);
    assert.equal((await stage.entry('command.refused')).context.code, code);
    await stage.click(early, button);
    await told(new RegExp(`^${words.source}$`));
  }
  assert.ok(!(await stage.actions()).some((action) => action.includes('.rollback.')));
  await assertWentForth(stage, before);
});

const barred = {
  'the old key was expired early': { words: /Stripe refuses the old key by now/, arrange: async (stage) => {
    const old = (await stage.state()).stripe.keys.find(({ mode, status }) => mode === 'live' && status === 'expiring');
    await stage.act('/stripe/expire', { id: old.id });
  } },
  'the old key lost a permission': { words: /the old key may no longer call GET \/v1\/customers/,
    arrange: (stage) => stage.act('/fault', { system: 'stripe', kind: 'status', status: 403, path: '/v1/customers' }) },
};
for (const [name, { words, arrange }] of Object.entries(barred)) {
  test(`found when going back: ${name}; nothing is put back, and the way forth goes on`, async (t) => {
    const { stage, before } = await inTheGrace(t, 24);
    await arrange(stage);
    await rollBack(stage, 'U0GRACE');
    const news = await stage.message(ops, /No way back: stripe prod/);
    assert.match(news.all, new RegExp(`\\*Nothing was put back\\*: ${words.source}\\. The rotation goes on with the new key`));
    assert.match(news.all, /Billing runs on the new key\. If the new key is broken: .*Put it into Infisical/);
    assert.match((await stage.entry('secret.rotate.rollback.barred')).context.sentence, words);
    await stage.act('/fault', { system: 'stripe', kind: 'clear' });
    await assertWentForth(stage, before);
  });
}

test('a version that belongs to another secret by now is not used: the sealed copy goes back', async (t) => {
  const stage = await open(t);
  // Deleted and made again, with as many versions: their numbers are the old secret's, too.
  const old = await stage.currentKey();
  await stage.act('/infisical/remove', { environment: 'prod', name: variable });
  for (const value of ['one', 'two', old]) await stage.act('/infisical/put', { environment: 'prod', name: variable, value });
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await rollBack(stage, 'U0GRACE');
  await stage.message(ops, /is rolled back\./, 40000);
  await stage.message(ops, /✗ {2}Infisical: version 3 belongs to another secret by now; the sealed copy is used/);
  assert.equal((await stage.entry('secret.rotate.rolled_back')).context.pinned_version.found, 'another_secret');
  const { state, writes } = await since(stage, before);
  assert.deepEqual(writes, oneRotation.flatMap((write) => [write, write]));
  const living = state.infisical.secrets.find(({ name, environment, deleted }) => name === variable && environment === 'prod' && !deleted);
  assert.deepEqual([living.version, living.versions.at(-1).tail], [5, old.slice(-6)]);
  assert.equal(await stage.currentKey(), old);
  await assertNowhere(stage, [...stage.keys, old]);
});

test('a version that was redacted is not used: the sealed copy goes back', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await stage.act('/fault', { system: 'infisical', kind: 'redact', environment: 'prod', name: variable, version: 3 });
  await rollBack(stage, 'U0GRACE');
  await stage.message(ops, /is rolled back\./, 40000);
  await stage.message(ops, /✗ {2}Infisical: version 3 was redacted; the sealed copy is used/);
  assert.equal((await stage.entry('secret.rotate.rolled_back')).context.pinned_version.found, 'redacted');
  assert.deepEqual((await since(stage, before)).writes, oneRotation.flatMap((write) => [write, write]));
  await assertNowhere(stage, stage.keys);
});

test('while Infisical hides its values nothing is put back, and it goes on once they can be read', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await stage.act('/fault', { system: 'infisical', kind: 'hidden_value' });
  await rollBack(stage, 'U0GRACE');
  const news = await stage.message(ops, /Stopped: stripe prod/);
  assert.match(news.all, /while storing the key in Infisical: .*Infisical hides the value of STRIPE_RESTRICTED_KEY/);
  assert.match(news.all, /Billing runs on the new key where that had arrived, else on the old one, which expires/);
  assert.match(news.all, /with \*Try again\* in the DM/);
  await stage.message(ops, /✗ {2}Infisical: version 3 is hidden from this bot; the sealed copy is used/);
  assert.equal((await stage.entry('secret.rotate.rollback.previous_key.read')).context.found, 'hidden');
  assert.deepEqual((await since(stage, before)).writes, oneRotation);
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await assertRolledBack(stage, before, { heroku: 2 });
});
