// Stripe's dashboard as far as API keys go: the list, the ⋯ menu, the rotate dialog with its expiration, the key that is
// shown once, and the note.
import { ask, askText, dialog } from './dialogs.js';
import { button, clock, countdown, draw, make } from './dom.js';
import { post } from './server.js';

// What the dashboard offers, and the short graces of a rehearsal.
const EXPIRATIONS = [['Now', 0, 'deletes the old key at once'], ['1 hour', 3600, ''], ['24 hours', 86400, ''], ['3 days', 259200, ''], ['7 days', 604800, ''],
  ['40 seconds', 40, 'rehearsal: stands for 24 hours'], ['30 seconds', 30, 'rehearsal: stands for 1 hour, after a leak']];

let mode = 'live';
let state = null;
let container = null;

const short = (masked) => `${masked.slice(0, 8)}…${masked.slice(-6)}`;

async function chooseExpiration(key) {
  return dialog(`Rotate ${key.name}`, (close) => {
    const form = make('form', { method: 'dialog' }, make('fieldset', {}, make('legend', {}, 'Expiration of the old key'),
      EXPIRATIONS.map(([name, seconds, what]) => make('label', { className: 'choice' },
        make('input', { type: 'radio', name: 'expiration', value: String(seconds), required: true }),
        make('span', {}, name, what ? make('span', { className: 'soft' }, what) : '')))),
    make('div', { className: 'row end' }, button('Cancel', () => close(undefined)), make('button', { type: 'submit', className: 'primary' }, 'Rotate API key')));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      close(Number(new FormData(form).get('expiration')));
    });
    return form;
  });
}

// Once: when the dialog is closed, nobody sees the value again.
function showNewKey(name, { id, key }) {
  return dialog(`New key of ${name}`, (close) => {
    const note = make('input', { id: 'new-key-note', placeholder: 'Infisical: prod/STRIPE_RESTRICTED_KEY' });
    return [make('p', {}, 'Copy it now: it is shown only this once.'),
      make('p', {}, make('code', { id: 'new-key-value', className: 'secret' }, key)),
      button('Copy key', async (pressed) => {
        try {
          await navigator.clipboard.writeText(key);
          pressed.textContent = 'Copied';
        } catch {
          pressed.textContent = 'Select it and copy it by hand';
        }
      }, { className: 'primary' }),
      make('label', { for: 'new-key-note', className: 'above' }, 'Note: where is it stored?'), note,
      make('div', { className: 'row end' }, button('Save note and close', async () => {
        if (note.value) await post('/stripe/note', { id, note: note.value });
        close();
      }))];
  }, { className: 'wide' });
}

async function rotate(key) {
  const seconds = await chooseExpiration(key);
  if (seconds === undefined) return;
  const created = await post('/stripe/rotate', { id: key.id, expires_in_seconds: seconds });
  if (!created.error) await showNewKey(key.name, created);
}

async function expire(key) {
  const yes = await ask(`Expire ${key.name}?`, 'It stops working at once, for everything that uses it.', 'Expire key', 'Cancel', true);
  if (yes) await post('/stripe/expire', { id: key.id });
}

async function addNote(key) {
  const text = await askText('Note', 'Where is it stored?', { value: key.note });
  if (text !== undefined) await post('/stripe/note', { id: key.id, note: text });
}

// A second tab with somebody else's dashboard is how a good key of the wrong account gets copied.
const ACCOUNTS = [['This account', undefined], ['Another company’s account', 'acct_1SomebodyElse4711']];
const PERMISSIONS = ['customer_read', 'subscription_read', 'invoice_read', 'charge_read'];

async function create() {
  const account = await dialog('Create restricted key', (close) => [
    make('p', {}, 'With the permissions that billing needs: customers, subscriptions, invoices and charges, to read.'),
    make('div', { className: 'row end' }, button('Cancel', () => close(undefined)),
      ACCOUNTS.toReversed().map(([name, id]) => button(name, () => close({ id }), { className: id ? '' : 'primary' })))]);
  if (account === undefined) return;
  const name = state.keys.find((key) => key.kind === 'restricted' && key.mode === mode)?.name ?? 'restricted key';
  const created = await post('/stripe/create', { name, mode, account: account.id, permissions: PERMISSIONS });
  if (!created.error) await showNewKey(name, created);
}

function menu(key) {
  const open = make('details', { className: 'menu' });
  const item = (text, act, className = '') => button(text, () => {
    open.open = false;
    act(key);
  }, { className });
  open.append(make('summary', { 'aria-label': `More about ${key.name} ${short(key.masked)}`, data: { key: `menu ${key.id}` } }, '⋯'), make('div', { className: 'items' },
    key.expires_at ? '' : item('Rotate key…', rotate), item('Add a note…', addNote), item('Expire key…', expire, 'danger')));
  open.addEventListener('keydown', ({ key: pressed }) => { if (pressed === 'Escape') open.open = false; });
  open.addEventListener('focusout', ({ relatedTarget }) => { if (relatedTarget && !open.contains(relatedTarget)) open.open = false; });
  return open;
}

function status(key) {
  if (key.status === 'active') return make('span', { className: 'chip good' }, 'active');
  if (key.status === 'expiring') return make('span', { className: 'chip wary' }, countdown(key.expires_at, 'expires '));
  return make('span', { className: 'chip bad' }, key.status);
}

function row(key) {
  return make('li', { className: 'row-card', data: { mark: key.id, look: key.status + key.note } }, make('div', {}, make('strong', {}, key.name), ' ', make('code', {}, short(key.masked)),
    make('p', { className: 'soft' }, [key.account === ACCOUNTS[1][1] ? 'another company’s account' : '', key.note, `created ${clock(key.created)}`, key.last_used ? `last used ${clock(key.last_used)}` : 'never used'].filter(Boolean).join(' · '))),
  status(key), key.kind === 'restricted' && ['active', 'expiring'].includes(key.status) ? menu(key) : make('span'));
}

// The newest first; of what is dead, the newest two.
function shown() {
  const newest = state.keys.filter((key) => key.mode === mode && key.kind !== 'publishable').toReversed();
  const alive = newest.filter(({ status: now }) => ['active', 'expiring'].includes(now));
  return [...alive, ...newest.filter((key) => !alive.includes(key)).slice(0, 2)];
}

function build() {
  const keys = shown();
  const list = (kind) => make('ul', { className: 'plain' }, keys.filter((key) => key.kind === kind).map(row));
  return [make('div', { className: 'switch', role: 'group', 'aria-label': 'Mode' }, ['live', 'test'].map((name) =>
    button(`${name} mode`, () => { mode = name; drawStripe(container, state); }, { 'aria-pressed': String(mode === name), data: { key: `mode ${name}` } }))),
  make('div', { className: 'row between' }, make('h3', {}, 'Restricted keys'), button('Create restricted key…', create, { data: { key: 'create' } })), list('restricted'), make('h3', {}, 'Standard keys'), list('secret')];
}

export function drawStripe(pane, stripe) {
  [container, state] = [pane, stripe];
  // An open menu must not be pulled away under the pointer.
  if (pane.querySelector('details[open]')) return false;
  return draw(pane, [mode, shown().map(({ last_used: used, ...rest }) => ({ ...rest, used: clock(used) }))], build);
}

// What has changed apart from being used, for the tab's badge.
export const stripeNews = ({ keys }) => keys.map(({ id, status: now, note }) => [id, now, note]);
