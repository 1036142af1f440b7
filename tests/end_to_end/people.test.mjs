// Who may start a rotation, how a phone writes it, and what they read who may not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRefused, assertUntouched, since, snapshot } from './support/world.mjs';

const grace = 'U0GRACE'; // another superadmin
const mel = 'U0MEMBER'; // none, but for the group
const command = '/rotate stripe prod';
const inGroup = (stage, ...users) => stage.act('/fault', { system: 'slack', kind: 'group', id: 'S0SUPER', users: [ada, grace, ...users] });

async function open(t, arrange = async () => {}) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await arrange(stage);
  await stage.startBot();
  return stage;
}

// ---- What keyboards and chat clients make of a command.
const typed = {
  '“Stripe”  PROD —compromise': { compromise: true },
  '<http://stripe|stripe> *prod* ––compromise seen in a “gist”': { compromise: true, reason: 'seen in a gist' },
  '`Stripe`\u00a0‘prod’\u200b': {},
  '\u200eSTRIPE,\u2003\nProd. — ': {},
};
test('smart dashes, curly quotes, capitals, mentions and odd spaces start what was meant', async (t) => {
  const stage = await open(t);
  for (const [text, { compromise = false, reason = '' }] of Object.entries(typed)) {
    const before = await snapshot(stage);
    await stage.start(text);
    await until('the boxes', async () => (await since(stage, before)).said.some(({ text: words }) => /What only you can check/.test(words)));
    const { actor, context, rotation } = await stage.entry('secret.rotate.started');
    assert.deepEqual([actor, context.target.provider, context.target.environment, context.compromise, context.reason],
      [ada, 'stripe', 'prod', compromise, reason], text);
    assert.match(await stage.command('Cancel “Stripe” PROD'), /is cancelled/);
    await until('its end', async () => (await since(stage, before)).journal.some(({ action }) => action === 'secret.rotate.closed'));
    await stage.over(rotation);
    const now = await since(stage, before);
    assert.equal(now.said.some(({ to, text: words }) => to === ops && /suspected leak/.test(words)), compromise);
    assert.ok(!now.journal.some(({ action }) => action === 'command.refused'));
    assertUntouched(before.state, now.state);
  }
});

