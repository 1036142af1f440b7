// The operator doesn't come, or somebody else goes on; and an old key that is ended before its time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRefused, assertUntouched, oneRotation, said, since, snapshot } from './support/world.mjs';

const grace = 'U0GRACE'; // another superadmin
const gracesMessages = 'D0GRACE';
const impatient = { nudge_after: '500ms', nudge_before: '700ms', page_after: '1s', unattended_every: '500ms' };

async function open(t, { formLife } = {}) {
  const stage = await Stage.open({ settings: impatient });
  t.after(() => stage.close());
  if (formLife) await stage.rewrite((text) => text.replaceAll('[target.timing]', `[target.timing]\nform_life = "${formLife}"`));
  await stage.startBot();
  return stage;
}
const count = async (stage, channel, pattern) => (await stage.messages(channel)).filter(({ all }) => pattern.test(all)).length;

test('boxes that nobody ticks: a nag, one page across a crash, and another superadmin finishes', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  const nag = await stage.message(adasMessages, /waits for you/);
  assert.match(nag.all, /The checks are done\. [^]*Tick the boxes in the message above and press \*I'm ready\*, or press \*Cancel\*/);
  await stage.message(ops, /waits for its operator/);
  await stage.bot.stop('SIGKILL');
  await stage.startBot();
  await until('another look at the old key', async () => (await stage.actions()).includes('secret.rotate.old_key.checked'));
  assert.equal(await count(stage, ops, /waits for its operator/), 1, 'one page');
  assert.equal(await count(stage, adasMessages, /rotation of stripe prod waits for you/), 1, 'one nag');

  const page = await stage.message(ops, /waits for its operator/);
  assert.match(page.all, /Nobody comes: stripe prod[^]*<@U0GRACE>[^]*waits for its operator, <@U0ADMIN>\*, to tick the boxes before the dashboard/);
  assert.match(page.all, /The current key `[0-9a-f-]+` still works[^]*billing is not affected yet/);
  assert.match(page.all, /But "Rotate API key" may have been clicked: then it dies when its grace is over, and billing fails/);
  const waited = await since(stage, before);
  assertUntouched(before.state, waited.state);
  const alone = waited.journal.filter(({ action }) => /operator\.(nudged|others_paged)/.test(action));
  assert.deepEqual(alone.map(({ action, actor }) => [action, actor]),
    [['secret.rotate.operator.nudged', 'keyturn'], ['secret.rotate.operator.others_paged', 'keyturn']]);
  assert.deepEqual([alone[0].context.why, alone[1].context.people], ['boxes_unticked', [grace]]);
  await stage.click(page, 'rotation_take_over', undefined, grace);
  await stage.message(adasMessages, /handed over to <@U0GRACE>/);
  await stage.message(ops, /goes on with <@U0GRACE>/);
  await stage.message(ops, /<@U0GRACE> has it now/);
  await stage.confirm({ user: grace, channel: gracesMessages });
  const link = await stage.link('', gracesMessages);
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  assert.equal((await stage.entry('secret.rotate.completed')).context.actor, grace);
  assert.deepEqual((await since(stage, before)).writes, oneRotation);
  assert.equal(await count(stage, adasMessages, /What only you can check|form#/), 0, 'nothing is left to press for ada');
  await assertNowhere(stage, stage.keys);
});

test('stopped because the link could not be sent, and nobody mends it: the others are paged, and one of them goes on', async (t) => {
  const stage = await open(t);
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  await stage.act('/fault', { system: 'slack', kind: 'error', method: 'chat.postMessage', error: 'restricted_action', times: 1 });
  await stage.confirm();
  await stage.message(ops, /Stopped: stripe prod/);
  const page = await stage.message(ops, /waits for its operator[^]*who has not mended what stopped it[^]*still works/);
  assert.match(page.all, /<@U0GRACE>/);
  await stage.click(page, 'rotation_take_over', undefined, grace);
  await stage.click(await stage.message(gracesMessages, /stopped; it waits for a person/), 'rotation_retry', undefined, grace);
  const link = await stage.link('', gracesMessages);
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
});

test('rotated with a short grace and gone: the page comes, and again when the key is dead', async (t) => {
  const stage = await open(t, { formLife: '2s' });
  await stage.start();
  await stage.confirm();
  const first = await stage.link();
  const key = await stage.rotateInDashboard(5);
  await stage.message(adasMessages, /expires soon, and no new key/);
  await stage.message(adasMessages, /has expired, and no new key/);
  await stage.message(ops, /waits for its operator[^]*still works/);
  const dead = await stage.message(ops, /The current key[^]*is dead/, 20000);
  assert.match(dead.all, /billing fails until a new key is in place/);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.equal(await count(stage, ops, /waits for its operator/), 2, 'two pages: nobody comes, and dead');

  assert.match(await stage.command('hand-over stripe prod @grace', grace), /You have the rotation/);
  assert.equal((await stage.look(first)).state, 'unknown', 'the old link is dead');
  const link = await stage.link('', gracesMessages);
  assert.equal((await stage.submit(link, key, 5)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  await assertNowhere(stage, stage.keys);
});

test('the operator hands over: the old link is dead, and the journal says who did it', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await stage.look(link);
  const key = await stage.rotateInDashboard(7);
  assert.match(await stage.command('hand-over stripe prod @grace'), /<@U0GRACE> has the rotation of stripe prod now.*a new link where one was out/);
  const { actor, context } = await stage.entry('secret.rotate.operator.handed_over');
  assert.deepEqual([actor, context.from, context.to], [ada, ada, grace]);
  await stage.message(ops, /goes on with <@U0GRACE> \(before: <@U0ADMIN>\); if "Rotate API key" was clicked already/);
  await stage.message(adasMessages, /handed over to <@U0GRACE> .*Nothing here waits for you any more, and the link that stood here no longer works/);
  assert.equal(await count(stage, adasMessages, /form#/), 0);
  assert.equal((await stage.look(link)).state, 'unknown');
  assert.equal((await stage.submit(link, key)).state, 'unknown');
  const now = await since(stage, before);
  assert.ok(!now.journal.some(({ action }) => action === 'secret.rotate.new_key.received'));
  assert.deepEqual(now.writes, []);
  const next = await stage.link('', gracesMessages);
  assert.equal((await stage.submit(next, key)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal((await stage.entry('secret.rotate.completed')).context.actor, grace);
  assert.deepEqual((await since(stage, before)).writes, oneRotation);
  await assertNowhere(stage, stage.keys);
});

test('cancelled after the steps were shown: the team reads what to look for, and can start again', async (t) => {
  const stage = await open(t);
  const before = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.match(await stage.command('cancel stripe prod'), /the key in use is expiring: start again and paste the new one/);
  assert.equal((await stage.closed()).context.outcome, 'cancelled');
  const told = await stage.message(ops, /was cancelled after its dashboard steps had been shown/);
  assert.match(told.all, /If "Rotate API key" was clicked, the key that billing runs on is expiring, and nobody watches it any more/);
  assert.match(told.all, /look at the key in <http[^|]*\|the dashboard>\. A remaining time below its name.*`\/rotate stripe prod` again/);
  await stage.message(adasMessages, /was cancelled\.\* Billing runs on the old key\. If "Rotate API key" was clicked already/);
  await until('the link to be taken away', async () => (await count(stage, adasMessages, /form#/)) === 0);
  assert.equal((await stage.look(link)).state, 'cancelled');
  const now = await since(stage, before);
  assert.equal(now.journal.find(({ action }) => action === 'secret.rotate.cancelled').actor, ada);
  assertUntouched(before.state, now.state);
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
});

test('a hand-over is refused for strangers, for guests and for names that were only typed', async (t) => {
  const stage = await open(t);
  await stage.act('/fault', { system: 'slack', kind: 'group', id: 'S0SUPER', users: [ada, grace, 'U0GUEST'] });
  assert.match(await stage.command('hand-over stripe prod @grace'), /No rotation/);
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  const before = await snapshot(stage);
  assert.match(await stage.command('hand-over stripe prod @guy'), /^A guest can't rotate a key\. Nothing has changed\.$/);
  const { actor, context } = await stage.entry('command.refused');
  assert.deepEqual([actor, context], [ada, { command: '/rotate hand-over stripe prod U0GUEST', code: 'receiver_not_allowed' }]);
  assert.match(await stage.command('hand-over stripe prod @grace', 'U0MEMBER'), /Only a superadmin/);
  assert.match(await stage.command('hand-over stripe prod @mel'), /no superadmin/);
  assert.match(await stage.command('hand-over stripe prod @nobody'), /Pick the person/);
  assert.match(await stage.command('hand-over stripe prod @ada'), /already/);
  assert.ok(!(await stage.actions()).includes('secret.rotate.operator.handed_over'));
  const now = await since(stage, before);
  assert.deepEqual([...new Set(now.said.filter(({ text }) => !/waits for/.test(text)).map(({ to }) => to))].sort(), [ada, 'U0MEMBER'],
    'the guest hears nothing of it');
  assertUntouched(before.state, now.state);
});

test('an old key is ended early, and its death is proven at once', async (t) => {
  const stage = await open(t);
  await stage.change({ grace: '600s', reminder_before: '1s' });
  await stage.bot.stop();
  await stage.startBot();
  await stage.start('stripe prod');
  assert.match(await stage.command('expire-now stripe prod'), /not in place/);
  await stage.confirm();
  const link = await stage.link();
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(600), 600)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  assert.match(await stage.command('stripe prod --compromise a laptop was stolen'),
    /second rotation now would end it early.*`\/rotate expire-now stripe prod` ends it now/s);
  assert.match(await stage.command('expire-now stripe prod'), /Checking/);
  const guide = await stage.message(adasMessages, /Infisical's newest value is the new key/);
  assert.match(guide.all, /Expire key/);
  const old = (await stage.state()).stripe.keys.find(({ mode, status }) => mode === 'live' && status === 'expiring');
  await stage.act('/stripe/expire', { id: old.id });
  assert.equal((await stage.closed(15000)).context.outcome, 'rotated');
  await stage.message(ops, /is dead\./);
  await stage.message(adasMessages, /It is proven dead/);
});

test('cancelled after the click in the dashboard: the next start takes that same key, and the old one dies', async (t) => {
  const stage = await Stage.open({ settings: { grace: '20s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  const old = await stage.currentKey();
  await stage.start();
  await stage.confirm();
  const first = await stage.link();
  const key = await stage.rotateInDashboard(20);
  assert.match(await stage.command('cancel stripe prod'), /the key in use is expiring: start again and paste the new one/);
  assert.equal((await stage.closed()).context.outcome, 'cancelled');
  assert.deepEqual((await since(stage, before)).writes, []);
  assert.equal(await stage.currentKey(), old, 'billing runs on the key that is expiring');

  await stage.start();
  await stage.confirm();
  const link = await stage.link(first.ts);
  assert.equal((await stage.submit(first, key, 20)).state, 'cancelled', 'the first link takes nothing');
  assert.equal((await stage.submit(link, key, 20)).state, 'received');
  const closed = () => stage.journal().then((journal) => journal.filter(({ action }) => action === 'secret.rotate.closed'));
  await until('the second one to be closed', async () => (await closed()).length === 2, 50000);
  assert.deepEqual((await closed()).map(({ context }) => context.outcome), ['cancelled', 'rotated']);
  await stage.message(ops, /The old key of stripe prod is proven dead/);
  assert.equal(await stage.currentKey(), key);
  const now = await since(stage, before);
  assert.deepEqual(now.writes, oneRotation);
  const oldKey = now.state.stripe.keys.find(({ masked }) => masked.endsWith(old.slice(-6)));
  assert.equal(oldKey.status, 'expired');
  assert.equal(now.journal.filter(({ action }) => /old_key\.proven_dead|new_key\.stored|rotate\.completed/.test(action)).length, 3);
  assert.ok(!now.said.some(({ text }) => /died early|is dead\*: Stripe/.test(text)));
  await assertNowhere(stage, [old, ...stage.keys]);
});

// ---- Buttons that stand there after their time: Slack takes none of our updates, so people see what was.
const deaf = (stage) => stage.act('/fault', { system: 'slack', kind: 'error', method: 'chat.update', error: 'internal_error', times: 100000 });
const hear = (stage, user, pattern) => until(`${user} to be told ${pattern}`, async () =>
  (await said(stage)).some((each) => each.to === user && pattern.test(each.text)));

test('the boxes that are confirmed, and Try again when nothing is stopped any more, say so to who presses them late', async (t) => {
  const stage = await Stage.open({ settings: { grace: '60s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  await deaf(stage);
  const state = { prerequisites: { confirmations: ['0', '1', '2'] } };
  await stage.click(boxes, 'rotation_ready', state);
  const link = await stage.link();
  await stage.click(boxes, 'rotation_ready', state);
  await hear(stage, ada, /^That is confirmed already\.$/);
  await stage.click(boxes, 'rotation_ready', state, grace);
  await hear(stage, grace, /^Only the operator of this rotation can do that\.$/);
  assert.equal((await stage.actions()).filter((action) => action === 'secret.rotate.operator.confirmed').length, 1);
  assertUntouched(before.state, (await since(stage, before)).state);

  await stage.act('/fault', { system: 'slack', kind: 'clear' });
  await stage.act('/fault', { system: 'infisical', kind: 'read_only' });
  assert.equal((await stage.submit(link, await stage.rotateInDashboard(60), 60)).state, 'received');
  const stopped = await stage.message(adasMessages, /stopped; it waits for a person/);
  await deaf(stage);
  await stage.act('/fault', { system: 'infisical', kind: 'clear' });
  await stage.click(stopped, 'rotation_retry');
  await stage.message(ops, /is rotated\./, 30000);
  await stage.click(stopped, 'rotation_retry');
  await hear(stage, ada, /^Nothing waits for a retry\.$/);
  const now = await since(stage, before);
  assert.equal(now.journal.filter(({ action }) => action === 'secret.rotate.retry_requested').length, 1);
  assert.deepEqual(now.writes.filter((write) => write.startsWith('heroku')), oneRotation.slice(1));
  await assertNowhere(stage, stage.keys);
});

test('a button of a rotation that is over no longer does anything, and says that', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  const boxes = await stage.message(adasMessages, /What only you can check/);
  await deaf(stage);
  await stage.command('cancel stripe prod');
  await stage.closed();
  const before = await snapshot(stage);
  await stage.click(boxes, 'rotation_ready', { prerequisites: { confirmations: ['0', '1', '2'] } });
  await hear(stage, ada, /^This rotation is over; the button no longer does anything\.$/);
  const now = await since(stage, before);
  assert.deepEqual(now.journal, []);
  assert.equal(now.asked, 0);
  assertUntouched(before.state, now.state);
});

// In a long grace: {stage, old, key}, and the fingerprints of both.
async function inALongGrace(t, start = 'stripe prod', confirm = {}) {
  const stage = await Stage.open({ settings: { ...impatient, grace: '600s', compromise_grace: '600s', reminder_before: '1s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const old = await stage.currentKey();
  await stage.start(start);
  await stage.confirm(confirm);
  const link = await stage.link();
  const key = await stage.rotateInDashboard(600);
  assert.equal((await stage.submit(link, key, 600)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  const fingerprint = async (action) => (await stage.entry(action)).context.fingerprint;
  return { stage, old, key, oldPrint: await fingerprint('secret.rotate.current_key.read'), newPrint: await fingerprint('secret.rotate.new_key.received') };
}

test('a plain start inside the open grace is refused: it would end the old key early, and which one that is', async (t) => {
  const { stage, old, oldPrint, newPrint } = await inALongGrace(t);
  const before = await snapshot(stage);
  const answer = await stage.command('stripe prod');
  assert.match(answer, /^A rotation of stripe prod is not over yet \(started by <@U0ADMIN> at /);
  assert.match(answer, new RegExp(`The old key \`${oldPrint}\` lives until <!date[^>]*>; a second rotation now would end it early and start the clock of the key in use, \`${newPrint}\`\\.`));
  assert.doesNotMatch(answer, /expire-now/, 'nothing has leaked');
  await assertRefused(stage, before, { user: ada, words: /a second rotation now would end it early/, code: 'already_live', command: '/rotate stripe prod' });
  await assertNowhere(stage, [old, ...stage.keys]);
});

const variable = 'STRIPE_RESTRICTED_KEY';
const inApp = (stage, value) => stage.putInApp(value);
const inInfisical = (stage, value) => stage.act('/infisical/put', { environment: 'prod', name: variable, value });
const stillHeld = {
  'an app still holds the old key': { put: inApp, words: () => /\*Don't end the old key yet\.\* raxx-api-prod holds another key\. What holds the old key fails when it ends\./,
    found: ({ strays, stored_fingerprint: stored }, { newPrint }) => assert.deepEqual([strays, stored], [['raxx-api-prod'], newPrint]) },
  'Infisical still holds the old key': { put: inInfisical,
    words: ({ oldPrint }) => new RegExp(`\\*Don't end the old key yet\\.\\* Infisical's newest value is \`${oldPrint}\`, not this rotation's new key\\.`),
    found: ({ stored_fingerprint: stored }, { oldPrint }) => assert.equal(stored, oldPrint) },
};
describe('an early end is advised against', { concurrency: 2 }, () => {
  for (const [name, { put, words, found }] of Object.entries(stillHeld)) {
    test(`${name}: no steps are shown, after a leak as well, and they come once that is mended`, async (t) => {
      const story = await inALongGrace(t, 'stripe prod --compromise', { reason: 'seen in a gist' });
      const { stage, old, key, newPrint } = story;
      await put(stage, old);
      const before = await snapshot(stage);
      assert.match(await stage.command('expire-now stripe prod'), /Checking that nothing holds the old key.*Don't click before\./s);
      const advice = await stage.message(adasMessages, /Don't end the old key yet/);
      assert.match(advice.all, words(story));
      assert.match(advice.all, /Mend that, then `\/rotate expire-now stripe prod` checks again\./);
      assert.doesNotMatch(advice.all, /Expire key|the dashboard/, 'nothing that could be clicked');
      const now = await since(stage, before);
      const events = now.journal.filter(({ action }) => /old_key\.expiry/.test(action));
      assert.deepEqual(events.map(({ action, actor }) => [action, actor]),
        [['secret.rotate.old_key.expiry_requested', ada], ['secret.rotate.old_key.expiry_checked', 'keyturn']]);
      found(events[1].context, story);
      assertUntouched(before.state, now.state);
      assert.ok(!now.said.some(({ text }) => /is dead|Expire key/.test(text)));

      await put(stage, key);
      await stage.command('expire-now stripe prod');
      const guide = await stage.message(adasMessages, /Infisical's newest value is the new key, and raxx-api-prod holds it too/);
      assert.match(guide.all, /⋯ → \*Expire key\*, and confirm/);
      assert.equal((await stage.entry('secret.rotate.old_key.expiry_checked')).context.stored_fingerprint, newPrint);
      const { stripe } = await stage.state();
      await stage.act('/stripe/expire', { id: stripe.keys.find(({ mode, status }) => mode === 'live' && status === 'expiring').id });
      assert.equal((await stage.closed(15000)).context.outcome, 'rotated');
      assert.deepEqual((await since(stage, before)).writes, [], 'Keyturn wrote nothing');
      await assertNowhere(stage, [old, ...stage.keys]);
    });
  }
});
