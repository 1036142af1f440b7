// The moments around the click on "Hand over the key": what is sealed again and what isn't, what stays in the fields, what
// is left in the clipboard, and a key in the wrong field.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerWith, fromNow, opened, propagating, receivedKey } from './support/canned.mjs';
import { House } from './support/house.mjs';
import { launch, Visitor } from './support/visitor.mjs';

let house, browser, real;
before(async () => {
  house = await House.open();
  real = await house.realLook();
  browser = await launch();
});
after(async () => {
  await browser.close();
  await house.close();
});

const key = (letters = 'Example1') => 'rk_' + 'live_' + letters.repeat(12);
const code = '483 920';

async function open(t, { submit = ['never'], look = {}, prepare = () => {} } = {}) {
  const visitor = await Visitor.arrive(browser);
  t.after(() => visitor.leave());
  await prepare(visitor);
  await answerWith(visitor, 'look', opened(real.look, { opened_before: [], ...look }));
  await answerWith(visitor, 'submit', ...submit);
  await answerWith(visitor, 'progress', { ...propagating, next_seconds: 60 });
  await visitor.open(real.link);
  await visitor.heading(/New key for/);
  return visitor;
}
const bodies = (visitor) => visitor.sent('/form/submit').map(({ body }) => body.toString());
const inField = ({ page }, id = 'key') => page.locator(`#${id}`).inputValue();

test('what is sent again is the same message, unless something was changed', async (t) => {
  const busy = { status: 503, state: 'unavailable', sentence: 'Keyturn could not confirm it. Send it again.' };
  const visitor = await open(t, { submit: [busy, 'lost', busy, receivedKey] });
  await visitor.fillIn({ key: key(), code });
  for (const words of [/could not confirm/, /No answer came/]) {
    await visitor.handOver();
    await visitor.see(words);
  }
  await visitor.paste(key()); // the same once more
  await visitor.handOver();
  await visitor.see(/could not confirm/);
  await visitor.choose('1 hour');
  await visitor.handOver();
  await visitor.see('Fingerprint');
  const [first, second, third, changed] = bodies(visitor);
  assert.equal(second, first);
  assert.equal(third, first);
  assert.notEqual(changed, first);
});

test('all messages are of one length, whatever the key’s', async (t) => {
  const lengths = new Set();
  for (const one of [key(), 'rk_' + 'live_' + 'Ab3'.repeat(8), 'rk_' + 'live_' + 'Ab3'.repeat(80)]) {
    const visitor = await open(t, { submit: [receivedKey] });
    await visitor.fillIn({ key: one, code });
    await visitor.handOver();
    await visitor.see('Fingerprint');
    lengths.add(JSON.parse(bodies(visitor)[0]).ciphertext.length);
  }
  assert.equal(lengths.size, 1);
});

test('two quick clicks send one message', async (t) => {
  const visitor = await open(t);
  await visitor.fillIn({ key: key(), code });
  await visitor.page.evaluate(() => { for (let i = 0; i < 3; i++) document.getElementById('send').click(); });
  await visitor.see('Sealing and storing');
  await visitor.page.waitForTimeout(300);
  assert.equal(bodies(visitor).length, 1);
});

test('a refusal that isn’t about the key leaves the key in its field; one that is takes it out', async (t) => {
  const refusal = (code, sentence) => ({ status: 422, state: 'refused', code, sentence, attempts_left: 4, alarm: false });
  const visitor = await open(t, { submit: [refusal('wrong_code', 'Wrong code.'), refusal('rotated_at', 'Wrong time.'), refusal('same_key', 'Same key.')] });
  await visitor.fillIn({ key: key(), code });
  for (const [words, left] of [[/Wrong code/, key()], [/Wrong time/, key()], [/Same key/, '']]) {
    await visitor.handOver();
    await visitor.see(words);
    assert.equal(await inField(visitor), left, String(words));
  }
});

test('a form whose answer was lost stays open past its time, so that it can be sent again', async (t) => {
  const visitor = await open(t, { submit: ['lost', receivedKey], look: { expires_at: fromNow(6) } });
  await visitor.fillIn({ key: key(), code });
  await visitor.handOver();
  await visitor.see(/No answer came/);
  await visitor.see('it has expired');
  await visitor.page.waitForTimeout(1500);
  await visitor.handOver();
  await visitor.see('Fingerprint');
});

