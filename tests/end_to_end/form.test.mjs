// The one-time form on real sockets: inert to whoever only looks, spent once, gone in time, and over TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import { test } from 'node:test';
import { ada, adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, assertUntouched, oneRotation, since, snapshot } from './support/world.mjs';

test('looking costs nothing, and of sixty posts at once one wins', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.ok(link.token.length >= 43, '256 bits');
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const path of ['', '/submit', '/look']) await fetch(link.address + path, { method });
  }
  const page = await fetch(link.address);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-security-policy'), /default-src 'none'/);
  assert.equal(page.headers.get('cache-control'), 'no-store');
  assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
  assert.equal((await stage.look(link)).state, 'open');

  const key = await stage.rotateInDashboard(7);
  // As many connections as one address is given, nearly.
  const sealed = await Promise.all(Array.from({ length: 60 }, () => stage.seal(link, key)));
  const answers = await Promise.all(sealed.map((message) => stage.post(link, 'submit', message)));
  assert.equal(answers.filter(({ state }) => state === 'received').length, 1);
  assert.ok(answers.some(({ state }) => state === 'used'));
  assert.ok(answers.every(({ state }) => ['received', 'used', 'limited'].includes(state)));
  const received = (await stage.actions()).filter((action) => action === 'secret.rotate.new_key.received');
  assert.equal(received.length, 1);
  // Only the hash of the token is anywhere but in the link itself, and that is taken out of the message.
  await until('the link to be gone', async () =>
    !(await stage.messages(adasMessages)).some(({ all }) => all.includes(link.token)));
  const artefacts = (await stage.artefacts()).filter(([name]) => name !== 'slack traffic');
  for (const [name, bytes] of artefacts) assert.ok(!bytes.includes(link.token), `the token stands in: ${name}`);
});

test('a link dies of age, and its successor works', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replaceAll('[target.timing]', '[target.timing]\nform_life = "1s"'));
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  await until('the link to expire', async () => (await stage.look(link)).state === 'expired');
  assert.equal((await stage.submit(link, 'anything')).state, 'expired');
  const status = await stage.message(adasMessages, /link has expired. Ask for a new one/);
  await stage.click(status, 'rotation_new_link');
  const next = await stage.link(link.ts);
  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(next, key)).state, 'received');
  assert.equal((await stage.look(link)).state, 'unknown');
});

test('what the page did not seal is refused unread, and so is what was sealed for another link', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(7);
  const open = { key, grace_seconds: 7, rotated_at: new Date().toISOString(), code: link.code };
  assert.equal((await stage.post(link, 'submit', open)).status, 400);
  const foreign = await stage.seal({ ...link, token: 'another', seen: stage.look(link) }, key);
  assert.equal((await stage.post(link, 'submit', foreign)).code, 'unsealable');
  const turnedAway = await stage.entry('secret.rotate.form.turned_away');
  assert.deepEqual([turnedAway.actor, turnedAway.context.why], ['link_holder', 'unsealable']);
  assert.equal((await stage.look(link)).attempts_left, 5, 'neither cost an attempt');
  assert.equal((await stage.submit(link, key)).state, 'received');
  await assertNowhere(stage, [key]);
});

test('the link alone is not enough: the code from the direct message is asked for', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.match(link.code, /^\d{3} \d{3}$/);
  const key = await stage.rotateInDashboard(7);
  for (const code of ['', '000 000', link.code.slice(0, 6)]) {
    const answer = await stage.submit(link, key, 7, code);
    assert.equal(answer.code, 'wrong_code');
  }
  assert.equal((await stage.entry('secret.rotate.form.paste_refused')).actor, 'link_holder');
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.equal((await stage.entry('secret.rotate.new_key.received')).actor, 'U0ADMIN');
  // The code is in the operator's direct message and nowhere else, and gone from there once it was used.
  await until('the code to be gone', async () =>
    !(await stage.messages(adasMessages)).some(({ all }) => all.includes(link.code)));
  const digits = link.code.replace(' ', '');
  for (const [name, bytes] of await stage.artefacts()) {
    if (name !== 'slack traffic') assert.ok(!bytes.includes(`"${digits}"`), `the code stands in: ${name}`);
  }
});

