// The old key between the paste and the proof: it may die before its time, or before the rotation has come to its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { oneRotation, since, snapshot } from './support/world.mjs';

const attentive = { grace: '60s', reminder_before: '5s', unattended_every: '500ms' };

// The form is told of 60 seconds, and the dashboard of `clicked`.
async function handedOver(t, { clicked, told = 60, settings = {}, arrange = async () => {} }) {
  const stage = await Stage.open({ settings: { ...attentive, ...settings } });
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await arrange(stage);
  const key = await stage.rotateInDashboard(clicked);
  assert.equal((await stage.submit(link, key, told)).state, 'received');
  return { stage, before, key };
}
const count = async (stage, pattern) => (await stage.messages(ops)).filter(({ all }) => pattern.test(all)).length;
async function assertLiveMessageSaysSo(stage) {
  const status = await until('the live message to say so', async () =>
    (await stage.messages(ops)).find(({ all }) => /stopped; it waits for a person/.test(all) && /\*The old key is dead\*/.test(all)));
  assert.doesNotMatch(status.all, /Billing runs on the old key/);
}
const readOnly = (stage) => stage.act('/fault', { system: 'infisical', kind: 'read_only' });
async function mendedAndOver(stage, key) {
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  assert.equal(await stage.currentKey(), key);
  await assertNowhere(stage, stage.keys);
}

test('a shorter expiration was clicked than said: told once, also across a crash, billing is not affected, and its death is proven at once', async (t) => {
  const { stage, before, key } = await handedOver(t, { clicked: 9 });
  await stage.message(ops, /is rotated\./, 30000);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  const told = await stage.message(ops, /The old key of stripe prod died early\*/, 30000);
  assert.match(told.all, /Billing is not affected: every app runs on the new key\. Nothing is to be done; the proof begins now/);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  assert.equal(await count(stage, /^The old key of stripe prod died early/), 1);
  assert.ok((await stage.journal()).filter(({ action }) => action === 'secret.rotate.old_key.checked').length >= 2, 'two looks');
  const { writes } = await since(stage, before);
  assert.deepEqual(writes, oneRotation);
  assert.equal(await stage.currentKey(), key);
});

test('it dies early while the rotation is stopped: the team reads that billing fails, and what to do', async (t) => {
  const { stage, key } = await handedOver(t, { clicked: 4, arrange: readOnly });
  await stage.message(ops, /Stopped: stripe prod/);
  const told = await stage.message(ops, /The old key of stripe prod died early\*/, 30000);
  assert.match(told.all, /\*The old key is dead\*: billing fails until the new key is in place.*\*What to do\*: mend what stopped this rotation, then \*Try again\*/s);
  await assertLiveMessageSaysSo(stage);
  await mendedAndOver(stage, key);
});

test('a stop that nobody mends until the old key’s time is over: the team is reminded before, and told when billing fails', async (t) => {
  const { stage, key } = await handedOver(t, { clicked: 8, told: 8, settings: { grace: '8s' }, arrange: readOnly });
  await stage.message(ops, /expires .*, and its rotation is not finished/);
  const told = await stage.message(ops, /The old key of stripe prod is dead, and its rotation is not finished/, 30000);
  assert.match(told.all, /billing fails until the new key is in place.*What still uses the old key fails now.*\*What to do\*: mend that, then \*Try again\*/s);
  assert.equal(await count(stage, /died early/), 0, 'it died when it should');
  await assertLiveMessageSaysSo(stage);
  await mendedAndOver(stage, key);
});

test('a stop before Stripe said anything about the new key, and its old one’s time is over: the team is told when billing fails', async (t) => {
  const unreachable = (stage) => stage.act('/fault', { system: 'stripe', kind: 'status', status: 503 });
  const { stage, key } = await handedOver(t, { clicked: 8, told: 8, settings: { grace: '8s', retry_limit: '1s' }, arrange: unreachable });
  await stage.message(ops, /expires .*, and its rotation is not finished/);
  await stage.act('/fault', { system: 'stripe', kind: 'clear' });
  const told = await stage.message(ops, /The old key of stripe prod is dead, and its rotation is not finished/, 30000);
  assert.match(told.all, /billing fails until the new key is in place.*What still uses the old key fails now/s);
  await assertLiveMessageSaysSo(stage);
  await mendedAndOver(stage, key);
});

test('one odd answer about the old key in the grace is no death', async (t) => {
  const { stage, key } = await handedOver(t, { clicked: 60 });
  await stage.message(ops, /is rotated\./, 30000);
  await stage.act('/fault', { system: 'stripe', kind: 'status', status: 500, times: 2 });
  await until('some more looks', async () => (await stage.journal()).filter(({ action, context }) =>
    action === 'secret.rotate.old_key.checked' && context.old_key.answer === 'granted').length >= 2);
  assert.equal(await count(stage, /died early/), 0);
  assert.match(await stage.command('rollback stripe prod'), /works until/);
  assert.equal(await stage.currentKey(), key);
});

const away = async (stage) => {
  for (const system of ['stripe', 'infisical', 'heroku', 'billing']) await stage.act('/fault', { system, kind: 'status', status: 503 });
};
const stops = async (stage) => (await stage.journal()).filter(({ action }) => action === 'secret.rotate.halted');
// Only `system` is mended, and it is tried again: it stops once more, at the next one that is away.
async function stopsAgain(stage, system, words) {
  const before = (await stops(stage)).length;
  await stage.act('/fault', { system, kind: 'clear' });
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await until('the next stop', async () => (await stops(stage)).length > before, 30000);
  assert.match((await stops(stage)).at(-1).context.sentence, words);
}

test('every system is away from the paste until after the old key’s time: the key is kept, people know what it means, and it ends well', async (t) => {
  const { stage, before, key } = await handedOver(t, { clicked: 9, told: 9, settings: { grace: '9s', retry_limit: '1s' }, arrange: away });
  const news = await stage.message(ops, /Stopped: stripe prod/);
  assert.match(news.all, /while asking Stripe about the new key: .*server error \(503\)/);
  assert.match(news.all, /Billing runs on the old key, which expires/);
  const reminder = await stage.message(ops, /^The old key of stripe prod expires soon, and its rotation is not finished/);
  assert.match(reminder.all, /Billing runs on the old key, which expires .*What still uses the old key then fails/);
  const { expires_at: expires } = (await stage.state()).stripe.keys.find(({ status }) => status === 'expiring');
  await stage.bot.stop('SIGKILL');
  await until('its time to be over', () => Date.now() > Date.parse(expires) + 1000);
  await stage.startBot();
  const meanwhile = await since(stage, before);
  assert.deepEqual(meanwhile.writes, [], 'nothing was written while nothing could be known');
  assert.ok(!meanwhile.said.some(({ text }) => /is rotated|proven dead|new key alive/.test(text)), 'and nothing is called good');

  // They come back one after the other.
  await stopsAgain(stage, 'stripe', /Infisical: .*server error/);
  await assertLiveMessageSaysSo(stage);
  await stopsAgain(stage, 'infisical', /raxx-api-prod: Heroku: .*server error/);
  await stopsAgain(stage, 'heroku', /billing endpoint was not healthy/);
  await stage.act('/fault', { system: 'billing', kind: 'clear' });
  await mendedAndOver(stage, key);
  assert.deepEqual((await since(stage, before)).writes, oneRotation, 'each system is written once');
});
