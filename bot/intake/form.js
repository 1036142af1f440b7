// The one-time form. The link's token stands in the fragment: it is taken out of the address bar at once and lives in
// this script only. All text from the server is written as text, never as markup.
'use strict';

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const byId = (id) => document.getElementById(id);
const keyField = byId('key');

let token = '';
let info = null;        // what the link is for
let clockOffset = 0;    // the server's clock minus this browser's, in ms
let sending = false;
let ticking = 0;

const now = () => Date.now() + clockOffset;

// ---- showing one section at a time ---------------------------------------------------------------------------------

function show(section) {
  for (const each of document.querySelectorAll('main > section')) each.hidden = each.id !== section;
  if (section !== 'open') forgetKey();
  byId(section).querySelector('h1[tabindex]')?.focus();
}

function forgetKey() {
  keyField.value = '';
  judgeKey();
}

const ASK_AGAIN = 'Ask for a new one in your direct message with Keyturn: press “New link” there.';
const CLOSED = {
  missing: ['This page needs its link', 'The address has no token in it: it was shortened, or the page was loaded again.',
    'Open the link again from your direct message with Keyturn. A link that was only looked at is still good.'],
  unknown: ['This link is not known', 'It was replaced by a newer one, copied in part, or its rotation is over. Nothing was stored.',
    'Use the newest link in your direct message with Keyturn, or press “New link” there.'],
  expired: ['This link has expired', 'Links live for minutes only. Nothing was stored. If you have rotated the key already, keep the dashboard open: it shows the new key only once.',
    ASK_AGAIN],
  used: ['This link was used', 'A key was received through it, and a link takes only one.',
    'If that was you, all is well: go on in Slack. If it was not, cancel the rotation there and tell your team.'],
  locked: ['This link is locked', 'Too many wrong values were pasted. None of them was stored, and billing runs on the old key.',
    ASK_AGAIN],
  unreachable: ['Keyturn can’t be reached', 'Your link was not spent, and nothing was stored.',
    'Check your connection and open the link again from your direct message.'],
};

function close(state, sentence) {
  const [title, what, next] = CLOSED[state] ?? CLOSED.unknown;
  byId('closed-title').textContent = title;
  byId('closed-what').textContent = sentence ?? what;
  byId('closed-next').textContent = next;
  clearInterval(ticking);
  show('closed');
}

// ---- words for times -----------------------------------------------------------------------------------------------

function duration(seconds) {
  const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
  const rest = Math.round(seconds);
  if (rest < 2 * MINUTE && rest % MINUTE) return count(rest, 'second');
  if (rest < HOUR) return count(Math.round(rest / MINUTE), 'minute');
  if (rest < 2 * DAY) return rest % HOUR < MINUTE ? count(Math.floor(rest / HOUR), 'hour')
    : `${count(Math.floor(rest / HOUR), 'hour')} ${count(Math.round(rest % HOUR / MINUTE), 'minute')}`;
  return rest % DAY < HOUR ? count(Math.floor(rest / DAY), 'day')
    : `${count(Math.floor(rest / DAY), 'day')} ${count(Math.round(rest % DAY / HOUR), 'hour')}`;
}

const clockTime = (ms) => new Intl.DateTimeFormat(undefined,
  { weekday: 'short', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }).format(ms);

// ---- what was pasted: the server's own table (info.rules, from integrations/stripe/key_format.h); its verdict counts ---

// White space, zero-width characters and matching quotes come along when a key is copied out of something.
function tidy(text) {
  let key = text.replace(/[\u200b-\u200f\u2060\ufeff]/g, '').trim();
  for (const [open, end] of ['""', "''", '``', '“”', '‘’', '«»']) {
    if (key.length > 1 && key.startsWith(open) && key.endsWith(end)) key = key.slice(1, -1).trim();
  }
  return key;
}

const prefixesOf = (kind) => info.rules.prefixes.filter((each) => each.kind === kind).map((each) => each.prefix);

function masterPrefixIn(text) {
  return prefixesOf('master_key').find((prefix) => new RegExp(`${prefix}[A-Za-z0-9]{10}|^${prefix}[A-Za-z0-9]+$`, 'i').test(text));
}

function kindOf(text) {
  if (masterPrefixIn(text)) return 'master_key';
  if (/^(export\s+)?\w+\s*=\s*\S+$/.test(text)) return 'assignment';
  if (/\s/.test(text)) return 'several';
  const family = info.rules.prefixes.find((each) => text.startsWith(each.prefix));
  if (family?.kind === 'restricted_key' || family?.kind === 'wrong_mode') return kindOfBody(text.slice(family.prefix.length), family.kind);
  if (family && family.kind !== 'master_key') return family.kind;
  if ([...prefixesOf('restricted_key'), ...prefixesOf('wrong_mode')].some((prefix) => text.length > 2 && prefix.startsWith(text))) return 'truncated';
  return /[*…•●·]|\.{3}/.test(text) ? 'masked' : 'not_a_key';
}

