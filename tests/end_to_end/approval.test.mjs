// A second person: what waits for them, who may be one, and a leak that waits for nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertUntouched, said, since, snapshot } from './support/world.mjs';

const grace = 'U0GRACE'; // another superadmin
const mel = 'U0MEMBER';

// `more`: further superadmins by the settings.
async function open(t, { more = [], settings = {} } = {}) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  const people = [ada, grace, ...more].map((user) => `"${user}"`).join(', ');
  await stage.rewrite((text) => text.replace(/^superadmins = .*$/m, `superadmins = [${people}]`)
    .replaceAll('\ndenied = ', '\nsecond_approver = true\ndenied = '));
  await stage.startBot();
  return stage;
}
const wanted = (stage) => stage.message(ops, /asks for an approval to rotate/);
const count = async (stage, channel, pattern) => (await stage.messages(channel)).filter(({ all }) => pattern.test(all)).length;
const told = async (stage, user, pattern) => (await said(stage)).filter((each) => each.to === user && pattern.test(each.text)).length;
const approvals = async (stage) => (await stage.actions()).filter((action) => action.startsWith('secret.rotate.approval.'))
  .map((action) => action.slice('secret.rotate.approval.'.length));

async function toTheSummary(stage, seconds = 7) {
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(seconds);
  assert.equal((await stage.submit(link, key, seconds)).state, 'received');
  return stage.message(ops, /is rotated\./, 30000);
}

test('a rotation waits for another superadmin, across a crash, and says in the end who it was', async (t) => {
  const stage = await open(t, { more: ['U0GUEST', 'U0GONE', 'U0STRANGER'] });
  assert.match(await stage.command('stripe prod'), /another superadmin has to approve/);
  const before = await snapshot(stage);
  const asked = await wanted(stage);
  assert.match(asked.all, /What is to happen[^]*Nothing has changed[^]*a superadmin other than <@U0ADMIN>/);
  await stage.message(ops, /waiting for a second person's approval/);
  assert.match(await stage.command('status', mel), /awaiting_approval/);
  assert.match(await stage.command('stripe prod'), /waits for another superadmin's approval/);

  // Wrong people, each told alone, and each in the journal.
  const refusals = [[ada, /You asked for it yourself/, 'own_request'], [mel, /Only a superadmin/, 'not_superadmin'],
    ['U0GUEST', /A guest/, 'account_not_allowed'], ['U0GONE', /deactivated/, 'account_not_allowed'],
    ['U0STRANGER', /another workspace/, 'account_not_allowed']];
  for (const [user, words, code] of refusals) {
    for (const button of ['rotation_approve', 'rotation_decline']) {
      await stage.click(asked, button, undefined, user);
      await until(`${user} to be told`, () => told(stage, user, words));
      const { actor, context } = await stage.entry('command.refused');
      assert.deepEqual([actor, context.code], [user, code]);
    }
  }
  assert.deepEqual(await approvals(stage), ['requested']);

  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(await count(stage, ops, /asks for an approval/), 1, 'asked once');
  assert.equal(await count(stage, adasMessages, /What only you can check|form#/), 0, 'no box and no link before it');
  assertUntouched(before.state, await stage.state());

  await stage.click(asked, 'rotation_approve', undefined, grace);
  await stage.message(ops, /\*Approved\* by <@U0GRACE>/);
  const given = await stage.entry('secret.rotate.approval.given');
  assert.equal(given.actor, grace);
  assert.match((await toTheSummary(stage)).all, /by <@U0ADMIN> · approved by <@U0GRACE>/);
  const { context } = await stage.entry('secret.rotate.completed');
  assert.deepEqual([context.actor, context.approval.asked_by, context.approval.approved_by], [ada, ada, grace]);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  assert.match(await stage.command('audit stripe prod'), /by <@U0ADMIN>, approved by <@U0GRACE>/);
  assert.deepEqual(await approvals(stage), ['requested', 'given']);
  assert.equal((await stage.verifyJournal()).code, 0);
});

test('declined, the rotation is cancelled, told, and nothing has changed', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  await stage.click(await wanted(stage), 'rotation_decline', undefined, grace);
  await stage.message(ops, /\*Declined\* by <@U0GRACE>[^]*nothing has changed/);
  await stage.message(adasMessages, /was cancelled\.\* <@U0GRACE> declined the approval\. Nothing has changed/);
  assert.equal((await stage.closed()).context.outcome, 'cancelled');
  assert.deepEqual(await approvals(stage), ['requested', 'declined']);
  assertUntouched(before.state, (await since(stage, before)).state);
});

test('nobody approves: the one who asked is told, the others are named once, and the page has the buttons too', async (t) => {
  const stage = await open(t, { more: [mel], settings: { nudge_after: '500ms', page_after: '1s', unattended_every: '500ms' } });
  await stage.start();
  await stage.message(adasMessages, /Nobody has approved yet/);
  await stage.message(ops, /Nobody approves/);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await until('another look at the old key', async () => (await stage.actions()).includes('secret.rotate.old_key.checked'));
  const page = await stage.message(ops, /Nobody approves/);
  assert.match(page.all, /<@U0GRACE> <@U0MEMBER> \*<@U0ADMIN> waits for an approval/);
  assert.equal(await count(stage, ops, /Nobody approves/), 1, 'one page');
  assert.equal(await count(stage, adasMessages, /Nobody has approved yet/), 1, 'one nag');
  await stage.click(page, 'rotation_approve', undefined, mel);
  await stage.message(ops, /Nobody approves[^]*\*Approved\* by <@U0MEMBER>/);
  await stage.message(adasMessages, /What only you can check/);
});

test('a leak waits for nobody: every other superadmin hears of it, once, also across a crash', async (t) => {
  const stage = await open(t, { more: [mel] });
  await stage.start('stripe prod --compromise seen in a gist');
  await stage.confirm();
  for (const messages of ['D0GRACE', 'D0MEMBER'])
    assert.match((await stage.message(messages, /went on without an approval/)).all, /<@U0ADMIN> reported a suspected leak[^]*seen in a gist/);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  const link = await stage.link();
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(6), 6)).state, 'received');
  assert.match((await stage.message(ops, /is rotated\./, 30000)).all, /without an approval, because of the suspected leak/);
  for (const messages of ['D0GRACE', 'D0MEMBER']) assert.equal(await count(stage, messages, /without an approval/), 1);
  assert.equal(await count(stage, adasMessages, /went on without an approval/), 0);
  assert.deepEqual(await approvals(stage), ['bypassed', 'bypass_told']);
  assert.equal((await stage.entry('secret.rotate.completed')).context.approval.bypassed_by, ada);
  assert.equal((await stage.closed()).context.outcome, 'rotated');
});

