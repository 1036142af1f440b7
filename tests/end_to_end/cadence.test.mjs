// Keys that come due, and what people can ask about them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertUntouched, snapshot } from './support/world.mjs';

const count = async (stage, pattern) => (await stage.messages(ops)).filter(({ all }) => pattern.test(all)).length;
const marks = async (stage, action) => (await stage.journal()).filter((entry) => entry.action === action)
  .map(({ context }) => context.name);

async function open(t, cadence, fault) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  // Only one of the two keys is of interest here.
  await stage.rewrite((text) => text.replace('environment = "prod"\nmode', `environment = "prod"\ncadence = "${cadence}"\nmode`));
  if (fault) await fault(stage);
  await stage.startBot();
  return stage;
}

test('a key that comes due is reminded of, each reminder once across a crash, and people are named when it is late', async (t) => {
  const stage = await open(t, '20s');
  assert.match(await stage.command('due', 'U0MEMBER'), /stripe prod\*: never rotated by Keyturn/);
  await stage.message(ops, /due soon/, 40000);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await stage.message(ops, /is overdue/, 40000);
  const late = await stage.message(ops, /<@U0ADMIN> <@U0GRACE> \*The rotation of stripe prod is overdue/, 40000);
  assert.match(late.all, /Billing is not affected/);
  assert.match(await stage.command('due', 'U0MEMBER'), /\*stripe prod\*: never rotated[^\n]*overdue since/);

  // A rotation ends it.
  const key = await stage.handOver();
  await stage.message(ops, /is rotated\./, 30000);
  const before = (await marks(stage, 'key.reminder.posted')).length;
  await stage.closed();
  assert.match(await stage.command('status', 'U0MEMBER'), /stripe prod\*: rotated [^;]* ago by <@U0ADMIN>; due/);

  const intended = await marks(stage, 'key.reminder.intended');
  assert.equal(new Set(intended).size, intended.length, 'each reminder once');
  assert.deepEqual(await marks(stage, 'key.reminder.posted'), intended, 'each in Slack');
  assert.equal(await count(stage, /due soon|is overdue/), intended.length, 'and once');
  assert.ok(intended.length - before <= 3);
  await assertNowhere(stage, stage.keys);
});

test('three reminders come before the day, one each time after it, and people are named only when it is late', async (t) => {
  const stage = await open(t, '45s'); // for 90 days: 2 days are a second, and it is late from 7.5 s on
  const before = await snapshot(stage);
  const late = await stage.message(ops, /<@U0ADMIN> <@U0GRACE> \*The rotation of stripe prod is overdue/, 80000);
  assert.match(late.all, /\*What to do\*: `\/rotate stripe prod`, about ten minutes/);
  const intended = (await stage.journal()).filter(({ action }) => action === 'key.reminder.intended');
  const sent = intended.map(({ context: { name } }) => name.split(' ').at(-1));
  assert.deepEqual(sent.slice(0, 3), ['ahead_1', 'ahead_2', 'ahead_3']);
  assert.deepEqual(sent.slice(3), ['overdue_0', 'overdue_1', 'overdue_2', 'overdue_3']);
  for (const [i, { actor, context: { target, text } }] of intended.entries()) {
    assert.deepEqual([actor, target], ['keyturn', 'stripe prod']);
    assert.match(text, i < 3 ? /\*The rotation of stripe prod is due soon\*/ : /\*The rotation of stripe prod is overdue\*/);
    assert.equal(/<@/.test(text), i === 6, `${sent[i]}: whether people are named`);
    assert.ok((await stage.messages(ops)).some(({ all }) => all.includes(text)), `${sent[i]} stands in the channel`);
  }
  // None before its time; their order is said above.
  const [{ context: { due } }] = intended;
  const ahead = intended.map(({ at }) => (Date.parse(due) - Date.parse(at)) / 1000);
  for (const [i, seconds] of [14, 7, 1].map((days) => days / 2).entries())
    assert.ok(ahead[i] <= seconds + 0.1, `${sent[i]} came ${ahead[i]} seconds ahead`);
  assert.ok(ahead.slice(3).every((seconds) => seconds <= 0), 'nothing is overdue before it is due');
  assertUntouched(before.state, await stage.state());
});

test('a key that somebody rotates by hand is noticed before anybody is reminded', async (t) => {
  const stage = await open(t, '30s');
  await until('the first look', async () => (await stage.actions()).includes('key.seen'), 20000);
  const key = await stage.rotateInDashboard(600);
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: key });
  const told = await stage.message(ops, /rotated by hand on or before/, 40000);
  assert.match(told.all, /Nothing is proven about it/);
  assert.equal(await count(stage, /due soon|is overdue/), 0, 'no reminder of a key that is gone');
  assert.match(await stage.command('due'), /stripe prod\*: rotated by hand on or before/);
  await assertNowhere(stage, [key]);
});

test('a reminder is sent also when nobody can look, and says so', async (t) => {
  const stage = await open(t, '20s');
  await until('the first look', async () => (await stage.actions()).includes('key.seen'), 20000);
  await stage.act('/fault', { system: 'infisical', kind: 'status', status: 503, path: '/api/v4/secrets' });
  assert.match((await stage.message(ops, /due soon/, 40000)).all, /could not be looked up: Infisical/);
});

test('the audit of a key shows its evidence and its journal to superadmins only', async (t) => {
  const stage = await open(t, '90d');
  assert.match(await stage.command('audit stripe prod'), /never rotated/);
  await stage.handOver();
  await stage.closed();
  const text = await stage.command('audit stripe prod');
  assert.match(text, /Last completed: [^]*by <@U0ADMIN>/);
  assert.match(text, /GET \/v1\/customers: 200 granted \(`req_/);
  assert.match(text, /proven dead/);
  assert.match(text, /`secret\.rotate\.started` {2}<@U0ADMIN>/);
  assert.match(text, /keyturn audit export/);
  assert.match(await stage.command('audit stripe prod 2'), /page 2 of/);
  assert.match(await stage.command('audit stripe prod', 'U0MEMBER'), /Only a superadmin/);
});
