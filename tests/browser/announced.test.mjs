// What the page says is true for everybody. A mistake is not only shown: a live region says it, or the focus goes to it,
// and the field names it as its description.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House } from './support/house.mjs';
import { states } from './support/states.mjs';
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

async function inState(name, judge) {
  const visitor = await Visitor.arrive(browser);
  try {
    await states[name](visitor, real.link, real.look);
    await judge(visitor);
  } finally {
    await visitor.leave();
  }
}

const said = {
  'wrong paste': /publishable key/, 'gaps': /Paste the new key/, 'wrong code': /not the code/, 'refused by the server': /in use now/, 'answer lost': /No answer came/,
  'master key': /The alarm is raised/, 'sign-in ran out': /sign-in has run out/, 'network trouble': /No answer since/, 'halted': /has crashed after the release/,
  'Now was chosen': /no way back/,
};

test('what goes wrong is said by a live region', async () => {
  for (const [name, words] of Object.entries(said)) {
    await inState(name, async ({ page }) => {
      const regions = await page.locator('[role=status], [role=alert]').filter({ visible: true }).allInnerTexts();
      assert.ok(regions.some((text) => words.test(text)), `${name}: ${JSON.stringify(regions)}`);
    });
  }
});

test('a rotation that has stopped or ended is not said to go on', async () => {
  const goesOn = ({ page }) => page.getByText(/rotation goes on without/).filter({ visible: true }).count();
  await inState('received', async (visitor) => assert.equal(await goesOn(visitor), 1));
  for (const name of ['halted', 'new key rejected', 'done', 'given up']) await inState(name, async (visitor) => assert.equal(await goesOn(visitor), 0, name));
});

test('a field with a mistake is marked, described by the sentence, and has the focus', async () => {
  for (const [name, field] of [['gaps', 'key'], ['wrong code', 'code'], ['refused by the server', 'key']]) {
    await inState(name, async ({ page }) => {
      const found = await page.evaluate(() => {
        const { activeElement: it } = document;
        const described = (it.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent).join(' ');
        return { id: it.id, invalid: it.getAttribute('aria-invalid'), described };
      });
      assert.deepEqual([found.id, found.invalid], [field, 'true'], name);
      assert.match(found.described, said[name], name);
    });
  }
});

test('every new page of the form begins with its heading in the focus, or with what comes first to do', async () => {
  const focus = { 'open': 'key', 'sign in': 'sign-in-go', 'expired': 'closed-title', 'received': 'received-title', 'answer lost': 'answer' };
  for (const [name, id] of Object.entries(focus)) {
    await inState(name, async ({ page }) => assert.equal(await page.evaluate(() => document.activeElement.id), id, name));
  }
});
