// One sandbox and one bot, driven as people drive them: commands, clicks, the dashboard, the form. Everything the bot
// wrote, sent or stored stays readable, so that a test can search it for a key at the end.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { webcrypto } from 'node:crypto';
import { sealSubmission } from '../../../bot/intake/message.js';
import { assertEndedWell } from './ends.mjs';
import { Process, run, until } from './process.mjs';

globalThis.crypto ??= webcrypto; // Node 18

const build = resolve(process.env.KEYTURN_BUILD ?? 'build/dev');
const bot = join(build, 'keyturn');
const sandbox = resolve(process.env.KEYTURN_SANDBOX ?? join(build, 'keyturn-sandbox'));

export const ada = 'U0ADMIN'; // a superadmin
export const adasMessages = 'D0ADMIN'; // her direct messages with the bot
export const ops = 'C0OPS'; // the team's channel

// Times so short that a whole life fits in seconds.
const quick = { watch: '1500ms', grace: '7s', compromise_grace: '6s', reminder_before: '3s', proof_after: '300ms',
  proof_every: '300ms', poll_every: '100ms', health_every: '300ms', retry_every: '300ms', late_after: '3s',
  drift_every: '1h' }; // no look of its own beside what a test counts

export class Stage {
  static async open({ settings = {}, consumers = 1 } = {}) {
    const stage = new Stage();
    stage.folder = await mkdtemp(join(tmpdir(), 'keyturn-test-'));
    stage.sandbox = new Process(sandbox, ['serve', '--folder', stage.folder, '--quick', '--consumers', String(consumers)]);
    await until('the sandbox', () => stage.sandbox.output.includes('\n') || stage.sandbox.ended);
    assert.ok(!stage.sandbox.ended, stage.sandbox.errors);
    stage.places = JSON.parse(stage.sandbox.output);
    stage.settings = join(stage.folder, 'keyturn.toml');
    await stage.change({ ...quick, ...settings });
    stage.keys = []; // every key that was ever shown: none may turn up anywhere
    stage.bots = [];
    stage.figures = {};
    return stage;
  }

  // Replaces `name = ...` lines of the settings, in every target.
  async change(values) {
    let text = await readFile(this.settings, 'utf8');
    for (const [name, value] of Object.entries(values)) {
      assert.match(text, new RegExp(`^${name} = `, 'm'), `no setting ${name}`);
      text = text.replace(new RegExp(`^${name} = .*$`, 'gm'), `${name} = "${value}"`);
    }
    await writeFile(this.settings, text);
  }

  // Any other change of the settings' text.
  async rewrite(change) {
    await writeFile(this.settings, change(await readFile(this.settings, 'utf8')));
  }

  // `softFileLimit`: instead of the one that Node has raised for itself and its children.
  async startBot({ softFileLimit, env } = {}) {
    const limited = softFileLimit ? ['sh', '-c', `ulimit -S -n ${softFileLimit} && exec "$@"`, 'sh'] : [];
    this.launch(env, limited);
    await this.firstKey;
    await until('the bot to be ready', async () => this.bot.ended || (await this.ready()));
    assert.ok(!this.bot.ended, this.bot.errors);
  }

  // Without waiting for it. `before`: a command that runs it.
  launch(env = {}, before = []) {
    const [file, ...args] = [...before, bot, 'run', '--config', this.settings];
    this.firstKey ??= this.currentKey(); // most tests never hold it in their hands
    this.bot = new Process(file, args, env);
    this.bot.mayDie = 'KEYTURN_FAULTS_DIE' in env;
    this.bots.push(this.bot);
  }

  // One that must not start, beside the bot or in its place: what it ended with, and what it said.
  async refusedBot({ env, settings = this.settings } = {}) {
    const refused = new Process(bot, ['run', '--config', settings], env);
    refused.endsByItself = true;
    this.bots.push(refused);
    const started = () => /"event":"started"/.test(refused.errors);
    await until('the bot to start or to refuse', () => refused.ended || started());
    if (!refused.ended) await refused.stop();
    assert.ok(!started(), `it started: ${refused.errors}`);
    return refused;
  }

