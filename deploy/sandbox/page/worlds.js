// The other systems, each in a tab: what changed while one looked elsewhere is marked. (Tabs: www.w3.org/WAI/ARIA/apg.)
import { askText } from './dialogs.js';
import { button, byId, clock, draw, highlight, make } from './dom.js';
import { drawFaults, faultsActive } from './faults.js';
import { post } from './server.js';
import { drawStripe, stripeNews } from './stripe.js';

const VARIABLE = 'STRIPE_RESTRICTED_KEY';

// As a person with the right to do so, past the bot.
async function setByHand(where, path, wish) {
  const value = await askText(`Set ${VARIABLE}`, `The value in ${where}`, { yes: 'Set it' });
  if (value) await post(path, { ...wish, name: VARIABLE, value });
}

const chip = (text, kind) => make('span', { className: `chip ${kind}` }, text);

function drawInfisical(pane, { secrets }) {
  const ours = secrets.filter(({ name, deleted }) => name.startsWith('STRIPE') && !deleted);
  return draw(pane, ours, () => ours.map((secret) => make('section', { className: 'card' },
    make('div', { className: 'row between' }, make('h3', {}, secret.name, ' ', chip(secret.environment, '')),
      button('Set by hand…', () => setByHand(`Infisical, ${secret.environment}`, '/infisical/put', { environment: secret.environment }), { data: { key: `put ${secret.id}` } })),
    make('ol', { className: 'plain timeline' }, secret.versions.slice(-5).toReversed().map((version, i) =>
      make('li', { className: i === 0 ? 'now' : '', data: { mark: `${secret.id} ${version.version}`, look: version.tail } }, make('strong', {}, `v${version.version}`), ' ', make('code', {}, `••••${version.tail}`), ' ',
        make('span', { className: 'soft' }, [clock(version.at), version.comment].filter(Boolean).join(' · '))))))));
}

function dyno({ name, state, release }, app) {
  const kind = { up: 'good', crashed: 'bad' }[state] ?? 'wary';
  return make('li', { data: { mark: `${app} ${name}`, look: `${state} ${release}` } }, make('code', {}, name), ' ', chip(state, kind), ' ', make('span', { className: 'soft' }, `v${release}`));
}

function appCard(app) {
  const variable = app.config[VARIABLE];
  return make('section', { className: 'card' }, make('div', { className: 'row between' }, make('h3', {}, app.name),
    button('Set by hand…', () => setByHand(app.name, '/heroku/config', { app: app.name }), { data: { key: `config ${app.name}` } })),
    make('p', { data: { mark: `${app.name} variable`, look: variable ?? '' } }, make('code', {}, VARIABLE), ' ', make('code', {}, variable ? `${variable.slice(0, 8)}…${variable.slice(-6)}` : 'not set')),
    make('ul', { className: 'plain dynos' }, app.dynos.map((each) => dyno(each, app.name))),
    make('ol', { className: 'plain timeline' }, app.releases.toSorted((one, other) => other.version - one.version).slice(0, 4).map((release, i) =>
      make('li', { className: i === 0 ? 'now' : '', data: { mark: `${app.name} v${release.version}`, look: release.status } }, make('strong', {}, `v${release.version}`), ' ',
        chip(release.status, { succeeded: 'good', failed: 'bad' }[release.status] ?? 'wary'), ' ', release.description, ' ',
        make('span', { className: 'soft' }, `${clock(release.at)} · ${release.user}`), ' ',
        i > 0 && release.status === 'succeeded'
          ? button('Roll back', () => post('/heroku/rollback', { app: app.name, version: release.version }), { 'aria-label': `Roll back ${app.name} to v${release.version}`, data: { key: `back ${app.name} ${release.version}` } }) : ''))),
    make('h4', {}, 'Log'), make('pre', { tabIndex: 0, 'aria-label': `Log of ${app.name}` }, app.log.slice(-12).join('\n') || 'quiet so far'));
}

// Of its logs; nothing that is hidden can be scrolled, so it is done again when the tab opens.
function toTheEnd(pane) {
  for (const log of pane.querySelectorAll('pre')) log.scrollTop = log.scrollHeight;
}

function drawHeroku(pane, { apps }) {
  return draw(pane, apps, () => {
    queueMicrotask(() => toTheEnd(pane));
    return apps.map(appCard);
  });
}