test('who approved can not become the operator; the way back needs another person than the one who asks', async (t) => {
  const stage = await open(t, { more: [mel], settings: { grace: '60s', reminder_before: '5s' } });
  await stage.start();
  await stage.click(await wanted(stage), 'rotation_approve', undefined, grace);
  await stage.message(adasMessages, /What only you can check/);
  assert.match(await stage.command('hand-over stripe prod @grace'), /must not do both/);
  assert.equal((await stage.entry('command.refused')).context.code, 'approver');
  await toTheSummary(stage, 60);

  const before = await snapshot(stage);
  assert.match(await stage.command('rollback stripe prod', grace), /has to approve it first/);
  const { slack } = await stage.state();
  const answer = slack.channels.find(({ id }) => id === ops).ephemerals.findLast(({ blocks }) => JSON.stringify(blocks).includes('rotation_roll_back'));
  await stage.click({ ...answer, channel: ops }, 'rotation_roll_back', undefined, grace);
  const asked = await stage.message(ops, /<@U0GRACE> asks for an approval to roll back/);
  await stage.click(asked, 'rotation_approve', undefined, grace);
  await until('grace to be told', () => told(stage, grace, /You asked for it yourself/));
  assertUntouched(before.state, await stage.state());
  await stage.click(asked, 'rotation_approve', undefined, mel);
  await stage.message(ops, /<@U0GRACE> asked for the way back, approved by <@U0MEMBER>/);
  await stage.message(ops, /is rolled back\./, 40000);
  const { context } = await stage.entry('secret.rotate.rolled_back');
  assert.deepEqual([context.requested_by, context.approval.approved_by], [grace, mel]);
  await assertNowhere(stage, stage.keys);
});
