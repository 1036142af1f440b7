// Bad nights, one after another: what is arranged, what people read, and that it can be mended. The words that matter are said
// here, as people read them; docs/when-it-goes-wrong.md is the same list for people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adasMessages, assertNowhere, ops, Stage } from './support/stage.mjs';
import { assertUntouched, snapshot, since } from './support/world.mjs';

const grace = 60;
const variable = 'STRIPE_RESTRICTED_KEY';
const app = 'raxx-api-prod';
const permissions = ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'];
const fault = (system, knob) => (stage) => stage.act('/fault', { system, ...knob });
const inInfisical = (value) => (stage) => stage.act('/infisical/put', { environment: 'prod', name: variable, value });
const inHeroku = (value) => (stage) => stage.act('/heroku/config', { app, name: variable, value });
const explore = process.env.EXPLORE;

async function open(t, settings = {}) {
  const stage = await Stage.open({ settings: { grace: `${grace}s`, reminder_before: '5s', ...settings } });
  t.after(() => stage.close());
  await stage.startBot();
  return stage;
}

// ---- Refused before anything is shown that could be clicked.
const refused = {
  'Infisical hides the value': { arrange: fault('infisical', { kind: 'hidden_value' }), code: 'hidden', words: /x/ },
  'Infisical refuses the login': { arrange: fault('infisical', { kind: 'login_refused' }), code: 'x', words: /x/ },
  'Infisical rotates the secret itself': { arrange: fault('infisical', { kind: 'rotated_secret', environment: 'prod', name: variable }), code: 'rotated_by_store', words: /x/ },
  'the secret is a reference to another one': { arrange: inInfisical('${prod.OTHER}'), code: 'reference', words: /x/ },
  'Infisical copies the path to Heroku by itself': { arrange: fault('infisical', { kind: 'heroku_sync', environment: 'prod', app }), code: 'sync', words: /x/ },
  'the app holds another key than Infisical': { arrange: async (stage) => inHeroku(await stage.createKey({ name: 'other', mode: 'live', permissions }))(stage), code: 'drift', words: /x/ },
  'the app may not be seen': { arrange: fault('heroku', { kind: 'forbidden', app }), code: 'x', words: /x/ },
  'a key of test mode is stored where a live one belongs': { arrange: async (stage) => inInfisical(await stage.createKey({ name: 'test', mode: 'test', permissions }))(stage), code: 'wrong_mode', words: /x/ },
  'a master key is stored in Infisical': { arrange: inInfisical(`sk_${'live'}_${'4xT'.repeat(33)}`), code: 'master_key_stored', words: /x/, alarm: true },
  'a master key is configured in the app': { arrange: inHeroku(`sk_${'live'}_${'4xT'.repeat(33)}`), code: 'master_key_stored', words: /x/, alarm: true },
  'Stripe knows the key only from other addresses': { arrange: async (stage) => fault('stripe', { kind: 'ip_denied', key: (await stage.state()).stripe.keys.find(({ mode, name }) => mode === 'live' && name === 'raxx-billing').id })(stage), code: 'x', words: /x/ },
  'billing is broken already': { arrange: fault('billing', { kind: 'broken' }), code: 'billing_unhealthy', words: /x/ },
};
for (const [name, { arrange, code, words, alarm }] of Object.entries(refused)) {
  test(`refused at the start: ${name}`, async (t) => {
    const stage = await open(t, { retry_limit: '2s' });
    await arrange(stage);
    const before = await snapshot(stage);
    await stage.start();
    const closed = await stage.closed(15000);
    const entry = await stage.entry('secret.rotate.refused');
    if (explore) {
      console.log(name, '|', closed.context.outcome, '|', entry?.context);
      for (const m of (await since(stage, before)).said) console.log('   ', m.to, m.text.replaceAll('\n', ' / ').slice(0, 700));
      return;
    }
  });
}

// ---- Stopped on the way, mended, and gone on with.
const stopped = {
  'the identity may not write': { arrange: fault('infisical', { kind: 'read_only' }), words: /x/ },
  'the environment has an approval policy': { arrange: fault('infisical', { kind: 'approval_policy', environment: 'prod' }), words: /x/, mend: fault('infisical', { kind: 'approve' }) },
  'somebody else writes the secret meanwhile': { arrange: fault('infisical', { kind: 'foreign_write', environment: 'prod', name: variable, value: `rk_${'live'}_${'7yQ'.repeat(33)}` }), words: /x/ },
  'Heroku forbids the change': { arrange: fault('heroku', { kind: 'status', status: 403, method: 'PATCH' }), words: /x/ },
  'the app is gone': { arrange: fault('heroku', { kind: 'status', status: 404, method: 'PATCH' }), words: /x/ },
  'the release fails': { arrange: fault('heroku', { kind: 'release_fails' }), words: /x/ },
  'the release stays pending': { arrange: fault('heroku', { kind: 'release_pending', seconds: 30 }), words: /x/, settings: { release_limit: '3s' } },
  'a dyno crashes on the new release': { arrange: fault('heroku', { kind: 'dyno_crashes' }), words: /x/ },
  'a dyno never comes up': { arrange: fault('heroku', { kind: 'dyno_stuck' }), words: /x/, settings: { release_limit: '3s' } },
  'billing fails while it is watched': { arrange: fault('billing', { kind: 'broken' }), words: /x/ },
  'billing answers 200 with an error inside': { arrange: fault('billing', { kind: 'swallow' }), words: /x/ },
  'the log cannot be read': { arrange: fault('heroku', { kind: 'log_refuse', status: 503 }), words: /x/, settings: { retry_limit: '2s' } },
  'Heroku gives no more answers for this hour': { arrange: fault('heroku', { kind: 'quota', remaining: 0 }), words: /x/, settings: { retry_limit: '2s' } },
  'Stripe answers with a page of HTML': { arrange: fault('stripe', { kind: 'status', status: 502, html: true }), words: /x/, settings: { retry_limit: '2s' } },
};
for (const [name, { arrange, words, mend, settings }] of Object.entries(stopped)) {
  test(`stopped, and mended: ${name}`, async (t) => {
    const stage = await open(t, settings);
    await stage.start();
    await stage.confirm();
    const link = await stage.link();
    const key = await stage.rotateInDashboard(grace);
    await arrange(stage);
    assert.equal((await stage.submit(link, key, grace)).state, 'received');
    const news = await stage.message(ops, explore ? /Stopped:|is rotated\./ : words, 20000);
    if (explore) {
      console.log(name, '|', news.all.replaceAll('\n', ' / ').slice(0, 900));
      return;
    }
  });
}