// What follows the prefix of a restricted key, of the right mode or the other one.
function kindOfBody(body, kind) {
  if (/rk_(live|test)_/.test(body)) return 'several';
  if (/[*….•●·]/.test(body)) return 'masked';
  if (!/^[A-Za-z0-9]*$/.test(body) || body.length > info.rules.longest_body) return 'not_a_key';
  return kind === 'restricted_key' && body.length < info.rules.shortest_body ? 'truncated' : kind;
}

function mistakeIn(key) {
  const kind = kindOf(key);
  if (kind === 'restricted_key') return null;
  return { kind, sentence: info.rules.advice[kind] + (kind === 'master_key' ? ' Nothing has been sent.' : '') };
}

function verdict(id, kind, text) {
  byId(id).className = `verdict ${kind}`;
  byId(id).textContent = text;
}

// Says what the field holds. Returns the mistake, or null when it holds a whole key.
function judgeKey() {
  const key = tidy(keyField.value);
  keyField.removeAttribute('aria-invalid');
  if (!key || !info) {
    verdict('key-verdict', '', '');
    return { kind: 'empty', sentence: 'Paste the new key.' };
  }
  const mistake = mistakeIn(key);
  if (mistake) keyField.setAttribute('aria-invalid', 'true');
  verdict('key-verdict', mistake ? 'bad' : 'good',
    mistake ? mistake.sentence : `Looks like a whole restricted ${info.mode} key (${key.length} characters).`);
  return mistake;
}

// ---- the old key's expiration ---------------------------------------------------------------------------------------

// The dashboard's own choices, and ours if it is another one.
function offerGraces(recommended) {
  const choices = [...new Set([0, HOUR, DAY, 3 * DAY, 7 * DAY, recommended])].sort((a, b) => a - b);
  byId('graces').replaceChildren(...choices.map((seconds) => graceChoice(seconds, seconds === recommended)), otherChoice());
}

function radio(value) {
  const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'grace', value: String(value) });
  input.required = true;
  return input;
}

function choice(...parts) {
  const label = document.createElement('label');
  label.className = 'choice';
  label.append(...parts);
  return label;
}

function aside(text, kind) {
  const span = document.createElement('span');
  span.className = `aside ${kind}`;
  span.textContent = text;
  return span;
}

function graceChoice(seconds, recommended) {
  const parts = [radio(seconds), seconds === 0 ? 'Now' : duration(seconds)];
  if (recommended) parts.push(aside('as instructed', 'recommended'));
  if (seconds === 0) parts.push(aside('the old key is dead already', ''));
  return choice(...parts);
}

function otherChoice() {
  const hours = Object.assign(document.createElement('input'),
    { type: 'number', id: 'other-hours', min: '1', max: '168', step: '1', inputMode: 'numeric' });
  hours.setAttribute('aria-label', 'Hours until the old key expires');
  hours.addEventListener('focus', () => { byId('graces').querySelector('[value="other"]').checked = true; judgeGrace(); });
  hours.addEventListener('input', judgeGrace);
  return choice(radio('other'), 'Other:', hours, 'hours');
}

// In seconds; null while nothing valid is chosen.
function graceChosen() {
  const chosen = byId('graces').querySelector('input[name="grace"]:checked')?.value;
  if (chosen === undefined) return null;
  if (chosen !== 'other') return Number(chosen);
  const hours = Number(byId('other-hours').value);
  return Number.isInteger(hours) && hours >= 1 && hours <= 168 ? hours * HOUR : null;
}

const rotatedAt = () => now() - Number(byId('rotated').value) * MINUTE * 1000;

function judgeGrace() {
  const grace = graceChosen();
  const recommended = info.recommended_grace_seconds;
  let kind = '', text = '';
  if (grace === 0) {
    kind = 'bad';
    text = 'Apps that still run with the old key fail from that click on. Hand over the new key at once; there is no way back.';
  } else if (grace !== null && grace !== recommended) {
    kind = 'wary';
    text = `The instructions say ${duration(recommended)}. Keyturn goes by what you really chose.`;
  }
  verdict('grace-verdict', kind, text);
  showDeadline(grace);
}

function showDeadline(grace) {
  const at = rotatedAt() + (grace ?? 0) * 1000;
  byId('deadline').textContent = grace === null || grace === 0 ? ''
    : at <= now() ? 'By that, the old key has expired already.'
      : `The old key expires ${clockTime(at)}, in ${duration((at - now()) / 1000)}.`;
}

// ---- talking to the server -------------------------------------------------------------------------------------------

// The answer's JSON, with `status`; null when there was no answer that can be read.
async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error', signal: AbortSignal.timeout(30000),
    });
    return { ...await response.json(), status: response.status };
  } catch {
    return null;
  }
}

// The only place where a key enters a request.
function submission(key) {
  return { token, key, grace_seconds: graceChosen(), rotated_at: new Date(rotatedAt()).toISOString() };
}

function tell(sentence, alarm) {
  const answer = byId('answer');
  answer.className = alarm ? 'note alarm' : 'note';
  answer.textContent = sentence;
  answer.hidden = !sentence;
  if (sentence) answer.focus();
}

function complain(field, id, sentence) {
  verdict(id, 'bad', sentence);
  field.focus();
}

