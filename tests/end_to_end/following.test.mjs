// A target whose app gets its key by Infisical's own sync: the bot writes only Infisical, and waits for what the sync does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, holdings, oneRotation, since, snapshot } from './support/world.mjs';

const app = 'raxx-api-prod';
const variable = 'STRIPE_RESTRICTED_KEY';
const grace = 60;
const onlyInfisical = [`infisical PATCH /api/v4/secrets/${variable}`];

async function open(t, { settings = {}, knob = {} } = {}) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  await stage.act('/fault', { system: 'infisical', kind: 'heroku_sync', app, environment: 'prod', ...knob });
  await stage.startBot();
  return stage;
}
const long = { grace: `${grace}s`, reminder_before: '5s' };
const breakIt = (stage, on = true) => stage.act('/fault', { system: 'infisical', kind: 'sync_fails', app, on });
const trigger = (stage) => stage.act('/fault', { system: 'infisical', kind: 'sync_now', app });
const sync = async (stage) => (await stage.state()).infisical.syncs.find((one) => one.app === app);
const releases = (state) => state.heroku.apps.find(({ name }) => name === app).releases;
const newest = (state) => state.infisical.secrets.find(({ name, environment }) => name === variable && environment === 'prod').versions.at(-1);

// Up to the handover of the new key. `meanwhile`: what is done while the form waits.
async function handOver(stage, seconds = grace, meanwhile = async () => {}) {
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await meanwhile();
  const key = await stage.rotateInDashboard(seconds);
  assert.equal((await stage.submit(link, key, seconds)).state, 'received');
  return key;
}

test('a rotation writes only Infisical, and the sync makes the one release', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  assert.match(boxes.all, /Infisical's sync brings the new key to raxx-api-prod: Keyturn writes only Infisical/);
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  await stage.message(ops, /Infisical's sync brings the new key to raxx-api-prod/);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  const { state } = await assertRotatedOnce(stage, before, key, { written: onlyInfisical });
  assert.deepEqual(releases(state).slice(releases(before.state).length).map(({ user }) => user), ['infisical-sync@raxx.example']);
  const [consumer] = (await stage.entry('secret.rotate.completed')).context.consumers;
  assert.equal(consumer.by_sync, true);
  assert.equal(consumer.released_by, 'infisical-sync@raxx.example');
  assert.equal(consumer.release, releases(state).at(-1).version);
});

test('a sync that fails stops the rotation in words, and goes on once it is mended', async (t) => {
  const stage = await open(t, { settings: long });
  const before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await breakIt(stage);
  const key = await stage.rotateInDashboard(grace);
  assert.equal((await stage.submit(link, key, grace)).state, 'received');
  const news = await stage.message(ops, /Stopped: stripe prod/, 20000);
  assert.match(news.all, /raxx-api-prod still holds the old key, and Infisical the new one: the sync that brings it there has failed/);
  assert.match(news.all, /press Trigger Sync/);
  assert.match(news.all, /Billing runs on the old key, which expires/);
  assert.match(news.all, /with \*Try again\* in the DM/);
  assert.ok(!(await stage.messages(ops)).some(({ all }) => /is rotated\./.test(all)), 'never green');
  assert.notEqual(await stage.currentKey(), key);

  // Asked again before it is mended, it says so again.
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await until('a second stop', async () => (await stage.actions()).filter((action) => action === 'secret.rotate.halted').length === 2);
  await breakIt(stage, false);
  await trigger(stage);
  await until('the sync', async () => (await sync(stage)).status === 'succeeded');
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal(await stage.currentKey(), key);
  assert.deepEqual((await since(stage, before)).writes, onlyInfisical);
});

// Asks for the way back, and presses the button that only she who asked sees.
async function rollBack(stage, user = 'U0GRACE') {
  await stage.command('rollback stripe prod', user);
  const { slack } = await stage.state();
  const answers = slack.channels.find(({ id }) => id === ops).ephemerals;
  const answer = answers.findLast((one) => one.only_for === user && JSON.stringify(one.blocks).includes('rotation_roll_back'));
  await stage.click({ ...answer, channel: ops }, 'rotation_roll_back', undefined, user);
}

async function assertBack(stage, before, made) {
  await stage.message(ops, /is rolled back\./, 40000);
  const { state, writes } = await since(stage, before);
  assert.equal(newest(state).tail, newest(before.state).tail);
  assert.equal(newest(state).version, newest(before.state).version + 2);
  assert.deepEqual(writes, [...onlyInfisical, ...onlyInfisical], 'Heroku is written to neither there nor back');
  assert.equal(releases(state).length - releases(before.state).length, made);
  const { config, dynos } = state.heroku.apps.find(({ name }) => name === app);
  assert.equal(config[variable], before.state.heroku.apps.find(({ name }) => name === app).config[variable]);
  assert.ok(dynos.every((dyno) => dyno.state === 'up' && dyno.release === releases(state).at(-1).version));
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, stage.keys);
}

