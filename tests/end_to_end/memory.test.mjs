// What the bot still holds in its memory once it needs it no more: no key, in no form, anywhere. Also over TLS, whose
// library keeps buffers of its own, and on the ways that fail, which leave by another door.
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { readFile } from 'node:fs/promises';
import { describe, it as test } from 'node:test';
import { ops, Stage } from './support/stage.mjs';
import { library } from './support/faults.mjs';
import { searchMemory, traces } from './support/memory.mjs';
import { until } from './support/process.mjs';
import { makeCertificate, wireUp } from './support/wire.mjs';

// A sanitizer's allocator keeps what was freed. (Only root may look into a process that is not dumpable: for anybody else
// these tests fail.)
const skip = /asan|tsan/.test(process.env.KEYTURN_BUILD ?? '') ? 'a sanitizer keeps freed memory' : false;

async function assertForgotten(stage, keys) {
  const needles = [...new Set(keys.flatMap(traces))];
  let places;
  // What is on its way at this moment (a proof is taken every few hundred milliseconds) is no leak: what stays is.
  for (let look = 0; look < 4; look++) {
    const found = await searchMemory(stage.bot.pid, needles);
    stage.count('bytes searched', found.bytes);
    places = found.hits.map(({ at, region, around }) => `${at.toString(16)} in ${region}: ${around}`);
    if (places.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  assert.deepEqual(places, [], 'a key is left in memory');
}

async function opened(t, settings) {
  const stage = await Stage.open({ settings });
  t.after(() => stage.close());
  return stage;
}

// To the point where the form waits.
async function readyForTheKey(stage) {
  stage.old = await stage.currentKey();
  await stage.start();
  await stage.confirm();
  return stage.link();
}

// They mostly wait, so some run at a time.
describe('the memory of the bot', { concurrency: 3 }, () => {
  test('the search finds what the bot does hold', { skip }, async (t) => {
    const stage = await opened(t);
    await stage.startBot();
    const token = (await readFile(`${stage.folder}/secrets/heroku-token`, 'utf8')).trim();
    const { hits } = await searchMemory(stage.bot.pid, [token]);
    assert.ok(hits.length > 0, 'what the bot needs all the time is in its memory');
  });

  // The rotation of the next test, of a bot that wipes nothing: what isn't wiped, the search sees.
  test('the search finds both keys in a bot that wipes nothing', { skip }, async (t) => {
    const stage = await opened(t);
    await stage.startBot({ env: { LD_PRELOAD: library('unwiped') } });
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    await stage.closed();
    const left = await Promise.all([stage.old, key].map(async (each) => (await searchMemory(stage.bot.pid, traces(each))).hits.length));
    t.diagnostic(`traces of the old and the new key: ${left}`);
    assert.ok(left[0] > 0 && left[1] > 0, `${left}`);
  });

  test('while it waits out the grace, and after the close, neither key is in memory', { skip }, async (t) => {
    const stage = await opened(t);
    await stage.startBot();
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    await stage.message(ops, /is rotated\./, 30000);
    await assertForgotten(stage, [stage.old, key]);
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    await assertForgotten(stage, [stage.old, key]);
  });

  test('over TLS, with connections that are kept, neither key stays in the buffers of TLS', { skip }, async (t) => {
    const stage = await opened(t);
    const tls = makeCertificate(stage.folder, 'wire');
    await wireUp(stage, ['stripe', 'infisical', 'heroku', 'billing'], { tls });
    t.after(() => Object.values(stage.wires).forEach((wire) => wire.close()));
    await stage.rewrite((text) => text.replace('[form]\n',
      `[form]\ncertificate_file = "${tls.certificate}"\nprivate_key_file = "${tls.privateKey}"\n`)
      .replace(/public_url = "http:/, 'public_url = "https:'));
    const ca = await readFile(tls.certificate);
    stage.send = (url, body) => new Promise((resolve, reject) => {
      request(url, { method: 'POST', ca, headers: { 'content-type': 'application/json' } }, async (answer) => {
        let text = '';
        for await (const piece of answer) text += piece;
        resolve({ status: answer.statusCode, text });
      }).on('error', reject).end(body);
    });
    await stage.startBot();
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    await stage.message(ops, /is rotated\./, 30000);
    await assertForgotten(stage, [stage.old, key]);
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    for (const [name, wire] of Object.entries(stage.wires)) assert.ok(wire.connections > 0, `${name} went over its wire`);
    await assertForgotten(stage, [stage.old, key]);
  });

  test('a paste that is refused is forgotten at once, and so is a master key', { skip }, async (t) => {
    const stage = await opened(t);
    await stage.startBot();
    const link = await readyForTheKey(stage);
    const tail = '51MjKpQAnv7Xo2' + 'c9Z'.repeat(28);
    const wrong = [`rk_te${'st_'}${tail}`, `pk_li${'ve_'}${tail}`, `wh${'sec_'}${tail}`, `not a key at all ${tail}`];
    for (const paste of wrong) assert.equal((await stage.submit(link, paste)).state, 'refused');
    stage.keys.push(tail);
    await assertForgotten(stage, [tail]);
    const master = `sk_li${'ve_'}${'q8T'.repeat(32)}`;
    stage.keys.push(master);
    assert.equal((await stage.submit(link, master)).alarm, true);
    await assertForgotten(stage, [master, tail]);
  });

  test('answers that break off in the middle of a key, and errors on a write, leave nothing', { skip }, async (t) => {
    const stage = await opened(t);
    const wires = await wireUp(stage, ['infisical', 'heroku']);
    t.after(() => Object.values(wires).forEach((wire) => wire.close()));
    await stage.startBot();
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    wires.infisical.become({ kind: 'cut', bytes: 700 });
    wires.heroku.become({ kind: 'cut', bytes: 600 });
    assert.equal((await stage.submit(link, key)).state, 'received');
    await until('an answer to break off', () => wires.infisical.hurt > 3);
    await assertForgotten(stage, [stage.old, key]);
    wires.infisical.become({ kind: 'good' });
    await until('an answer of Heroku to break off', () => wires.heroku.hurt > 3);
    await assertForgotten(stage, [stage.old, key]);
    wires.heroku.become({ kind: 'good' });
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    await assertForgotten(stage, [stage.old, key]);
  });

  test('a rotation that stops and is given up leaves neither key', { skip }, async (t) => {
    const stage = await opened(t);
    await stage.startBot();
    const link = await readyForTheKey(stage);
    const key = await stage.rotateInDashboard(7);
    await stage.act('/fault', { system: 'heroku', kind: 'status', method: 'PATCH', path: '/apps', status: 422 });
    assert.equal((await stage.submit(link, key)).state, 'received');
    await until('the rotation to stop', async () => (await stage.actions()).includes('secret.rotate.halted'));
    await assertForgotten(stage, [stage.old, key]);
    await stage.command('cancel stripe prod --give-up');
    await stage.closed();
    await assertForgotten(stage, [stage.old, key]);
  });
});
