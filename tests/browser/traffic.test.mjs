// What really leaves the browser while a key is handed over, as Chromium's network stack saw it: no key, in whatever
// disguise and in no part, and the link's token only where it belongs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../end_to_end/support/stage.mjs';
import { launch, Visitor } from './support/visitor.mjs';

// Every way that a script, a proxy or an accident could write it; and every part of 16 characters, the front excepted
// that all keys share.
function writings(key) {
  const parts = Array.from({ length: key.length - 16 - 7 }, (_, i) => key.slice(i + 8, i + 24));
  const bytes = Buffer.from(key);
  const base64 = ['', ' ', '  '].map((padding) => Buffer.from(padding + key).toString('base64').slice(4, -4));
  return [...parts, [...key].reverse().join(''), bytes.toString('hex'), bytes.toString('hex').toUpperCase(),
    [...bytes].map((byte) => `%${byte.toString(16)}`).join(''), [...bytes].map((byte) => `\\u00${byte.toString(16)}`).join(''),
    ...base64, ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))].map((text) => Buffer.from(text))
    .concat(Buffer.from(key, 'utf16le'), Buffer.from(key, 'utf16le').swap16());
}

// Everything in the devtools' own words, headers as they went over the wire, and what bodies hold, decoded once.
async function overhear(page) {
  const heard = { requests: [], sockets: 0 };
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.enable', { maxPostDataSize: 1 << 20 });
  devtools.on('Network.requestWillBeSent', ({ request }) => heard.requests.push({ url: request.url + (request.urlFragment ?? ''), method: request.method,
    headers: JSON.stringify(request.headers), body: Buffer.concat((request.postDataEntries ?? []).map(({ bytes }) => Buffer.from(bytes, 'base64'))) }));
  devtools.on('Network.requestWillBeSentExtraInfo', ({ headers }) => heard.requests.push({ url: '', method: 'extra', headers: JSON.stringify(headers), body: Buffer.alloc(0) }));
  devtools.on('Network.webSocketCreated', () => heard.sockets++);
  return heard;
}
function decoded(body) {
  const values = body.length ? Object.values(JSON.parse(body)) : [];
  return values.map((value) => Buffer.from(String(value), 'base64url'));
}
async function kept(page) {
  return page.evaluate(async () => {
    const frames = [...document.querySelectorAll('*')].flatMap((each) => [each.value, ...Object.values({ ...each.dataset })]);
    return JSON.stringify([document.documentElement.outerHTML, frames, { ...localStorage }, { ...sessionStorage }, document.cookie, history.state,
      location.href, await indexedDB.databases(), await caches.keys()]);
  });
}

test('handing over a key sends it nowhere unsealed, and keeps neither it nor the token', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const browser = await launch();
  t.after(() => browser.close());
  const visitor = await Visitor.arrive(browser);
  const { page, context } = visitor;
  const heard = await overhear(page);

  await visitor.open(link);
  await visitor.heading(/New key for/);
  assert.ok(!(await kept(page)).includes(link.token), 'an unspent token is kept');
  const key = await stage.rotateInDashboard(7);
  const all = writings(key);
  assert.ok(all.length > 30);
  await visitor.fillIn({ key, code: link.code });
  await page.waitForTimeout(300); // for whatever would be sent as one types
  const before = heard.requests.filter(({ method }) => method === 'POST').length;
  assert.equal(before, 1, 'only the look was sent so far');
  await visitor.handOver();
  await visitor.see('Fingerprint');
  await page.getByRole('heading', { name: /complete|Watching|Verifying|Done/i }).first().waitFor();

  const posts = heard.requests.filter(({ method }) => method === 'POST');
  assert.ok(posts.some(({ url, body }) => url.endsWith('/form/submit') && body.length > 1000), 'the sealed key was overheard');
  assert.ok(heard.requests.some(({ method }) => method === 'extra'));
  for (const { method, url, headers, body } of heard.requests) {
    for (const bytes of [Buffer.from(url), Buffer.from(headers), body, ...decoded(body)]) {
      for (const writing of all) assert.ok(!bytes.includes(writing), `${method} ${url} carries the key as ${writing.length} bytes`);
    }
    // The devtools tell the fragment of the first request; no server is told it.
    assert.ok(!(headers + url.split('#')[0]).includes(link.token), `${method} ${url.split('#')[0]} carries the token`);
    if (method === 'POST') assert.equal(JSON.parse(body).token, link.token);
    if (url) assert.ok(url.startsWith(link.address), `another place is asked: ${url}`);
  }
  assert.equal(heard.sockets, 0);

  // What stays: nothing of the key, and the token (spent now) for following in this tab alone.
  const left = Buffer.from(await kept(page));
  for (const writing of all) assert.ok(!left.includes(writing), 'the page still holds the key');
  const state = JSON.stringify(await context.storageState({ indexedDB: true }));
  assert.ok(!state.includes(link.token));
  assert.deepEqual(JSON.parse(state), { cookies: [], origins: [] });
  const log = stage.bot.errors + stage.bot.output;
  assert.ok(log.length > 0 && !log.includes(link.token), 'the bot logs the token');
  visitor.assertCalm();
});