// What goes out for what the field holds; null when the person has to do something first.
function keyToSend() {
  const mistake = judgeKey();
  if (!mistake) return tidy(keyField.value);
  // The server has to know, to raise the alarm; for that it needs no more of the key than its prefix.
  if (mistake.kind === 'master_key') return `${masterPrefixIn(keyField.value)}withheld`;
  complain(keyField, 'key-verdict', mistake.sentence);
  return null;
}

async function send(event) {
  event.preventDefault();
  if (sending) return;
  tell('', false);
  const key = keyToSend();
  if (key === null) return;
  if (graceChosen() === null) {
    complain(byId('graces').querySelector('input:checked, input'), 'grace-verdict',
      'Choose the expiration that you chose in the dashboard (1 to 168 hours for another one).');
    return;
  }
  setSending(true);
  const answer = await post('/form/submit', submission(key));
  setSending(false);
  take(answer);
}

function setSending(on) {
  sending = on;
  byId('send').setAttribute('aria-disabled', String(on));
  byId('send').textContent = on ? 'Sealing and storing…' : 'Hand over the key';
}

function take(answer) {
  if (answer?.state === 'received') return received(answer);
  if (answer?.state === 'refused') return refused(answer);
  if (answer && answer.state in CLOSED) return close(answer.state);
  // 400, 403, 429, 503, a proxy's page, or nothing: not known to be stored, so the key stays in the field.
  tell(answer?.sentence ?? 'No answer came, so it is not known whether the key arrived. Keep it, check your connection, and send it again: twice is harmless.', false);
}

function received(answer) {
  clearInterval(ticking);
  token = '';
  byId('fingerprint').textContent = answer.fingerprint;
  const at = Date.parse(answer.old_key_expires_at);
  byId('old-key-expires').textContent = at <= now() ? 'it has expired' : `${clockTime(at)}, in ${duration((at - now()) / 1000)}`;
  document.title = 'Received – Keyturn';
  show('received');
}

function refused(answer) {
  forgetKey();
  if (answer.attempts_left === 0) return close('locked', answer.alarm ? answer.sentence : undefined);
  const left = answer.attempts_left === 1 ? '1 try left.' : `${answer.attempts_left} tries left.`;
  tell(`${answer.sentence} ${left}`, answer.alarm);
}

// ---- from the link to the form ---------------------------------------------------------------------------------------

function tick() {
  const left = Math.floor((Date.parse(info.expires_at) - now()) / 1000);
  if (left <= 0 && !sending) return close('expired');
  const seconds = Math.max(left, 0);
  byId('countdown').textContent = `in ${Math.floor(seconds / MINUTE)}:${String(seconds % MINUTE).padStart(2, '0')}`;
  byId('countdown').classList.toggle('hurry', seconds < 2 * MINUTE);
  showDeadline(graceChosen());
}

function open() {
  byId('target').textContent = info.target;
  byId('mode').textContent = info.mode.toUpperCase();
  byId('mode').className = `badge ${info.mode}`;
  byId('compromise').hidden = !info.compromise;
  byId('compromise-grace').textContent = duration(info.recommended_grace_seconds);
  byId('dashboard-key-name').textContent = info.dashboard_key_name;
  byId('secret-name').textContent = info.secret_name;
  byId('operator').textContent = info.operator;
  document.title = `New key for ${info.target} – Keyturn`;
  offerGraces(info.recommended_grace_seconds);
  tell('', false);
  judgeGrace();
  clearInterval(ticking);
  ticking = setInterval(tick, 1000);
  show('open');
  tick();
  keyField.focus();
}

async function start() {
  token = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  if (!token) return close('missing');
  show('loading');
  const answer = await post('/form/look', { token });
  if (answer?.state === 'open') {
    info = answer;
    clockOffset = Date.parse(info.now) - Date.now();
    return open();
  }
  if (answer && answer.state in CLOSED) return close(answer.state);
  close('unreachable', answer?.sentence);
}

// A key is pasted whole, so a paste replaces what was there, tidied.
keyField.addEventListener('paste', (event) => {
  event.preventDefault();
  keyField.value = tidy(event.clipboardData.getData('text'));
  judgeKey();
});
keyField.addEventListener('input', judgeKey);
byId('graces').addEventListener('change', judgeGrace);
byId('rotated').addEventListener('change', judgeGrace);
byId('form').addEventListener('submit', send);
byId('show').addEventListener('click', () => {
  const shown = byId('show').getAttribute('aria-pressed') !== 'true';
  byId('show').setAttribute('aria-pressed', String(shown));
  byId('show').textContent = shown ? 'Hide' : 'Show';
  if (CSS.supports('-webkit-text-security', 'disc')) keyField.classList.toggle('masked', !shown);
  else keyField.type = shown ? 'text' : 'password';
});
// A text field that looks like dots, because browsers offer to keep what is typed into a password field.
if (!CSS.supports('-webkit-text-security', 'disc')) keyField.type = 'password';

// The same tab may get the link again, and the browser may bring a left page back.
addEventListener('hashchange', () => { if (location.hash) start(); });
addEventListener('pagehide', forgetKey);
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
start();
