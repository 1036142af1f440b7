// What the form sends for a key: sealed to the server's key for this link, so that whatever carries it (a proxy that
// ends TLS, a log, a copy of the database) carries ciphertext. No DOM: Node's tests use it as well.
import { seal } from './hpke.js';

const INFO = 'keyturn form v1';
const BLOCK = 1024;  // bytes; the length of the message says nothing about the length of the key

export function toBase64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function fromBase64url(text) {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
}

// JSON, then spaces, which JSON allows at its end.
export function padded(submission) {
  const json = new TextEncoder().encode(JSON.stringify(submission));
  const bytes = new Uint8Array(Math.ceil(json.length / BLOCK) * BLOCK).fill(0x20);
  bytes.set(json);
  json.fill(0);
  return bytes;
}

// `look` is the server's answer about the link. Nobody can move the message to another rotation, operator or link.
export async function sealSubmission(look, token, { key, graceSeconds, rotatedAt, code }) {
  const plaintext = padded({ key, grace_seconds: graceSeconds, rotated_at: rotatedAt.toISOString(), code });
  try {
    const { enc, ciphertext } = await seal({
      publicKey: fromBase64url(look.public_key),
      info: new TextEncoder().encode(INFO),
      associatedData: new TextEncoder().encode([look.rotation, look.operator_id, token].join('\n')),
      plaintext,
    });
    return { enc: toBase64url(enc), ciphertext: toBase64url(ciphertext) };
  } finally {
    plaintext.fill(0);
  }
}
