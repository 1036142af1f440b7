// What the bot must not do, and what it says instead.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';

let stage;
let lockedLink;
before(async () => {
  stage = await Stage.open();
  await stage.startBot();
});
after(() => stage.close());

const nothingStarted = async () => assert.ok(!(await stage.actions()).includes('secret.rotate.started'));

test('a member who is no superadmin is refused, and the journal says so', async () => {
  assert.match(await stage.command('stripe prod', 'U0MEMBER'), /Only a superadmin/);
  const refused = await stage.entry('command.refused');
  assert.equal(refused.actor, 'U0MEMBER');
  assert.equal(refused.context.code, 'not_superadmin');
  await nothingStarted();
});

test('an unknown target is refused with what was probably meant', async () => {
  assert.match(await stage.command('stripe prdo'), /Did you mean `\/rotate stripe prod`/);
  assert.match(await stage.command('aws moon'), /no target/);
  await nothingStarted();
});

test('a key pasted into a command is answered with a warning and kept nowhere', async () => {
  const pasted = `rk_${'live'}_${'9xQ'.repeat(33)}`;
  assert.match(await stage.command(`stripe prod ${pasted}`), /looks like a key/);
  const artefacts = (await stage.artefacts()).filter(([name]) => name !== 'slack traffic'); // Slack itself brought it
  for (const [name, bytes] of artefacts) assert.ok(!bytes.includes(pasted.slice(8, 60)), name);
  await nothingStarted();
});

test('help and status answer everybody', async () => {
  assert.match(await stage.command('help', 'U0MEMBER'), /rotate stripe prod/);
  assert.match(await stage.command('status', 'U0MEMBER'), /stripe prod/);
  assert.match(await stage.command('', 'U0MEMBER'), /rotate stripe prod/);
});

test('wrong pastes are named and refused without spending the link', async () => {
  await stage.start();
  assert.match(await stage.command('stripe prod', 'U0GRACE'), /not over yet/, 'a second start');
  await stage.confirm();
  const link = await stage.link();
  const random = 'Ab3'.repeat(33);
  const wrong = [
    [`pk_${'live'}_${random}`, 'publishable_key'],
    [`rk_${'test'}_${random}`, 'wrong_mode'],
    [`whsec_${random}`, 'webhook_secret'],
  ];
  for (const [text, code] of wrong) {
    const answer = await stage.submit(link, text);
    assert.equal(answer.state, 'refused');
    assert.equal(answer.code, code);
    assert.ok(answer.sentence.length > 10);
  }
  assert.equal((await stage.look(link)).state, 'open');
  const master = `sk_${'live'}_${random}`;
  const alarm = await stage.submit(link, master);
  assert.equal(alarm.code, 'master_key');
  assert.equal(alarm.alarm, true);
  await stage.message(ops, /SEV-1/);
  await assertNowhere(stage, [master, ...wrong.map(([text]) => text)]);
  assert.equal((await stage.submit(link, 'nonsense')).attempts_left, 0);
  assert.equal((await stage.look(link)).state, 'locked');
  lockedLink = link;
});

test("another account's key is refused by validation, and a new link follows", async () => {
  const status = await stage.message(adasMessages, /locked after several/);
  await stage.click(status, 'rotation_new_link');
  const link = await stage.link(lockedLink.ts);
  const foreign = await stage.createKey({ name: 'elsewhere', account: 'acct_1Another', mode: 'live',
    permissions: ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'] });
  assert.equal((await stage.submit(link, foreign)).state, 'received');
  const again = await stage.link(link.ts);
  assert.match((await stage.entry('secret.rotate.new_key.rejected')).context.code, /account/);
  const { heroku, infisical } = await stage.state();
  assert.equal(heroku.requests.filter(({ method }) => method === 'PATCH').length, 0);
  assert.equal(infisical.requests.filter(({ method }) => method === 'PATCH').length, 0);
  assert.equal((await stage.submit(again, foreign)).code, 'rejected_key');
  assert.equal((await stage.look(link)).state, 'unknown');
  await assertNowhere(stage, stage.keys);
});

test('a rotation can be cancelled before the new key is there, and then another may start', async () => {
  assert.match(await stage.command('cancel stripe prod', 'U0MEMBER'), /Only a superadmin/);
  assert.match(await stage.command('cancel stripe prod'), /is cancelled/);
  assert.equal((await stage.closed()).context.outcome, 'cancelled');
  await stage.start();
  await stage.command('cancel stripe prod', ada);
});
