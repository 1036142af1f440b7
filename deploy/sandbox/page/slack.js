// The Slack side of the page: channels, messages with working elements, and a line for commands.
import { make, mrkdwn, renderBlocks } from './blocks.js';

const messages = document.querySelector('#messages');
const answer = document.querySelector('#answer');
const inputs = {};   // what was ticked and typed, by message
const drawn = {};    // what each message looked like when it was drawn: only changed ones are drawn again
let person = 'U0ADMIN';
let channel = 'C0OPS';
let shown = '';

export async function post(path, body) {
  const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return response.json();
}

function tellOutcome(what, result) {
  answer.textContent = result.error ? `${what}: ${result.error}` : `${what}: acknowledged after ${result.milliseconds} ms`;
}

const direct = () => 'D' + person.slice(1);

function visibleMessages(state) {
  const found = state.slack.channels.find((candidate) => candidate.id === channel);
  if (!found) return [];
  const own = found.ephemerals.filter((message) => message.only_for === person);
  return [...found.messages, ...own].sort((one, other) => one.ts.localeCompare(other.ts));
}

function drawMessage(message, people) {
  const at = channel;
  const state = (inputs[at + message.ts + person] ??= {});
  const click = async (action, block, value) => {
    const wish = { user: person, channel: at, ts: message.ts, action_id: action, block_id: block, state };
    if (value !== undefined) wish.value = value;
    tellOutcome('Click', await post('/slack/click', wish));
  };
  const time = new Date(message.at).toLocaleTimeString();
  const notes = [time, message.only_for ? 'only visible to you' : null, message.edits ? 'edited' : null].filter(Boolean);
  const body = message.blocks.length
    ? renderBlocks(message.blocks, { people, state, click })
    : [make('div', { className: 'block-text' }, ...mrkdwn(message.text, people))];
  return make('div', { className: message.only_for ? 'message ephemeral' : 'message' },
    make('span', { className: 'who' }, people[message.user] ?? message.user), ' ',
    make('span', { className: 'when' }, notes.join(', ')), ...body);
}

function drawMessages(state, people) {
  const view = channel + person;
  const atEnd = messages.scrollTop + messages.clientHeight >= messages.scrollHeight - 40;
  if (shown !== view) {
    messages.replaceChildren();
    for (const key of Object.keys(drawn)) delete drawn[key];
    shown = view;
  }
  const wanted = visibleMessages(state);
  const kept = new Set(wanted.map((message) => message.ts));
  for (const ts of Object.keys(drawn)) {
    if (!kept.has(ts)) { drawn[ts].node.remove(); delete drawn[ts]; }
  }
  for (const message of wanted) {
    const look = JSON.stringify(message);
    if (drawn[message.ts]?.look === look) continue;
    const node = drawMessage(message, people);
    if (drawn[message.ts]) drawn[message.ts].node.replaceWith(node); else messages.append(node);
    drawn[message.ts] = { look, node };
  }
  if (atEnd) messages.scrollTop = messages.scrollHeight;
}

function drawChannels(state, again) {
  const offers = [['C0OPS', '#billing-ops'], [direct(), 'Keyturn (direct message)']];
  document.querySelector('#channels').replaceChildren(...offers.map(([id, name]) => {
    const count = state.slack.channels.find((candidate) => candidate.id === id)?.messages.length ?? 0;
    const tab = make('button', { type: 'button', ariaSelected: String(id === channel), role: 'tab' }, `${name} (${count})`);
    tab.addEventListener('click', () => { channel = id; again(); });
    return tab;
  }));
}

export function drawSlack(state, again) {
  const people = Object.fromEntries(state.slack.people.map((one) => [one.id, one.name]));
  const choice = document.querySelector('#person');
  if (!choice.options.length) {
    for (const one of state.slack.people) if (!one.is_bot) choice.add(new Option(`${one.name} (${one.id})`, one.id));
    choice.value = person;
    choice.addEventListener('change', () => {
      if (channel === direct()) channel = 'D' + choice.value.slice(1);
      person = choice.value;
      again();
    });
  }
  drawChannels(state, again);
  drawMessages(state, people);
}

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

document.querySelector('#composer').addEventListener('submit', async (event) => {
  event.preventDefault();
  const line = document.querySelector('#line');
  const typed = line.value.trim();
  if (!typed) return;
  line.value = '';
  if (!typed.startsWith('/')) {
    tellOutcome('Message', await post('/slack/say', { user: person, channel, text: escape(typed) }));
    return;
  }
  const [command, rest] = typed.split(/\s(.*)/s);
  tellOutcome(command, await post('/slack/command', { user: person, channel, command, text: escape(rest ?? '') }));
});
