// bot/intake/hpke.js against RFC 9180's own vectors, in Node and in the browser that will run it.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { seal } from '../../bot/intake/hpke.js';
import { House } from './support/house.mjs';
import { launch, Visitor } from './support/visitor.mjs';

globalThis.crypto ??= webcrypto;
const vectors = JSON.parse(readFileSync(new URL('../vectors/hpke.json', import.meta.url)));
const KEY_SIZES = { 1: 16, 2: 32 };

// Runs in the browser, too: nothing from outside but its arguments.
async function sealed(vector, keySize, sealing) {
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const base64url = (part) => btoa(String.fromCharCode(...part)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const point = bytes(vector.pkEm);
  const jwk = { kty: 'EC', crv: 'P-256', x: base64url(point.slice(1, 33)), y: base64url(point.slice(33)) };
  const curve = { name: 'ECDH', namedCurve: 'P-256' };
  const ephemeral = {
    publicKey: await crypto.subtle.importKey('jwk', jwk, curve, true, []),
    privateKey: await crypto.subtle.importKey('jwk', { ...jwk, d: base64url(bytes(vector.skEm)) }, curve, true, ['deriveBits']),
  };
  const [{ aad, pt }] = vector.encryptions;
  const { enc, ciphertext } = await sealing({ publicKey: bytes(vector.pkRm), info: bytes(vector.info), associatedData: bytes(aad), plaintext: bytes(pt), ephemeral, keySize });
  const hex = (part) => Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { enc: hex(enc), ciphertext: hex(ciphertext) };
}
const expected = (vector) => ({ enc: vector.enc, ciphertext: vector.encryptions[0].ct });

test('in Node, a message comes out as RFC 9180 says', async () => {
  assert.ok(vectors.length > 0);
  for (const vector of vectors) assert.deepEqual(await sealed(vector, KEY_SIZES[vector.aead_id], seal), expected(vector));
});

test('a point that is not on the curve is refused', async () => {
  const publicKey = new Uint8Array(65).fill(7);
  publicKey[0] = 4;
  await assert.rejects(seal({ publicKey, info: new Uint8Array(), associatedData: new Uint8Array(), plaintext: new Uint8Array(1) }));
});

let house, browser;
before(async () => {
  house = await House.open();
  browser = await launch();
});
after(async () => {
  await browser.close();
  await house.close();
});

test('in the browser, the script that the bot serves does the same', async () => {
  const visitor = await Visitor.arrive(browser);
  await visitor.page.goto(`${house.stage.places.form}/form`);
  for (const vector of vectors) {
    const answer = await visitor.page.evaluate(`(async () => {
      const { seal } = await import('/form/hpke.js');
      return (${sealed})(${JSON.stringify(vector)}, ${KEY_SIZES[vector.aead_id]}, seal);
    })()`);
    assert.deepEqual(answer, expected(vector));
  }
  await visitor.leave();
});
