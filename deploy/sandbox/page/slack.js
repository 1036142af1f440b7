// The chat side: who one is, where one looks, the messages with their working elements, the app's home tab, modals.
import { renderBlocks } from './blocks.js';
import { setUpComposer } from './composer.js';
import { button, byId, draw, drawList, make } from './dom.js';
import { mrkdwn } from './mrkdwn.js';
import { post } from './server.js';

const GROUPED = 5 * 60 * 1000;  // messages of one person within this time stand below one name

let person = 'U0ADMIN';
let place = 'C0OPS';         // a channel's id, or 'home'
let state = null;
const given = {};            // what was ticked and typed: by place, message and person
const read = {};             // the newest message seen: by person and place
const modals = new Set();    // views that are shown

const direct = () => 'D' + person.slice(1);
const names = () => Object.fromEntries(state.people.map(({ id, real_name: name }) => [id, name]));
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function tell(text, bad = false) {
  byId('answer').textContent = text;
  byId('answer').className = bad ? 'bad' : 'soft';
}
const tellOutcome = (what, { error, milliseconds }) =>
  tell(error ? `${what}: ${error}` : `${what}: acknowledged after ${milliseconds} ms`, Boolean(error));

// ---- the sidebar ----

const PEOPLE = { U0ADMIN: 'superadmin', U0GRACE: 'superadmin', U0MEMBER: 'member', U0GUEST: 'guest', U0GONE: 'deactivated', U0STRANGER: 'outsider' };

function places() {
  const channels = state.channels.filter(({ id, is_im: im, messages }) => !im && (id === 'C0OPS' || messages.length));
  return [
    ...channels.map(({ id, name }) => ({ id, name, sign: '#', group: 'Channels' })),
    { id: direct(), name: 'keyturn', sign: '●', group: 'Direct messages' },
    { id: 'home', name: 'Keyturn home', sign: '⌂', group: 'Apps' },
  ];
}

function messagesOf(id) {
  const found = state.channels.find((channel) => channel.id === id);
  if (!found) return [];
  return [...found.messages, ...found.ephemerals.filter(({ only_for: who }) => who === person)]
    .sort((one, other) => one.ts.localeCompare(other.ts));
}

function unread(id) {
  const seen = read[person + id] ?? '';
  return messagesOf(id).filter(({ ts, user }) => ts > seen && user !== person).length;
}

async function go(id) {
  place = id;
  if (id === 'home') await post('/slack/home', { user: person });
  drawSlack(state);
}

function drawSidebar() {
  const rows = places().map((each) => ({ ...each, unread: each.id === place ? 0 : unread(each.id), current: each.id === place }));
  draw(byId('places'), rows, () => Object.entries(Object.groupBy(rows, ({ group }) => group)).map(([group, members]) =>
    make('div', { className: 'group' }, make('p', { className: 'group-name' }, group), members.map((each) =>
      button([make('span', { className: 'sign', 'aria-hidden': 'true' }, each.sign), make('span', { className: 'name' }, each.name),
        each.unread ? make('span', { className: 'count', 'aria-label': `${each.unread} unread` }, String(each.unread)) : ''],
      () => go(each.id), { className: each.unread ? 'place unread' : 'place', 'aria-current': each.current ? 'true' : null, data: { key: `place ${each.id}` } })))));
}

function setUpPerson() {
  const choice = byId('person');
  if (choice.options.length) return;
  for (const { id, real_name: name, is_bot: bot } of state.people) {
    if (!bot) choice.add(new Option(`${capital(name)}, ${PEOPLE[id] ?? id}`, id));
  }
  choice.value = person;
  choice.addEventListener('change', () => {
    const wasDirect = place === direct();
    person = choice.value;
    go(wasDirect ? direct() : place);
  });
}

// ---- messages ----

function contextFor(where, wish) {
  const kept = (given[where + person] ??= {});
  return { people: names(), state: kept, click: async (action, block, value) => {
    const answer = await post('/slack/click', { user: person, ...wish, action_id: action, block_id: block, state: kept, ...(value === undefined ? {} : { value }) });
    tellOutcome('Click', answer);
  } };
}

const timeOf = (at) => new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

function avatar(user, people) {
  const name = people[user] ?? user;
  return make('span', { className: user === state.bot_user ? 'avatar app' : 'avatar', 'aria-hidden': 'true' }, name.charAt(0).toUpperCase());
}

