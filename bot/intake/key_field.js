// The field for the key: what is pasted is tidied and judged at once, and the mistake is named before anything is sent.
// A master key doesn't stay in it for a moment.
import { byId, verdict } from './page.js';
import { classify, masterPrefixIn, tidy } from './paste.js';

const field = byId('key');
let held = '';  // tidied; the field itself drops line breaks, which are part of the verdict
let rules = null;
let mode = '';
let onMasterKey = () => {};
let onNewKey = () => {};

export function setUpKeyField(look, listeners) {
  ({ rules, mode } = look);
  ({ onMasterKey, onNewKey } = listeners);
}

export const key = () => held;
export const focusKey = () => field.focus();
export const masterKeyIn = (text) => rules && masterPrefixIn(tidy(text), rules);

export function forgetKey() {
  held = field.value = '';
  judge();
}

// The sentence for the mistake, or null when the field holds a whole key. Says it below the field as well.
function judge() {
  field.removeAttribute('aria-invalid');
  if (!held || !rules) {
    verdict('key-verdict', '', '');
    return 'Paste the new key.';
  }
  const kind = classify(held, rules);
  if (kind === 'restricted_key') {
    verdict('key-verdict', 'good', `Looks like a whole restricted ${mode} key (${held.length} characters).`);
    return null;
  }
  field.setAttribute('aria-invalid', 'true');
  verdict('key-verdict', 'bad', rules.advice[kind]);
  return rules.advice[kind];
}

// For a press on "Hand over": true when there is a whole key.
export function keyIsGood() {
  const mistake = judge();
  if (mistake) complainOfKey(mistake);
  return !mistake;
}

export function complainOfKey(sentence) {
  field.setAttribute('aria-invalid', 'true');
  verdict('key-verdict', 'bad', sentence);
  field.focus();
}

function take(text) {
  const before = held;
  held = tidy(text);
  const prefix = rules && masterPrefixIn(held, rules);
  if (prefix) {
    forgetKey();
    onMasterKey(prefix);
    return;
  }
  if (judge() === null && held !== before) onNewKey();
}

// A key is pasted whole, so a paste replaces what was there.
field.addEventListener('paste', (event) => {
  event.preventDefault();
  const text = event.clipboardData.getData('text');
  field.value = masterKeyIn(text) ? '' : tidy(text);
  take(text);
});
// Typed, dropped, or put in by a phone's keyboard, which doesn't always call it a paste.
field.addEventListener('input', () => take(field.value));

// Dots by style, because browsers offer to keep what is typed into a password field; where there is no such style, a
// password field after all.
const canMask = CSS.supports('-webkit-text-security', 'disc');
if (!canMask) field.type = 'password';
byId('show').addEventListener('click', () => {
  const shown = byId('show').getAttribute('aria-pressed') !== 'true';
  byId('show').setAttribute('aria-pressed', String(shown));
  byId('show').textContent = shown ? 'Hide' : 'Show';
  if (canMask) field.classList.toggle('masked', !shown);
  else field.type = shown ? 'text' : 'password';
});
