// Breaking things on purpose: the emulators' knobs, each with what it imitates, and the drills.
import { button, draw, make } from './dom.js';
import { get, post } from './server.js';

// `knob` is what the vendor's emulator takes (its header lists them all).
const FAULTS = [
  ['Slack', [
    ['Socket cut', 'The connection breaks without a word.', '/slack/socket', { do: 'cut' }],
    ['Socket refresh', 'Slack asks the bot to come back on a new socket, as it does every few hours.', '/slack/socket', { do: 'refresh', seconds: 2 }],
    ['Half-open', 'The socket looks alive and delivers nothing.', '/slack/socket', { do: 'half_open' }],
    ['Every command twice', 'An envelope is delivered again, as after a lost acknowledgement.', '/slack/socket', { do: 'duplicate', count: 3 }],
    ['Web API down', 'Messages can’t be sent: 503 for everything.', '/fault', { system: 'slack', kind: 'status', status: 503 }],
    ['Rate limited', 'The next five calls are told to wait two seconds.', '/fault', { system: 'slack', kind: 'status', status: 429, times: 5 }],
  ]],
  ['Stripe', [
    ['Server errors', 'Every answer is a 500: nobody can tell what a key is.', '/fault', { system: 'stripe', kind: 'status', status: 500 }],
    ['A proxy’s page', 'HTML instead of JSON, as from something in between.', '/fault', { system: 'stripe', kind: 'status', status: 502, html: true }],
    ['Slow', 'Each answer takes two seconds.', '/fault', { system: 'stripe', kind: 'delay', milliseconds: 2000 }],
    ['The old key outlives its deadline', 'By twenty seconds: a longer expiration was chosen than said.', '/fault', { system: 'stripe', kind: 'expiry_lag', seconds: 20 }],
  ]],
  ['Infisical', [
    ['Changes need approval', 'A write answers 200 with a change request, and the secret stays as it was.', '/fault', { system: 'infisical', kind: 'approval_policy', on: true, environment: 'prod' }],
    ['Approve the change', 'Somebody with the right to do so approves what waits, and the policy goes.', '/fault', { system: 'infisical', kind: 'approve' }, 'Approve'],
    ['A sync to Heroku', 'Infisical itself brings raxx-api-prod every secret of the folder, as a secret sync does.', '/fault', { system: 'infisical', kind: 'heroku_sync', app: 'raxx-api-prod', environment: 'prod' }, 'Add'],
    ['That sync fails', 'Its runs fail from now on, each after five tries.', '/fault', { system: 'infisical', kind: 'sync_fails', app: 'raxx-api-prod', on: true }],
    ['Mend that sync', 'Its runs work again; the next one comes with a write, or when somebody triggers it.', '/fault', { system: 'infisical', kind: 'sync_fails', app: 'raxx-api-prod', on: false }, 'Mend'],
    ['Trigger the sync', 'As its button in Infisical does.', '/fault', { system: 'infisical', kind: 'sync_now', app: 'raxx-api-prod' }, 'Trigger'],
    ['Values hidden', 'The machine identity may not see values any more.', '/fault', { system: 'infisical', kind: 'hidden_value', on: true }],
    ['Read only', 'It may not write any more.', '/fault', { system: 'infisical', kind: 'read_only', on: true }],
    ['Tokens expire', 'All access tokens are over now.', '/fault', { system: 'infisical', kind: 'expire_tokens' }],
    ['Answers lost', 'The next write happens, and its answer is lost.', '/fault', { system: 'infisical', kind: 'close', after: true, method: 'PATCH', times: 1 }],
  ]],
  ['Heroku', [
    ['Release fails', 'The next release fails, and no dyno moves.', '/fault', { system: 'heroku', kind: 'release_fails' }],
    ['Dynos crash', 'Dynos that start from now on crash.', '/fault', { system: 'heroku', kind: 'dyno_crashes', on: true }],
    ['Dynos hang', 'Dynos that start from now on stay “starting”.', '/fault', { system: 'heroku', kind: 'dyno_stuck', on: true }],
    ['Log torn', 'The open log streams break off.', '/fault', { system: 'heroku', kind: 'log_cut' }],
    ['Quota used up', 'Every call is 429 until there are tokens again.', '/fault', { system: 'heroku', kind: 'quota', remaining: 0 }],
  ]],
  ['Billing', [
    ['A bug of its own', '500 whatever Stripe says.', '/fault', { system: 'billing', kind: 'broken', on: true }],
    ['Error in a 200', 'When Stripe refuses, it answers 200 with an error inside.', '/fault', { system: 'billing', kind: 'swallow', on: true }],
  ]],
];
const SYSTEMS = ['slack', 'stripe', 'infisical', 'heroku', 'billing'];

const ordered = [];  // what was ordered from this page since the last "clear"
let transcriptOpen = false;
let started = false; // from this page, and its score was not shown yet
let drills = null;   // null: not asked for yet

async function clear() {
  ordered.length = 0;
  await Promise.all(SYSTEMS.map((system) => post('/fault', { system, kind: 'clear' })));
}

