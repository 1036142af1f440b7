// After "received": the page follows the rotation to its end, through a bad network and a reload, asks no more than it has
// to, and leaves nothing behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../end_to_end/support/process.mjs';
import { answerWith, closedWell, givenUp, inGrace, propagating } from './support/canned.mjs';
import { House } from './support/house.mjs';
import { launch, Visitor } from './support/visitor.mjs';

let house, browser, link;
before(async () => {
  house = await House.open();
  ({ link } = await house.realLook());
  browser = await launch();
});
after(async () => {
  await browser.close();
  await house.close();
});

// Somebody whose link is spent, with these answers to come.
async function follow(t, ...answers) {
  const visitor = await Visitor.arrive(browser);
  t.after(() => visitor.leave());
  await answerWith(visitor, 'look', { state: 'used', follow: true });
  await answerWith(visitor, 'progress', ...answers);
  await visitor.open(link);
  await visitor.heading('The key was received');
  return visitor;
}
const asked = (visitor) => visitor.sent('/form/progress').length;
const stored = ({ page }) => page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));
const soon = { ...propagating, next_seconds: 1 };

test('a lost network is said calmly, asked again ever more slowly, and forgotten once it is back', async (t) => {
  const visitor = await follow(t, soon, 'lost', { status: 503, state: 'unavailable' }, { status: 429, state: 'limited' }, inGrace);
  const { page } = visitor;
  const times = [];
  page.on('request', (request) => { if (request.url().endsWith('/form/progress')) times.push(Date.now()); });
  await visitor.see(/No answer since .* Looking again in 2 seconds/);
  await visitor.heading('Propagating the new key'); // what was known stays
  await visitor.see(/Looking again in 4 seconds/);
  await visitor.heading(/Complete/);
  assert.equal(await page.getByText('No answer since').filter({ visible: true }).count(), 0);
  const pauses = times.map((time, i) => time - times[i - 1]).slice(-3);
  assert.ok(pauses[0] >= 1900 && pauses[1] >= 3900 && pauses[2] >= 7900, `${pauses}`);
});

test('who comes back to the page, or to the network, doesn’t wait for the next look', async (t) => {
  const visitor = await follow(t, { ...propagating, next_seconds: 60 }, closedWell);
  await visitor.heading('Propagating the new key');
  await visitor.page.evaluate(() => dispatchEvent(new Event('online')));
  await visitor.heading('Done');
});

test('at the end the page stops looking and keeps nothing, so that a reload finds no link', async (t) => {
  for (const end of [closedWell, givenUp]) {
    const visitor = await follow(t, soon, soon, end);
    await until('the token to be kept for a reload', async () => (await stored(visitor)).includes(link.token));
    await visitor.heading(end === closedWell ? 'Done' : 'Closed');
    const before = asked(visitor);
    await until('the token to be forgotten', async () => await stored(visitor) === '{}');
    await visitor.page.waitForTimeout(1500);
    assert.equal(asked(visitor), before);
    await visitor.page.reload();
    await visitor.heading('This page needs its link');
  }
});

test('a reload on the way goes on following, without the link in the address bar', async (t) => {
  const visitor = await follow(t, soon);
  await visitor.heading('Propagating the new key');
  await visitor.page.reload();
  await visitor.heading('The key was received');
  await visitor.heading('Propagating the new key');
  assert.equal(visitor.page.url(), link.address);
  assert.equal(visitor.sent('/form/look').length, 1, 'the spent link is not looked at again');
});

test('a server that doesn’t know the rotation any more is not asked again', async (t) => {
  const visitor = await follow(t, soon, { state: 'unknown' });
  await visitor.see(/doesn’t show this rotation here any more/);
  const before = asked(visitor);
  await visitor.page.waitForTimeout(1500);
  assert.equal(asked(visitor), before);
  assert.equal(await stored(visitor), '{}');
});

test('whatever the server says, it is asked once a second at most, and its words are never markup', async (t) => {
  const markup = '<img src=x onerror=alert(1)><b>bold</b>';
  const visitor = await follow(t, { ...propagating, next_seconds: 0, headline: markup, billing: markup, lines: [{ mark: '<b>', text: markup }] });
  await visitor.see(markup);
  assert.equal(await visitor.page.locator('main img, main b').count(), 0);
  const timesOfLooks = () => visitor.page.evaluate(() => performance.getEntriesByType('resource')
    .filter(({ name }) => name.endsWith('/form/progress')).map(({ startTime }) => startTime));
  await until('four looks', async () => (await timesOfLooks()).length >= 4);
  const looks = await timesOfLooks();
  for (let i = 1; i < looks.length; ++i) assert.ok(looks[i] - looks[i - 1] >= 990, `looked at ${looks}`);
  visitor.assertCalm();
});