  async ready() {
    try {
      return (await fetch(`${this.places.metrics}/readyz`)).status === 200;
    } catch {
      return false;
    }
  }

  // Whatever the test was about: no key stands anywhere in what it leaves, neither while the bot runs nor in its last
  // words, and every bot has ended as it should.
  async close() {
    try {
      // What a test set by hand may be no key.
      const keys = [...this.keys, await this.firstKey, await this.currentKey()].filter((key) => key?.startsWith('rk_'));
      await assertNowhere(this, keys);
      if (this.bot && !this.bot.ended) {
        await this.bot.stop();
        await assertNowhere(this, keys);
      }
      this.bots.forEach(assertEndedWell);
    } finally {
      if (this.bot) await this.bot.stop();
      await this.sandbox.stop();
      await rm(this.folder, { recursive: true });
      noteFigures(this.figures);
    }
  }

  // For the page of figures.
  count(what, number = 1) {
    this.figures[what] = (this.figures[what] ?? 0) + number;
  }

  // ---- what people do
  async act(path, wish) {
    const answer = await fetch(this.places.control + path, { method: 'POST', body: JSON.stringify(wish) });
    const body = await answer.json();
    assert.equal(answer.status, 200, `${path}: ${JSON.stringify(body)}`);
    return body;
  }
  async command(text, user = ada) {
    const result = await this.act('/slack/command', { user, channel: ops, text });
    assert.equal(result.error, null, `${text}: ${result.error}`);
    return result.ack?.text ?? '';
  }
  async click(message, action, state, user = ada) {
    return this.act('/slack/click', { user, channel: message.channel, ts: message.ts, action_id: action, state });
  }
  // By hand, at Heroku; back when the app runs it, so that no later look finds the change still on its way.
  async putInApp(value, { app = 'raxx-api-prod', name = 'STRIPE_RESTRICTED_KEY' } = {}) {
    await this.act('/heroku/config', { app, name, value });
    const runsIt = ({ dynos, releases }) => releases.at(-1).status === 'succeeded' &&
      dynos.every(({ state, release }) => state === 'up' && release === releases.at(-1).version);
    await until(`${app} to run it`, async () => runsIt((await this.state()).heroku.apps.find((one) => one.name === app)));
  }
  async rotateInDashboard(seconds, name = 'raxx-billing') {
    const { key } = await this.act('/stripe/rotate', { name, mode: 'live', expires_in_seconds: seconds });
    this.keys.push(key);
    return key;
  }
  async createKey(wish) {
    const { key } = await this.act('/stripe/create', wish);
    this.keys.push(key);
    return key;
  }

  // ---- what can be seen
  async state() {
    return (await fetch(`${this.places.control}/state?requests=all`)).json();
  }
  async messages(channel) {
    const { slack } = await this.state();
    const found = slack.channels.find(({ id }) => id === channel);
    return (found?.messages ?? []).map((message) => ({ ...message, channel, all: wordsOf(message) }));
  }
  // The newest message of that channel whose words match.
  message(channel, pattern, milliseconds, { after = '' } = {}) {
    return until(`a message in ${channel} like ${pattern}`, async () =>
      (await this.messages(channel)).reverse().find(({ all, ts }) => ts > after && pattern.test(all)), milliseconds);
  }
  async journal() {
    const { code, output, errors } = await run(bot, ['audit', 'export', '--config', this.settings]);
    assert.equal(code, 0, errors);
    return output.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }
  async actions() {
    return (await this.journal()).map(({ action }) => action);
  }
  async entry(action) {
    return (await this.journal()).findLast((entry) => entry.action === action);
  }
  // `keyturn doctor`, to its end.
  async doctor({ env } = {}) {
    const process = new Process(bot, ['doctor', '--config', this.settings], env);
    process.endsByItself = true;
    this.bots.push(process); // what it says is searched for keys as well
    const { code } = await process.exited;
    return { code, output: process.output, errors: process.errors, findings: findingsIn(process.output) };
  }
  verifyJournal() {
    return run(bot, ['audit', 'verify', '--config', this.settings]);
  }
  // The value that production runs with, asked of Heroku as anybody with its token could.
  async currentKey() {
    const { heroku } = await (await fetch(`${this.places.control}/places`)).json();
    const answer = await fetch(`${this.places.heroku}/apps/raxx-api-prod/config-vars`, {
      headers: { authorization: `Bearer ${heroku.token}`, accept: 'application/vnd.heroku+json; version=3' },
    });
    return (await answer.json()).STRIPE_RESTRICTED_KEY;
  }
  metrics() {
    return fetch(`${this.places.metrics}/metrics`).then((answer) => answer.text());
  }

