// "Sign in with Slack" in front of the form, in a real browser, against the real bot and the emulated Slack.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertNowhere, Stage } from '../end_to_end/support/stage.mjs';
import { launch, Visitor } from './support/visitor.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

// Somebody has opened a link that asks for a sign-in.
async function arrive(t) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.rewrite((text) => text.replaceAll('sign_in = false', 'sign_in = true'));
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const visitor = await Visitor.arrive(browser);
  t.after(() => visitor.leave());
  await visitor.open(link);
  await visitor.heading('Sign in with Slack');
  return { stage, link, visitor, page: visitor.page };
}
async function signIn({ page }, person) {
  await page.getByRole('button', { name: 'Go to Slack' }).click();
  await page.getByRole('button', { name: `(${person})` }).click();
}
async function handOver({ stage, visitor }) {
  const key = await stage.rotateInDashboard(7);
  await visitor.fillIn({ key });
  await visitor.handOver();
  return key;
}

test('the operator signs in, and hands the key over without a code', async (t) => {
  const given = await arrive(t);
  const { stage, link, visitor, page } = given;
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for stripe prod/);
  assert.equal(await page.getByLabel('The code in your direct message').isVisible(), false);
  assert.equal(page.url(), link.address, 'what Slack sent is out of the address bar');
  const key = await handOver(given);
  await visitor.see('Fingerprint');
  assert.equal((await stage.entry('secret.rotate.new_key.received')).actor, 'U0ADMIN');
  for (const { method, url, headers } of visitor.requests) assert.ok(!(url + headers).includes(link.token), `${method} ${url} carries the token`);
  visitor.assertCalm();
  visitor.assertSentNothingOf(key);
  await assertNowhere(stage, [key]);
});

test('the token waits in this tab while one is at Slack, and nowhere afterwards', async (t) => {
  const given = await arrive(t);
  const { link, visitor, page } = given;
  const kept = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie, location.href]));
  assert.ok(!(await kept()).includes(link.token), 'not before one goes');
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  assert.ok(!(await kept()).includes(link.token));
});

test('the session is a cookie that no script reads, no other site uses, and a quarter of an hour ends', async (t) => {
  const given = await arrive(t);
  await signIn(given, 'U0ADMIN');
  await given.visitor.heading(/New key for/);
  const cookies = await given.visitor.context.cookies(given.link.address);
  assert.deepEqual(cookies.map(({ name, httpOnly, sameSite, path }) => ({ name, httpOnly, sameSite, path })),
    [{ name: 'keyturn', httpOnly: true, sameSite: 'Strict', path: '/' }]);
  const left = cookies[0].expires - Date.now() / 1000;
  assert.ok(left > 840 && left <= 900, `${left} s`);
  assert.equal(await given.page.evaluate(() => document.cookie), '');
});

test('somebody else is told who may hand over this key, and the operator can still sign in', async (t) => {
  const given = await arrive(t);
  const { stage, visitor, page } = given;
  await signIn(given, 'U0GRACE');
  await visitor.see(/signed in to Slack as somebody else. Only ada can hand over this key/);
  assert.equal(await page.locator('#form').isVisible(), false);
  assert.equal((await stage.entry('secret.rotate.form.turned_away')).context.why, 'another_person');
  await visitor.assertAccessible('signed in as somebody else');
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  assert.equal(await page.getByText('somebody else').filter({ visible: true }).count(), 0);
});

test('who cancels at Slack comes back, spends nothing, and can try again', async (t) => {
  const given = await arrive(t);
  const { link, visitor, page } = given;
  await page.getByRole('button', { name: 'Go to Slack' }).click();
  await page.getByRole('link', { name: /Cancel/ }).click();
  await visitor.heading('Slack did not sign you in');
  assert.equal(page.url(), link.address);
  await page.getByRole('button', { name: 'Try again' }).click();
  await visitor.heading('Sign in with Slack');
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  assert.equal(visitor.sent('/form/sign-in').length, 1, 'nothing to ask after a cancel');
});

test('a session that ran out before the key was handed over asks for a new one, and for the key again', async (t) => {
  const given = await arrive(t);
  const { stage, visitor, page } = given;
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  await visitor.context.clearCookies();
  const key = await stage.rotateInDashboard(7);
  await visitor.fillIn({ key });
  await visitor.handOver();
  await visitor.heading('Sign in with Slack');
  await visitor.see('Your sign-in has run out. Nothing was stored.');
  assert.equal(await page.locator('#key').inputValue(), '');
  assert.equal((await stage.actions()).includes('secret.rotate.new_key.received'), false);
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  await visitor.fillIn({ key });
  await visitor.handOver();
  await visitor.see('Fingerprint');
  visitor.assertSentNothingOf(key);
});

test('after a lost answer and a session that ran out, nothing is said to be stored or not, and the link tells', async (t) => {
  const given = await arrive(t);
  const { stage, visitor, page } = given;
  await signIn(given, 'U0ADMIN');
  await visitor.heading(/New key for/);
  await page.route('**/form/submit', async (route) => {
    await route.fetch(); // it arrives
    await route.abort('connectionreset');
  }, { times: 1 });
  await handOver(given);
  await visitor.see(/No answer came/);
  await visitor.context.clearCookies();
  await visitor.handOver();
  await visitor.see(/Your sign-in has run out/);
  assert.equal(await page.getByText('Nothing was stored').filter({ visible: true }).count(), 0);
  await signIn(given, 'U0ADMIN');
  await visitor.heading('The key was received');
  assert.equal((await stage.actions()).filter((action) => action === 'secret.rotate.new_key.received').length, 1);
});