function fault([name, what, path, knob, verb = 'Break']) {
  return make('li', { className: 'row-card' }, make('div', {}, make('strong', {}, name), make('p', { className: 'soft' }, what)),
    button(verb, async (pressed) => {
      const answer = await post(path, knob);
      pressed.textContent = answer.error ? 'Refused' : 'Done';
      if (!answer.error) ordered.push(name);
    }, { className: verb === 'Break' ? 'danger' : '', 'aria-label': `${verb}: ${name}`, data: { key: `fault ${name}` } }));
}

export const faultsActive = (all) => SYSTEMS.flatMap((system) => (all[system].faults ?? []).map(({ kind, status }) => `${system}: ${status ?? kind}`));

// ---- drills ----

const HOLDS = { true: ['✓', 'good', 'holds'], false: ['✗', 'bad', 'does not hold'], null: ['?', 'wary', 'can’t be seen'] };

// Told to the person who does it; a drill that is played tells what it did.
const steps = (name) => [make('h4', {}, 'Your steps'), make('ol', {}, (drills.find((each) => each.name === name)?.steps ?? []).map((step) => make('li', {}, step)))];
const transcript = (drill) => make('details', { open: transcriptOpen, ontoggle: ({ target }) => { transcriptOpen = target.open; } }, make('summary', { data: { key: 'transcript' } }, `Transcript (${drill.transcript.length} lines)`),
  make('ol', { className: 'plain transcript', tabIndex: 0, 'aria-label': 'Transcript' }, drill.transcript.map(({ at, who, what }) => make('li', {}, make('span', { className: 'soft' }, `${at} ${who}`), ' ', what))));

function score(drill) {
  const kind = { passed: 'good', failed: 'bad' }[drill.score] ?? 'wary';
  const title = make('h3', {}, drill.title, ' ', make('span', { className: `chip ${kind}` }, drill.score));
  if (drill.score === 'preparing') return make('section', { className: 'card', 'aria-live': 'polite' }, title, make('p', { className: 'soft' }, 'Mending the world and setting the scene. Wait a moment before you begin.'));
  return make('section', { className: 'card', 'aria-live': 'polite' }, title,
    make('ul', { className: 'plain' }, drill.facts.map(({ what, holds, found }) => {
      const [sign, colour, word] = HOLDS[holds];
      return make('li', {}, make('span', { className: colour, 'aria-hidden': 'true' }, sign), make('span', { className: 'visually-hidden' }, `${word}: `), ` ${what} `,
        make('span', { className: 'soft' }, found ?? ''));
    })),
    make('h4', {}, drill.running ? 'Watch for' : 'What should have been seen'), make('ul', {}, drill.should_have_seen.map((text) => make('li', {}, text))),
    drill.played ? transcript(drill) : steps(drill.name),
    drill.running ? button('Stop the drill', () => post('/drill/stop', {}), { data: { key: 'drill stop' } }) : '');
}

async function start(name, play) {
  started = !(await post('/drill/start', { name, play })).error;
}

// Whoever starts a drill at the end of the list wants to see what becomes of it.
function showScore(pane, drill) {
  if (!started || !drill) return;
  started = false;
  pane.querySelector('.card')?.scrollIntoView({ block: 'start' });
}

function drillRow({ name, title, sentence, steps }, busy) {
  return make('li', { className: 'row-card' }, make('div', {}, make('strong', {}, title), make('p', { className: 'soft' }, sentence),
    make('details', {}, make('summary', {}, 'Steps'), make('ol', {}, steps.map((step) => make('li', {}, step))))),
  make('div', { className: 'row' }, button('Play it', () => start(name, true), { disabled: busy, 'aria-label': `Play it: ${title}`, data: { key: `play ${name}` } }),
    button('I’ll do it', () => start(name, false), { disabled: busy, 'aria-label': `I’ll do it: ${title}`, data: { key: `self ${name}` } })));
}

// Asked for once, of a sandbox that has some.
function learnDrills(all) {
  if (drills || !('drill' in all)) return;
  drills = [];
  get('/drills').then((list) => { drills = list; }, () => {});
}

export function drawFaults(pane, all) {
  learnDrills(all);
  const active = faultsActive(all);
  const drill = all.drill ?? null;
  const drawn = draw(pane, [active, drill, drills, ordered], () => [
    drills?.length ? [make('h3', {}, 'Drills'), make('p', { className: 'soft' }, 'A bad night, set up and scored. Let it be played, or do it yourself.'),
      drill ? score(drill) : '', make('ul', { className: 'plain' }, drills.map((each) => drillRow(each, Boolean(drill?.running))))] : '',
    make('h3', {}, 'Faults'),
    make('p', { className: 'row' }, make('span', { className: 'soft' }, active.length ? `Active: ${active.join(', ')}.` : 'Break one thing at a time, and watch what the bot makes of it.'),
      button('Mend everything', clear, { data: { key: 'mend' } })),
    FAULTS.flatMap(([system, list]) => [make('h4', {}, system), make('ul', { className: 'plain' }, list.map(fault))]),
  ].flat(2));
  showScore(pane, drill);
  return drawn;
}
