// Every state that the form's page has (support/states.mjs): calm, within its policy, accessible, and readable on a phone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House } from './support/house.mjs';
import { states } from './support/states.mjs';
import { launch, phone, Visitor } from './support/visitor.mjs';

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

// What the browser itself notes when an answer says no or never comes: the state is about just that.
const expected = /^Failed to load resource: (the server responded with a status of (4\d\d|503)|net::ERR_CONNECTION_RESET)/;

async function inState(name, options, judge) {
  const visitor = await Visitor.arrive(browser, { reducedMotion: 'reduce', ...options });
  try {
    await states[name](visitor, real.link, real.look);
    await judge(visitor);
    assert.deepEqual(visitor.complaints.filter((text) => !expected.test(text)), [], name);
  } finally {
    await visitor.leave();
  }
}

test('every state keeps its policy, complains of nothing, and has no fault that axe knows, light and dark, on any screen', async () => {
  assert.ok(Object.keys(states).length >= 35);
  for (const name of Object.keys(states)) {
    await inState(name, {}, async (visitor) => {
      await visitor.assertAccessible(`${name}, light`);
      await visitor.page.emulateMedia({ colorScheme: 'dark' });
      await visitor.assertAccessible(`${name}, dark`);
      // A phone, the narrowest screen there is, and 200 % of a window of 1024 px.
      for (const width of [phone.viewport.width, 320, 512]) {
        await visitor.page.setViewportSize({ width, height: 640 });
        await visitor.assertNoSidewaysScroll(`${name}, ${width} px`);
      }
    });
  }
});

test('every control of the form is reached with the Tab key, and one sees where one is', async () => {
  await inState('filled in', {}, async ({ page }) => {
    await page.evaluate(() => document.activeElement?.blur());
    const reached = new Set();
    for (let i = 0; i < 25; i++) {
      await page.keyboard.press('Tab');
      const { id, name, outline } = await page.evaluate(() => {
        const { activeElement: it } = document;
        return { id: it.id, name: it.name, outline: getComputedStyle(it).outlineStyle };
      });
      if (id || name) assert.notEqual(outline, 'none', `the focus on ${id || name} can’t be seen`);
      reached.add(id || name);
    }
    for (const wanted of ['key', 'show', 'code', 'grace', 'rotated', 'send']) assert.ok(reached.has(wanted), `${wanted}: ${[...reached]}`);
  });
});
