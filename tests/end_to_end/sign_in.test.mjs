// "Sign in with Slack" in front of the one-time form, as a browser goes through it: whoever holds the link alone gets
// nowhere, and neither does anybody but the operator.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ada, assertNowhere, Stage } from './support/stage.mjs';

// A bot that asks for a sign-in, and a link that it sent to Ada.
async function open(t) {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace('sign_in = false', 'sign_in = true'));
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  return { stage, link: await stage.link() };
}

async function post(link, path, body, cookie = '') {
  const headers = { 'content-type': 'application/json', ...(cookie && { cookie }) };
  const answer = await fetch(`${link.address}/${path}`, {
    method: 'POST', headers, body: JSON.stringify({ token: link.token, ...body }),
  });
  return { status: answer.status, cookie: answer.headers.get('set-cookie'), ...(await answer.json()) };
}

// Chooses `person` on Slack's page, which must send the browser back to the form: what the page then posts.
async function atSlack(link, authorize, person) {
  const chosen = new URL(authorize);
  chosen.searchParams.set('as', person);
  const back = new URL((await fetch(chosen, { redirect: 'manual' })).headers.get('location'));
  assert.equal(back.origin + back.pathname, link.address);
  return { code: back.searchParams.get('code'), state: back.searchParams.get('state') };
}

async function signIn(link, person) {
  const { state, authorize } = await post(link, 'look');
  assert.equal(state, 'sign_in');
  const grant = await atSlack(link, authorize, person);
  return { grant, answer: await post(link, 'sign-in', grant) };
}

test('the operator signs in, pastes the key without a code, and the rotation goes on', async (t) => {
  const { stage, link } = await open(t);
  assert.equal(link.code, '', 'nobody is asked for a code, so none is sent');
  const { grant, answer } = await signIn(link, ada);
  assert.equal(answer.state, 'signed_in');
  assert.match(answer.cookie, /^keyturn=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=900$/);
  const [cookie] = answer.cookie.split(';');
  const look = await post(link, 'look', {}, cookie);
  assert.deepEqual([look.state, look.asks, look.operator_id], ['open', 'nothing', ada]);

  const key = await stage.rotateInDashboard(7);
  const sealed = await stage.seal({ ...link, seen: look }, key, 7, '');
  assert.equal((await post(link, 'submit', sealed)).status, 401, 'the same without the cookie');
  assert.equal((await post(link, 'submit', sealed, cookie)).state, 'received');
  await stage.closed();
  assert.equal((await stage.verifyJournal()).code, 0);
  await assertNowhere(stage, [key]);
  const secret = (await readFile(join(stage.folder, 'secrets/slack-client-secret'), 'utf8')).trim();
  for (const [name, bytes] of await stage.artefacts()) {
    if (name === 'slack traffic') continue; // where the three belong
    for (const each of [secret, grant.code, grant.state, cookie.split('=')[1]]) {
      assert.ok(!bytes.includes(each), `something of the sign-in stands in: ${name}`);
    }
  }
});

test('anybody else of the workspace is signed in and stays outside, and strangers are not signed in', async (t) => {
  const { stage, link } = await open(t);
  const grace = (await signIn(link, 'U0GRACE')).answer; // a superadmin too, but not the operator
  const [cookie] = (grace.cookie ?? '').split(';');
  assert.equal((await post(link, 'look', {}, cookie)).state, 'sign_in');
  const key = await stage.rotateInDashboard(7);
  const sealed = await stage.seal({ ...link, seen: undefined }, key, 7, '');
  assert.equal((await post(link, 'submit', sealed, cookie)).status, 401);
  const stranger = (await signIn(link, 'U0STRANGER')).answer;
  assert.deepEqual([stranger.state, stranger.cookie], ['refused', null]);
  assert.match(stage.bot.errors, /"reason":"the person belongs to another workspace"/);
  assert.ok(!(await stage.actions()).includes('secret.rotate.new_key.received'));
});

test('what Slack sent back counts once, and only as Slack sent it', async (t) => {
  const { stage, link } = await open(t);
  const { grant, answer } = await signIn(link, ada);
  assert.equal(answer.state, 'signed_in');
  assert.equal((await post(link, 'sign-in', grant)).state, 'refused', 'the same again');
  const { authorize } = await post(link, 'look');
  const fresh = await atSlack(link, authorize, ada);
  assert.equal((await post(link, 'sign-in', { ...fresh, state: `${fresh.state}x` })).state, 'refused');
  assert.equal((await post(link, 'sign-in', { ...fresh, code: grant.code })).state, 'refused', 'a spent code');
  assert.match(stage.bot.errors, /"reason":"Slack says that the code is unknown, used up or too old"/);
  assert.equal((await signIn(link, ada)).answer.state, 'signed_in');
});

test('a Slack that does not answer signs nobody in, and the next try works', async (t) => {
  const { stage, link } = await open(t);
  await stage.act('/fault', { system: 'slack', kind: 'close', path: '/api/openid.connect.token', times: 1 });
  const { answer } = await signIn(link, ada);
  assert.deepEqual([answer.state, answer.cookie], ['refused', null]);
  assert.match(answer.sentence, /billing is untouched/);
  assert.equal((await signIn(link, ada)).answer.state, 'signed_in');
});
