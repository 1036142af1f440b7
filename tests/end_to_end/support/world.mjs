// What one act brought about, everywhere at once: in Slack (and to whom), in the journal, at the vendors. A test says
// all of what it expects, so that a stray message, entry or write is a failure too, not only a missing one.
import assert from 'node:assert/strict';
import { ada, adasMessages, ops } from './stage.mjs';

const vendors = ['stripe', 'infisical', 'heroku'];
const variable = 'STRIPE_RESTRICTED_KEY';
const app = 'raxx-api-prod';

// Requests that change nothing at a vendor though they are POSTs: a login, and a session that reads the log.
const reads = ({ method, path }) => ['GET', 'HEAD'].includes(method) || /\/login$|\/log-sessions$/.test(path);

// The two writes that a rotation consists of.
export const oneRotation = [`infisical PATCH /api/v4/secrets/${variable}`, `heroku PATCH /apps/${app}/config-vars`];

const writesTo = (vendor, state) => state[vendor].requests.filter((request) => !reads(request))
  .map(({ method, path }) => `${vendor} ${method} ${path}`);
export function writes(state) {
  return vendors.flatMap((vendor) => writesTo(vendor, state));
}

// What stands at the vendors, without what only passes by (requests, log lines, when a key was used last).
export function holdings({ stripe, infisical, heroku }) {
  return {
    stripe: stripe.keys.map(({ last_used: passes, ...key }) => key),
    infisical: { secrets: infisical.secrets, approvals: infisical.approvals },
    heroku: heroku.apps.map(({ name, config, dynos, releases }) => ({ name, config, dynos, releases })),
  };
}

// Everything that can be read in Slack, as {to, text, ts}: to a channel's id, or to a person where only they see it.
export async function said(stage) {
  const { slack } = await stage.state();
  const all = [];
  for (const { id, is_im: direct, user, ephemerals } of slack.channels) {
    for (const message of await stage.messages(id)) all.push({ to: direct ? user : id, text: message.all, ts: message.ts });
    for (const { only_for: to, text, ts } of ephemerals) all.push({ to, text, ts });
  }
  return all.sort((one, other) => (one.ts < other.ts ? -1 : 1));
}

// Before an act; since() afterwards says what came of it.
export async function snapshot(stage) {
  return { state: await stage.state(), said: await said(stage), journal: await stage.journal() };
}

// {said, journal, writes: new ones; asked: how many requests to the vendors that only the bot asks; state}. The journal
// comes without the bookkeeping of messages, which follows each message in its own time.
export async function since(stage, before) {
  const [state, heard, journal] = [await stage.state(), await said(stage), await stage.journal()];
  const known = new Set(before.said.map(({ to, ts }) => `${to} ${ts}`));
  const asked = (of) => of.infisical.requests.length + of.heroku.requests.length;
  return {
    state,
    said: heard.filter(({ to, ts }) => !known.has(`${to} ${ts}`)),
    journal: journal.slice(before.journal.length).filter(({ action }) => !action.startsWith('secret.rotate.message.')),
    writes: vendors.flatMap((vendor) => writesTo(vendor, state).slice(writesTo(vendor, before.state).length)),
    asked: asked(state) - asked(before.state),
  };
}

// Nothing was written at any vendor, and everything there is as it was. `created`: keys that the test itself made.
export function assertUntouched(before, now, created = 0) {
  assert.deepEqual(writes(now), writes(before), 'a vendor was written to');
  const [then, today] = [holdings(before), holdings(now)];
  assert.deepEqual(today.stripe.slice(0, then.stripe.length), then.stripe, 'a key at Stripe has changed');
  assert.equal(today.stripe.length - then.stripe.length, created, 'keys at Stripe');
  assert.deepEqual([today.infisical, today.heroku], [then.infisical, then.heroku], 'Infisical or Heroku has changed');
}