test('a lost answer is asked for again with the same message, and the page follows the rotation to its end', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.equal((await stage.progress(link)).state, 'unknown', 'nothing to follow yet');
  const message = await stage.seal(link, await stage.rotateInDashboard(7));
  const first = await stage.post(link, 'submit', message);
  const again = await stage.post(link, 'submit', message);
  assert.equal(first.state, 'received');
  assert.deepEqual(again, first);
  assert.equal((await stage.actions()).filter((action) => action === 'secret.rotate.new_key.received').length, 1);
  assert.deepEqual((await stage.look(link)).follow, true);
  const stages = new Set();
  const last = await until('the page to be told of the end', async () => {
    const progress = await stage.progress(link);
    if (progress.state === 'limited') return false; // asked more often than the page does
    stages.add(progress.stage);
    for (const { text } of progress.lines) assert.doesNotMatch(text, /<[@!h]|`|\*/, 'plain text');
    return progress.done && progress;
  }, 40000);
  assert.equal(last.outcome, 'rotated');
  assert.match(last.headline, /proven dead/);
  assert.ok(stages.has('verifying') && stages.has('grace'), [...stages].join());
  await assertNowhere(stage, stage.keys);
});

test('with certificate files the form speaks TLS, and says so for a year', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const certificate = `${stage.folder}/form.pem`;
  const privateKey = `${stage.folder}/form.key`;
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', privateKey, '-out', certificate],
  { stdio: 'ignore' });
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace('[form]',
    `[form]\ncertificate_file = "${certificate}"\nprivate_key_file = "${privateKey}"`).replace(/public_url = "http:/, 'public_url = "https:'));
  await stage.startBot();
  const url = `${stage.places.form.replace('http:', 'https:')}/form`;
  const answer = await new Promise((resolve, reject) =>
    get(url, { ca: execFileSync('cat', [certificate]) }, resolve).on('error', reject));
  assert.equal(answer.statusCode, 200);
  assert.match(answer.headers['strict-transport-security'], /max-age=\d{8}/);
  assert.match(answer.socket.getProtocol(), /TLSv1\.[23]/);
  answer.destroy();
  await assert.rejects(fetch(`${stage.places.form}/form`), 'plain http is not answered');
  await assertNowhere(stage, [await readFile(privateKey, 'utf8')].map((text) => text.split('\n')[1]));
});

// What a person's certificate program does under a bot that runs for months.
test('a renewed certificate is taken up without a restart, and who is connected goes on', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const make = (name) => {
    const [certificate, privateKey] = [`${stage.folder}/${name}.pem`, `${stage.folder}/${name}.key`];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
      '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', privateKey, '-out', certificate],
    { stdio: 'ignore' });
    return { certificate, privateKey };
  };
  const [used, renewed] = [make('used'), make('renewed')];
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace('[form]',
    `[form]\ncertificate_file = "${used.certificate}"\nprivate_key_file = "${used.privateKey}"`)
    .replace(/public_url = "http:/, 'public_url = "https:'));
  await stage.startBot();
  const url = `${stage.places.form.replace('http:', 'https:')}/form`;
  const ca = [await readFile(used.certificate), await readFile(renewed.certificate)];
  const look = (agent) => new Promise((resolve, reject) => {
    get(url, { ca, agent }, (answer) => {
      const { CN } = answer.socket.getPeerCertificate().subject;
      const from = answer.socket.localPort;
      answer.resume().on('end', () => resolve({ status: answer.statusCode, CN, from }));
    }).on('error', reject);
  });
  const kept = new Agent({ keepAlive: true, maxCachedSessions: 0 });
  t.after(() => kept.destroy());
  const fresh = () => look(new Agent({ maxCachedSessions: 0 }));
  const first = await look(kept);
  assert.equal(first.CN, 'used');

  await rename(renewed.certificate, used.certificate); // the key follows: until then they don't fit
  assert.deepEqual([(await fresh()).CN, (await fresh()).status], ['used', 200]);
  await rename(renewed.privateKey, used.privateKey);
  assert.deepEqual([(await fresh()).CN, (await fresh()).status], ['renewed', 200]);
  assert.deepEqual(await look(kept), first, 'the same connection');
  assert.ok(!stage.bot.ended);
});

// ---- What is pasted. Sent as a program would that has no page in front of it: the server's own words, not the page's.
async function asked(t) {
  const stage = await Stage.open({ settings: { grace: '60s' } });
  t.after(() => stage.close());
  await stage.startBot();
  const atFirst = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  link.seen = stage.look(link); // once, as a page does
  await link.seen;
  return { stage, link, atFirst };
}

// Refused to the operator's face, with its code in the journal; nobody else hears of it, no vendor is asked about it, and
// the link is as good as before.
async function assertPasteRefused({ stage, link }, pasted, code, words, left) {
  const before = await snapshot(stage);
  const answer = await stage.submit(link, pasted);
  assert.deepEqual([answer.state, answer.code, answer.alarm, answer.attempts_left], ['refused', code, false, left]);
  assert.match(answer.sentence, words);
  const now = await since(stage, before);
  assert.deepEqual(now.journal.map(({ action, actor, context }) => ({ action, actor, context })),
    [{ action: 'secret.rotate.form.paste_refused', actor: ada, context: { code, attempts_left: left } }]);
  assert.deepEqual([now.said, now.asked], [[], 0]);
  assertUntouched(before.state, now.state);
  assert.equal((await stage.look(link)).state, 'open');
}
async function assertGoesOn({ stage, link, atFirst }, pasted, key) {
  assert.equal((await stage.submit(link, pasted, 60)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal(await stage.currentKey(), key);
  assert.deepEqual((await since(stage, atFirst)).writes, oneRotation);
  await assertNowhere(stage, stage.keys);
}

test('the old key that is pasted again is named, and so are two keys at once; the link is not spent', async (t) => {
  const at = await asked(t);
  const { stage } = at;
  const old = await stage.currentKey();
  const key = await stage.rotateInDashboard(60);
  await assertPasteRefused(at, old, 'same_key',
    /^This is the key that is in use now\. Paste the new one, which the dashboard shows once, right after "Rotate API key"\.$/, 4);
  await assertPasteRefused(at, `${old}\n${key}`, 'several', /^This is more than one word or line; paste only the key, a key that starts with rk_live_\.$/, 3);
  await assertPasteRefused(at, old + key, 'several', /more than one word or line/, 2);
  await assertGoesOn(at, key, key);
  await assertNowhere(stage, [old]);
});

test('an organization key, a masked one, a cut one and a setting are each named in words, and nothing is spent', async (t) => {
  const at = await asked(t);
  const key = await at.stage.rotateInDashboard(60);
  const organization = `sk_${'org'}_${'live'}_${'Ab3'.repeat(33)}`;
  const wrong = [
    [organization, 'organization_key', /^This is an organization key \(sk_org\); copy the restricted key of the account instead/],
    [`rk_live_****${key.slice(-4)}`, 'masked', /^This is the masked display of a key; click the value in the dashboard to copy the whole key/],
    [key.slice(0, 20), 'truncated', /^This is only the beginning of a key; click the value in the dashboard to copy the whole key/],
    [`STRIPE_RESTRICTED_KEY=${key}`, 'assignment', /^This is a setting \(NAME=value\); paste only the value/],
  ];
  for (const [i, [pasted, code, words]] of wrong.entries()) await assertPasteRefused(at, pasted, code, words, 4 - i);
  await assertGoesOn(at, key, key);
  await assertNowhere(at.stage, [organization]);
});

test('a key that comes with quotes, zero-width characters and a line break around it is tidied, and rotated to', async (t) => {
  const at = await asked(t);
  const key = await at.stage.rotateInDashboard(60);
  const pasted = `\ufeff \u201c\u200b"${key.slice(0, 30)}\u200b${key.slice(30)}"\u200d\u201d\u00a0\r\n`;
  await assertGoesOn(at, pasted, key);
  const { context } = await at.stage.entry('secret.rotate.new_key.received');
  assert.doesNotMatch(JSON.stringify(context), /rk_/);
  assert.ok(!(await at.stage.actions()).some((action) => /paste_refused|rejected|halted/.test(action)));
});

test('a link that is opened twice, and by a crawler, is journaled and shown, and still takes the key', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const atFirst = await snapshot(stage);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const before = await snapshot(stage);
  const opened = async () => (await since(stage, before)).journal;
  for (const method of ['GET', 'HEAD']) await fetch(link.address, { method }); // what a crawler sees: the token is not in it
  assert.deepEqual(await opened(), []);
  for (const channel of [ops, adasMessages]) assert.ok(!(await stage.messages(channel)).some(({ all }) => /form opened/.test(all)));

  for (const times of [0, 1]) {
    const { state, opened_before: those } = await stage.look(link);
    assert.equal(state, 'open');
    assert.equal(those.length, times, 'whoever looks is told who has looked before');
  }
  const entries = await opened();
  assert.deepEqual(entries.map(({ action, actor, context }) => [action, actor, Object.keys(context)]),
    Array(2).fill(['secret.rotate.form.opened', 'link_holder', ['peer']]));
  for (const channel of [ops, adasMessages]) {
    const { all } = await stage.message(channel, /\(form opened\)/);
    assert.match(all, /<@U0ADMIN> rotates the key in the dashboard and pastes the new one into the form \(form opened\)/);
  }
  const now = await since(stage, before);
  assert.deepEqual(now.said, [], 'in the messages that stood there');
  assertUntouched(before.state, now.state);

  const key = await stage.rotateInDashboard(7);
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.equal((await stage.closed()).context.outcome, 'rotated');
  await assertRotatedOnce(stage, atFirst, key);
  await assertNowhere(stage, stage.keys);
});
