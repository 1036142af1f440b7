// `keyturn doctor` among the emulators: a healthy world is called healthy, each fault is found and nothing else, and
// whatever it finds, nothing has changed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { until } from './support/process.mjs';
import { adasMessages, Stage } from './support/stage.mjs';
import { makeCertificate, Wire } from './support/wire.mjs';
import { holdings } from './support/world.mjs';

const random = 'Ab3'.repeat(33);

let stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

// What may be asked of each system, by method and path.
const reads = {
  slack: /^POST \/api\/(auth\.test|apps\.connections\.open|conversations\.info|users\.info|usergroups\.users\.list)$/,
  infisical: /^(GET \S+|POST \/api\/v1\/auth\/(universal-auth\/login|token\/revoke))$/,
  heroku: /^GET /,
  stripe: /^GET /,
};

// Of the folder: which files there are, and what stands in those that the doctor could have written.
async function files() {
  const found = {};
  for (const name of (await readdir(stage.folder)).sort()) {
    const bytes = await readFile(join(stage.folder, name)).catch(() => Buffer.alloc(0));
    found[name] = createHash('sha256').update(bytes).digest('hex');
  }
  return found;
}

// What stands at the vendors, without what moves by itself after a change that the test made (releases and dynos).
const kept = (state) => {
  const { heroku, ...others } = holdings(state);
  return { ...others, heroku: heroku.map(({ name, config, releases }) => ({ name, config, releases: releases.length })) };
};

// Runs it, and holds it to what it promises: only reads, and nothing has changed anywhere.
async function examined() {
  const journal = stage.bot ? await stage.journal() : undefined;
  const [state, then] = [await stage.state(), await files()];
  const result = await stage.doctor();
  const now = await stage.state();
  result.asked = {};
  for (const [system, allowed] of Object.entries(reads)) {
    // The billing app asks Stripe of its own, every now and then.
    result.asked[system] = now[system].requests.slice(state[system].requests.length)
      .map(({ method, path }) => `${method} ${path}`).filter((request) => request !== 'GET /v1/invoices');
    if (!stage.bot) for (const request of result.asked[system]) assert.match(request, allowed);
  }
  assert.deepEqual(kept(now), kept(state));
  assert.deepEqual(now.slack.channels, state.slack.channels);
  if (stage.bot) assert.deepEqual(await stage.journal(), journal);
  else assert.deepEqual(await files(), then);
  assert.equal(result.errors, '');
  return result;
}

const bad = ({ findings }) => findings.filter(({ verdict }) => verdict !== 'ok');

// Exactly these findings are not ok: [part, verdict, words].
async function finds(...expected) {
  const result = await examined();
  const found = bad(result);
  assert.equal(found.length, expected.length, result.output);
  for (const [i, [part, verdict, words]] of expected.entries()) {
    assert.deepEqual([found[i].part, found[i].verdict], [part, verdict], result.output);
    assert.match(found[i].text, words);
    assert.notEqual(found[i].remedy, '');
  }
  assert.equal(result.code, expected.some(([, verdict]) => verdict === 'wrong') ? 1 : 69, result.output);
  return result;
}

const fault = (system, knob) => stage.act('/fault', { system, ...knob });
const clear = async () => {
  for (const system of ['slack', 'infisical', 'heroku', 'stripe', 'billing']) await fault(system, { kind: 'clear' });
};

afterEach(clear);

// Changes the settings for one examination.
async function withSettings(change, examine) {
  const text = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, change(text));
  try {
    return await examine();
  } finally {
    await writeFile(stage.settings, text);
  }
}

async function healthy() {
  const result = await examined();
  assert.deepEqual(bad(result), [], result.output);
  assert.equal(result.code, 0, result.output);
  for (const part of ['Settings', 'Journal', 'Slack', 'Infisical', 'Heroku', 'Stripe', 'Billing', 'Form', 'Clock']) {
    assert.ok(result.findings.some((finding) => finding.part === part), part);
  }
  return result;
}