test('a key that cannot be sealed is not sent, and the page says so', async (t) => {
  const visitor = await open(t, { look: { public_key: 'BA' + 'A'.repeat(85) } });
  await visitor.fillIn({ key: key(), code });
  await visitor.handOver();
  await visitor.see(/could not seal the key, so nothing was sent/);
  assert.deepEqual(bodies(visitor), []);
});

test('the code may be typed with blanks, and nothing else passes for one', async (t) => {
  const visitor = await open(t);
  await visitor.fillIn({ key: key() });
  for (const wrong of ['', '48392', '4839201', '48392a']) {
    await visitor.page.locator('#code').fill(wrong);
    await visitor.handOver();
    assert.equal(await visitor.page.locator('#code').getAttribute('aria-invalid'), 'true', wrong);
  }
  assert.deepEqual(bodies(visitor), []);
  await visitor.page.locator('#code').fill(' 48 39 20 ');
  await visitor.handOver();
  await visitor.see('Sealing and storing');
});

test('a key in the field for the code doesn’t stay readable there, and a master key stops there as well', async (t) => {
  const master = 'sk_' + 'live_' + 'Example1'.repeat(12);
  const alarm = { status: 422, state: 'refused', code: 'master_key', sentence: 'Stop.', attempts_left: 4, alarm: true };
  const visitor = await open(t, { submit: [alarm] });
  await visitor.paste(key(), '#code');
  await visitor.see(/taken out again/);
  assert.equal(await inField(visitor, 'code'), '');
  assert.deepEqual(bodies(visitor), []);
  await visitor.paste(master, '#code');
  await visitor.heading('Stop');
  await visitor.see(/The alarm is raised/);
  assert.equal(await inField(visitor, 'code'), '');
  visitor.assertSentNothingOf(master);
  visitor.assertSentNothingOf(key());
});

test('a key that a phone’s keyboard puts in, without a paste, is judged as well', async (t) => {
  const visitor = await open(t);
  await visitor.page.locator('#key').fill(`  ${key()} `);
  await visitor.see(/whole restricted live key/);
  await visitor.page.locator('#key').fill('sk_' + 'live_' + 'Example1'.repeat(12));
  await visitor.heading('Stop');
  assert.equal(await inField(visitor), '');
});

// ---- the clipboard ----

const handedOver = async (t, prepare) => {
  const visitor = await open(t, { submit: [receivedKey], prepare });
  await visitor.fillIn({ key: key(), code });
  await visitor.handOver();
  await visitor.see('Your clipboard still holds the key.');
  return visitor;
};
const clear = ({ page }) => page.getByRole('button', { name: 'Clear clipboard' }).click();

test('the clipboard is replaced on a click, and only then', async (t) => {
  const visitor = await handedOver(t, ({ context }) => context.grantPermissions(['clipboard-read', 'clipboard-write']));
  // The page itself may not read the clipboard; a second one beside it looks.
  const beside = await visitor.context.newPage();
  await beside.goto(house.stage.places.control);
  const read = async () => {
    await beside.bringToFront();
    return beside.evaluate(() => navigator.clipboard.readText());
  };
  await beside.evaluate((text) => navigator.clipboard.writeText(text), key());
  assert.equal(await read(), key());
  await visitor.page.bringToFront();
  await clear(visitor);
  await visitor.see(/holds a harmless sentence now/);
  assert.match(await read(), /Keyturn/);
});

test('a browser that refuses, or has no clipboard, is not said to have cleared it', async (t) => {
  const refuses = ({ page }) => page.addInitScript(() => { Clipboard.prototype.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError')); });
  const hasNone = ({ page }) => page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined }));
  for (const prepare of [refuses, hasNone]) {
    const visitor = await handedOver(t, prepare);
    await clear(visitor);
    await visitor.see(/did not allow it\. Copy any other text/);
    assert.equal(await visitor.page.getByText('holds a harmless sentence').filter({ visible: true }).count(), 0);
    visitor.assertCalm();
  }
});