test('the way back goes through the sync as well', async (t) => {
  const stage = await open(t, { settings: long });
  const before = await snapshot(stage);
  await handOver(stage);
  await stage.message(ops, /is rotated\./, 30000);
  await rollBack(stage);
  await assertBack(stage, before, 2);
});

test('out of a failed sync the way back is open at once, and the app is left alone', async (t) => {
  const stage = await open(t, { settings: long });
  const before = await snapshot(stage);
  await breakIt(stage);
  await handOver(stage);
  await stage.message(ops, /There is a way back/, 20000);
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_roll_back');
  await assertBack(stage, before, 0);
});

test('killed while it waits for the sync, it looks again and writes nothing twice', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  const key = await handOver(stage, 7);
  const following = async () => (await stage.journal()).some(({ action, context }) =>
    action === 'secret.rotate.action.started' && context.action.kind === 'follow_sync');
  await until('it to follow the sync', following);
  await stage.bot.stop('SIGKILL');
  await until('the sync to have run', async () => (await stage.currentKey()) === key);
  await stage.startBot();
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  const { state } = await assertRotatedOnce(stage, before, key, { written: onlyInfisical });
  assert.equal(releases(state).length - releases(before.state).length, 1);
});

test('two apps that a sync changes get the key at once, and both are watched', async (t) => {
  const second = 'raxx-worker-002';
  const stage = await Stage.open({ consumers: 2 });
  t.after(() => stage.close());
  for (const one of [app, second]) await stage.act('/fault', { system: 'infisical', kind: 'heroku_sync', app: one, environment: 'prod' });
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  assert.match(boxes.all, /brings the new key to raxx-api-prod, raxx-worker-002.*no app goes first/s);
  await stage.confirm();
  const link = await stage.link();
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(7))).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  const { state, writes } = await since(stage, before);
  assert.deepEqual(writes, onlyInfisical);
  for (const one of [app, second]) {
    const made = (of) => of.heroku.apps.find(({ name }) => name === one).releases.length;
    assert.equal(made(state) - made(before.state), 1, `one release of ${one}`);
  }
  const { consumers } = (await stage.entry('secret.rotate.completed')).context;
  assert.deepEqual(consumers.map((one) => [one.app, one.by_sync]), [[app, true], [second, true]]);
});

// What stands in Slack and in the journal when it stops; nothing was written but `written`, and never green.
async function assertStopped(stage, before, words, written) {
  const news = await stage.message(ops, /Stopped: stripe prod/, 20000);
  assert.match(news.all, words);
  assert.match(news.all, /Billing runs on the old key, which expires/);
  assert.match(news.all, /with \*Try again\* in the DM/);
  assert.match((await stage.entry('secret.rotate.halted')).context.sentence, words);
  assert.ok(!(await stage.messages(ops)).some(({ all }) => /is rotated\./.test(all)), 'never green');
  assert.deepEqual((await since(stage, before)).writes, written);
}
async function tryAgain(stage, key) {
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await stage.message(ops, /is rotated\./, 40000);
  assert.equal(await stage.currentKey(), key);
}
const switchOn = (stage, on) => stage.act('/fault', { system: 'infisical', kind: 'sync_automatic', app, on });
const lookAway = (stage) => stage.act('/fault', { system: 'heroku', kind: 'status', status: 503, path: `/apps/${app}/releases` });
const lookAgain = (stage) => stage.act('/fault', { system: 'heroku', kind: 'clear' });

const changed = {
  'one is switched off': { automatic: true, written: onlyInfisical,
    words: /changed since the rotation began: one no longer brings this secret to raxx-api-prod. Nothing was written. Put it back as it was/ },
  'one is switched on': { automatic: false, written: oneRotation,
    words: /changed since the rotation began: one now brings this secret to raxx-api-prod. Nothing was written. Put it back as it was/ },
};
for (const [name, { automatic, words, written }] of Object.entries(changed)) {
  test(`syncs are changed while people are waited for, and nothing is written: ${name}`, async (t) => {
    const stage = await open(t, { settings: long, knob: { automatic } });
    const before = await snapshot(stage);
    const key = await handOver(stage, grace, () => switchOn(stage, !automatic));
    await assertStopped(stage, before, words, []);
    const [then, now] = [before.state, await stage.state()].map(holdings);
    assert.deepEqual([now.infisical, now.heroku], [then.infisical, then.heroku], 'nothing has changed');
    await switchOn(stage, automatic);
    await tryAgain(stage, key);
    assert.deepEqual((await since(stage, before)).writes, written);
  });
}