test('a healthy sandbox is called healthy before the bot has ever run, and nobody is written to', async () => {
  const { output, asked } = await healthy();
  assert.match(output, /journal\.db: not there yet/);
  assert.match(output, /Nothing was changed\. What no read shows/);
  assert.equal(asked.infisical.filter((request) => /login/.test(request)).length, 1);
  assert.ok(!(await readdir(stage.folder)).some((name) => name.startsWith('journal.db')));
});

test('it needs no bot to be stopped, and leaves the journal of a stopped one as it was', async () => {
  await stage.startBot();
  assert.match((await healthy()).output, /journal\.db: \d+ entries, every hash holds/);
  assert.ok(await stage.ready(), 'the bot has not noticed');
  await stage.bot.stop();
  stage.bot = undefined;
  assert.match((await healthy()).output, /journal\.db: \d+ entries, every hash holds/);
});

test('a revoked bot token is wrong, and what it hides can not be told', async () => {
  await fault('slack', { kind: 'error', method: 'auth.test', error: 'token_revoked' });
  const result = await examined();
  assert.equal(result.code, 1);
  const [token, ...rest] = bad(result);
  assert.equal(token.verdict, 'wrong');
  assert.match(token.text, /token_revoked/);
  assert.ok(rest.length >= 4 && rest.every(({ part, verdict }) => part === 'Slack' && verdict === "can't tell"), result.output);
});

test('a scope that was not granted is named, with what is lost and the refusals that come of it', async () => {
  await fault('slack', { kind: 'scopes', granted: ['app_mentions:read', 'channels:history', 'channels:read', 'chat:write',
    'commands', 'groups:history', 'groups:read', 'im:history', 'usergroups:read', 'users:read'] });
  await finds(['Slack', 'wrong', /im:write \(the operator gets no direct message/]);
});

test('a dead app-level token is found without opening a socket', async () => {
  await fault('slack', { kind: 'error', method: 'apps.connections.open', error: 'invalid_auth' });
  await finds(['Slack', 'wrong', /app-level token: .*invalid_auth/]);
});

test('a channel that the bot is not in, or that is archived', async () => {
  await withSettings((text) => text.replace('channel = "C0OPS"', 'channel = "C0RANDOM"'),
    () => finds(['Slack', 'wrong', /channel C0RANDOM: the bot is not in it/]));
  await withSettings((text) => text.replace('channel = "C0OPS"', 'channel = "C0OLDOPS"'),
    () => finds(['Slack', 'wrong', /archived/]));
  await withSettings((text) => text.replace('channel = "C0OPS"', 'channel = "C0NOWHERE"'),
    () => finds(['Slack', 'wrong', /channel_not_found/]));
});

test('superadmins who are none any more: a guest, somebody who left, somebody unknown; and an empty group', async () => {
  await withSettings((text) => text.replace('superadmins = ["U0ADMIN"', 'superadmins = ["U0GUEST", "U0GONE", "U0NOBODY"'),
    () => finds(['Slack', 'wrong', /U0GONE: .*deactivated/], ['Slack', 'wrong', /U0GUEST: A guest/],
      ['Slack', 'wrong', /U0NOBODY: .*user_not_found/]));
  await withSettings((text) => text.replace('"S0SUPER"', '"S0NONE"'), () => finds(['Slack', 'wrong', /no_such_subteam/]));
});

test('a value that Infisical hides, rotates itself, or copies onward', async () => {
  await fault('infisical', { kind: 'hidden_value' });
  const { findings } = await examined();
  assert.match(findings.find(({ part, verdict }) => part === 'Infisical' && verdict === 'wrong').text, /hides its value/);
  assert.ok(findings.some(({ part, verdict }) => part === 'Stripe' && verdict === "can't tell"));
  await clear();
  await fault('infisical', { kind: 'rotated_secret', name: 'STRIPE_RESTRICTED_KEY', environment: 'prod' });
  await finds(['Infisical', 'wrong', /rotates it itself/]);
  await clear();
  await fault('infisical', { kind: 'heroku_sync', app: 'raxx-api-staging', environment: 'prod' });
  await finds(['Infisical', 'wrong', /a rotation would be refused\. Infisical itself copies this path onward \(heroku raxx-api-staging\)/]);
  await clear();
  await fault('infisical', { kind: 'heroku_sync', app: 'raxx-api-prod', environment: 'prod' });
  const { findings: followed } = await healthy();
  assert.ok(followed.some(({ text }) => /one brings it to raxx-api-prod: a rotation writes only Infisical there/.test(text)));
});

test('a wrong client secret is tried exactly once', async () => {
  const file = join(stage.folder, 'secrets', 'infisical-client-secret');
  const right = await readFile(file);
  await writeFile(file, 'not the client secret');
  const result = await examined();
  await writeFile(file, right);
  assert.equal(result.code, 1);
  assert.deepEqual(result.asked.infisical, ['POST /api/v1/auth/universal-auth/login']);
  assert.match(bad(result)[0].text, /login: .*refused.*tried once/);
  assert.ok(!result.output.includes('not the client secret'));
  await healthy(); // the identity is not locked
});

test('an app that the token has no access to, that is gone, or that holds another key', async () => {
  await fault('heroku', { kind: 'forbidden', app: 'raxx-api-prod' });
  await finds(['Heroku', 'wrong', /app raxx-api-prod: .*no access/], ['Heroku', "can't tell", /STRIPE_RESTRICTED_KEY of raxx-api-prod/]);
  await clear();
  await fault('heroku', { kind: 'status', status: 404, path: '/apps/raxx-api-prod' });
  await finds(['Heroku', 'wrong', /app was not found/], ['Heroku', "can't tell", /not read/]);
  await clear();
  const key = await stage.currentKey();
  const other = await stage.createKey({ name: 'by-hand', mode: 'live', permissions: ['customer_read'] });
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: other });
  const drift = bad(await examined()).find(({ part }) => part === 'Heroku');
  assert.match(drift.text, /another key than in Infisical, fingerprint [0-9a-f]{4}-/);
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: key });
  await fault('heroku', { kind: 'quota', remaining: 20 });
  await finds(['Heroku', 'wrong', /rate limit: only 1\d calls/]);
});

