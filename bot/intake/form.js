// The one-time form, from the link to the end of the rotation. The token is taken out of the address bar at once and
// lives in this script (link.js has the exceptions); the key leaves it only sealed (message.js).
import { offerToClear } from './clipboard.js';
import { close, isClosed } from './closed.js';
import { graceChosen, keyWasPasted, missingIn, offerGraces, rotatedAt, showDeadline } from './expiration.js';
import { complainOfKey, focusKey, forgetKey, key, keyIsGood, masterKeyIn, setUpKeyField } from './key_field.js';
import { arrive, forgetFollowed, keepFollowed, keepForSignIn } from './link.js';
import { sealSubmission } from './message.js';
import { byId, make, note, say, show, verdict } from './page.js';
import { expiry, follow } from './progress.js';
import { post } from './server.js';
import { stop } from './stop.js';
import { count, dayAndTime, duration, MINUTE, minutesAndSeconds } from './words.js';

const FEW_TRIES = 3;
const LONGEST_CODE = 16;  // characters: six digits, and blanks that came along

let token = '';
let look = null;           // what the link is for
let clockOffset = 0;       // the server's clock minus this browser's, in ms
let sending = false;
let unanswered = false;    // something was sent, and whether it arrived isn't known
let sealed = null;         // {of, message}: sent again unchanged, so that a lost answer costs nothing
let ticking = 0;

const now = () => Date.now() + clockOffset;

function leaveForm() {
  clearInterval(ticking);
  sealed = null;
  unanswered = false;
  forgetKey();
  byId('code').value = '';
}

function shut(state, options) {
  leaveForm();
  close(state, options);
}

// ---- handing over ----------------------------------------------------------------------------------------------------

const code = () => byId('code').value.replace(/\s/g, '');

function codeIsGood() {
  if (look.asks !== 'code' || /^[0-9]{6}$/.test(code())) return true;
  complainOfCode(code() ? 'The code is six digits.' : 'Type the code that stands beside the link.');
  return false;
}

function complainOfCode(sentence, { select = false } = {}) {
  byId('code').setAttribute('aria-invalid', 'true');
  verdict('code-verdict', 'bad', sentence);
  if (select) byId('code').select();
}

// Every gap is named, and the first one gets the focus.
function isComplete() {
  const gaps = [keyIsGood() ? null : byId('key'), codeIsGood() ? null : byId('code'), missingIn()].filter(Boolean);
  gaps[0]?.focus();
  return gaps.length === 0;
}

const draft = () => ({ key: key(), graceSeconds: graceChosen(), rotatedAt: rotatedAt(), code: look.asks === 'code' ? code() : '' });

async function messageFor(submission) {
  const of = JSON.stringify(submission);
  if (sealed?.of !== of) sealed = { of, message: await sealSubmission(look, token, submission) };
  return sealed.message;
}

function setSending(on) {
  sending = on;
  byId('send').setAttribute('aria-disabled', String(on));
  say('send', on ? 'Sealing and storing…' : 'Hand over the key');
}

async function send(event) {
  event.preventDefault();
  if (sending) return;
  tell('', '');
  if (!isComplete()) return;
  setSending(true);
  const message = await messageFor(draft()).catch(() => null);
  const answer = message && await post('/form/submit', { token, ...message });
  setSending(false);
  if (!message) return tell('This browser could not seal the key, so nothing was sent. Open the link in another browser.', 'alarm');
  await take(answer);
}

function tell(sentence, kind) {
  note('answer', kind, sentence);
  if (sentence) byId('answer').focus();
}

async function take(answer) {
  if (answer?.state === 'received') return received(answer);
  if (answer?.state === 'refused') return refused(answer);
  // Our own message may have arrived before, with the answer lost: then the link says so.
  if (answer?.state === 'used') return openLink();
  if (answer?.status === 410 && isClosed(answer)) return shut(answer.state);
  if (answer?.state === 'sign_in') return signInAgain(answer);
  // 400, 403, 429, 503, a proxy's page, or nothing: not known to be stored, so the key stays in the field.
  unanswered = unanswered || !answer || answer.status >= 500;
  tell(answer?.sentence ?? 'No answer came, so it is not known whether the key arrived. Keep it, check your connection, and hand it over again: twice is harmless.', '');
}

