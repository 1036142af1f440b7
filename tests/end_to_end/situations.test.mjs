// Bad nights, one after another: what is arranged, what people read, and that it can be mended. The words that matter are said
// here, as people read them; docs/when-it-goes-wrong.md is the same list for people.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { until } from './support/process.mjs';
import { assertRotatedOnce, assertUntouched, oneRotation, since, snapshot } from './support/world.mjs';

const grace = 60;
const variable = 'STRIPE_RESTRICTED_KEY';
const app = 'raxx-api-prod';
const permissions = ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'];
const fault = (system, knob) => (stage) => stage.act('/fault', { system, ...knob });
const inInfisical = (value) => (stage) => stage.act('/infisical/put', { environment: 'prod', name: variable, value });
const inHeroku = (value, name) => (stage) => stage.putInApp(value, { app, name });
const clear = async (stage) => {
  for (const system of ['stripe', 'infisical', 'heroku', 'billing', 'slack']) await stage.act('/fault', { system, kind: 'clear' });
};
const another = (name, mode = 'live', may = permissions) => async (stage) => stage.createKey({ name, mode, permissions: may });
const master = `sk_${'live'}_${'4xT'.repeat(33)}`;
const liveKey = async (stage) => (await stage.state()).stripe.keys.find(({ mode, name, status }) => mode === 'live' && name === 'raxx-billing' && status === 'active');

async function open(t, settings = {}, { consumers, rewrite, prepare } = {}) {
  const stage = await Stage.open({ settings: { grace: `${grace}s`, reminder_before: '5s', ...settings }, consumers });
  t.after(() => stage.close());
  if (rewrite) await change(stage, rewrite);
  if (prepare) await prepare(stage);
  await stage.startBot();
  return stage;
}
const change = (stage, [from, to]) => stage.rewrite((text) => {
  assert.ok(text.includes(from), from);
  return text.replaceAll(from, to);
});

// Somebody else tries the bot's identity with a wrong secret.
async function lockIdentity(stage) {
  const clientId = /^client_id = "([0-9a-f-]{36})"$/m.exec(await readFile(stage.settings, 'utf8'))[1];
  for (let i = 0; i < 3; ++i) {
    const answer = await fetch(`${stage.places.infisical}/api/v1/auth/universal-auth/login`, { method: 'POST',
      headers: { 'content-type': 'application/json' }, body: JSON.stringify({ clientId, clientSecret: 'wrong' }) });
    assert.equal(answer.status, 401);
  }
}

