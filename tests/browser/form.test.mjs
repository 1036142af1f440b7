// The one-time form against the real bot, by somebody with a browser. Whatever happens, no request carries the key.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from '../end_to_end/support/stage.mjs';
import { launch, Visitor } from './support/visitor.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

// A rotation that waits for its key, and somebody in front of its form.
async function arrive(t, { settings, toml = (text) => text } = {}) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  await stage.rewrite(toml);
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const visitor = await Visitor.arrive(browser);
  t.after(() => visitor.leave());
  return { stage, link, visitor, page: visitor.page };
}
const opened = async (given) => {
  await given.visitor.open(given.link);
  await given.visitor.heading(/New key for stripe prod/);
  return given;
};
const refusals = (stage) => stage.journal().then((entries) => entries.filter(({ action }) => action === 'secret.rotate.form.paste_refused'));

// Nothing of the page or the browser's stores holds it.
async function assertForgotten(page, key) {
  const kept = await page.evaluate(async () => JSON.stringify([document.documentElement.outerHTML, [...document.querySelectorAll('input')].map(({ value }) => value),
    { ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases(), await caches.keys(), location.href]));
  assert.ok(!kept.includes(key), 'the page still holds the key');
}

test('the whole submission, from the link to the proof that the old key is dead, followed on the page', async (t) => {
  const { stage, link, visitor, page } = await opened(await arrive(t));
  await visitor.see('raxx-billing');
  assert.equal(new URL(page.url()).hash, '', 'the token is out of the address bar');
  const key = await stage.rotateInDashboard(7);
  await visitor.fillIn({ key: ` "${key}"\n`, code: link.code });
  await visitor.see(/whole restricted live key/);
  await visitor.handOver();
  await visitor.see('Fingerprint');
  await assertForgotten(page, key);
  await page.getByRole('heading', { name: 'Done' }).waitFor({ timeout: 40000 });
  await visitor.see('The old key is proven dead. Nothing is left to do.');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  visitor.assertCalm();
  visitor.assertSentNothingOf(key);
  for (const { method, url } of visitor.requests) assert.ok(!url.includes(link.token), `${method} ${url} carries the token`);
  assert.equal(visitor.sent('/form/submit').length, 1);
  await assertNowhere(stage, [key]);
});

test('the whole submission with the keyboard alone', async (t) => {
  const { stage, link, visitor, page } = await opened(await arrive(t));
  const key = await stage.rotateInDashboard(7);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key', 'the key’s field has the focus');
  await visitor.paste(key);
  const go = async (name) => {
    for (let i = 0; i < 20 && await page.evaluate(() => document.activeElement.id || document.activeElement.name) !== name; i++) await page.keyboard.press('Tab');
  };
  await go('code');
  await page.keyboard.type(link.code);
  await go('grace');
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await visitor.see('Fingerprint');
  assert.equal((await stage.entry('secret.rotate.new_key.received')).actor, 'U0ADMIN');
  visitor.assertCalm();
  visitor.assertSentNothingOf(key);
});

test('a wrong paste is named as it is pasted, and nothing is sent', async (t) => {
  const { stage, visitor, page } = await opened(await arrive(t));
  const random = 'Ab3'.repeat(33);
  const wrong = [[`pk_${'live'}_${random}`, /publishable key/], [`rk_${'test'}_${random}`, /test mode/], [`whsec_${random}`, /webhook signing secret/],
    [`sk_${'org'}_${random}`, /organization key/], [`rk_${'live'}_****1234`, /masked display/], [`rk_${'live'}_abc`, /only the beginning/],
    [`NAME=rk_${'live'}_${random}`, /NAME=value/], [`rk_${'live'}_${random} twice`, /more than one word/], ['hello', /not a Stripe key/]];
  for (const [text, words] of wrong) {
    await page.locator('#key').fill('');
    await visitor.paste(text);
    await visitor.see(words);
    await visitor.handOver();
    assert.equal(await page.locator('#key').getAttribute('aria-invalid'), 'true');
  }
  assert.equal(visitor.sent('/form/submit').length, 0);
  assert.deepEqual(await refusals(stage), []);
  visitor.assertCalm();
});

test('a master key stops the page in red; the team is alarmed, and the key never leaves the browser', async (t) => {
  const { stage, link, visitor, page } = await opened(await arrive(t));
  const master = `sk_${'live'}_${'Ab3'.repeat(33)}`;
  await visitor.paste(master);
  await visitor.heading('Stop');
  await visitor.see(/The alarm is raised/);
  await stage.message(ops, /SEV-1/);
  await assertForgotten(page, master);
  visitor.assertSentNothingOf(master);
  await assertNowhere(stage, [master]);
  // The right key is still welcome.
  await page.getByRole('button', { name: /right key|go on|restricted/i }).click();
  await visitor.heading(/New key for/);
  await visitor.fillIn({ key: await stage.rotateInDashboard(7), code: link.code });
  await visitor.handOver();
  await visitor.see('Fingerprint');
});

test('a wrong code is said below the code, keeps the key, and the right one goes through', async (t) => {
  const { stage, link, visitor, page } = await opened(await arrive(t));
  const key = await stage.rotateInDashboard(7);
  await visitor.fillIn({ key, code: link.code === '000 000' ? '111 111' : '000 000' });
  await visitor.handOver();
  await visitor.see(/not the one of this link/);
  assert.equal((await refusals(stage)).at(-1).context.code, 'wrong_code');
  await page.locator('#code').fill(link.code);
  await visitor.handOver();
  await visitor.see('Fingerprint');
  visitor.assertSentNothingOf(key);
});

test('an answer that was lost is asked for again with the very same message', async (t) => {
  const { stage, link, visitor, page } = await opened(await arrive(t));
  let lost = 0;
  await page.route('**/form/submit', async (route) => {
    if (lost++) return route.continue();
    await route.fetch(); // it arrives
    return route.abort('connectionreset');
  });
  const key = await stage.rotateInDashboard(7);
  await visitor.fillIn({ key, code: link.code });
  await visitor.handOver();
  await visitor.see(/No answer came/);
  await visitor.handOver();
  await visitor.see('Fingerprint');
  const bodies = visitor.sent('/form/submit').map(({ body }) => body.toString());
  assert.equal(bodies.length, 2);
  assert.equal(bodies[0], bodies[1]);
  assert.equal((await stage.actions()).filter((action) => action === 'secret.rotate.new_key.received').length, 1);
  // And after a reload the page goes on following.
  await page.reload();
  await visitor.heading('The key was received');
  visitor.assertSentNothingOf(key);
});

test('a link that was opened before says when and from where', async (t) => {
  const given = await opened(await arrive(t));
  const second = await Visitor.arrive(browser);
  t.after(() => second.leave());
  await second.open(given.link);
  await second.see(/This link was opened once before/);
  await second.see(/127\.0\.0\.1/);
});

test('expired, used, locked, cancelled and unknown links say which they are, and take nothing', async (t) => {
  const { stage, link, visitor } = await arrive(t);
  const door = async (words, to = link) => {
    await visitor.page.goto('about:blank');
    await visitor.open(to);
    await visitor.heading(words);
  };
  await door('This link is not known', { ...link, token: 'A'.repeat(43) });
  for (let i = 0; i < 5; i++) await stage.submit(link, 'hello');
  await door('This link is locked');
  await stage.click(await stage.message(adasMessages, /locked after several/), 'rotation_new_link');
  const next = await stage.link(link.ts);
  await door(/New key for/, next);
  await stage.command('cancel stripe prod');
  await door('This rotation was cancelled', next);
  await stage.start();
  await stage.confirm();
  const used = await stage.link(next.ts);
  assert.equal((await stage.submit(used, await stage.rotateInDashboard(7))).state, 'received');
  await door('The key was received', used);
});

test('a link that expires while one looks at it closes by itself', async (t) => {
  const { visitor } = await opened(await arrive(t, { toml: (text) => text.replaceAll('[target.timing]', '[target.timing]\nform_life = "3s"') }));
  await visitor.heading('This link has expired');
});