// What the server says stands where it is about: below the code, below the key, or above the button.
function refused(answer) {
  sealed = null;
  unanswered = false;
  if (answer.attempts_left === 0) return shut('locked');
  showTries(answer.attempts_left);
  const said = `${answer.sentence} ${triesLeft(answer.attempts_left)}`;
  if (answer.code === 'wrong_code') return complainOfCode(said, { select: true });
  if (answer.code === 'grace' || answer.code === 'rotated_at') return tell(said, '');
  forgetKey();
  if (answer.alarm) return tell(said, 'alarm');
  complainOfKey(said);
}

const triesLeft = (left) => left === 1 ? 'One try is left.' : `${left} tries are left.`;

function showTries(left) {
  look.attempts_left = left;
  say('tries', left <= FEW_TRIES ? triesLeft(left) : '');
}

// ---- a master key ----------------------------------------------------------------------------------------------------

// The server has to know, to raise the alarm; for that it needs no more of the key than its prefix.
async function stopForMasterKey(prefix) {
  forgetKey();
  byId('code').value = '';
  const fact = { key: `${prefix}withheld`, graceSeconds: graceChosen() ?? look.recommended_grace_seconds, rotatedAt: rotatedAt() ?? new Date(now()), code: '' };
  let message = null;
  await stop({
    advice: look.rules.advice.master_key,
    goOn: openLink,  // the link says how many tries are left
    raise: async () => {
      message ??= await sealSubmission(look, token, fact);
      return post('/form/submit', { token, ...message });
    },
  });
}

// ---- received, and after ---------------------------------------------------------------------------------------------

function received(answer) {
  say('fingerprint', answer.fingerprint);
  say('old-key-expires', expiry(answer.old_key_expires_at, now()));
  byId('receipt').className = '';
  offerToClear(byId('received-clipboard'), 'Your clipboard still holds the key.');
  leaveForm();
  show('received', 'Received');
  watch(token);
}

// The link was spent before: by this tab, or by this message whose answer was lost.
function followAgain(spent) {
  byId('receipt').className = 'again';
  say('received-title', 'The key was received');
  leaveForm();
  show('received', 'Received');
  watch(spent);
}

async function watch(spent) {
  token = '';
  keepFollowed(spent);
  if (await follow(spent) !== 'left') forgetFollowed();
}

// ---- from the link to the form ---------------------------------------------------------------------------------------

function tick() {
  const left = Math.max(0, (Date.parse(look.expires_at) - now()) / 1000);
  if (left === 0 && !sending && !unanswered) return shut('expired');
  say('countdown', left === 0 ? 'it has expired' : `in ${minutesAndSeconds(left)}`);
  byId('countdown').classList.toggle('hurry', left < 2 * MINUTE);
  showDeadline();
}

// Who opened this link before. Several addresses are marked: one person at one desk has one.
function showOpenedBefore(openings) {
  const addresses = new Set(openings.map(({ peer }) => peer));
  byId('opened-before').hidden = openings.length === 0;
  byId('opened-before').className = addresses.size > 1 ? 'note alarm' : 'note plain';
  say('opened-before-what', addresses.size > 1 ? `This link was opened ${count(openings.length, 'time')} before, from ${addresses.size} different addresses:`
    : openings.length === 1 ? 'This link was opened once before:' : `This link was opened ${openings.length} times before:`);
  byId('opened-before-list').replaceChildren(...openings.map(({ at, peer }) => make('li', '', `${dayAndTime(Date.parse(at))}, from ${peer || 'an unknown address'}`)));
}