test('a refused Heroku token', async () => {
  await fault('heroku', { kind: 'status', status: 401 });
  const result = await examined();
  assert.match(bad(result)[0].text, /token: .*refused/);
  assert.equal(result.asked.heroku.length, 1, 'nothing else was asked with it');
});

test('a vendor that is down is unknown, never well and never wrong', async () => {
  for (const system of ['slack', 'infisical', 'heroku', 'stripe']) {
    await fault(system, { kind: 'status', status: 503, html: true });
    const result = await examined();
    // Without Stripe billing itself fails, and that is seen.
    const own = bad(result).filter(({ part }) => part !== 'Billing');
    assert.ok(own.length > 0 && own.every(({ verdict }) => verdict === "can't tell"), result.output);
    assert.equal(result.code, system === 'stripe' ? 1 : 69, `${system}: ${result.output}`);
    await clear();
  }
});

test('a clock that is off by more than half a minute, by how much and by whom', async () => {
  for (const system of ['slack', 'infisical', 'heroku', 'stripe']) await fault(system, { kind: 'clock', seconds: -90 });
  await finds(['Clock', 'wrong', /(89|90|91) seconds ahead of Heroku/]);
  await clear();
  await fault('slack', { kind: 'clock', seconds: 45 });
  await finds(['Clock', "can't tell", /behind Slack, and right by/]);
});

// [certificate, private key] for this machine, whose time is over. `openssl req` has no way to say so; `openssl ca` has.
function expired() {
  const at = (file) => join(stage.folder, `late.${file}`);
  const config = ['[ca]', 'default_ca = a', '[a]', `database = ${at('index')}`, `new_certs_dir = ${stage.folder}`, 'rand_serial = yes',
    'policy = p', 'default_md = sha256', 'copy_extensions = copy', '[p]', 'commonName = supplied', ''];
  writeFileSync(at('cnf'), config.join('\n'));
  writeFileSync(at('index'), '');
  const openssl = (...words) => execFileSync('openssl', words, { stdio: 'ignore' });
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=late',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at('key'), '-out', at('csr'));
  openssl('ca', '-batch', '-config', at('cnf'), '-selfsign', '-keyfile', at('key'), '-in', at('csr'), '-out', at('pem'), '-notext',
    '-startdate', '20200101000000Z', '-enddate', '20200201000000Z');
  return [at('pem'), at('key')];
}

