// The form under a crowd: whoever holds thousands of connections open, or sends them byte by byte, keeps no operator
// from handing over a key, and costs the bot a bounded amount of memory and descriptors, for as long as it lasts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { test } from 'node:test';
import { Crowd, openFiles, residentMegabytes } from './support/crowd.mjs';
import { until } from './support/process.mjs';
import { Stage } from './support/stage.mjs';

const share = 64; // connections that the form takes from one address
// Megabytes that a crowd may cost, generously. Under a sanitizer, which keeps what was freed, as many times more as its
// tests are given patience.
const memory = 200 * (process.env.KEYTURN_PATIENCE ?? 1);
const slack = 8; // descriptors that come and go with the vendors' and Slack's connections

const server = (stage) => {
  const { hostname: host, port } = new URL(stage.places.form);
  return { host, port: Number(port) };
};

async function changeForm(stage, lines) {
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace('[form]', `[form]\n${lines}`));
}

// A rotation up to the key's arrival while `crowd` is there, all of it, before and after.
async function handOverAmong(stage, crowd, t) {
  const { pid } = stage.bot;
  await crowd.complete();
  const held = await residentMegabytes(pid);
  const key = await stage.rotateInDashboard(7);
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  assert.equal((await stage.look(link)).state, 'open');
  assert.equal((await stage.submit(link, key)).state, 'received');
  assert.ok(await stage.ready(), 'ready among the crowd');
  await crowd.complete();
  assert.ok(await openFiles(pid) >= crowd.size, 'they were really there');
  t.diagnostic(`${crowd.size} connections held: ${held} MB, with a key handed over ${await residentMegabytes(pid)} MB`);
  return held;
}

async function assertLetGo(stage, before) {
  await until('the descriptors to be given back', async () => await openFiles(stage.bot.pid) <= before.files + slack);
  assert.ok(await stage.ready());
}

async function measure(stage) {
  return { files: await openFiles(stage.bot.pid), megabytes: await residentMegabytes(stage.bot.pid) };
}

test('two thousand idle connections and two hundred slow ones keep no operator out', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot({ softFileLimit: 1024 }); // a shell's, and systemd's: the bot has to raise it
  const before = await measure(stage);
  const crowd = new Crowd(server(stage), { idle: 2000, slowHeaders: 100, slowBody: 100 });
  t.after(() => crowd.leave());
  const held = await handOverAmong(stage, crowd, t);
  assert.ok(held - before.megabytes < memory, `${before.megabytes} MB, then ${held} MB`);

  await crowd.ended('slowHeaders'); // by the server, whose limit for a request's header is over
  assert.ok(crowd.answers.has('HTTP/1.1 408'), [...crowd.answers].join());
  await crowd.leave();
  await assertLetGo(stage, before);
  t.diagnostic(`before ${before.megabytes} MB, ${before.files} descriptors; after ` +
    `${await residentMegabytes(stage.bot.pid)} MB, ${await openFiles(stage.bot.pid)} descriptors`);
  await stage.closed();
});

test('one address gets its share and no more, and the others are served meanwhile', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const before = await measure(stage);
  const crowd = new Crowd(server(stage), { idle: share }, { most: share });
  t.after(() => crowd.leave());
  await crowd.complete();
  const greedy = new Crowd(server(stage), { idle: 1 }); // from the same address
  t.after(() => greedy.leave());
  await until('the one too many to be refused', () => greedy.answers.has('HTTP/1.1 503'));
  assert.ok(!greedy.answers.has('HTTP/1.1 200'));
  assert.equal(crowd.count(), share, 'those before it stay');
  assert.equal((await fetch(`${stage.places.form}/form`)).status, 200, 'another address');
  assert.equal((await fetch(`${stage.places.metrics}/healthz`)).status, 200);

  await crowd.leave();
  await greedy.complete(); // it tries again, and now there is room
  await greedy.leave();
  await assertLetGo(stage, before);
});

test('behind a proxy, whose address all connections have, there is no share', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await changeForm(stage, 'behind_proxy = true');
  await stage.startBot();
  const crowd = new Crowd(server(stage), { idle: share + 36 }, { most: share + 36 });
  t.after(() => crowd.leave());
  await crowd.complete();
  assert.deepEqual([...crowd.answers], ['HTTP/1.1 200']);
});

// The stage's own posts know no certificate of ours.
function postOverTls(stage, ca) {
  stage.post = (link, path, body) => new Promise((resolve, reject) => {
    const ask = request(`${link.address}/${path}`, { method: 'POST', ca, headers: { 'content-type': 'application/json' } },
      async (answer) => {
        let text = '';
        for await (const bytes of answer) text += bytes;
        resolve({ status: answer.statusCode, ...JSON.parse(text) });
      });
    ask.on('error', reject).end(JSON.stringify({ token: link.token, ...body }));
  });
}

test('with TLS a crowd keeps no operator out either', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const [certificate, privateKey] = [`${stage.folder}/form.pem`, `${stage.folder}/form.key`];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', privateKey, '-out', certificate],
  { stdio: 'ignore' });
  await changeForm(stage, `certificate_file = "${certificate}"\nprivate_key_file = "${privateKey}"`);
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace(/public_url = "http:/, 'public_url = "https:'));
  await stage.startBot();
  const ca = await readFile(certificate);
  postOverTls(stage, ca);
  const before = await measure(stage);
  const crowd = new Crowd({ ...server(stage), ca }, { idle: 500, slowHeaders: 40, slowBody: 40 });
  t.after(() => crowd.leave());
  const held = await handOverAmong(stage, crowd, t);
  assert.ok(held - before.megabytes < memory, `${before.megabytes} MB, then ${held} MB`);
  await crowd.leave();
  await assertLetGo(stage, before);
});