function openForm() {
  say('target', look.target);
  say('mode', look.mode.toUpperCase());
  byId('mode').className = `badge ${look.mode}`;
  byId('recovery').hidden = !look.recovery;
  byId('compromise').hidden = !look.compromise || look.recovery;
  for (const id of ['grace-question', 'rotated-question', 'old-key']) byId(id).hidden = look.recovery;
  say('compromise-grace', duration(look.recommended_grace_seconds));
  say('dashboard-key-name', look.dashboard_key_name);
  say('secret-name', look.secret_name);
  say('operator', look.operator);
  byId('code-question').hidden = look.asks !== 'code';
  showOpenedBefore(look.opened_before ?? []);
  showTries(look.attempts_left);
  setUpKeyField(look, { onMasterKey: stopForMasterKey, onNewKey: keyWasPasted });
  offerGraces(look, now);
  tell('', '');
  clearInterval(ticking);
  ticking = setInterval(tick, 1000);
  show('open', `New key for ${look.target}`);
  tick();
  focusKey();
}

// `sentence`: why now, where that isn't obvious.
function askToSignIn({ operator, authorize, sentence }) {
  note('sign-in-why', '', sentence);
  say('sign-in-operator', operator);
  byId('sign-in-go').onclick = () => {
    if (!/^https?:/.test(authorize) || !keepForSignIn(token)) return shut('forgets');
    location.assign(authorize);
  };
  show('sign-in', 'Sign in');
  byId('sign-in-go').focus();
}

// The session ran out, or somebody else's took its place, while the form was open. The key doesn't survive the way to
// Slack. (After a lost answer nobody can say here whether it was stored; the link says it afterwards.)
function signInAgain(answer) {
  const why = answer.sentence ?? 'Your sign-in has run out.';
  const what = unanswered ? '' : ' Nothing was stored.';
  leaveForm();
  askToSignIn({ ...answer, sentence: `${why}${what} Sign in again, then paste the key once more. Until then keep the dashboard open, which shows it only once.` });
}

// Asks what the link is good for, and shows it. `signedIn`: Slack has said yes a moment ago.
async function openLink({ signedIn = false } = {}) {
  const answer = await post('/form/look', { token });
  if (answer?.state === 'open') {
    look = answer;
    clockOffset = Date.parse(look.now) - Date.now();
    return openForm();
  }
  if (answer?.state === 'sign_in') return signedIn && !answer.sentence ? shut('forgets') : askToSignIn(answer);
  if (answer?.state === 'used' && answer.follow) return followAgain(token);
  if (isClosed(answer)) return shut(answer.state);
  shut('unreachable', { sentence: answer?.sentence, again: openAgain });
}

function openAgain() {
  show('loading');
  openLink();
}

async function signIn({ code: grant, state, error }) {
  if (!token) return shut('missing');
  say('loading-what', 'Signing you in…');
  const answer = grant && !error ? await post('/form/sign-in', { token, code: grant, state }) : { state: 'refused' };
  if (answer?.state === 'signed_in') return openLink({ signedIn: true });
  shut(answer ? 'not_signed_in' : 'unreachable', { sentence: answer?.sentence, again: openAgain });
}

function start() {
  const arrival = arrive();
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) return shut('cannot_seal');
  if (arrival.followed) return followAgain(arrival.followed);
  token = arrival.token ?? '';
  if (arrival.slack) return signIn(arrival.slack);
  if (!token) return shut('missing');
  openLink();
}

byId('form').addEventListener('submit', send);
byId('code').addEventListener('input', () => {
  const prefix = masterKeyIn(byId('code').value);
  if (prefix) return stopForMasterKey(prefix);
  byId('code').removeAttribute('aria-invalid');
  // Whatever that is, a key perhaps, it must not stay readable here.
  const tooLong = byId('code').value.length > LONGEST_CODE;
  const strange = tooLong || /[^0-9\s]/.test(byId('code').value) || code().length > 6;
  if (tooLong) byId('code').value = '';
  verdict('code-verdict', strange ? 'bad' : '', strange ? `The code is six digits.${tooLong ? ' What was pasted here is taken out again.' : ''}` : '');
});

// The same tab may get the link again, and the browser may bring a left page back: both begin anew.
addEventListener('hashchange', () => { if (location.hash) location.reload(); });
addEventListener('pagehide', forgetKey);
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
start();