function messageNode(message, follows, channel) {
  const people = names();
  const app = message.user === state.bot_user;
  const body = message.blocks.length
    ? renderBlocks(message.blocks, contextFor(channel + message.ts, { channel, ts: message.ts }))
    : [make('div', { className: 'block-text' }, mrkdwn(message.text, people))];
  const head = make('p', { className: follows ? 'head visually-hidden' : 'head' }, make('strong', {}, app ? 'Keyturn' : capital(people[message.user] ?? message.user)),
    app ? make('span', { className: 'chip' }, 'app') : '', make('time', { className: 'soft', dateTime: message.at }, timeOf(message.at)));
  return make('article', { className: ['message', follows ? 'follows' : '', message.only_for ? 'ephemeral' : ''].join(' ') },
    follows ? make('span', { className: 'avatar none' }) : avatar(message.user, people),
    make('div', { className: 'said' }, message.only_for ? make('p', { className: 'only soft' }, 'Only visible to you') : '', head, body,
      message.edits ? make('span', { className: 'soft edited' }, '(edited)') : ''));
}

function drawMessages() {
  const pane = byId('messages');
  const atEnd = pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 60;
  const moved = pane.dataset.place !== place + person;
  pane.dataset.place = place + person;
  const messages = messagesOf(place);
  if (messages.length) read[person + place] = messages.at(-1).ts;
  let before = null;
  drawList(pane, messages.length ? messages.map((message) => {
    const follows = before?.user === message.user && !message.only_for && !before.only_for && Date.parse(message.at) - Date.parse(before.at) < GROUPED;
    before = message;
    return { key: person + place + message.ts, look: [message, follows], build: () => messageNode(message, follows, place) };
  }) : [{ key: 'empty' + place, look: place, build: () => make('p', { className: 'empty soft' }, place === direct()
    ? 'Keyturn writes here when you start a rotation: the checks, the dashboard steps, and the link to the form.'
    : 'Nothing has been said here yet. Type /rotate stripe prod below.') }]);
  if (moved || atEnd) pane.scrollTop = pane.scrollHeight;
}

function drawHome() {
  const pane = byId('messages');
  pane.dataset.place = 'home' + person;
  const view = state.homes[person];
  drawList(pane, [{ key: 'home' + person, look: view ?? null, build: () => view
    ? make('div', { className: 'home' }, renderBlocks(view.blocks, contextFor('home', { home: true })))
    : make('p', { className: 'empty soft' }, 'The app has published no home tab for you yet.') }]);
}

// ---- modals, should an app open one ----

function showModal(view) {
  modals.add(view.id);
  const context = { people: names(), state: {}, click: () => {} };
  const problems = make('p', { role: 'alert', className: 'bad' });
  const box = make('dialog', { 'aria-label': view.title.text }, make('h2', {}, view.title.text), renderBlocks(view.blocks, context), problems);
  const close = () => box.remove();
  box.append(make('div', { className: 'row end' }, button(view.close?.text ?? 'Close', close),
    view.submit ? button(view.submit.text, async () => {
      const outcome = await post('/slack/submit', { user: person, view_id: view.id, values: context.state });
      tellOutcome('Form', outcome);
      problems.textContent = outcome.error ?? Object.values(outcome.ack?.errors ?? {}).join(' ');
      if (!problems.textContent) close();
    }, { className: 'primary' }) : ''));
  document.body.append(box);
  box.showModal();
}

// ---- all of it ----

export function drawSlack(slack) {
  state = slack;
  setUpPerson();
  drawSidebar();
  const here = places().find(({ id }) => id === place) ?? { name: place, sign: '' };
  byId('place-name').textContent = here.sign === '#' ? `#${here.name}` : capital(here.name);
  byId('place-about').textContent = place === 'C0OPS' ? 'Where the team is told what happens' : place === 'home' ? 'Everybody’s view of the keys' : 'Between you and the bot';
  byId('composer').hidden = place === 'home';
  if (place === 'home') drawHome(); else drawMessages();
  for (const view of Object.values(slack.views)) if (view.type === 'modal' && !modals.has(view.id)) showModal(view);
}

// Slack sends text with these three escaped.
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

setUpComposer(async (typed) => {
  if (!typed.startsWith('/')) return tellOutcome('Message', await post('/slack/say', { user: person, channel: place, text: escape(typed) }));
  const [command, rest] = typed.split(/\s(.*)/s);
  tellOutcome(command, await post('/slack/command', { user: person, channel: place, command, text: escape(rest ?? '') }));
});
