// What the bot must not do, and what it says instead. One bot for all of them, so a test also shows that the one before
// has left nothing behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { assertRefused, assertUntouched, said, since, snapshot } from './support/world.mjs';

const grace = 'U0GRACE'; // another superadmin
const mel = 'U0MEMBER'; // none
const command = '/rotate stripe prod';

let stage;
let atFirst;
let lockedLink;
before(async () => {
  stage = await Stage.open();
  await stage.startBot();
  atFirst = await snapshot(stage);
});
after(() => stage.close());

test('a member who is no superadmin is refused, alone, and the journal says so', async () => {
  const now = await snapshot(stage);
  assert.match(await stage.command('stripe prod', mel), /Only a superadmin.*Nothing was started/);
  await assertRefused(stage, now, { user: mel, words: /Only a superadmin/, code: 'not_superadmin', command });
  const leak = await snapshot(stage);
  await stage.command('stripe prod --compromise', mel);
  await assertRefused(stage, leak, { user: mel, words: /Only a superadmin/, code: 'not_superadmin', command });
});

test('an unknown target is refused with what was probably meant', async () => {
  const typo = await snapshot(stage);
  assert.match(await stage.command('stripe prdo'), /Did you mean `\/rotate stripe prod`/);
  await assertRefused(stage, typo, { user: ada, words: /Did you mean/, code: 'unknown_target', command: '/rotate stripe prdo' });
  const nothingLikeIt = await snapshot(stage);
  assert.match(await stage.command('aws moon'), /no target.*Nothing was started/);
  await assertRefused(stage, nothingLikeIt, { user: ada, words: /no target/, code: 'unknown_target', command: '/rotate aws moon' });
});

test('a mistyped command or target of any command is answered with what was probably meant', async () => {
  const before = await snapshot(stage);
  for (const [text, meant] of [['staus', 'status'], ['cancle stripe prod', 'cancel stripe prod'], ['cancel stripe prdo', 'cancel stripe prod'],
    ['rollback stripe prdo', 'rollback stripe prod'], ['expire-now stripe prdo', 'expire-now stripe prod'], ['audit stripe prdo', 'audit stripe prod'],
    ['hand-over stripe prdo @grace', 'hand-over stripe prod']]) {
    assert.match(await stage.command(text), new RegExp(`Did you mean .\\/rotate ${meant}`), text);
  }
  assert.match(await stage.command('cancel stripe prdo', mel), /Only a superadmin/);
  assertUntouched(before.state, (await since(stage, before)).state);
});

test('a key pasted into a command is answered with a warning and kept nowhere', async () => {
  const now = await snapshot(stage);
  const pasted = `rk_${'live'}_${'9xQ'.repeat(33)}`;
  assert.match(await stage.command(`stripe prod ${pasted}`), /looks like a key/);
  await assertRefused(stage, now, { user: ada, words: /treat it as leaked/, code: 'credential_in_command', command: '/rotate' });
  const artefacts = (await stage.artefacts()).filter(([name]) => name !== 'slack traffic'); // Slack itself brought it
  for (const [name, bytes] of artefacts) assert.ok(!bytes.includes(pasted.slice(8, 60)), name);
});

test('a master key pasted into a command is a SEV-1 for the team, and is kept nowhere', async () => {
  const now = await snapshot(stage);
  const pasted = `sk_${'live'}_${'8wK'.repeat(33)}`;
  assert.match(await stage.command(`stripe prod ${pasted}`, mel), /master key, pasted into Slack.*roll it in the dashboard \*now\*\. The team is told/s);
  const alarm = await stage.message(ops, /SEV-1: a Stripe master key was\* pasted into a slash command by/);
  assert.match(alarm.all, /<@U0MEMBER>.*treat it as leaked and roll it now/s);
  const { journal, state } = await since(stage, now);
  assert.deepEqual(journal.map(({ action, actor, context }) => [action, actor, context.code]), [['command.refused', mel, 'master_key_in_command']]);
  assertUntouched(now.state, state);
  const artefacts = (await stage.artefacts()).filter(([name]) => name !== 'slack traffic'); // Slack itself brought it
  for (const [name, bytes] of artefacts) assert.ok(!bytes.includes(pasted.slice(8, 60)), name);
  assert.ok(!alarm.all.includes(pasted.slice(8, 40)));
});

test('help and status answer everybody, each alone, and change nothing', async () => {
  const before = await snapshot(stage);
  for (const text of ['help', '']) {
    const help = await stage.command(text, mel);
    assert.match(help, /rotate status/);
    assert.doesNotMatch(help, /compromise/, 'only what this person may run');
  }
  assert.match(await stage.command('status', mel), /stripe prod/);
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to }) => to), [mel, mel, mel]);
  assert.deepEqual(now.journal, []);
  assert.equal(now.asked, 0);
  assertUntouched(before.state, now.state);
});