// Heroku can't be looked at while the sync has its turn, and somebody is at work then.
async function handOverUnseen(stage, meanwhile) {
  const before = await snapshot(stage);
  const key = await handOver(stage, grace, () => lookAway(stage));
  await until('Infisical to hold it', async () => newest(await stage.state()).tail === key.slice(-6));
  await meanwhile();
  await lookAgain(stage);
  return { before, key };
}

test('a sync has run, and somebody put the old key back: it stops at once, and goes on when the sync has run again', async (t) => {
  const stage = await open(t, { settings: { ...long, release_limit: '50s' } });
  const old = await stage.currentKey();
  const { before, key } = await handOverUnseen(stage, async () => {
    await until('the sync', async () => (await stage.currentKey()) !== old);
    await stage.act('/heroku/config', { app, name: variable, value: old });
  });
  await assertStopped(stage, before,
    /sync has run since the new key was stored, and raxx-api-prod holds the old one: somebody put it back. Press Trigger Sync/, onlyInfisical);
  await trigger(stage);
  await until('the sync', async () => (await stage.currentKey()) === key);
  await tryAgain(stage, key);
  assert.deepEqual((await since(stage, before)).writes, onlyInfisical);
});

test('a sync that is switched off before it came is told, and what it brings late is taken up', async (t) => {
  const stage = await open(t, { settings: long });
  await breakIt(stage);
  const { before, key } = await handOverUnseen(stage, () => switchOn(stage, false));
  await assertStopped(stage, before,
    /the sync that brings it there is gone, switched off or changed. Switch it on and press Trigger Sync/, onlyInfisical);
  await breakIt(stage, false);
  await switchOn(stage, true);
  await trigger(stage);
  await until('the sync', async () => (await stage.currentKey()) === key);
  await tryAgain(stage, key);
  assert.deepEqual((await since(stage, before)).writes, onlyInfisical);
});

test('a sync that never comes to it is told when the time is over', async (t) => {
  const stage = await open(t, { settings: { ...long, release_limit: '6s' }, knob: { status: 'pending' } });
  // Each write to the path puts the run off.
  const busy = setInterval(() => stage.act('/infisical/put', { environment: 'prod', name: 'LOG_LEVEL', value: 'info' }).catch(() => {}), 50);
  t.after(() => clearInterval(busy));
  const before = await snapshot(stage);
  const key = await handOver(stage);
  await assertStopped(stage, before,
    /the new key 6 seconds after Infisical does; Infisical says that its sync is waiting to run. Press Trigger Sync/, onlyInfisical);
  clearInterval(busy);
  await until('the sync', async () => (await stage.currentKey()) === key);
  await tryAgain(stage, key);
  assert.deepEqual((await since(stage, before)).writes, onlyInfisical);
});

const refused = {
  'another app than the settings name': [{ app: 'raxx-api-staging' }, /\(heroku raxx-api-staging\).*Add the app to the target's consumers/s],
  'our app, under another name': [{ key_schema: 'PROD_{{secretKey}}' },
    /there as PROD_STRIPE_RESTRICTED_KEY.*uses STRIPE_RESTRICTED_KEY.*can't be followed.*may overwrite or delete/s],
  'our app, and it failed the last time': [{ status: 'failed' }, /failed the last time, so the new key would not arrive there.*Trigger Sync/s],
  'our app, and it has never succeeded': [{ status: 'never' }, /has never succeeded.*Trigger Sync/s],
};
for (const [name, [knob, words]] of Object.entries(refused)) {
  test(`refused before the click: a sync to ${name}`, async (t) => {
    const stage = await open(t, { knob });
    const before = await snapshot(stage);
    await stage.start();
    assert.equal((await stage.closed(20000)).context.outcome, 'refused');
    assert.equal((await stage.entry('secret.rotate.refused')).context.code, 'sync');
    assert.match((await stage.message(adasMessages, /did not begin/)).all, words);
    assert.deepEqual((await since(stage, before)).writes, []);
  });
}

test('a sync that also deletes is told of before the click', async (t) => {
  const stage = await open(t, { knob: { deletes: true }, settings: long });
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  assert.match(boxes.all, /also deletes the variables of raxx-api-prod that Infisical doesn't hold/);
});
