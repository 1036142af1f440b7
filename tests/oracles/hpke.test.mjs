// The form's page seals with bot/intake/hpke.js. RFC 9180 prints vectors for P-256 with AES-128 only, so for the suite
// that is really used (AES-256) an independent implementation of the RFC is the judge, in both directions of doubt:
// it opens what we seal, and refuses what was sealed for another place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';
import { sealSubmission } from '../../bot/intake/message.js';
import { seal } from '../../bot/intake/hpke.js';

const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const bytes = (text) => new TextEncoder().encode(text);

async function recipient() {
  const pair = await suite.kem.generateKeyPair();
  return { pair, point: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)) };
}

async function open(pair, { enc, ciphertext }, info, associatedData) {
  const context = await suite.createRecipientContext({ recipientKey: pair.privateKey, enc, info });
  return new Uint8Array(await context.open(ciphertext, associatedData));
}

test('what our page seals, another implementation of RFC 9180 opens', async () => {
  const { pair, point } = await recipient();
  for (const size of [0, 1, 100, 1024, 5000]) {
    const plaintext = crypto.getRandomValues(new Uint8Array(size));
    const message = await seal({ publicKey: point, info: bytes('a purpose'), associatedData: bytes('a place'), plaintext });
    assert.deepEqual(await open(pair, message, bytes('a purpose'), bytes('a place')), plaintext);
    await assert.rejects(open(pair, message, bytes('a purpose'), bytes('another place')));
    await assert.rejects(open(pair, message, bytes('another purpose'), bytes('a place')));
    await assert.rejects(open((await recipient()).pair, message, bytes('a purpose'), bytes('a place')));
  }
});

test('a handover is bound to its rotation, operator and link, and its length tells nothing', async () => {
  const { pair, point } = await recipient();
  const look = { public_key: Buffer.from(point).toString('base64url'), rotation: 'rot_1', operator_id: 'U1' };
  const sizes = new Set();
  for (const key of ['short', 'x'.repeat(107), 'x'.repeat(255)]) {
    const form = { key, graceSeconds: 86400, rotatedAt: new Date('2026-11-23T19:16:05Z'), code: '483920' };
    const sent = await sealSubmission(look, 'token', form);
    const message = { enc: Buffer.from(sent.enc, 'base64url'), ciphertext: Buffer.from(sent.ciphertext, 'base64url') };
    sizes.add(message.ciphertext.length);
    const plain = await open(pair, message, bytes('keyturn form v1'), bytes('rot_1\nU1\ntoken'));
    assert.deepEqual(JSON.parse(Buffer.from(plain).toString()),
      { key, grace_seconds: 86400, rotated_at: '2026-11-23T19:16:05.000Z', code: '483920' });
    for (const elsewhere of ['rot_2\nU1\ntoken', 'rot_1\nU2\ntoken', 'rot_1\nU1\nother']) {
      await assert.rejects(open(pair, message, bytes('keyturn form v1'), bytes(elsewhere)));
    }
  }
  assert.equal(sizes.size, 1);
});