test('help shows a superadmin what only they may run, and a member none of it', async () => {
  const before = await snapshot(stage);
  const forSuperadmins = ['stripe prod --compromise', 'offboard @person', 'rollback stripe prod', 'hand-over stripe prod @person',
    'cancel stripe prod', 'expire-now stripe prod', 'audit stripe prod'];
  const [hers, his] = [await stage.command('help', ada), await stage.command('help', mel)];
  for (const words of forSuperadmins) {
    assert.ok(hers.includes(`\`/rotate ${words}\``), words);
    assert.ok(!his.includes(words), words);
  }
  assert.doesNotMatch(his, /compromise|offboard|rollback|hand-over|expire-now|audit/);
  assert.match(his, /`\/rotate status`[^]*`\/rotate due`[^]*The rest is for superadmins\. Never paste a key into Slack/);
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to }) => to), [ada, mel]);
  assert.deepEqual(now.journal, []);
  assertUntouched(before.state, now.state);
});

test('words that nobody asked for after the target start nothing, and are named', async () => {
  const before = await snapshot(stage);
  for (const [text, word] of [['stripe prod please', 'please'], ['stripe prod --force', '--force']]) {
    assert.match(await stage.command(text),
      new RegExp(`I don't know "${word}"\\. Only \`--compromise\` can follow, for a suspected leak: \`/rotate stripe prod --compromise\`\\. \`/rotate help\``));
  }
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to }) => to), [ada, ada]);
  assert.deepEqual(now.journal, [], 'nothing was started');
  assert.equal(now.asked, 0);
  assertUntouched(before.state, now.state);
});

test('a second start is refused to whoever asks, and the first goes on undisturbed', async () => {
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  await stage.message(ops, /ticks the boxes/);
  for (const user of [grace, ada]) {
    const now = await snapshot(stage);
    assert.match(await stage.command('stripe prod', user), /not over yet \(started by <@U0ADMIN>/);
    await assertRefused(stage, now, { user, words: /`\/rotate status` shows where it stands/, code: 'already_live', command });
  }
  const starts = (await stage.journal()).filter(({ action }) => action === 'secret.rotate.started');
  assert.deepEqual(starts.map(({ actor }) => actor), [ada]);
  const live = (await said(stage)).filter(({ text }) => /^Rotation of stripe prod:/.test(text));
  assert.deepEqual(live.map(({ to }) => to).sort(), [ops, ada], 'one live message in each place, and none for grace');
  assert.ok(!(await stage.state()).slack.channels.some(({ is_im: direct, user }) => direct && user !== ada));
});

// A paste that the form itself refuses: known to the operator's browser and to the journal, and to nobody else.
async function assertPasteRefused(before, code, left) {
  const now = await since(stage, before);
  assert.deepEqual(now.journal.map(({ action, actor, context }) => ({ action, actor, context })),
    [{ action: 'secret.rotate.form.paste_refused', actor: ada, context: { code, attempts_left: left } }]);
  assert.deepEqual(now.said, []);
  assert.equal(now.asked, 0);
}

const usedAt = async (key) =>
  (await stage.state()).stripe.keys.find(({ masked }) => masked.endsWith(key.slice(-6))).last_used;

test('keys of the wrong kind and mode are named and refused without spending the link', async () => {
  await stage.confirm();
  const link = await stage.link();
  link.seen = stage.look(link); // once, as a page does
  await link.seen;
  // Not made up: Stripe knows it, so that it could have been asked. It wasn't.
  const ofTestMode = await stage.createKey({ name: 'of-test-mode', mode: 'test', permissions: ['customer_read'] });
  const random = 'Ab3'.repeat(33);
  const wrong = [
    [`pk_${'live'}_${random}`, 'publishable_key', /publishable key/],
    [ofTestMode, 'wrong_mode', /test mode; switch the dashboard to live mode/],
    [`whsec_${random}`, 'webhook_secret', /webhook signing secret/],
  ];
  const world = await stage.state();
  for (const [i, [text, code, words]] of wrong.entries()) {
    const before = await snapshot(stage);
    const answer = await stage.submit(link, text);
    assert.equal(answer.state, 'refused');
    assert.equal(answer.code, code);
    assert.match(answer.sentence, words);
    assert.equal(answer.alarm, false);
    assert.equal(answer.attempts_left, 4 - i);
    await assertPasteRefused(before, code, 4 - i);
  }
  assert.equal(await usedAt(ofTestMode), null, 'Stripe was not asked about it');
  assertUntouched(world, await stage.state());
  assert.equal((await stage.look(link)).state, 'open');
  await assertNowhere(stage, wrong.map(([text]) => text));
  lockedLink = link;
});

test('a master key is refused with an alarm for the team, and the fifth wrong paste locks the link', async () => {
  const before = await snapshot(stage);
  const master = `sk_${'live'}_${'Ab3'.repeat(33)}`;
  const answer = await stage.submit(lockedLink, master);
  assert.equal(answer.code, 'master_key');
  assert.equal(answer.alarm, true);
  const alarm = await stage.message(ops, /SEV-1: a Stripe master key was pasted into the form/);
  assert.match(alarm.all, /It was not stored.*treat it as leaked and roll it now.*Billing runs on the old key/);
  assert.match(alarm.all, /Operator: <@U0ADMIN>/);
  assert.equal((await stage.submit(lockedLink, 'nonsense')).attempts_left, 0);
  assert.equal((await stage.look(lockedLink)).state, 'locked');
  await stage.message(adasMessages, /locked after several/);
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to, text }) => [to, text.split('\n')[0]]),
    [[ops, 'SEV-1: a Stripe master key was pasted into the form']]);
  const refused = now.journal.filter(({ action }) => action === 'secret.rotate.form.paste_refused');
  assert.deepEqual(refused.map(({ actor, context }) => [actor, context.code]), [[ada, 'master_key'], [ada, 'not_a_key']]);
  assert.ok(!(await stage.actions()).includes('secret.rotate.new_key.received'));
  assert.equal(now.asked, 0);
  assertUntouched(before.state, now.state);
  await assertNowhere(stage, [master]);
});