test("the form's certificate: expired, for another name, with another key, not there", async () => {
  const make = (name, days, names) => {
    const at = (file) => join(stage.folder, `${name}.${file}`);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', days,
      '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-keyout', at('key'), '-out', at('pem')], { stdio: 'ignore' });
    return [at('pem'), at('key')];
  };
  const [good, key] = make('good', '90', 'IP:127.0.0.1');
  const [foreign, foreignKey] = make('foreign', '90', 'DNS:somewhere.example');
  const [late, lateKey] = expired();
  const serving = (certificate, privateKey, examine) => withSettings((text) =>
    text.replace('[form]', `[form]\ncertificate_file = "${certificate}"\nprivate_key_file = "${privateKey}"`), examine);
  await serving(good, key, healthy);
  await serving(foreign, foreignKey, () => finds(['Form', 'wrong', /not for 127\.0\.0\.1/]));
  await serving(good, foreignKey, () => finds(['Form', 'wrong', /another certificate's/]));
  await serving(join(stage.folder, 'none.pem'), key, () => finds(['Form', 'wrong', /none\.pem can't be read/]));
  await serving(late, lateKey, () => finds(['Form', 'wrong', /has expired on/]));
});

test('behind a proxy its TLS is looked at, as a browser would', async () => {
  const tls = makeCertificate(stage.folder, 'proxy');
  const wire = await Wire.open(stage.places.form, { tls });
  const proxied = (text) => text.replace(/^public_url = .*$/m, `public_url = "${wire.url}"\nbehind_proxy = true`);
  try {
    await withSettings(proxied, () => finds(['Form', "can't tell", /not reached from here: TLS handshake .*certificate/]));
    await withSettings((text) => proxied(text).replace('[network]', `[network]\ncertificate_authorities = "${tls.certificate}"`), async () => {
      await finds(['Form', "can't tell", /not reached from here/]); // nobody behind it
      await stage.startBot();
      assert.match((await healthy()).output, /proxy: https:\S+ answers over TLS \(HTTP 200\)/);
    });
  } finally {
    await wire.close();
    if (stage.bot) await stage.bot.stop();
    stage.bot = undefined;
  }
});

test('secrets that are missing or that others may read, and settings with a mistake', async () => {
  const file = join(stage.folder, 'secrets', 'heroku-token');
  await chmod(file, 0o644);
  const result = await examined();
  await chmod(file, 0o600);
  assert.match(bad(result)[0].text, /heroku-token can be read by others/);
  assert.equal(result.asked.heroku.length, 0);
  assert.equal(result.code, 1);
  await withSettings((text) => text.replace('team = ', 'taem = '), async () => {
    const { code, output, asked } = await examined();
    assert.equal(code, 1);
    assert.match(output, /taem/);
    assert.deepEqual(Object.values(asked).flat(), [], 'nobody was asked anything');
  });
});

test('billing that is not healthy', async () => {
  await fault('billing', { kind: 'status', status: 500 });
  const result = await examined();
  assert.match(bad(result)[0].text, /endpoint of stripe prod: .*(500|not healthy)/);
  assert.equal(bad(result)[0].part, 'Billing');
});

// What Infisical and the app hold, for one examination.
async function withKey(key, examine) {
  const right = await stage.currentKey();
  const put = async (value) => {
    await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value });
    await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value });
    await until('the app to run it', async () => (await stage.state()).heroku.apps.every(
      ({ dynos, releases }) => dynos.every(({ state, release }) => state === 'up' && release === releases.at(-1).version)));
  };
  await put(key);
  try {
    return await examine();
  } finally {
    await put(right);
  }
}
const may = (...permissions) => stage.createKey({ name: 'by-hand', mode: 'live', permissions: ['invoice_read', ...permissions] });

