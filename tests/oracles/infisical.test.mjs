// Infisical's own SDK against the emulated Infisical: it speaks the v3 "raw" routes, the emulator's elder half.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InfisicalSDK } from '@infisical/sdk';
import { act, fault, look, places, refusal, written } from './support/sandbox.mjs';

const environment = 'dev'; // no rotation touches it
const { infisical: viewer } = await look('/places');
const projectId = viewer.project;

// What keyturn itself logs in with: it may write.
const bot = {
  client_id: /^\[infisical\][^[]*^client_id = "(.+)"$/m.exec(written('keyturn.toml'))[1],
  client_secret: written('secrets/infisical-client-secret').trim(),
};

async function loggedIn({ client_id: clientId, client_secret: clientSecret }) {
  const client = new InfisicalSDK({ siteUrl: places.infisical });
  return client.auth().universalAuth.login({ clientId, clientSecret });
}

// A secret of two versions; every test has its own.
async function secretOf(name) {
  for (const value of ['first', 'second']) await act('/infisical/put', { environment, name, value });
  return { environment, projectId, secretName: name };
}

test('the client logs in, reads a secret, and reads its first version', async () => {
  const wanted = await secretOf('ORACLE_READ');
  const client = await loggedIn(viewer);
  const latest = await client.secrets().getSecret(wanted);
  assert.equal(latest.secretKey, 'ORACLE_READ');
  assert.equal(latest.secretValue, 'second');
  assert.equal(latest.version, 2);
  assert.equal(latest.type, 'shared');
  assert.equal(latest.environment, environment);
  assert.equal(latest.workspace, projectId);
  assert.equal(latest.secretValueHidden, false);
  const first = await client.secrets().getSecret({ ...wanted, version: 1 });
  assert.equal(first.secretValue, 'first');
  assert.equal(first.version, 1);
  assert.equal(first.id, latest.id);
});

test('the client writes the next version, and reads it back', async () => {
  const wanted = await secretOf('ORACLE_WRITE');
  const client = await loggedIn(bot);
  const { secret } = await client.secrets().updateSecret('ORACLE_WRITE', { environment, projectId, secretValue: 'third' });
  assert.equal(secret.version, 3);
  assert.equal(secret.secretValue, 'third');
  assert.equal((await client.secrets().getSecret(wanted)).secretValue, 'third');
  assert.equal((await client.secrets().getSecret({ ...wanted, version: 2 })).secretValue, 'second');
});

test('the client lists an environment, creates a secret, and deletes it', async () => {
  const client = await loggedIn(bot);
  const where = { environment, projectId };
  await client.secrets().createSecret('ORACLE_NEW', { ...where, secretValue: 'made' });
  const names = async () => (await client.secrets().listSecrets(where)).secrets.map(({ secretKey }) => secretKey);
  assert.ok((await names()).includes('ORACLE_NEW'));
  await client.secrets().deleteSecret('ORACLE_NEW', where);
  assert.ok(!(await names()).includes('ORACLE_NEW'));
});

test('the client renews its token', async () => {
  const client = await loggedIn(viewer);
  const renewed = await client.auth().universalAuth.renew();
  const { secrets } = await renewed.secrets().listSecrets({ environment, projectId });
  assert.ok(Array.isArray(secrets));
});

test('a wrong client secret is 401', async () => {
  const error = await refusal(loggedIn({ ...viewer, client_secret: 'wrong' }));
  assert.equal(error.name, 'InfisicalSDKRequestError');
  assert.match(error.message, /\[StatusCode=401\] Invalid credentials$/);
});

test('a missing secret is 404, and named', async () => {
  const client = await loggedIn(viewer);
  const error = await refusal(client.secrets().getSecret({ environment, projectId, secretName: 'NOPE' }));
  assert.equal(error.name, 'InfisicalSDKRequestError');
  assert.match(error.message, /\[Method=GET\] \[StatusCode=404\] Secret with name 'NOPE' not found$/);
});

test('a version that never was is 404', async () => {
  const wanted = await secretOf('ORACLE_VERSIONS');
  const client = await loggedIn(viewer);
  const error = await refusal(client.secrets().getSecret({ ...wanted, version: 99 }));
  assert.match(error.message, /\[StatusCode=404\]/);
});

test('who may only read is refused a write', async () => {
  await secretOf('ORACLE_LOCKED');
  const client = await loggedIn(viewer);
  const error = await refusal(client.secrets().updateSecret('ORACLE_LOCKED', { environment, projectId, secretValue: 'x' }));
  assert.match(error.message, /\[StatusCode=403\] You are not allowed to edit on secrets$/);
});

test('under an approval policy the client takes a write for done that was not', async (t) => {
  const wanted = await secretOf('ORACLE_APPROVAL');
  t.after(() => fault('infisical', { kind: 'approval_policy', on: false }));
  await fault('infisical', { kind: 'approval_policy', on: true, environment });
  const client = await loggedIn(bot);
  const answer = await client.secrets().updateSecret('ORACLE_APPROVAL', { environment, projectId, secretValue: 'third' });
  assert.equal(answer.secret, undefined);
  assert.equal(answer.approval.status, 'open');
  assert.equal((await client.secrets().getSecret(wanted)).secretValue, 'second');
});