test("another account's key is refused by validation, and a new link follows", async () => {
  const before = await snapshot(stage);
  const status = await stage.message(adasMessages, /locked after several/);
  await stage.click(status, 'rotation_new_link');
  const link = await stage.link(lockedLink.ts);
  const foreign = await stage.createKey({ name: 'elsewhere', account: 'acct_1Another', mode: 'live',
    permissions: ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'] });
  assert.equal((await stage.submit(link, foreign)).state, 'received');
  const again = await stage.link(link.ts);
  assert.ok(await usedAt(foreign), 'Stripe was asked');
  for (const channel of [ops, adasMessages]) {
    await stage.message(channel, /^Rotation of stripe prod: .*another Stripe account \(acct_1Another.*in use has not been touched/s);
  }
  await stage.message(adasMessages, /^Dashboard steps and .*The last key was not accepted\*: .*another Stripe account/s);
  assert.equal((await stage.submit(again, foreign)).code, 'rejected_key');
  assert.deepEqual(await stage.look(link).then(({ state, follow }) => ({ state, follow })), { state: 'used', follow: true });

  const now = await since(stage, before);
  const entries = now.journal.filter(({ action }) => /new_key\.|paste_refused|link_requested/.test(action));
  assert.deepEqual(entries.map(({ action, actor, context }) => [action.replace('secret.rotate.', ''), actor, context.code]), [
    ['form.link_requested', ada, undefined],
    ['new_key.received', ada, undefined],
    ['new_key.rejected', 'keyturn', 'account'],
    ['form.paste_refused', ada, 'rejected_key'],
  ]);
  assert.deepEqual(now.said.map(({ to, text }) => [to, /^Dashboard steps/.test(text)]), [[ada, true], [ada, true]],
    'the two links go to the operator, and no other message to anybody');
  assertUntouched(before.state, now.state, 1);
  await assertNowhere(stage, stage.keys);
});

test('a rotation can be cancelled before the new key is there, and then another may start', async () => {
  const refused = await snapshot(stage);
  assert.match(await stage.command('cancel stripe prod', mel), /Only a superadmin/);
  await assertRefused(stage, refused,
    { user: mel, words: /Only a superadmin/, code: 'not_superadmin', command: '/rotate cancel stripe prod' });
  const before = await snapshot(stage);
  assert.match(await stage.command('cancel stripe prod'), /is cancelled/);
  assert.equal((await stage.closed()).context.outcome, 'cancelled');
  await stage.message(adasMessages, /was cancelled.*Billing runs on the old key/);
  for (const channel of [ops, adasMessages]) await stage.message(channel, /^Rotation of stripe prod: cancelled/);
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to }) => to).sort(), [ops, ada, ada].sort(), 'the answer, and the word of its end');
  const cancelled = now.journal.find(({ action }) => action === 'secret.rotate.cancelled');
  assert.equal(cancelled.actor, ada);
  assertUntouched(atFirst.state, now.state, 2); // through all of this file: two keys that the tests made, and no write
  assert.equal((await stage.verifyJournal()).code, 0);
  await stage.start();
  await stage.command('cancel stripe prod', ada);
});