test('a key of the wrong mode, where a live one belongs', async () => {
  const key = await stage.createKey({ name: 'by-hand', mode: 'test', permissions: ['customer_read', 'subscription_read', 'invoice_read'] });
  const { findings } = await withKey(key, () => finds(
    ['Infisical', 'wrong', /^STRIPE_RESTRICTED_KEY of stripe prod: it holds a key of the wrong mode: the settings say live$/],
    ['Stripe', "can't tell", /^current key of stripe prod: not asked about: there is no key to ask with/]));
  assert.match(findings.find(({ verdict }) => verdict === 'wrong').remedy, /^put the right key there, or correct mode in the settings$/);
});

test("a key of another account than the settings'", async () => {
  await withSettings((text) => text.replace(/^account = .*$/m, 'account = "acct_1Other"'),
    () => finds(['Stripe', 'wrong', /^account of stripe prod: the key belongs to acct_1Raxx\w+, and the settings expect acct_1Other$/]));
});

test('a key that lacks a permission, or has one too many', async () => {
  const { findings } = await withKey(await may('subscription_read'), () => finds(['Stripe', 'wrong',
    /^permissions of stripe prod: it may not call GET \/v1\/customers, which the settings list as permitted: a rotation would be refused$/]));
  assert.match(findings.find(({ verdict }) => verdict === 'wrong').remedy, /-> the key -> Edit key, or correct permitted and denied in the settings$/);
  await withKey(await may('customer_read', 'subscription_read', 'balance_read'), () => finds(
    ['Stripe', "can't tell", /^account of stripe prod: no answer named it, so it can't be compared with the settings'$/],
    ['Stripe', 'wrong', /^permissions of stripe prod: it may call GET \/v1\/balance, which the settings list as denied$/]));
});

test('a master key in Infisical or in an app is a SEV-1 with its place, and is shown to nobody', async () => {
  const key = await stage.currentKey();
  const master = `sk_${'live'}_${random}`;
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: master });
  const stored = await examined();
  await stage.act('/infisical/put', { environment: 'prod', name: 'STRIPE_RESTRICTED_KEY', value: key });
  assert.equal(stored.code, 1);
  const ofTheDoctor = stored.asked.stripe.filter((request) => /balance/.test(request)); // billing asks Stripe other things
  assert.equal(ofTheDoctor.length, 1, 'for staging only: a master key is not used, not even to look');
  assert.match(bad(stored)[0].text, /SEV-1: it holds a Stripe \*master\* key \(STRIPE_RESTRICTED_KEY, environment prod/);
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: master });
  const held = await examined();
  await stage.act('/heroku/config', { app: 'raxx-api-prod', name: 'STRIPE_RESTRICTED_KEY', value: key });
  assert.match(bad(held)[0].text, /SEV-1: the configuration of raxx-api-prod/);
  stage.keys.push(master); // Stage.close() looks only for rk_: this one is looked for here
  for (const { output } of [stored, held]) assert.ok(!output.includes(random.slice(4)));
});

test('a sealing key that does not open what an open rotation has sealed', async () => {
  await until('the app to run what the tests before have set', async () => (await stage.state()).heroku.apps.every(
    ({ dynos, releases }) => dynos.every(({ state, release }) => state === 'up' && release === releases.at(-1).version)));
  await stage.startBot();
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  await stage.bot.stop();
  stage.bot = undefined;
  assert.match((await healthy()).output, /sealing key: opens what is sealed \(1\)/);
  const file = join(stage.folder, 'secrets', 'sealing-key');
  const right = await readFile(file);
  await writeFile(file, 'ab'.repeat(32));
  await finds(['Journal', 'wrong', /sealing key: it doesn't open 1 of 1/]);
  await writeFile(file, right);
});

test('a dead key is an outage', async () => {
  await stage.act('/stripe/expire', { name: 'raxx-billing', mode: 'live' });
  const result = await examined();
  const found = bad(result).find(({ part }) => part === 'Stripe');
  assert.equal(found.verdict, 'wrong');
  assert.match(found.text, /current key of stripe prod: Stripe says that it has expired: billing is down/);
  assert.equal(result.code, 1);
});