  // ---- the way of a rotation
  async start(text = 'stripe prod') {
    this.startedAfter = (await this.messages(adasMessages)).at(-1)?.ts ?? '';
    assert.match(await this.command(text), /^Rotation of [^\n]* started/); // a refusal says by whom one was started
  }
  async confirm({ reason, user = ada, channel = adasMessages } = {}) {
    // Of the rotation that was started last: those of one that was over a moment ago may still have their button.
    const message = await this.message(channel, /What only you can check[^]*rotation_ready/, undefined, { after: this.startedAfter });
    const state = { prerequisites: { confirmations: ['0', '1', '2'] } };
    if (reason) state.reason = { reason };
    return this.click(message, 'rotation_ready', state, user);
  }
  // The newest link in the DM: {address, token, code}.
  async link(after = '', channel = adasMessages) {
    return until('the link in the DM', async () => {
      for (const { ts, all } of (await this.messages(channel)).reverse()) {
        const found = /<(http[^|>#]*\/form)#([^|>]+)\|/.exec(all);
        const code = /this code: \*(\d{3} \d{3})\*/.exec(all)?.[1] ?? '';
        if (found && ts > after) return { address: found[1], token: found[2], code, ts };
      }
      return null;
    });
  }
  async post(link, path, body) {
    const { status, text } = await this.send(`${link.address}/${path}`, JSON.stringify({ token: link.token, ...body }));
    assert.ok(text.startsWith('{'), `${path}: ${status} ${text}`);
    return { status, ...JSON.parse(text) };
  }
  async send(url, body) {
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return { status: answer.status, text: await answer.text() };
  }
  look(link) {
    return this.post(link, 'look', {});
  }
  // What the page's own script would send, for a link that was looked at once.
  async seal(link, key, graceSeconds = 7, code = link.code) {
    link.seen ??= this.look(link);
    const seen = await link.seen;
    const open = seen.state === 'open' ? seen : await anybody();
    return sealSubmission(open, link.token, { key, graceSeconds, rotatedAt: new Date(), code });
  }
  async submit(link, key, graceSeconds = 7, code = link.code) {
    return this.post(link, 'submit', await this.seal(link, key, graceSeconds, code));
  }
  // From the command to the arrival of the new key, which is returned; the old one lives so much longer.
  async handOver(graceSeconds = 7) {
    await this.start();
    await this.confirm();
    const link = await this.link();
    const key = await this.rotateInDashboard(graceSeconds);
    assert.equal((await this.submit(link, key, graceSeconds)).state, 'received');
    return key;
  }
  progress(link) {
    return this.post(link, 'progress', {});
  }
  closed(milliseconds = 40000) {
    return until('the rotation to be closed', () => this.entry('secret.rotate.closed'), milliseconds);
  }

  // Over for the bot, too: who reads the journal may know a moment before it does.
  over(rotation) {
    return until('the bot to know that it is over', () =>
      new RegExp(`"rotation":"${rotation}"[^\\n]*"stage":"closed"`).test(this.bot.errors));
  }

  // Everything that ever left the bot or was written by it, as [name, bytes].
  async artefacts() {
    const found = [['slack traffic', Buffer.from(await (await fetch(`${this.places.control}/traffic`)).text())]];
    this.bots.forEach((process, i) => {
      found.push([`log ${i}`, Buffer.from(process.errors)], [`output ${i}`, Buffer.from(process.output)]);
    });
    // But for a test's own keys of TLS.
    const files = (await readdir(this.folder, { withFileTypes: true })).filter((entry) => entry.isFile() && !entry.name.endsWith('.key'));
    for (const { name } of files) found.push([name, await contents(join(this.folder, name))]);
    if (this.bot && !this.bot.ended) found.push(...(await this.outside()));
    return found;
  }

  // What a bot that runs shows to others. It is not dumpable, so that only root may see all of it; what can't be seen is
  // not clean.
  async outside() {
    try {
      return await this.lookFromOutside();
    } catch (error) {
      if (!this.bot.mayDie) throw error;
      await this.bot.exited; // killed by its fault while it was looked at; else this waits in vain, and says so
      return [];
    }
  }
  async lookFromOutside() {
    const found = [['metrics', Buffer.from(await this.metrics())]];
    for (const name of ['cmdline', 'environ']) found.push([name, await readFile(`/proc/${this.bot.pid}/${name}`)]);
    for (const [name, { length }] of found) assert.ok(length > 0, `nothing is known about the bot's ${name}`);
    return found;
  }
}

// SQLite takes its files away when the bot ends.
function contents(file) {
  return readFile(file).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  });
}

