// The rehearsal workspace of deploy/try, in a real browser: the whole journey by hand, as a newcomer makes it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../end_to_end/support/process.mjs';
import { Stage } from '../end_to_end/support/stage.mjs';
import { desk, launch, phone, Visitor } from './support/visitor.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

async function arrive(t, options, settings) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  await stage.startBot();
  const visitor = await Visitor.arrive(browser, { ...desk, viewport: { width: 1440, height: 900 }, ...options });
  t.after(() => visitor.leave());
  await visitor.page.goto(stage.places.control);
  await visitor.see('bot connected');
  return { stage, visitor, page: visitor.page };
}
const place = (page, name) => page.locator('#places').getByRole('button', { name });
const world = (page, name) => page.getByRole('tab', { name });
const messages = (page) => page.locator('#messages');

async function type(page, text) {
  await page.getByRole('combobox', { name: 'Message or command' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}
async function tickAndGo(page) {
  await messages(page).getByText('What only you can check').waitFor();
  for (const box of await messages(page).getByRole('checkbox').all()) await box.check();
  await messages(page).getByRole('button', { name: /I'm ready/ }).click();
  await messages(page).getByRole('link', { name: 'open the one-time form' }).waitFor();
}
// The dashboard's way to a new key: menu, expiration, the value that is shown once, the note.
async function rotateInDashboard(page, expiration) {
  await world(page, /Stripe/).click();
  await page.getByRole('tabpanel', { name: /Stripe/ }).locator('summary').first().click();
  await page.getByRole('button', { name: 'Rotate key…' }).click();
  await page.getByRole('radio', { name: expiration }).check();
  await page.getByRole('button', { name: 'Rotate API key' }).click();
  await page.locator('#pane-stripe li.fresh').first().waitFor({ timeout: 2000 }); // what changed is pointed at
  const value = await page.locator('#new-key-value').innerText();
  await page.getByRole('button', { name: 'Copy key' }).click();
  await page.getByLabel(/where is it stored/).fill('Infisical: prod/STRIPE_RESTRICTED_KEY');
  await page.getByRole('button', { name: 'Save note and close' }).click();
  await page.locator('#new-key-value').waitFor({ state: 'detached' }); // it is shown once
  return value;
}

test('the whole journey by clicking: command, boxes, dashboard, form, progress, summary, expiry', async (t) => {
  const { stage, visitor, page } = await arrive(t, {}, { grace: '30s', reminder_before: '20s' });
  await visitor.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('combobox', { name: 'Message or command' }).fill('/ro');
  await page.getByRole('option', { name: /^\/rotate stripe prod routine/ }).click();
  await page.getByRole('button', { name: 'Send' }).click();
  await visitor.see('Only visible to you');
  await visitor.see(/Rotation of stripe prod started/);
  await place(page, 'keyturn').first().click();
  await tickAndGo(page);
  const key = await rotateInDashboard(page, /^30 seconds/);
  stage.keys.push(key);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);

  const code = /this code: (\d{3} \d{3})/.exec(await messages(page).innerText())[1];
  const [form] = await Promise.all([visitor.context.waitForEvent('page'), messages(page).getByRole('link', { name: 'open the one-time form' }).click()]);
  await form.getByRole('heading', { name: /New key for stripe prod/ }).waitFor();
  await form.locator('#key').focus();
  await form.keyboard.press('Control+V');
  await form.getByLabel('The code in your direct message').pressSequentially(code);
  await form.getByRole('radio', { name: /as instructed/ }).check();
  await form.getByRole('button', { name: 'Hand over the key' }).click();
  await form.getByText('Fingerprint').waitFor();
  await form.getByRole('heading', { name: /billing runs on the new key|Complete|old key/i }).first().waitFor();

  await place(page, 'billing-ops').click();
  await messages(page).getByText(/STRIPE_RESTRICTED_KEY is rotated/).waitFor({ timeout: 30000 });
  await world(page, /Infisical/).click();
  await page.getByRole('tabpanel', { name: /Infisical/ }).getByText('rotated by Keyturn').waitFor();
  await world(page, /Heroku/).click();
  await page.getByRole('tabpanel', { name: /Heroku/ }).getByText('v42').first().waitFor();
  await messages(page).getByText(/Anything that still uses it will fail then/).waitFor({ timeout: 30000 });
  await messages(page).getByText(/The old key of stripe prod is dead/).waitFor({ timeout: 60000 });
  await form.getByRole('heading', { name: 'Done' }).waitFor();
  await place(page, 'Keyturn home').click();
  await messages(page).getByText('Your rotations').waitFor();
  assert.equal((await stage.entry('secret.rotate.new_key.received')).actor, 'U0ADMIN');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  visitor.assertCalm();
});

test('a command can be sent with the keyboard alone, and completed on the way', async (t) => {
  const { stage, page, visitor } = await arrive(t);
  await page.keyboard.press('Tab');
  for (let i = 0; i < 30 && await page.evaluate(() => document.activeElement.id) !== 'line'; i++) await page.keyboard.press('Tab');
  await page.keyboard.type('/rotate st');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.locator('#suggestions [aria-selected=true]').count(), 1);
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#line').inputValue(), '/rotate status');
  await page.keyboard.press('Enter');
  await visitor.see(/stripe prod.*never rotated by Keyturn/);
  assert.ok(!(await stage.actions()).includes('secret.rotate.started'));
});

test('what is ticked survives edits of its message, and others see only what is theirs', async (t) => {
  const { stage, page, visitor } = await arrive(t);
  await type(page, '/rotate stripe prod');
  await place(page, 'keyturn').first().click();
  await messages(page).getByText('What only you can check').waitFor();
  const first = messages(page).getByRole('checkbox').first();
  await first.check();
  await stage.command('status'); // something happens, and the page is drawn anew
  await page.waitForTimeout(500);
  assert.ok(await first.isChecked());
  await page.getByLabel('You are').selectOption('U0MEMBER');
  assert.equal(await messages(page).getByRole('checkbox').count(), 0, 'a member sees no other person’s direct messages');
  await place(page, 'billing-ops').click();
  await visitor.see(/Rotation of stripe prod/);
  assert.equal(await page.getByText('Only visible to you').count(), 0);
});

test('the other systems show what a fault makes of them, and everything can be mended', async (t) => {
  const { stage, page, visitor } = await arrive(t);
  await world(page, /Break things/).click();
  await page.getByRole('button', { name: 'Break: Values hidden' }).click();
  await page.getByRole('button', { name: 'Break: Slow' }).click();
  await visitor.see(/Active: .*stripe: delay/);
  await type(page, '/rotate stripe prod');
  await place(page, 'keyturn').first().click();
  await messages(page).getByText(/Infisical hides the value/).first().waitFor();
  await page.getByRole('button', { name: 'Mend everything' }).click();
  await visitor.see('Break one thing at a time');
  assert.deepEqual((await stage.state()).stripe.faults, []);
  await type(page, '/rotate stripe prod');
  await messages(page).getByText('What only you can check').waitFor();
});

for (const colorScheme of ['light', 'dark']) {
  test(`every tab and place is accessible, ${colorScheme}, and nothing scrolls sideways on a phone`, async (t) => {
    const { page, visitor } = await arrive(t, { colorScheme });
    await type(page, '/rotate stripe prod');
    await place(page, 'keyturn').first().click();
    await messages(page).getByText('What only you can check').waitFor();
    for (const name of [/Stripe/, /Infisical/, /Heroku/, /Billing/, /Break things/]) {
      await world(page, name).click();
      await visitor.assertAccessible(`${name} ${colorScheme}`);
    }
    await place(page, 'Keyturn home').click();
    await messages(page).getByText('Your rotations').waitFor();
    await visitor.assertAccessible(`home ${colorScheme}`);
    await page.setViewportSize(phone.viewport);
    await place(page, 'keyturn').first().click();
    for (const side of ['Chat', 'Other systems']) {
      assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight), 'the panes scroll, the page does not');
      await page.getByRole('button', { name: side }).click();
      await visitor.assertNoSidewaysScroll(side);
      await visitor.assertAccessible(`${side} ${colorScheme}, on a phone`);
    }
    visitor.assertCalm();
  });
}