// A refusal: one answer, to the one who asked; one entry in the journal; and nobody else, neither person nor vendor, has
// heard of it.
export async function assertRefused(stage, before, { user, words, code, command }) {
  const now = await since(stage, before);
  assert.deepEqual(now.said.map(({ to }) => to), [user], 'the one who asked is told, and nobody else');
  assert.match(now.said[0].text, words);
  assert.deepEqual(now.journal.map(({ action, actor, rotation, context }) => ({ action, actor, rotation, context })),
    [{ action: 'command.refused', actor: user, rotation: '', context: { code, command } }]);
  assert.equal(now.asked, 0, 'no vendor was asked anything');
  assertUntouched(before.state, now.state);
}

// The whole of a finished rotation by ada, looked at from the outside: done once in spite of all that happened on the
// way, told once, and nothing else in the world has changed. `before` was taken before the start. `written`: what the bot
// did to the vendors. `repeated`: the command may have been typed again, because a bot that died had begun and not answered.
export async function assertRotatedOnce(stage, before, key, { written = oneRotation, repeated = false } = {}) {
  for (const channel of [ops, adasMessages]) await stage.message(channel, /closed: rotated/);
  await stage.message(ops, /is dead\./);
  const now = await since(stage, before);

  assert.deepEqual(now.writes, written);
  assertOnlyThisChanged(holdings(before.state), holdings(now.state), key.slice(-6));

  // The journal: every milestone once, in this order, by whom it was.
  const milestones = now.journal.filter(({ action }) => Object.hasOwn(lifeOfARotation, action));
  assert.deepEqual(milestones.map(({ action, actor }) => [action, actor]), Object.entries(lifeOfARotation));
  assert.equal(new Set(milestones.map(({ rotation }) => rotation)).size, 1);
  assert.equal(milestones.at(-1).context.outcome, 'rotated');
  const refused = now.journal.filter(({ action }) => action === 'command.refused').map(({ context }) => context.code);
  assert.deepEqual(refused.filter((code) => !(repeated && code === 'already_live')), []);
  const verified = await stage.verifyJournal();
  assert.equal(verified.code, 0, verified.output);

  // Slack: one live message in each place, one summary, one proof. Only ada was told how to do it.
  const to = (place, pattern) => now.said.filter((each) => each.to === place && pattern.test(each.text)).length;
  for (const place of [ops, ada]) assert.equal(to(place, /^Rotation of stripe prod[^\n]*closed: rotated/), 1, `one live message for ${place}`);
  assert.equal(to(ops, /^stripe prod is rotated and verified/), 1, 'one summary');
  assert.equal(to(ops, /^The old key of stripe prod is proven dead/), 1, 'one proof');
  assert.ok(to(ops, /^The old key of stripe prod expires soon/) <= 1, 'at most one reminder');
  assert.equal(to(ada, /^Prerequisites of stripe prod/), 1, 'the boxes, once');
  assert.equal(to(ada, /^Dashboard steps for stripe prod/), 1, 'the dashboard steps, once, without the form now');
  const knowing = now.said.filter(({ text }) => /Prerequisites of|Dashboard steps|\/form#/.test(text));
  assert.deepEqual([...new Set(knowing.map((each) => each.to))], [ada]);
  return now;
}

// The same of a way back: `before` was taken before the rotation that was undone.
export async function assertRolledBackOnce(stage, before) {
  const now = await since(stage, before);
  assert.deepEqual(now.writes, oneRotation.flatMap((write) => [write, write]), 'written once on the way there, and once back');
  const of = ({ infisical }) => infisical.secrets.find(({ environment, name }) => environment === 'prod' && name === variable);
  const [secret, oldSecret] = [of(now.state), of(before.state)];
  assert.equal(secret.version, oldSecret.version + 2);
  assert.equal(secret.versions.at(-1).tail, oldSecret.versions.at(-1).tail, 'Infisical holds the old key');
  const [production, oldProduction] = [now.state, before.state].map(({ heroku }) => heroku.apps.find(({ name }) => name === app));
  assert.deepEqual(production.config, oldProduction.config, 'the app holds the old key');
  assert.equal(production.releases.length, oldProduction.releases.length + 2);
  assert.ok(production.dynos.every(({ state, release }) => state === 'up' && release === production.releases.at(-1).version));
  const milestones = now.journal.filter(({ action }) => Object.hasOwn(lifeOfARollback, action));
  assert.deepEqual(milestones.map(({ action, actor }) => [action, actor]), Object.entries(lifeOfARollback));
  assert.equal((await stage.verifyJournal()).code, 0);
  const to = (place, pattern) => now.said.filter((each) => each.to === place && pattern.test(each.text)).length;
  assert.equal(to(ops, /asked for the way back/), 1, 'told once that it began');
  assert.equal(to(ops, /is rolled back\./), 1, 'one summary');
  for (const place of [ops, ada]) assert.equal(to(place, /^Rotation of stripe prod[^\n]*rolled back/), 1, `one live message for ${place}`);
}

const lifeOfARollback = {
  'secret.rotate.rollback.requested': ada,
  'secret.rotate.rollback.began': 'keyturn',
  'secret.rotate.rollback.previous_key.read': 'keyturn',
  'secret.rotate.rolled_back': 'keyturn',
};

const lifeOfARotation = {
  'secret.rotate.started': ada,
  'secret.rotate.operator.confirmed': ada,
  'secret.rotate.new_key.received': ada,
  'secret.rotate.new_key.stored': 'keyturn',
  'secret.rotate.consumer.updated': 'keyturn',
  'secret.rotate.consumer.running': 'keyturn',
  'secret.rotate.watch.finished': 'keyturn',
  'secret.rotate.completed': 'keyturn',
  'secret.rotate.old_key.proven_dead': 'keyturn',
  'secret.rotate.closed': 'keyturn',
};

// One new version, one new release that every dyno runs, the old key expired and the new one alive: all else is as it was.
function assertOnlyThisChanged(then, now, tail) {
  const secret = now.infisical.secrets.find(({ environment, name }) => environment === 'prod' && name === variable);
  const oldSecret = then.infisical.secrets.find(({ id }) => id === secret.id);
  assert.equal(secret.version, oldSecret.version + 1);
  assert.deepEqual(secret.versions.slice(0, -1), oldSecret.versions);
  assert.equal(secret.versions.at(-1).tail, tail);
  const without = (secrets) => secrets.filter(({ id }) => id !== secret.id);
  assert.deepEqual(without(now.infisical.secrets), without(then.infisical.secrets));

  const [production, oldProduction] = [now, then].map(({ heroku }) => heroku.find(({ name }) => name === app));
  assert.ok(production.config[variable].endsWith(tail), 'the app is configured with the new key');
  assert.deepEqual({ ...production.config, [variable]: '' }, { ...oldProduction.config, [variable]: '' });
  assert.deepEqual(production.releases.slice(0, -1), oldProduction.releases, 'one release more');
  assert.deepEqual(production.dynos, oldProduction.dynos.map((dyno) => ({ ...dyno, release: production.releases.at(-1).version })));
  const others = ({ heroku }) => heroku.filter(({ name }) => name !== app);
  assert.deepEqual(others(now), others(then));

  const oldTail = oldSecret.versions.at(-1).tail;
  assert.equal(now.stripe.length, then.stripe.length + 1);
  for (const [i, key] of then.stripe.entries()) {
    if (!key.masked.endsWith(oldTail)) assert.deepEqual(now.stripe[i], key);
  }
  const old = now.stripe.find(({ masked }) => masked.endsWith(oldTail));
  const fresh = now.stripe.find(({ masked }) => masked.endsWith(tail));
  assert.equal(old.status, 'expired');
  assert.equal(fresh.status, 'active');
  assert.deepEqual([fresh.mode, fresh.account, fresh.permissions], [old.mode, old.account, old.permissions]);
}