// [{part, verdict, text, remedy}] of what `keyturn doctor` printed.
export function findingsIn(output) {
  const findings = [];
  let part = '';
  for (const line of output.split('\n\n')[0].split('\n')) {
    const finding = /^ {2}(ok|wrong|can't tell) +(.*)$/.exec(line);
    const remedy = /^ +-> (.*)$/.exec(line);
    if (finding) findings.push({ part, verdict: finding[1], text: finding[2], remedy: '' });
    else if (remedy) findings.at(-1).remedy = remedy[1];
    else part = line;
  }
  return findings;
}

// One line for each test, for tests/ledger to add up.
export function noteFigures(figures) {
  const file = process.env.KEYTURN_FIGURES;
  if (file && Object.keys(figures).length > 0) appendFileSync(file, `${JSON.stringify(figures)}\n`);
}

// A closed link shows no key to seal to; whoever posts all the same has some other one.
async function anybody() {
  const { publicKey } = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
  const point = Buffer.from(await crypto.subtle.exportKey('raw', publicKey));
  return { public_key: point.toString('base64url'), rotation: 'rot_0', operator_id: 'U0' };
}

function wordsOf(message) {
  const words = [message.text ?? ''];
  const walk = (value) => {
    if (typeof value === 'string') words.push(value);
    else if (value && typeof value === 'object') Object.values(value).forEach(walk);
  };
  walk(message.blocks);
  return words.join('\n');
}

// Every way a key could stand in a file: plain, base64 (at each of the three alignments), percent-encoded, JSON, hex.
export function disguises(key) {
  const forms = [key, Buffer.from(key).toString('hex'), encodeURIComponent(key),
    [...Buffer.from(key)].map((byte) => `%${byte.toString(16)}`).join('')];
  for (const padding of ['', ' ', '  ']) {
    const whole = Buffer.from(padding + key).toString('base64');
    forms.push(whole.slice(4, -4)); // without the ends, which depend on the neighbours
  }
  forms.push(key.slice(12, 60)); // a part is as bad as the whole
  return forms;
}

export async function assertNowhere(stage, keys) {
  for (const [name, bytes] of await stage.artefacts()) {
    stage.count('bytes searched', bytes.length);
    for (const key of keys) {
      for (const form of disguises(key)) {
        assert.ok(!bytes.includes(form), `a key stands in: ${name}`);
      }
    }
  }
}