// ---- drills

const drillPane = (page) => page.getByRole('tabpanel', { name: /Break things/ });
async function startDrill(page, how) {
  await world(page, /Break things/).click();
  await drillPane(page).getByRole('button', { name: how }).click();
}
const score = (page, title, word) => drillPane(page).getByRole('heading', { name: `${title} ${word}` }).waitFor({ timeout: 90000 });

test('three drills from the panel: one played, one by hand, one given up', async (t) => {
  const { stage, page, visitor } = await arrive(t, {}, { grace: '12s' });
  await startDrill(page, 'Play it: The operator clicked Now');
  await visitor.see('Watch for');
  await visitor.assertAccessible('a drill that runs');
  assert.ok(await drillPane(page).getByRole('button', { name: 'Play it: A calm rotation' }).isDisabled(), 'one at a time');
  await score(page, 'The operator clicked Now', 'passed');
  await drillPane(page).getByText(/Transcript/).click();
  await drillPane(page).getByText(/did not notice/).waitFor();
  await place(page, 'billing-ops').click();
  await messages(page).getByText(/died early/).first().waitFor();
  await visitor.assertAccessible('a drill that is over');

  await startDrill(page, 'I’ll do it: Somebody changed it by hand');
  await drillPane(page).getByRole('heading', { name: 'Your steps' }).waitFor();
  await type(page, '/rotate stripe prod');
  await score(page, 'Somebody changed it by hand', 'passed');
  assert.equal(await drillPane(page).getByText('does not hold: ').count(), 0);

  await startDrill(page, 'I’ll do it: A calm rotation');
  await page.getByRole('button', { name: 'Stop the drill' }).click();
  await score(page, 'A calm rotation', 'stopped');
  assert.equal((await stage.state()).drill.running, false);
  visitor.assertCalm();
});