// ---- Superadmins by the group, and no person's own active account of this workspace.
const barred = {
  'a guest asks': { user: 'U0GUEST', words: /A guest can't rotate a key\./ },
  'a bot asks': { user: 'U0KEYTURN', words: /A bot can't rotate a key\./, unreachable: true },
  'a deactivated account asks': { user: 'U0GONE', words: /This Slack account is deactivated\./, unreachable: true },
  'somebody of another workspace asks in a shared channel': { user: 'U0STRANGER', words: /This account belongs to another workspace\./,
    arrange: (stage) => stage.act('/slack/person', { user: 'U0STRANGER', set: { team: 'T0RAXX' } }) },
};
describe('in the group of superadmins, and refused all the same', { concurrency: 2 }, () => {
  for (const [name, { user, words, unreachable, arrange = async () => {} }] of Object.entries(barred)) {
    test(name, async (t) => {
      const stage = await open(t, async (one) => {
        await inGroup(one, user);
        await arrange(one);
      });
      const before = await snapshot(stage);
      await stage.command('stripe prod', user);
      assert.equal((await stage.closed()).context.outcome, 'refused');
      assert.match((await stage.message(ops, /^Rotation of stripe prod: refused; nothing has changed/)).all, words);
      if (!unreachable) { // Slack opens no conversation with a bot, nor with an account that is deactivated
        const told = await stage.message(`D${user.slice(1)}`, /did not begin/);
        assert.match(told.all, words);
        assert.match(told.all, /Nothing has changed: billing runs on the key it had/);
      }
      const now = await since(stage, before);
      const { actor, context } = now.journal.find(({ action }) => action === 'secret.rotate.refused');
      assert.deepEqual([actor, context.code], ['keyturn', 'operator']);
      assert.match(context.sentence, words);
      assert.deepEqual([...new Set(now.said.map(({ to }) => to))].sort(), [ops, user].sort());
      assert.ok(!now.said.some(({ text }) => /\/form#|Dashboard steps|What only you can check/.test(text)), 'no step was shown');
      assertUntouched(before.state, now.state);
      await stage.start();
      await stage.message(adasMessages, /What only you can check/);
    });
  }

  test('a command comes from another workspace', async (t) => {
    const user = 'U0STRANGER';
    const stage = await open(t, (one) => inGroup(one, user));
    const before = await snapshot(stage);
    assert.match(await stage.command('stripe prod', user), /This command belongs to another workspace/);
    await assertRefused(stage, before, { user, words: /belongs to another workspace/, code: 'foreign_workspace', command: '/rotate' });
  });
});

test('while the group can not be read nobody is a superadmin by it, and whom the settings name still is', async (t) => {
  const stage = await open(t, async (one) => {
    await inGroup(one, mel);
    await one.act('/fault', { system: 'slack', kind: 'error', method: 'usergroups.users.list', error: 'internal_error', times: 1000 });
  });
  const before = await snapshot(stage);
  assert.match(await stage.command('stripe prod', mel), /so nobody is one right now\. Nothing has changed: try again in a minute\. Nothing was started\./);
  await assertRefused(stage, before, { user: mel, words: /so nobody is one right now/, code: 'standing_unknown', command });
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  for (const words of ['cancel', 'hand-over', 'expire-now', 'rollback', 'audit']) {
    const now = await snapshot(stage);
    assert.match(await stage.command(`${words} stripe prod${words === 'hand-over' ? ' @grace' : ''}`, mel), /so nobody is one right now/, words);
    assert.deepEqual((await since(stage, now)).journal.map(({ action, context }) => [action, context.code]), [['command.refused', 'standing_unknown']], words);
  }
  await stage.click(boxes, 'rotation_ready', { prerequisites: { confirmations: ['0', '1', '2'] } }, mel);
  await until('the button to be refused', async () => (await stage.journal()).some(({ action, actor, context }) =>
    action === 'command.refused' && actor === mel && context.command === 'button of stripe prod' && context.code === 'standing_unknown'));
  assert.match(await stage.command('cancel stripe prod'), /is cancelled/);
  await stage.over((await stage.closed()).rotation);
  await stage.act('/fault', { system: 'slack', kind: 'clear' });
  await inGroup(stage, mel);
  assert.match(await stage.command('stripe prod', mel), /^Rotation of stripe prod started/);
  assert.equal((await stage.entry('secret.rotate.started')).actor, mel);
  await stage.message('D0MEMBER', /What only you can check/);
});

test('an operator who loses the role in the middle is refused at the boxes, and a superadmin goes on', async (t) => {
  const stage = await open(t, (one) => inGroup(one, mel)); // the settings do not name mel
  assert.match(await stage.command('stripe prod', mel), /^Rotation of stripe prod started/);
  const boxes = await stage.message('D0MEMBER', /What only you can check/);
  await inGroup(stage);
  await until('the group to be read anew', async () => !/compromise/.test(await stage.command('help', mel)), 75000);
  const before = await snapshot(stage);
  await stage.click(boxes, 'rotation_ready', { prerequisites: { confirmations: ['0', '1', '2'] } }, mel);
  await until('mel to be told', async () => (await since(stage, before)).said.some(({ to, text }) =>
    to === mel && /^Only a superadmin can do that\. Nothing has changed\./.test(text)));
  const now = await since(stage, before);
  assert.deepEqual(now.journal.map(({ action, actor, context }) => ({ action, actor, context })),
    [{ action: 'command.refused', actor: mel, context: { command: 'button of stripe prod', code: 'not_superadmin' } }]);
  assert.deepEqual(now.said.map(({ to }) => to), [mel]);
  assertUntouched(before.state, now.state);

  assert.match(await stage.command('hand-over stripe prod @grace', grace), /You have the rotation of stripe prod now/);
  await stage.message('D0GRACE', /What only you can check/);
  assert.ok(!(await stage.messages('D0MEMBER')).some(({ all }) => /What only you can check/.test(all)));
});

test('of two who start at the same moment one does, and the other reads whose it is', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  const people = [ada, grace];
  const answers = await Promise.all(people.map((user) => stage.command('stripe prod', user)));
  const first = answers.findIndex((answer) => /started\. The checks run now/.test(answer));
  assert.match(answers[1 - first], new RegExp(`is not over yet \\(started by <@${people[first]}>`));
  await stage.message(`D${people[first].slice(1)}`, /What only you can check/);
  const now = await since(stage, before);
  const entries = now.journal.filter(({ action }) => /rotate\.started|refused/.test(action));
  assert.deepEqual(entries.map(({ action, actor, context }) => [action, actor, context.code]),
    [['secret.rotate.started', people[first], undefined], ['command.refused', people[1 - first], 'already_live']]);
  assertUntouched(before.state, now.state);
});

test('another process with the same app token is told of in the log, and takes no readiness away', async (t) => {
  const stage = await open(t, (one) => one.act('/fault', { system: 'slack', kind: 'socket', do: 'ghosts', count: 2 }));
  const before = await snapshot(stage);
  await until('a warning in the log', () => stage.bot.errors.split('\n').some((line) =>
    /Slack counts 3 connections of this app and we hold 1: another process uses the same token/.test(line)));
  assert.match(await stage.metrics(), /^keyturn_slack_num_connections 3$/m);
  assert.ok(await stage.ready());
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  assertUntouched(before.state, await stage.state());
  await assertNowhere(stage, stage.keys);
});
