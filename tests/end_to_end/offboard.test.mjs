// Somebody leaves: every key that they may know, on one board that survives what the bot does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRefused, assertUntouched, oneRotation, said, since, snapshot } from './support/world.mjs';

const grace = 'U0GRACE'; // another superadmin
const gracesMessages = 'D0GRACE';
const mel = 'U0MEMBER';
const button = 'offboard_rotate';

async function open(t, settings = {}) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  await stage.startBot();
  return stage;
}
const board = (stage, pattern = /Offboarding/, milliseconds) =>
  stage.message(ops, new RegExp(`^Offboarding: keys to rotate[^]*${pattern.source}`), milliseconds);
const boards = async (stage) => (await stage.messages(ops)).filter(({ all }) => /^Offboarding/.test(all)).length;
const told = (stage, user, pattern) => until(`${user} to be told ${pattern}`, async () =>
  (await said(stage)).some((each) => each.to === user && pattern.test(each.text)));
const again = async (stage) => {
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
};

async function rotated(stage, user, messages, seconds = 7) {
  await stage.confirm({ user, channel: messages });
  const link = await stage.link('', messages);
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(seconds), seconds)).state, 'received');
}

test('one board, across crashes, until the key that she knew is proven dead', async (t) => {
  const stage = await open(t);
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN');
  await stage.closed();

  const first = await snapshot(stage);
  assert.match(await stage.command('offboard @ada', mel), /Only a superadmin/);
  await assertRefused(stage, first, { user: mel, words: /Only a superadmin/, code: 'not_superadmin', command: `/rotate offboard ${ada}` });
  const second = await snapshot(stage);
  assert.match(await stage.command('offboard @grace', grace), /can't offboard yourself/);
  await assertRefused(stage, second, { user: grace, words: /yourself/, code: 'oneself', command: `/rotate offboard ${grace}` });
  assert.match(await stage.command('offboard @grace', ada), /no key passed through the hands of <@U0GRACE>/);
  assert.match(await stage.command('offboard ada', grace), /Say who leaves/);
  assert.equal(await boards(stage), 0);

  assert.match(await stage.command('offboard @ada', grace), /1 targets that <@U0ADMIN> touched[^]*still a superadmin/);
  const todo = await board(stage, /stripe prod\*  ·  \*to do/);
  assert.match(todo.all, /Asked for by <@U0GRACE>[^]*is one they handled/);
  await again(stage);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.equal(await boards(stage), 1, 'one board, after a crash too');
  assert.match(await stage.command('offboard @ada', grace), new RegExp(`open already[^]*https://raxx.slack.com/archives/${ops}/p`));
  assert.equal(await boards(stage), 1);

  // Not for her, and not for strangers.
  await stage.click(todo, button, undefined, ada);
  await told(stage, ada, /is being offboarded/);
  await stage.click(todo, button, undefined, mel);
  await told(stage, mel, /Only a superadmin/);
  assert.match(await stage.command('stripe prod'), /is being offboarded/);

  await stage.click(todo, button, undefined, grace);
  await told(stage, grace, /Rotation of stripe prod started/);
  await board(stage, /\*running\*[^]*Operator: <@U0GRACE>/);
  assert.match(await stage.command('hand-over stripe prod @ada', grace), /is being offboarded/);
  await rotated(stage, grace, gracesMessages);
  const waiting = await board(stage, /\*waiting\*[^]*not proven dead yet/, 30000);
  assert.doesNotMatch(waiting.all, /knows no live key/);
  await again(stage);
  const done = await board(stage, /All 1 rotated\*[^]*<@U0ADMIN> knows no live key any more/, 40000);
  assert.equal(done.ts, todo.ts, 'the same message all along');
  assert.equal(await boards(stage), 1);
  assert.equal((await stage.entry('secret.rotate.started')).actor, grace);

  await until('the end in the journal', async () => (await stage.actions()).includes('offboard.board.settled'));
  const entries = (await stage.journal()).filter(({ action }) => action.startsWith('offboard.'));
  assert.deepEqual(entries.map(({ action, actor }) => [action, actor]),
    [['offboard.not_needed', ada], ['offboard.started', grace], ['offboard.board.posted', 'keyturn'], ['offboard.finished', 'keyturn'], ['offboard.board.settled', 'keyturn']]);
  assert.deepEqual(entries[1].context.targets, ['stripe prod']);
  assert.equal(entries[3].context.proven, true);
  assert.equal((await stage.verifyJournal()).code, 0);

  // What she touched was rotated by somebody else since: nothing is to be done.
  assert.match(await stage.command('offboard @ada', grace), /No key that <@U0ADMIN> may know is alive/);
  assert.equal(await boards(stage), 1);
  await assertNowhere(stage, stage.keys);
});

test('the board is posted once also when the bot dies before it knows that it is there, and can be ended', async (t) => {
  const stage = await open(t);
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN');
  await stage.closed();
  await stage.command('offboard @ada --compromise', grace);
  await stage.bot.stop('SIGKILL'); // at once: the board may be there or not
  await stage.startBot();
  const posted = await board(stage, /as a suspected leak[^]*to do/);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(await boards(stage), 1);
  await stage.click(posted, 'offboard_end', undefined, ada);
  await told(stage, ada, /the one who leaves/);
  await stage.click(posted, 'offboard_end', undefined, grace);
  const ended = await board(stage, /\*Ended by <@U0GRACE>\*/);
  assert.doesNotMatch(ended.all, /offboard_rotate/);
  assert.match(await stage.command('stripe prod'), /started/, 'she may again');
});

test('a board that Slack refuses for good is set aside, until it says something else', async (t) => {
  const stage = await open(t);
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN');
  await stage.closed();
  const refusal = { kind: 'error', method: 'chat.postMessage', error: 'is_archived', times: 1000 };
  await stage.act('/fault', { system: 'slack', ...refusal });
  await stage.command('offboard @ada', grace);
  const refusals = () => stage.bot.errors.split('board of off_').length - 1;
  await until('a refusal', () => refusals() > 0);
  await new Promise((resolve) => setTimeout(resolve, 7000));
  assert.equal(refusals(), 1, 'asked once');
  await stage.act('/fault', { system: 'slack', kind: 'clear' });
  assert.match(await stage.command('stripe prod', grace), /started/);
  await board(stage, /stripe prod\*  ·  \*running/);
});

const variable = 'STRIPE_RESTRICTED_KEY';
async function assertUnproven(stage, known) {
  const end = await board(stage, /Not everything is proven/, 40000);
  assert.match(end.all, /stripe prod\*  ·  \*not proven\*  ·  `[^`]*` is not in use as far as is known, and nothing proves it dead/);
  assert.match(end.all, /\*0 rotated\*, and nothing is left that a rotation could do/);
  assert.match(end.all, /may be alive, and <@U0ADMIN> may know it. \*What to do\*: look into the dashboard, and expire what is still there/);
  assert.doesNotMatch(end.all, /knows no live key/);
  assert.ok(end.all.includes(known), 'it is the key that she brought');
  await until('the end in the journal', async () => (await stage.actions()).includes('offboard.board.settled'));
  assert.equal((await stage.entry('offboard.finished')).context.proven, false);
  assert.equal(await boards(stage), 1);
  await assertNowhere(stage, stage.keys);
}
const brought = async (stage) => (await stage.entry('secret.rotate.new_key.received')).context.fingerprint;

test('a key that was replaced by hand is not proven dead, and the board says so', async (t) => {
  const stage = await open(t, { drift_every: '300ms' });
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN');
  await stage.closed();
  const value = await stage.rotateInDashboard(600);
  await stage.act('/infisical/put', { environment: 'prod', name: variable, value });
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: variable, value });
  await stage.message(ops, /rotated by hand on or before/, 75000);
  const before = await snapshot(stage);
  assert.match(await stage.command('offboard @ada', grace), /1 targets that <@U0ADMIN> touched/);
  await assertUnproven(stage, await brought(stage));
  assertUntouched(before.state, await stage.state());
});

test('a key that was given up by a rollback is not proven dead, and the board says so', async (t) => {
  const stage = await open(t, { grace: '60s' });
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN', 60);
  await stage.message(ops, /is rotated\./, 30000);
  const given = await brought(stage);
  await stage.command('rollback stripe prod', grace);
  const { slack } = await stage.state();
  const answer = slack.channels.find(({ id }) => id === ops).ephemerals.at(-1);
  await stage.click({ ...answer, channel: ops }, 'rotation_roll_back', undefined, grace);
  await stage.message(ops, /is rolled back\./, 40000);
  await stage.command('stripe prod', grace);
  await rotated(stage, grace, gracesMessages);
  const old = (await stage.state()).stripe.keys.find(({ mode, status }) => mode === 'live' && status === 'expiring');
  await stage.act('/stripe/expire', { id: old.id }); // the key from before both rotations
  await until('the second one to be closed', async () => (await stage.entry('secret.rotate.closed')).context.outcome === 'rotated', 40000);
  await until('no key to be expiring', async () => !(await stage.state()).stripe.keys.some(({ mode, status }) => mode === 'live' && status === 'expiring'));
  const before = await snapshot(stage);
  await stage.command('offboard @ada', grace);
  await assertUnproven(stage, given);
  assertUntouched(before.state, await stage.state());
});

test('who leaves cannot go on by the buttons either, nor take over', async (t) => {
  const stage = await open(t, { nudge_after: '500ms', page_after: '1s', unattended_every: '500ms' });
  await stage.start();
  await stage.message('D0ADMIN', /What only you can check/);
  const before = await snapshot(stage);
  await stage.command('offboard @ada', grace);
  const running = await board(stage, /stripe prod\*  ·  \*running/);
  assert.match(running.all, /\*Its operator is <@U0ADMIN>\*: hand it over/);
  const refused = async (words) => {
    await told(stage, ada, words);
    const { actor, context } = await stage.entry('command.refused');
    assert.deepEqual([actor, context.code], [ada, 'leaver']);
  };
  await stage.confirm();
  await refused(/is being offboarded: somebody else has to do that. Nothing has changed/);
  await stage.command('hand-over stripe prod @grace', grace);
  await stage.message(gracesMessages, /What only you can check/);
  const page = await stage.message(ops, /waits for its operator[^]*<@U0GRACE>/);
  await stage.click(page, 'rotation_take_over', undefined, ada);
  await refused(/is being offboarded/);
  assert.ok(!(await stage.actions()).some((action) => /operator\.confirmed|form\.issued/.test(action)));
  assertUntouched(before.state, await stage.state());
});

// One whole rotation of either target, by the steps that a person takes.
const targets = {
  'stripe prod': { name: 'raxx-billing', mode: 'live', app: 'raxx-api-prod' },
  'stripe staging': { name: 'raxx-billing-test', mode: 'test', app: 'raxx-api-staging' },
};
async function handOver(stage, target, user, messages) {
  const { name, mode } = targets[target];
  await until('the boxes', async () => (await stage.message(messages, /What only you can check/)).all.includes(target));
  const after = (await stage.messages(messages)).findLast(({ all }) => /What only you can check/.test(all)).ts;
  await stage.confirm({ user, channel: messages });
  const link = await stage.link(after, messages);
  const { key } = await stage.act('/stripe/rotate', { name, mode, expires_in_seconds: 7 });
  stage.keys.push(key);
  assert.equal((await stage.submit(link, key)).state, 'received');
  return key;
}
const closings = async (stage) => (await stage.journal()).filter(({ action }) => action === 'secret.rotate.closed');
const pressRow = async (stage, target, user) => {
  const { ts, channel, blocks } = await board(stage);
  const { block_id: row } = blocks.find(({ text, accessory }) => accessory && text.text.startsWith(`*${target}*`));
  await stage.act('/slack/click', { user, channel, ts, action_id: button, block_id: row });
};

test('two targets on one board, the older key first, and both are rotated to the end', async (t) => {
  const stage = await open(t);
  const order = ['stripe staging', 'stripe prod']; // not the order of the settings
  for (const [i, target] of order.entries()) {
    await stage.start(target);
    await handOver(stage, target, ada, 'D0ADMIN');
    await until(`${target} to be closed`, async () => (await closings(stage)).length === i + 1, 40000);
  }
  const before = await snapshot(stage);
  assert.match(await stage.command('offboard @ada', grace), /2 targets that <@U0ADMIN> touched/);
  const todo = await board(stage, /\*0 of 2 need nothing any more/);
  assert.match(todo.all, /\*stripe staging\* {2}· {2}\*to do\*[^]*\*stripe prod\* {2}· {2}\*to do\*/);
  assert.deepEqual((await stage.entry('offboard.started')).context.targets, order);
  assertUntouched(before.state, await stage.state());

  for (const [i, target] of order.entries()) {
    await pressRow(stage, target, grace);
    await told(stage, grace, new RegExp(`Rotation of ${target} started`));
    const key = await handOver(stage, target, grace, gracesMessages);
    await until(`${target} to be closed`, async () => (await closings(stage)).length === 3 + i, 40000);
    const app = (await stage.state()).heroku.apps.find(({ name }) => name === targets[target].app);
    assert.ok(app.config[variable].endsWith(key.slice(-6)), `${targets[target].app} holds the new key`);
    if (i === 0) await board(stage, /\*1 of 2 need nothing any more[^]*\*stripe prod\* {2}· {2}\*to do\*/);
  }
  const done = await board(stage, /All 2 rotated\*[^]*<@U0ADMIN> knows no live key any more/);
  assert.equal(done.ts, todo.ts, 'the same message all along');
  assert.equal(await boards(stage), 1);
  await until('the end in the journal', async () => (await stage.actions()).includes('offboard.board.settled'));
  assert.equal((await stage.entry('offboard.finished')).context.proven, true);
  assert.deepEqual((await closings(stage)).map(({ context }) => context.outcome), Array(4).fill('rotated'));
  const [intoInfisical, intoProduction] = oneRotation;
  assert.deepEqual((await since(stage, before)).writes, [intoInfisical, intoInfisical,
    intoProduction.replace('raxx-api-prod', 'raxx-api-staging'), intoProduction], 'each is written once, in that order');
  await assertNowhere(stage, stage.keys);
});

test('the buttons of a board that is over do nothing any more, and say so to who presses them', async (t) => {
  const stage = await open(t);
  await stage.start();
  await rotated(stage, ada, 'D0ADMIN');
  await stage.closed();
  await stage.command('offboard @ada', grace);
  const todo = await board(stage, /to do/);
  // Slack takes no update, so the buttons still stand there.
  await stage.act('/fault', { system: 'slack', kind: 'error', method: 'chat.update', error: 'internal_error', times: 100000 });
  await stage.click(todo, 'offboard_end', undefined, grace);
  await until('its end', async () => (await stage.actions()).includes('offboard.ended'));
  const before = await snapshot(stage);
  for (const [action, number] of [[button, 1], ['offboard_end', 2]]) {
    await stage.click(todo, action, undefined, grace);
    await until('grace to be told', async () => (await since(stage, before)).said.filter(({ to, text }) =>
      to === grace && /^This offboarding is over; the button no longer does anything\.$/.test(text)).length === number);
  }
  const now = await since(stage, before);
  assert.deepEqual(now.journal, []);
  assert.equal(now.said.length, 2, 'nobody else hears of it');
  assertUntouched(before.state, now.state);
});
