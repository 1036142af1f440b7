// Follows a rotation after its key was received, so that it can be watched to its end when Slack is down, too. The page
// only looks: the rotation goes on without it.
import { byId, make, note, say } from './page.js';
import { post } from './server.js';
import { count, dayAndTime, duration, timeWithSeconds } from './words.js';

const MARKS = {
  done: ['✓', 'done'],
  doing: ['…', 'under way'],
  waiting: ['→', 'waiting'],
  problem: ['✗', 'problem'],
  pending: ['·', 'to come'],
};
const SHORTEST_PAUSE = 1, LONGEST_PAUSE = 60;  // seconds, whatever the server says
const LONGEST_BACKOFF = 30;

let followed = 0;   // a number for each call of follow: the newest one counts
let wake = () => {};

// Ends early when the person comes back to the page, or the network does.
function pause(seconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
addEventListener('online', () => wake());
document.addEventListener('visibilitychange', () => { if (!document.hidden) wake(); });

// ---- what is shown ----

function line() {
  return make('li', '', make('span', 'mark'), make('span', 'visually-hidden'), make('span', 'text'));
}

// The lines stay the same elements, so that a reader isn't thrown out of them every two seconds.
function showSteps(lines) {
  const list = byId('steps');
  while (list.children.length < lines.length) list.append(line());
  while (list.children.length > lines.length) list.lastChild.remove();
  lines.forEach(({ mark, text }, i) => {
    const [sign, word] = MARKS[mark] ?? MARKS.pending;
    const [signed, worded, texted] = list.children[i].children;
    signed.setAttribute('aria-hidden', 'true');
    list.children[i].className = MARKS[mark] ? mark : 'pending';
    if (signed.textContent !== sign) signed.textContent = sign;
    if (worded.textContent !== `${word}: `) worded.textContent = `${word}: `;
    if (texted.textContent !== text) texted.textContent = text;
  });
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function expiry(iso, now) {
  const at = Date.parse(iso);
  return at <= now ? `${dayAndTime(at)} (past)` : `${dayAndTime(at)}, in ${duration((at - now) / 1000)}`;
}

// What a person has to do about it, as far as the server's sentence doesn't say it.
function advice(answer) {
  if (answer.stage === 'halted') return ' In Slack, your direct message has the button “Try again”.';
  return answer.stage === 'awaiting_key' && !answer.sentence ? ' Your direct message has a new link for the next key.' : '';
}

function showEnd({ outcome }) {
  const rotated = outcome === 'rotated';
  say('received-title', rotated ? 'Done' : 'Closed');
  if (rotated) say('headline', 'The old key is proven dead. Nothing is left to do.');
}

const kindOf = (answer) => answer.needs_person || answer.stage === 'halted' ? 'bad'
  : !answer.done ? '' : answer.outcome === 'rotated' ? 'good' : 'wary';

function render(answer) {
  const kind = kindOf(answer);
  byId('progress').className = kind;
  document.querySelector('.tick').toggleAttribute('hidden', kind === 'bad' || kind === 'wary');
  byId('received-what').hidden = kind === 'bad' || answer.done;  // “the rotation goes on” would be wrong
  say('headline', sentence(answer.headline));
  if (answer.done) showEnd(answer);
  byId('billing').hidden = !answer.billing;
  say('billing', answer.billing ?? '');
  const what = answer.sentence || (kind === 'bad' ? 'It waits for a person.' : '');
  note('halted', kind === 'bad' ? 'alarm' : '', what && what + advice(answer));
  showSteps(answer.lines ?? []);
  note('lost', '', '');
  byId('old-key').hidden = !answer.old_key_expires_at;
  if (answer.old_key_expires_at) say('old-key-expires', expiry(answer.old_key_expires_at, Date.parse(answer.now)));
  say('as-of', `As of ${timeWithSeconds(Date.now())}. This page ${answer.done ? 'has stopped' : 'keeps'} looking.`);
  document.title = `${kind === 'bad' ? 'Needs you' : answer.done ? 'Done' : sentence(answer.stage)} – Keyturn`;
}

// ---- the watch ----

const within = (value, lowest, highest) => Math.min(Math.max(Number(value) || lowest, lowest), highest);

// Until the rotation is done ('done'), the server doesn't know the token ('unknown'), or another call follows ('left').
export async function follow(token) {
  const mine = ++followed;
  let failures = 0, heard = Date.now();
  while (mine === followed) {
    const answer = await post('/form/progress', { token });
    if (mine !== followed) return 'left';
    if (answer?.state === 'unknown') {
      note('lost', '', 'Keyturn doesn’t show this rotation here any more. Slack has the rest.');
      return 'unknown';
    }
    if (answer?.state === 'progress') {
      failures = 0;
      heard = Date.now();
      render(answer);
      if (answer.done) return 'done';
      await pause(within(answer.next_seconds, SHORTEST_PAUSE, LONGEST_PAUSE));
      continue;
    }
    const wait = Math.min(2 ** ++failures, LONGEST_BACKOFF);
    note('lost', '', `No answer since ${timeWithSeconds(heard)}. Looking again in ${count(wait, 'second')}. The rotation goes on without this page.`);
    await pause(wait);
  }
  return 'left';
}
