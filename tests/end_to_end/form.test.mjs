// The one-time form on real sockets: inert to whoever only looks, spent once, gone in time, and over TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { test } from 'node:test';
import { adasMessages, assertNowhere, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';

test('looking costs nothing, and of fifteen posts at once one wins', async (t) => {
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
  const answers = await Promise.all(Array.from({ length: 15 }, () => stage.submit(link, key)));
  assert.equal(answers.filter(({ state }) => state === 'received').length, 1);
  assert.equal(answers.filter(({ state }) => state === 'used').length, 14);
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