// ---- Refused before anything is shown that could be clicked: nothing has changed, and a rotation begins once it is mended.
const refused = {
  'Infisical hides the value': { arrange: fault('infisical', { kind: 'hidden_value' }), code: 'hidden', again: true,
    words: /Infisical hides the value of STRIPE_RESTRICTED_KEY.*needs the permission to read values/ },
  'Infisical refuses the login': { arrange: fault('infisical', { kind: 'login_refused' }), code: 'check_failed',
    words: /the client id or client secret was refused/, logins: 1 },
  'Infisical has locked the identity after wrong logins': { prepare: lockIdentity, code: 'check_failed', logins: 1,
    words: /the identity is locked after wrong logins; it opens again by itself/ },
  'the client secret at Infisical has expired': { prepare: fault('infisical', { kind: 'secret_expired' }), code: 'check_failed', logins: 1,
    words: /the client secret has expired; make a new one for the bot's identity, and restart the bot with it/ },
  'Infisical rotates the secret itself': { arrange: fault('infisical', { kind: 'rotated_secret', environment: 'prod', name: variable }),
    code: 'rotated_by_store', words: /Infisical rotates STRIPE_RESTRICTED_KEY itself and refuses our writes/ },
  'the secret is a reference': { arrange: inInfisical('${prod.OTHER}'), code: 'reference', words: /is a reference to another secret.*Rotate that one instead/ },
  'Infisical copies the path to an app that nobody watches': { code: 'sync', again: true,
    arrange: fault('infisical', { kind: 'heroku_sync', environment: 'prod', app: 'raxx-api-staging' }),
    words: /copies this path onward \(heroku raxx-api-staging\).*arrive where nobody checks that it works/ },
  'the app holds another key than Infisical': { arrange: async (stage) => inHeroku(await another('other')(stage))(stage),
    code: 'drift', words: /do not hold the same key.*settle which one is right first/ },
  'the app may not be seen': { arrange: fault('heroku', { kind: 'forbidden', app }), code: 'check_failed', again: true,
    words: /inspecting raxx-api-prod.*the Heroku token has no access to this app/ },
  'the app is not there': { arrange: fault('heroku', { kind: 'status', status: 404, path: `/apps/${app}` }), code: 'check_failed', again: true,
    words: /inspecting raxx-api-prod.*the app was not found/ },
  'a key of test mode is stored where a live one belongs': {
    arrange: async (stage) => inInfisical(await another('test', 'test')(stage))(stage), code: 'wrong_mode',
    words: /Infisical holds a test key under STRIPE_RESTRICTED_KEY, where a live key belongs/ },
  'a master key is stored in Infisical': { arrange: inInfisical(master), code: 'master_key_stored',
    words: /Infisical holds a Stripe \*master\* key/, alarm: /found in Infisical, under STRIPE_RESTRICTED_KEY \(prod\).*roll it now/ },
  'a master key is configured in the app': { arrange: inHeroku(master), code: 'master_key_stored',
    words: /the configuration of raxx-api-prod holds a Stripe \*master\* key/,
    alarm: /found in the configuration of raxx-api-prod.*roll it now/ },
  'the key may be used from other addresses only': {
    arrange: async (stage) => fault('stripe', { kind: 'ip_denied', key: (await liveKey(stage)).id })(stage), code: 'check_failed', again: true,
    words: /limited to other IP addresses than this bot's/ },
  'Stripe gives no usable answer': { arrange: fault('stripe', { kind: 'status', status: 502, html: true }), code: 'check_failed', again: true,
    words: /asking Stripe about the current key.*no usable answer/ },
  'a release is under way': { code: 'release_pending', words: /Wait for it, then start again/, arrange: async (stage) => {
    await fault('heroku', { kind: 'release_pending', seconds: 30 })(stage);
    await stage.act('/heroku/config', { app, name: 'OTHER', value: 'x' });
  } },
  'billing is broken already': { arrange: fault('billing', { kind: 'broken' }), code: 'billing_unhealthy', again: true,
    words: /billing endpoint is not healthy before the rotation.*Fix that first/ },
  'the settings name an environment that Infisical does not have': { code: 'check_failed', again: true,
    rewrite: [`"\nenvironment = "prod"\nsecret`, `"\nenvironment = "production"\nsecret`],
    words: /reading the current key from Infisical.*the environment or the folder was not found/ },
  'the settings name a folder that Infisical does not have': { code: 'check_failed', again: true,
    rewrite: [`secret = "${variable}"`, `path = "/billing"\nsecret = "${variable}"`],
    words: /reading the current key from Infisical.*the environment or the folder was not found/ },
  'the settings name another project': { code: 'check_failed', again: true, rewrite: ['project = "', 'project = "another-'],
    words: /reading the current key from Infisical.*the project was not found.*of the project another-.*Correct the target's \[target\.infisical\] in the settings/ },
  'the settings name a secret that is not there': { code: 'check_failed', again: true,
    rewrite: [`secret = "${variable}"`, 'secret = "STRIPE_KEY"'], words: /reading the current key from Infisical.*the secret.* was not found: asked for STRIPE_KEY in the folder \/ of the environment prod/ },
  'the key is of another account than the settings say': { code: 'account', again: true, rewrite: ['account = "acct_1Raxx', 'account = "acct_1Other'],
    words: /The current key belongs to acct_1Raxx\w+, and the settings expect acct_1Other/ },
  'an import brings the secret there': { code: 'check_failed', again: true,
    arrange: fault('infisical', { kind: 'imported', environment: 'prod', name: variable, from: '/shared' }),
    words: /an import brings it there from the folder \/shared of prod\. Name that place in the settings/ },
};
describe('refused at the start', { concurrency: 3 }, () => {
  for (const [name, { prepare, arrange = async () => {}, code, words, alarm, logins, again, rewrite }] of Object.entries(refused)) {
    test(name, async (t) => {
      const stage = await open(t, { retry_limit: '1s' }, { rewrite, prepare });
      await arrange(stage);
      const before = await snapshot(stage);
      await stage.start();
      assert.equal((await stage.closed(20000)).context.outcome, 'refused');
      assert.equal((await stage.entry('secret.rotate.refused')).context.code, code);
      const answer = await stage.message(adasMessages, /did not begin/);
      assert.match(answer.all, words);
      if (alarm) assert.match((await stage.message(ops, /SEV-1: a Stripe master key was/)).all, alarm);
      else assert.match(answer.all, /Nothing has changed: billing runs on the key it had/);
      const now = await since(stage, before);
      assertUntouched(before.state, now.state);
      assert.ok(!now.said.some(({ text }) => /\/form#|Dashboard steps/.test(text)), 'no step was shown');
      assert.equal(now.said.some(({ text }) => /SEV-1: a Stripe/.test(text)), Boolean(alarm));
      if (logins) {
        const tried = ({ infisical }) => infisical.requests.filter(({ path }) => path.endsWith('/login')).length;
        assert.equal(tried(now.state) - tried(before.state), logins, 'three wrong logins would lock the identity');
      }
      await assertNowhere(stage, [master]);
      if (!again) return;
      await clear(stage);
      if (rewrite) {
        await stage.bot.stop();
        await change(stage, [...rewrite].reverse());
        await stage.startBot();
      }
      await stage.start();
      await stage.message(adasMessages, /What only you can check/);
    });
  }
});

// ---- Said beside the boxes, before the click; whoever goes on all the same gets to the end.
const worker = 'raxx-worker-002'; // the second app
const warned = {
  'the app is in maintenance': { arrange: fault('heroku', { kind: 'maintenance', app }), words: /raxx-api-prod is in maintenance mode/,
    seen: ({ maintenance }) => maintenance },
  'an app runs nothing': { arrange: fault('heroku', { kind: 'scale_to_zero', app: worker }), consumers: 2, seen: ({ dynos }) => dynos === 0,
    words: /raxx-worker-002 runs no dyno: nothing there will exercise the new key/,
    summary: /raxx-worker-002: release v\d+; no dynos to wait for/ },
  'the grace to choose is shorter than the last release and the watch took': { settings: { grace: '3s', compromise_grace: '3s' },
    seen: ({ release_takes: takes }) => takes >= 2000,
    words: /takes about [45] seconds, and the grace to choose is 3 seconds: the old key may die before that\. Choose a longer grace/,
    arrange: async (stage) => {
      await fault('heroku', { kind: 'release_pending', seconds: 2.2 })(stage);
      await inHeroku('x', 'OTHER')(stage);
      await clear(stage);
    } },
  'few calls are left at Heroku': { arrange: fault('heroku', { kind: 'quota', remaining: 60 }), seen: ({ calls_left: left }) => left < 60,
    words: /Heroku answers this account only 5\d more calls before it makes it wait[^]*wait, and find out what else uses them/, mend: clear },
};
describe('warned of before the click', { concurrency: 3 }, () => {
  for (const [name, { arrange, words, settings, consumers, seen, summary = /is rotated/, mend = async () => {} }] of Object.entries(warned)) {
    test(name, async (t) => {
      const stage = await open(t, settings, { consumers });
      await arrange(stage);
      const before = await snapshot(stage);
      await stage.start();
      const boxes = await stage.message(adasMessages, /What only you can check/);
      assert.match(boxes.all, words);
      assert.equal(boxes.all.match(/\*Note\*/g).length, 1, 'and of nothing else');
      const asked = await since(stage, before);
      assert.ok(asked.journal.some(({ action, context }) => action === 'secret.rotate.consumer.inspected' && seen(context)));
      assertUntouched(before.state, asked.state);
      await mend(stage);
      await stage.confirm();
      const link = await stage.link();
      const key = await stage.rotateInDashboard(grace);
      assert.equal((await stage.submit(link, key, grace)).state, 'received');
      assert.match((await stage.message(ops, /is rotated\./, 40000)).all, summary);
      const { writes } = await since(stage, before);
      assert.deepEqual(writes, [...oneRotation, ...(consumers ? [`heroku PATCH /apps/${worker}/config-vars`] : [])]);
      await assertNowhere(stage, stage.keys);
    });
  }
});

// ---- What the form or Stripe says no to: the key in use is untouched, and a new link comes.
const foreign = (stage) => stage.createKey({ name: 'raxx-billing', mode: 'live', account: 'acct_1SomebodyElse4711', permissions });
const madeUp = async (stage) => {
  stage.keys.push(`rk_${'live'}_${'5kR'.repeat(33)}`);
  return stage.keys.at(-1);
};
const rejected = {
  'the new key lacks a permission': { key: another('less', 'live', ['customer_read', 'invoice_read']), code: 'lost_permission',
    words: /may not call .*and the old one may/ },
  'the new key may do more': { key: another('more', 'live', [...permissions, 'balance_read']), code: 'gained_permission',
    words: /may call .*and the old one may not/ },
  'the new key is of another account': { key: foreign, code: 'account', words: /belongs to another Stripe account/ },
  'Stripe never comes to know the key': { key: madeUp, code: 'dead', words: /Stripe does not accept the key that you pasted/, milliseconds: 45000 },
};
describe('rejected', { concurrency: 3 }, () => {
  for (const [name, { key, words, code, milliseconds = 20000 }] of Object.entries(rejected)) {
    test(name, async (t) => {
      const stage = await open(t);
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      const good = await stage.rotateInDashboard(grace);
      const pasted = await key(stage);
      const before = await snapshot(stage);
      assert.equal((await stage.submit(link, pasted, grace)).state, 'received');
      const told = await stage.message(adasMessages, words, milliseconds);
      assert.match(told.all, /The key in use has not been touched/);
      assert.equal((await stage.entry('secret.rotate.new_key.rejected')).context.code, code);
      const next = await stage.link(link.ts);
      assert.deepEqual((await since(stage, before)).writes, []);
      assert.equal((await stage.submit(next, good, grace)).state, 'received');
      await stage.message(ops, /is rotated\./, 30000);
    });
  }
});

// ---- Stopped on the way, mended by a person, gone on with.
const whenRunning = (arrange) => async (stage, go) => {
  await go();
  await until('every dyno to run it', async () => (await stage.actions()).includes('secret.rotate.consumer.running'));
  await arrange(stage);
};
const onOld = /Billing runs on the old key, which expires/;
const either = /Some consumers may run on the new key and some on the old one; both work/;
const onNew = /Billing runs on the new key/;
const nothing = [];
const stored = oneRotation.slice(0, 1); // asked for, whatever came of it
const stopped = {
  'the identity may not write': { arrange: fault('infisical', { kind: 'read_only' }), billing: onOld, written: stored,
    words: /storing the key in Infisical.*doesn't have the permission/ },
  'the change waits for approval': { arrange: fault('infisical', { kind: 'approval_policy', environment: 'prod' }), billing: onOld, written: stored,
    words: /waits for approval in Infisical.*approve it there, then try again/, mend: fault('infisical', { kind: 'approve' }) },
  'somebody else writes the secret meanwhile': { billing: onOld, written: nothing, // seen before the write
    arrange: fault('infisical', { kind: 'foreign_write', environment: 'prod', name: variable, value: `rk_${'live'}_${'7yQ'.repeat(33)}` }),
    words: /somebody else changed STRIPE_RESTRICTED_KEY meanwhile.*put the value of before back/,
    mend: async (stage) => inInfisical(await stage.currentKey())(stage) },
  'Heroku forbids the change': { arrange: fault('heroku', { kind: 'status', status: 403, method: 'PATCH' }), billing: onOld, written: oneRotation,
    words: /giving the key to raxx-api-prod.*has no access to this app, or not to its config vars/ },
  'Heroku refuses the change for its state of before': { arrange: fault('heroku', { kind: 'status', status: 412, method: 'PATCH' }), billing: onOld, written: oneRotation,
    words: /while giving the key to raxx-api-prod: Heroku: set the config var: the request was refused \(refused, HTTP 412\)/ },
  'the app is gone': { arrange: fault('heroku', { kind: 'status', status: 404, method: 'PATCH' }), billing: onOld, written: oneRotation,
    words: /giving the key to raxx-api-prod.*the app was not found/ },
  'the release fails': { arrange: fault('heroku', { kind: 'release_fails' }), billing: either, written: oneRotation,
    words: /the release v42 of raxx-api-prod failed; its dynos still run the old one/ },
  'the release expires': { arrange: fault('heroku', { kind: 'release_expires' }), billing: either, written: oneRotation,
    words: /the release v42 of raxx-api-prod failed; its dynos still run the old one/ },
  'the release stays pending': { arrange: fault('heroku', { kind: 'release_pending', seconds: 6 }), billing: either, written: oneRotation,
    words: /only 0 of 3 dynos of raxx-api-prod run release v42 after 3 seconds/, settings: { release_limit: '3s' } },
  'a dyno crashes on the new release': { arrange: fault('heroku', { kind: 'dyno_crashes' }), billing: either, written: oneRotation,
    words: /web\.1 of raxx-api-prod crashed on release v42/,
    mend: async (stage) => clear(stage).then(() => inHeroku('a fix', 'OTHER')(stage)) },
  'a dyno never comes up': { arrange: fault('heroku', { kind: 'dyno_stuck' }), billing: either, written: oneRotation,
    words: /only 0 of 3 dynos of raxx-api-prod run release v42/, settings: { release_limit: '3s' } },
  'billing fails while it is watched': { arrange: fault('billing', { kind: 'broken' }), billing: onNew, written: oneRotation,
    words: /the billing endpoint was not healthy: answered 500/ },
  'billing answers 200 with an error inside': { billing: onNew, written: oneRotation, settings: { watch: '4s' },
    words: /the billing endpoint was not healthy/,
    arrange: whenRunning(async (stage) => {
      await fault('billing', { kind: 'swallow' })(stage);
      await fault('stripe', { kind: 'status', status: 500 })(stage);
    }) },
  'the app says that Stripe refused its key': { billing: onNew, written: oneRotation, settings: { watch: '4s' },
    words: /the log of raxx-api-prod shows a failure that points at the key: .*AuthenticationError/,
    arrange: whenRunning(fault('heroku', { kind: 'log_line', app, text: 'Stripe::AuthenticationError: Expired API Key provided: rk_live_****' })) },
  'the log cannot be read': { arrange: fault('heroku', { kind: 'log_refuse', status: 503 }), billing: onNew, written: oneRotation,
    words: /watching the log of raxx-api-prod.*server error/, settings: { retry_limit: '2s' } },
  'Heroku gives no more answers for this hour': { arrange: fault('heroku', { kind: 'quota', remaining: 0 }), billing: onOld, written: stored,
    words: /the account's rate limit was reached/, settings: { retry_limit: '2s' } },
  'the new key may be used from other addresses only': { billing: onOld, written: nothing,
    words: /the key is limited to other IP addresses than this bot's/,
    arrange: async (stage) => fault('stripe', { kind: 'ip_denied', key: (await stage.state()).stripe.keys.at(-1).id })(stage) },
  'Stripe gives no usable answer about the new key': { arrange: fault('stripe', { kind: 'status', status: 502, html: true }), billing: onOld, written: nothing,
    words: /no usable answer for GET \/v1\/customers/, settings: { retry_limit: '2s' } },
  'what was stored is not what was written': { billing: onOld, written: stored,
    arrange: fault('infisical', { kind: 'stores_otherwise' }),
    words: /storing the key in Infisical.*what Infisical holds now is not what was written/,
    mend: async (stage) => inInfisical(await stage.currentKey())(stage) },
  'billing answers with a redirect while it is watched': { billing: onNew, written: oneRotation,
    arrange: fault('billing', { kind: 'status', status: 302 }),
    words: /the billing endpoint was not healthy: answered 302 \(a redirect, which isn't followed\)/ },
  'billing answers with a page while it is watched': { billing: onNew, written: oneRotation,
    arrange: fault('billing', { kind: 'status', status: 200, html: true }),
    words: /the billing endpoint was not healthy: answered with a page \(HTML\)/ },
};
describe('stopped, and mended', { concurrency: 3 }, () => {
  for (const [name, { arrange, words, billing, mend = async () => {}, settings, written }] of Object.entries(stopped)) {
    test(name, async (t) => {
      const stage = await open(t, settings);
      const before = await snapshot(stage);
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      const key = await stage.rotateInDashboard(grace);
      const go = async () => assert.equal((await stage.submit(link, key, grace)).state, 'received');
      if (arrange.length === 2) await arrange(stage, go);
      else await arrange(stage).then(go);
      const news = await stage.message(ops, /Stopped: stripe prod/, 20000);
      assert.match(news.all, words);
      assert.match(news.all, billing);
      assert.match(news.all, /with \*Try again\* in the DM/);
      assert.ok(!(await stage.messages(ops)).some(({ all }) => /is rotated\./.test(all)), 'never green');
      assert.match((await stage.entry('secret.rotate.halted')).context.sentence, words);
      assert.deepEqual((await since(stage, before)).writes, written);
      await mend(stage);
      await clear(stage);
      await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
      await stage.message(ops, /is rotated\./, 40000);
      assert.equal(await stage.currentKey(), key);
      if (billing === onNew) assert.deepEqual((await since(stage, before)).writes, oneRotation, 'nothing is written a second time');
      await assertNowhere(stage, stage.keys);
    });
  }
});

// ---- Got over without a person, and said in the summary where it matters.
const production = async (stage) => (await stage.state()).heroku.apps.find(({ name }) => name === app);
// Every dyno runs our release or a later one, and the key; returns the number of ours.
async function assertOnOurs(stage) {
  const { releases, dynos, config } = await production(stage);
  const ours = releases.filter(({ description }) => description === `Set ${variable} config vars`);
  assert.equal(ours.length, 1);
  assert.equal(releases.length, 3, 'the one of before, ours and somebody’s');
  assert.ok(dynos.every(({ state, release }) => state === 'up' && release === releases.at(-1).version && release >= ours[0].version));
  assert.ok(config[variable].endsWith(stage.keys.at(-1).slice(-6)));
  return ours[0].version;
}
const spoken = 12;
async function assertCountedOnce(stage) {
  const { at } = await stage.entry('secret.rotate.consumer.running');
  const { log } = await production(stage);
  const [{ log_watch: watched }] = (await stage.entry('secret.rotate.completed')).context.consumers;
  const written = log.filter((line) => line.slice(0, 23) >= at.slice(0, 23)).length;
  assert.ok(watched.lines >= spoken && watched.lines <= written, `${watched.lines} lines were counted, ${written} were written`);
  assert.equal(watched.gaps, 1);
}
const gotOver = {
  'the answer to the write into Infisical is lost': { arrange: fault('infisical', { kind: 'close', after: true, method: 'PATCH', times: 1 }) },
  'the answer to the change at Heroku is lost': { arrange: fault('heroku', { kind: 'close', after: true, method: 'PATCH', times: 1 }) },
  'Infisical revokes the token between two calls': { arrange: fault('infisical', { kind: 'revoke_tokens' }) },
  'Infisical’s token expires between two calls': { arrange: fault('infisical', { kind: 'expire_tokens' }) },
  'Stripe asks for patience': { arrange: fault('stripe', { kind: 'status', status: 429, times: 5 }) },
  'Stripe does not answer in time': { arrange: fault('stripe', { kind: 'delay', milliseconds: 12000, times: 2 }) },
  'the address of the log expires': { arrange: whenRunning(fault('heroku', { kind: 'log_expire' })), settings: { watch: '3s' } },
  'Stripe fails three times': { arrange: fault('stripe', { kind: 'status', status: 500, times: 3 }) },
  'the log breaks off and is followed again': { arrange: whenRunning(fault('heroku', { kind: 'log_cut' })), settings: { watch: '3s' } },
  'lines of the log only look like errors': { settings: { watch: '3s' }, arrange: whenRunning(async (stage) => {
    for (const text of ['401 for GET /admin, authentication of user 7 failed', 'error rate 0.0 %; 0 errors', 'StripeCardError: Your card was declined.'])
      await fault('heroku', { kind: 'log_line', app, text })(stage);
  }) },
  'Heroku drops lines of the log': { arrange: whenRunning(fault('heroku', { kind: 'log_loss' })), settings: { watch: '3s' }, words: /gap/ },
  'Stripe does not know the new key at first': {
    prepare: async (stage) => {
      await until('the key in use to be old enough', async () => Date.now() - Date.parse((await liveKey(stage)).created) > 3000);
      await fault('stripe', { kind: 'fresh_lag', seconds: 3 })(stage);
    },
    proven: (journal) => {
      const answers = journal.filter(({ context }) => context.purpose === 'probe_new_key').map(({ context }) => context.probes[0].answer);
      assert.deepEqual([answers[0], answers.at(-1)], ['unknown_key', 'granted']);
      assert.ok(!journal.some(({ action }) => /rejected|halted/.test(action)), 'no person was asked for anything');
    },
    meanwhile: async (stage) => {
      const waiting = await stage.message(ops, /Stripe doesn't know it yet, and is asked again/);
      assert.match(waiting.all, /validating the new key/);
      assert.doesNotMatch(waiting.all, /new key alive|storing/, 'nothing is called good that was not answered');
    } },
  'all dynos restart at once': { arrange: fault('heroku', { kind: 'restart_together' }) },
  'somebody else’s release comes before ours': { arrange: (stage) => stage.act('/heroku/config', { app, name: 'OTHER', value: 'x' }),
    check: async (stage) => assert.equal((await stage.entry('secret.rotate.consumer.updated')).context.release, await assertOnOurs(stage)) },
  'somebody else’s release follows ours at once': { arrange: fault('heroku', { kind: 'foreign_release', app }), check: assertOnOurs },
  'Heroku replays lines of the log after a reconnect': { settings: { watch: '4s', health_every: '1s' }, words: /1 gap/, check: assertCountedOnce,
    arrange: whenRunning(async (stage) => {
      for (let number = 1; number <= spoken; ++number) await fault('heroku', { kind: 'log_line', app, text: `line ${number}` })(stage);
      await until('them to be read', async () => (await stage.entry('secret.rotate.watch.progressed'))?.context.lines >= spoken);
      await fault('heroku', { kind: 'log_cut' })(stage);
    }) },
};
describe('got over', { concurrency: 3 }, () => {
  for (const [name, { prepare, arrange = async () => {}, settings, words, proven, meanwhile = async () => {}, check = async () => {} }] of Object.entries(gotOver)) {
    test(name, async (t) => {
      const stage = await open(t, settings);
      const before = await snapshot(stage);
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      if (prepare) await prepare(stage);
      const key = await stage.rotateInDashboard(grace);
      const go = async () => assert.equal((await stage.submit(link, key, grace)).state, 'received');
      if (arrange.length === 2) await arrange(stage, go);
      else await arrange(stage).then(go);
      await meanwhile(stage);
      const summary = await stage.message(ops, /is rotated\./, 40000);
      if (words) assert.match(summary.all, words);
      const { writes, journal } = await since(stage, before);
      assert.deepEqual(writes, oneRotation, 'each system is written once');
      if (proven) proven(journal);
      await check(stage);
      await assertNowhere(stage, stage.keys);
    });
  }

  test('somebody has a personal override of the secret', async (t) => {
    const stage = await open(t, { grace: '7s' });
    const override = `rk_${'live'}_${'3pW'.repeat(33)}`;
    await fault('infisical', { kind: 'personal_override', environment: 'prod', name: variable, value: override })(stage);
    const before = await snapshot(stage);
    await stage.start();
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(7);
    assert.equal((await stage.submit(link, key)).state, 'received');
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    const { state } = await assertRotatedOnce(stage, before, key); // the shared value is the new key, all else is as it was
    const { overridden } = state.infisical.secrets.find(({ environment, name }) => environment === 'prod' && name === variable);
    assert.ok(overridden, 'the override still stands');
    await assertNowhere(stage, [override, ...stage.keys]);
  });

  for (const told of [0, 7]) {
    test(`"Now" was clicked, and the form was told ${told === 0 ? 'so' : 'otherwise'}`, async (t) => {
      const stage = await open(t);
      const before = await snapshot(stage);
      await stage.start();
      await stage.confirm();
      const link = await stage.link();
      const key = await stage.rotateInDashboard(0);
      assert.equal((await stage.submit(link, key, told)).state, 'received');
      const early = await stage.message(ops, /died early/);
      assert.match(early.all, /Billing fails until the new key `[0-9a-f-]+` runs everywhere.*\*What to do\*: nothing, unless this rotation stops/);
      const summary = await stage.message(ops, /is rotated\./, 30000);
      assert.ok(early.ts < summary.ts, 'told before it was over');
      assert.equal((await stage.closed()).context.outcome, 'rotated');
      const { writes, journal, said } = await since(stage, before);
      assert.deepEqual(writes, oneRotation);
      const moment = (action) => Date.parse(journal.find((entry) => entry.action === action).at);
      assert.ok(Number(early.ts) * 1000 < moment('secret.rotate.consumer.running'), 'told while the new key was on its way');
      assert.ok(journal.some(({ action }) => action === 'secret.rotate.old_key.proven_dead'));
      assert.equal(said.filter(({ text }) => /^The old key of stripe prod died early/.test(text)).length, 1);
      await assertNowhere(stage, stage.keys);
    });
  }
});

test('an authentication error late in the watch stops the rotation as an early one would, and it is never called rotated', async (t) => {
  const stage = await open(t, { watch: '6s' });
  const before = await snapshot(stage);
  const key = await stage.handOver(grace);
  await until('most of the watch to be over', async () => (await stage.entry('secret.rotate.watch.progressed'))?.context.watched >= 4800);
  assert.ok(!(await stage.actions()).includes('secret.rotate.watch.finished'), 'and not all of it');
  await fault('heroku', { kind: 'log_line', app, text: 'Stripe::AuthenticationError: Invalid API Key provided: rk_live_****' })(stage);
  const words = /the log of raxx-api-prod shows a failure that points at the key: .*Stripe::AuthenticationError: Invalid API Key provided/;
  for (const channel of [ops, adasMessages]) {
    const news = await stage.message(channel, /Stopped: stripe prod/);
    assert.match(news.all, words);
    assert.match(news.all, onNew);
    assert.match(news.all, /There is a way back as long as the old key lives: `\/rotate rollback stripe prod`/);
  }
  await new Promise((done) => setTimeout(done, 2500)); // the rest of the watch, and more
  const { journal, said, writes } = await since(stage, before);
  assert.ok(!journal.some(({ action }) => action === 'secret.rotate.completed'));
  assert.ok(!said.some(({ text }) => /is rotated|rotated and verified/.test(text)), 'never called rotated');
  assert.match(journal.find(({ action }) => action === 'secret.rotate.halted').context.sentence, words);
  const { totals } = journal.find(({ action }) => action === 'secret.rotate.watch.finished').context;
  assert.equal(totals.failures.length, 1);
  assert.ok(totals.watched >= 4800, 'late');
  assert.deepEqual(writes, oneRotation);
  await assertNowhere(stage, stage.keys);
});

test("nothing shows the new key's account: it stays sealed, and a person is asked", async (t) => {
  const stage = await open(t, {}, { rewrite: ['denied = ["GET /v1/balance"]', 'denied = []'] });
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const good = await stage.rotateInDashboard(grace);
  const pasted = await foreign(stage);
  const before = await snapshot(stage);
  assert.equal((await stage.submit(link, pasted, grace)).state, 'received');
  for (const channel of [ops, adasMessages]) {
    const news = await stage.message(channel, /Stopped: stripe prod/);
    assert.match(news.all, /Nothing that Stripe answered shows that the new key belongs to the same account as the old one/);
    assert.match(news.all, onOld);
    assert.match(news.all, /Compare the account that the dashboard shows: if it is another one, paste another key/);
    assert.match(news.all, /\*Try again\*/);
  }
  const now = await since(stage, before);
  assert.ok(!now.said.some(({ text }) => /same account, same permissions/.test(text)), 'nothing is called the same that was not shown');
  assertUntouched(before.state, now.state);
  assert.equal(now.journal.at(-1).action, 'secret.rotate.halted');
  const stops = async () => (await stage.actions()).filter((action) => action === 'secret.rotate.halted').length;
  await stage.click(await stage.message(adasMessages, /stopped; it waits for a person/), 'rotation_retry');
  await until('Stripe to be asked about the sealed key again', async () => (await stops()) === 2);
  assert.ok(!(await stage.actions()).some((action) => /rejected|stored/.test(action)));
  await stage.click(await stage.message(adasMessages, /Paste another key/), 'rotation_new_link');
  assert.equal((await stage.submit(await stage.link(link.ts), good, grace)).state, 'received');
  await stage.message(ops, /is rotated\./, 30000);
  assert.equal(await stage.currentKey(), good);
  assert.deepEqual((await since(stage, before)).writes, oneRotation);
  await assertNowhere(stage, stage.keys);
});

test('an app whose log stays silent is said to be not exercised', async (t) => {
  const silent = 'raxx-worker-002'; // no job runs there
  const stage = await Stage.open({ consumers: 2, settings: { grace: `${grace}s`, reminder_before: '5s' } });
  t.after(() => stage.close());
  await fault('heroku', { kind: 'fir', app: silent })(stage); // where a log shows nothing of before, not even that it was asked for
  await stage.startBot();
  const before = await snapshot(stage);
  await stage.handOver(grace);
  const summary = await stage.message(ops, /is rotated\./, 40000);
  assert.match(summary.all, /raxx-worker-002 log watched for [^:]*: no line of any dyno: not exercised, no gaps/);
  assert.match(summary.all, /raxx-api-prod log watched for [^:]*: \d+ lines, no authentication failure/);
  const { consumers } = (await stage.entry('secret.rotate.completed')).context;
  assert.equal(consumers.find((one) => one.app === silent).log_watch.lines, 0);
  assert.deepEqual((await since(stage, before)).writes, [...oneRotation, `heroku PATCH /apps/${silent}/config-vars`]);
});