test('a dead key is recovered by clicking: the form asks for no expiration', async (t) => {
  const { stage, visitor, page } = await arrive(t);
  await startDrill(page, 'I’ll do it: The key is dead already');
  await drillPane(page).getByRole('heading', { name: 'Your steps' }).waitFor();
  await type(page, '/rotate stripe prod');
  await place(page, 'keyturn').first().click();
  await messages(page).getByText(/Stripe refuses the current key, so there is nothing to rotate/).waitFor();
  await tickAndGo(page);
  await messages(page).getByText(/Not Rotate key: a dead key can't be rotated/).waitFor();
  await world(page, /Stripe/).click();
  await page.getByRole('button', { name: 'Create restricted key…' }).click();
  await page.getByRole('button', { name: 'This account' }).click();
  const value = await page.locator('#new-key-value').innerText();
  await page.getByLabel(/where is it stored/).fill('Infisical: prod/STRIPE_RESTRICTED_KEY');
  await page.getByRole('button', { name: 'Save note and close' }).click();
  stage.keys.push(value);
  const code = /this code: (\d{3} \d{3})/.exec(await messages(page).innerText())[1];
  const [form] = await Promise.all([visitor.context.waitForEvent('page'), messages(page).getByRole('link', { name: 'open the one-time form' }).click()]);
  await form.getByText('Billing fails until the fresh one is in place').waitFor();
  assert.equal(await form.getByRole('radio').count(), 0, 'no expiration is asked for');
  assert.equal(await form.getByLabel(/When you clicked/).filter({ visible: true }).count(), 0);
  await form.locator('#key').fill(value);
  await form.getByLabel('The code in your direct message').pressSequentially(code);
  await form.getByRole('button', { name: 'Hand over the key' }).click();
  await form.getByText('Fingerprint').waitFor();
  assert.equal(await form.getByText('Old key expires').filter({ visible: true }).count(), 0);
  await world(page, /Break things/).click();
  await score(page, 'The key is dead already', 'passed');
  await form.getByRole('heading', { name: 'Done' }).waitFor();
});

test('values are set by hand on the pages of Infisical and Heroku', async (t) => {
  const { stage, page } = await arrive(t);
  const value = await stage.createKey({ name: 'by-hand', mode: 'live', permissions: ['customer_read'] });
  for (const [tab, label] of [[/Infisical/, 'The value in Infisical, prod'], [/Heroku/, 'The value in raxx-api-prod']]) {
    await world(page, tab).click();
    await page.getByRole('tabpanel', { name: tab }).getByRole('button', { name: 'Set by hand…' }).first().click();
    await page.getByRole('textbox', { name: label }).fill(value);
    await page.getByRole('button', { name: 'Set it' }).click();
  }
  await until('both to hold it', async () => {
    const { infisical } = await stage.state();
    const secret = infisical.secrets.find(({ environment, name }) => environment === 'prod' && name === 'STRIPE_RESTRICTED_KEY');
    return await stage.currentKey() === value && secret.versions.at(-1).tail === value.slice(-6);
  });
});

test('a release that is rolled back at Heroku brings the old key back, and one click in the channel gives the new one again', async (t) => {
  const { stage, page } = await arrive(t, {}, { drift_every: '500ms' });
  await stage.start();
  await stage.confirm();
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(await stage.link(), key)).state, 'received');
  await stage.closed();
  await place(page, 'billing-ops').click();
  await world(page, /Heroku/).click();
  await page.getByRole('button', { name: /^Roll back raxx-api-prod to v/ }).first().click();
  await messages(page).getByText('raxx-api-prod does not hold the key of stripe prod').waitFor({ timeout: 30000 });
  if (process.env.KEYTURN_PICTURES) await page.screenshot({ path: `${process.env.KEYTURN_PICTURES}/drift.png` });
  await messages(page).getByRole('button', { name: 'Give it the stored key' }).click();
  await page.getByRole('button', { name: 'Yes', exact: true }).click();
  await messages(page).getByText('Put right').waitFor({ timeout: 30000 });
  if (process.env.KEYTURN_PICTURES) await page.screenshot({ path: `${process.env.KEYTURN_PICTURES}/drift-end.png` });
  assert.equal(await stage.currentKey(), key);
});
