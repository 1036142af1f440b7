// openid-client, a certified OpenID Connect client, unmodified, against the emulated "Sign in with Slack": discovery, the
// way to the page and back, the exchange, and the signature of every ID token must be what the standard asks for.
// Shares the emulated Slack with slack.test.mjs, so it orders no faults.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as openid from 'openid-client';
import { places, refusal, written } from './support/sandbox.mjs';

const ada = 'U0ADMIN';
const redirect_uri = `${places.form}/form`;
const clientId = /^client_id = "([0-9.]+)"$/m.exec(written('keyturn.toml'))[1];
const clientSecret = written('secrets/slack-client-secret').trim();

// The signature too, although the standard lets a client go without over TLS.
const loopback = { execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks] };
const discover = (authentication) =>
  openid.discovery(new URL(places.slack), clientId, undefined, authentication, loopback);

let post;
before(async () => {
  post = await discover(openid.ClientSecretPost(clientSecret));
});

function page(config, more = {}) {
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  const url = openid.buildAuthorizationUrl(config, { redirect_uri, scope: 'openid', state, nonce, ...more });
  return { url, state, nonce };
}

// Chooses `person` on the page, as their button does; where the browser is sent back to.
async function choose(url, person) {
  const chosen = new URL(url);
  chosen.searchParams.set('as', person);
  const answer = await fetch(chosen, { redirect: 'manual' });
  assert.equal(answer.status, 302);
  return new URL(answer.headers.get('location'));
}

async function signIn(config, person) {
  const { url, state, nonce } = page(config);
  const back = await choose(url, person);
  const checks = { expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  return { back, checks, tokens: await openid.authorizationCodeGrant(config, back, checks) };
}

test('discovery finds the issuer and its places', () => {
  const server = post.serverMetadata();
  assert.equal(server.issuer, places.slack);
  assert.equal(server.token_endpoint, `${places.slack}/api/openid.connect.token`);
});

test('a sign-in ends with a signed ID token that names the person and the workspace', async () => {
  const { tokens } = await signIn(post, ada);
  const claims = tokens.claims();
  assert.equal(claims['https://slack.com/user_id'], ada);
  assert.equal(claims['https://slack.com/team_id'], 'T0RAXX');
  assert.equal(claims.aud, clientId);
  assert.equal(claims.exp - claims.iat, 300);
});

test('the client may say its secret in a header, too', async () => {
  const { tokens } = await signIn(await discover(openid.ClientSecretBasic(clientSecret)), ada);
  assert.equal(tokens.claims()['https://slack.com/user_id'], ada);
});

test('a code is good once', async () => {
  const { back, checks } = await signIn(post, ada);
  // Slack says no with status 200 and ok:false, which is no answer that the standard knows.
  const error = await refusal(openid.authorizationCodeGrant(post, back, checks));
  assert.equal(error.code, 'OAUTH_INVALID_RESPONSE');
});

test('whoever cancels comes back with an error, as the standard has it', async () => {
  const { url, state, nonce } = page(post);
  const html = await (await fetch(url)).text();
  const cancel = /<a href="([^"]+)">Cancel/.exec(html)[1].replaceAll('&amp;', '&');
  const checks = { expectedState: state, expectedNonce: nonce };
  const error = await refusal(openid.authorizationCodeGrant(post, new URL(cancel), checks));
  assert.equal(error.error, 'access_denied');
});

test('a page that was asked for wrongly sends nobody back', async () => {
  const { url } = page(post, { redirect_uri: 'https://elsewhere.example/form' });
  const answer = await fetch(url, { redirect: 'manual' });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /bad_redirect_uri/);
});