function drawBilling(pane, all) {
  const apps = [all.billing, all.billing_staging];
  return draw(pane, apps.map(({ app, last }) => [app, last]), () => apps.map(({ app, last }) => make('section', { className: 'card', data: { mark: app, look: String(last?.healthy) } }, make('h3', {}, app),
    last ? make('p', { className: 'big' }, chip(last.healthy ? 'healthy' : 'failing', last.healthy ? 'good' : 'bad'))
      : make('p', { className: 'soft' }, 'Nobody has asked it yet.'),
    last ? make('p', { className: 'soft' }, `Its last call to Stripe, with the key it holds, was answered ${last.stripe_status}.`) : '')));
}

const WORLDS = [
  { id: 'stripe', name: 'Stripe', draw: (pane, all) => drawStripe(pane, all.stripe), news: (all) => stripeNews(all.stripe) },
  { id: 'infisical', name: 'Infisical', draw: (pane, all) => drawInfisical(pane, all.infisical), news: ({ infisical }) => infisical.secrets.map(({ id, version }) => [id, version]) },
  { id: 'heroku', name: 'Heroku', draw: (pane, all) => drawHeroku(pane, all.heroku), news: ({ heroku }) => heroku.apps.map(({ releases, dynos }) => [releases.length, dynos.map(({ state }) => state)]) },
  { id: 'billing', name: 'Billing', draw: drawBilling, news: (all) => [all.billing.last?.healthy, all.billing_staging.last?.healthy] },
  { id: 'faults', name: 'Break things', draw: drawFaults, news: (all) => [faultsActive(all), all.drill?.score] },
];

const HIGHLIGHTED = 2000;  // as long as the animation in workspace.css

const tabs = byId('tabs');
let current = 'stripe';
const known = {};

export function openWorld(id) {
  current = id;
  for (const world of WORLDS) {
    const on = world.id === id;
    byId(`tab-${world.id}`).setAttribute('aria-selected', String(on));
    byId(`tab-${world.id}`).tabIndex = on ? 0 : -1;
    byId(`pane-${world.id}`).hidden = !on;
  }
  toTheEnd(byId(`pane-${id}`));
  const tab = byId(`tab-${id}`);
  tab.classList.remove('news');
  tab.removeAttribute('aria-label');
}

function setUp() {
  for (const { id, name } of WORLDS) {
    const tab = make('button', { type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': `pane-${id}` }, name);
    tab.addEventListener('click', () => openWorld(id));
    tabs.append(tab);
    byId('panes').append(make('div', { role: 'tabpanel', id: `pane-${id}`, className: 'pane', 'aria-labelledby': `tab-${id}`, tabIndex: 0 }));
  }
  tabs.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = WORLDS.findIndex(({ id }) => id === current);
    const next = WORLDS[(at + step + WORLDS.length) % WORLDS.length].id;
    openWorld(next);
    byId(`tab-${next}`).focus();
    event.preventDefault();
  });
  const asked = WORLDS.find(({ id }) => `#${id}` === location.hash);  // the bot's messages link to the dashboard
  openWorld(asked ? asked.id : 'stripe');
  if (asked) document.body.dataset.view = 'worlds';
}
setUp();

function markNews({ id, name }) {
  byId(`tab-${id}`).classList.add('news');
  byId(`tab-${id}`).setAttribute('aria-label', `${name}, changed`);
}

// What a row stands for (data-mark) and what of it is worth a glance when it changes (data-look).
const looksOf = (pane) => new Map([...pane.querySelectorAll('[data-mark]')].map(({ dataset }) => [dataset.mark, dataset.look]));

const changed = new Map();  // when, by mark: a pane that is drawn again goes on with the highlight where it was

function highlightChanges(pane, before) {
  for (const row of pane.querySelectorAll('[data-mark]')) {
    const { mark, look } = row.dataset;
    if (before.get(mark) !== look) changed.set(mark, Date.now());
    const since = Date.now() - (changed.get(mark) ?? 0);
    if (since < HIGHLIGHTED) highlight(row, since);
  }
}

export function drawWorlds(all) {
  for (const world of WORLDS) {
    const pane = byId(`pane-${world.id}`);
    const before = looksOf(pane);
    if (world.draw(pane, all) && before.size && world.id === current) highlightChanges(pane, before);
    const news = JSON.stringify(world.news(all));
    if (known[world.id] !== undefined && known[world.id] !== news && world.id !== current) markNews(world);
    known[world.id] = news;
  }
}
