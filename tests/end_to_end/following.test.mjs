// A target whose app gets its key by Infisical's own sync: the bot writes only Infisical, and waits for what the sync does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, since, snapshot } from './support/world.mjs';

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

// Up to the handover of the new key.
async function handOver(stage, seconds = grace) {
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
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
