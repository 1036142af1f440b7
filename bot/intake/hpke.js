// HPKE, base mode, one message (RFC 9180): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-GCM. Pure WebCrypto: the browser
// runs this file, and Node holds it to the RFC's vectors. storage/hpke.h is the other end.

const text = (string) => new TextEncoder().encode(string);
const number = (value, bytes) => Uint8Array.from({ length: bytes }, (_, i) => value >> (8 * (bytes - 1 - i)));

const VERSION = text('HPKE-v1');
const KEM_ID = 0x0010;
const KDF_ID = 0x0001;
const AEAD_IDS = new Map([[16, 0x0001], [32, 0x0002]]);  // by the size of the key, in bytes
const HASH_SIZE = 32;
const NONCE_SIZE = 12;
const BASE_MODE = 0x00;

const NOTHING = new Uint8Array(0);
const KEM = join(text('KEM'), number(KEM_ID, 2));

function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function hmac(key, data) {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, data));
}

// WebCrypto refuses an empty HMAC key; HMAC fills a short one with zeros, so these mean the same.
const NO_SALT = new Uint8Array(HASH_SIZE);

function labeledExtract(suite, salt, label, material) {
  return hmac(salt.length ? salt : NO_SALT, join(VERSION, suite, text(label), material));
}

// HKDF-Expand's first block, which is all that is needed up to the size of the hash.
async function labeledExpand(suite, secret, label, context, length) {
  const block = await hmac(secret, join(number(length, 2), VERSION, suite, text(label), context, number(1, 1)));
  return block.slice(0, length);
}

const CURVE = { name: 'ECDH', namedCurve: 'P-256' };
const rawPoint = async (key) => new Uint8Array(await crypto.subtle.exportKey('raw', key));

// A shared secret and what the recipient needs to come to the same one.
async function encapsulate(publicKey, ephemeral) {
  const recipient = await crypto.subtle.importKey('raw', publicKey, CURVE, true, []);
  const pair = ephemeral ?? await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
  const dh = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: recipient }, pair.privateKey, 256));
  const enc = await rawPoint(pair.publicKey);
  const prk = await labeledExtract(KEM, NOTHING, 'eae_prk', dh);
  const secret = await labeledExpand(KEM, prk, 'shared_secret', join(enc, await rawPoint(recipient)), HASH_SIZE);
  return { secret, enc };
}

// All in bytes. `publicKey` is the recipient's uncompressed point; one that isn't on the curve is refused by WebCrypto.
// `ephemeral` (a pair of CryptoKeys) is for test vectors only: a real one is used once, and nobody else sees it.
export async function seal({ publicKey, info, associatedData, plaintext, ephemeral, keySize = 32 }) {
  const suite = join(text('HPKE'), number(KEM_ID, 2), number(KDF_ID, 2), number(AEAD_IDS.get(keySize), 2));
  const { secret: shared, enc } = await encapsulate(publicKey, ephemeral);
  const context = join(number(BASE_MODE, 1), await labeledExtract(suite, NOTHING, 'psk_id_hash', NOTHING),
    await labeledExtract(suite, NOTHING, 'info_hash', info));
  const secret = await labeledExtract(suite, shared, 'secret', NOTHING);
  const key = await labeledExpand(suite, secret, 'key', context, keySize);
  const iv = await labeledExpand(suite, secret, 'base_nonce', context, NONCE_SIZE);  // of the first message: as it is
  const aes = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt']);
  const ciphertext = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: associatedData }, aes, plaintext);
  return { enc, ciphertext: new Uint8Array(ciphertext) };
}
