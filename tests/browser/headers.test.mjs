// The headers around the form: of the page, of every file that it loads, and of what it is answered.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../end_to_end/support/process.mjs';
import { House } from './support/house.mjs';
import { launch, Visitor } from './support/visitor.mjs';

let house, browser;
before(async () => {
  house = await House.open();
  browser = await launch();
});
after(async () => {
  await browser.close();
  await house.close();
});

const types = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };

test('everything that the page loads comes from the bot, with its policy, and is kept by no cache', async () => {
  const visitor = await Visitor.arrive(browser);
  const answers = [];
  visitor.page.on('response', (response) => answers.push(response));
  const { link } = await house.realLook();
  await visitor.open(link);
  await visitor.heading(/New key for/);
  const paths = answers.map((response) => new URL(response.url()).pathname);
  for (const wanted of ['/form', '/form/form.js', '/form/hpke.js', '/form/style.css', '/form/look']) assert.ok(paths.includes(wanted), wanted);
  for (const [i, response] of answers.entries()) {
    const path = paths[i], headers = response.headers();
    assert.ok(response.url().startsWith(house.stage.places.form), response.url());
    assert.equal(response.status(), 200, path);
    const policy = Object.fromEntries(headers['content-security-policy'].split('; ').map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1).join(' ')]));
    assert.deepEqual(policy, { 'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'", 'connect-src': "'self'", 'form-action': "'none'",
      'base-uri': "'none'", 'frame-ancestors': "'none'", 'require-trusted-types-for': "'script'", 'trusted-types': "'none'" }, path);
    for (const [name, value] of [['cache-control', 'no-store'], ['referrer-policy', 'no-referrer'], ['x-content-type-options', 'nosniff'],
      ['cross-origin-opener-policy', 'same-origin'], ['cross-origin-resource-policy', 'same-origin']]) assert.equal(headers[name], value, `${path}: ${name}`);
    const type = response.request().method() === 'POST' ? 'application/json' : types[path.split('.')[1] ?? 'html'];
    assert.equal(headers['content-type'], type, path);
    assert.equal(headers['set-cookie'], undefined, path);
  }
  visitor.assertCalm();
  await visitor.leave();
});

test('the policy really binds: nothing from elsewhere, no markup out of text, no code out of text, no frame', async () => {
  const visitor = await Visitor.arrive(browser);
  const { page } = visitor;
  await page.goto(`${house.stage.places.form}/form`);
  const outcome = await page.evaluate(async (elsewhere) => {
    // Later: while the devtools' own call goes on, the policy doesn't bind.
    const refused = (act) => new Promise((resolve) => setTimeout(async () => {
      try { await act(); resolve(false); } catch { resolve(true); }
    }));
    return {
      markup: await refused(() => { document.querySelector('main').innerHTML = '<b>markup</b>'; }),
      code: await refused(() => (0, eval)('1')),
      elsewhere: await refused(() => fetch(elsewhere, { mode: 'no-cors' })),
    };
  }, house.stage.places.control);
  assert.deepEqual(outcome, { markup: true, code: true, elsewhere: true });
  const noticed = () => visitor.complaints.some((text) => /policy violated: connect-src/.test(text));
  await until('these tests to notice a violation', noticed);
  await visitor.leave();

  const framing = await Visitor.arrive(browser);
  await framing.page.setContent(`<iframe src="${house.stage.places.form}/form"></iframe>`);
  await framing.page.waitForTimeout(500);
  const [, frame] = framing.page.frames();
  assert.equal(await frame.locator('#loading').count(), 0, 'the form shows itself in a frame');
  await framing.leave();
});
