// The other systems: Stripe's dashboard with its buttons, Infisical's versions, Heroku's releases, dynos and log, and how
// billing is.
import { make } from './blocks.js';
import { post } from './slack.js';

const kExpirations = [['40 seconds', 40], ['30 seconds', 30], ['1 hour', 3600], ['24 hours', 86400], ['3 days', 259200], ['7 days', 604800], ['Now', 0]];
const time = (text) => (text ? new Date(text).toLocaleTimeString() : '');

function left(text) {
  const seconds = Math.round((new Date(text) - Date.now()) / 1000);
  if (seconds <= 0) return 'deadline passed';
  return seconds < 120 ? `expires in ${seconds} s` : `expires ${new Date(text).toLocaleString()}`;
}

function table(head, rows) {
  return make('table', {}, make('thead', {}, make('tr', {}, ...head.map((name) => make('th', {}, name)))),
    make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {}, cell ?? ''))))));
}

// The new key, once: it is gone when the panel is closed, as in the real dashboard.
function showNewKey(name, created) {
  const panel = document.querySelector('#new-key');
  const note = make('input', { placeholder: 'Note: where is it stored?', ariaLabel: 'Note' });
  const copy = make('button', { type: 'button' }, 'Copy');
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(created.key);
    copy.textContent = 'Copied';
  });
  const done = make('button', { type: 'button' }, 'Save note and close');
  done.addEventListener('click', async () => {
    if (note.value) await post('/stripe/note', { id: created.id, note: note.value });
    panel.replaceChildren();
    panel.hidden = true;
  });
  panel.replaceChildren(make('p', {}, `New key of ${name}. It is shown only once.`),
    make('p', {}, make('code', { id: 'new-key-value' }, created.key)), make('div', { className: 'row' }, copy, note, done));
  panel.hidden = false;
}

const chosen = {};  // the expiration picked for each key, across redraws

function expireButton(key, again) {
  const expire = make('button', { type: 'button', className: 'danger' }, 'Expire key');
  expire.addEventListener('click', async () => {
    if (!confirm(`Expire this key of ${key.name} now?`)) return;
    await post('/stripe/expire', { id: key.id });
    again();
  });
  return expire;
}

function keyButtons(key, again) {
  if (key.kind !== 'restricted' || key.status === 'expired') return '';
  if (key.expires_at) return expireButton(key, again);
  const choice = make('select', { ariaLabel: `Expiration of the old key of ${key.name}` },
    ...kExpirations.map(([name, seconds]) => new Option(name, seconds)));
  choice.value = chosen[key.id] ?? kExpirations[0][1];
  choice.addEventListener('change', () => { chosen[key.id] = choice.value; });
  const rotate = make('button', { type: 'button' }, 'Rotate key');
  rotate.addEventListener('click', async () => {
    showNewKey(key.name, await post('/stripe/rotate', { id: key.id, expires_in_seconds: Number(choice.value) }));
    again();
  });
  return make('div', { className: 'row' }, rotate, choice);
}

// What can be rotated first; of what is dead, the newest two.
function worthShowing(keys) {
  const newest = keys.filter((key) => key.kind !== 'publishable').toReversed();
  const restricted = newest.filter((key) => key.kind === 'restricted');
  return [...restricted.filter((key) => key.status === 'active'), ...restricted.filter((key) => key.status === 'expiring'),
    ...restricted.filter((key) => !['active', 'expiring'].includes(key.status)).slice(0, 2),
    ...newest.filter((key) => key.kind !== 'restricted')];
}

let stripeLook = '';
function drawStripe(stripe, again) {
  const keys = worthShowing(stripe.keys);
  const look = JSON.stringify(keys.map(({ last_used, ...rest }) => rest));
  const body = document.querySelector('#stripe-body');
  if (look !== stripeLook) {  // an open dropdown must not be pulled away under the pointer
    stripeLook = look;
    body.replaceChildren(table(['Name', 'Key', 'Mode', 'State', ''], keys.map((key) => [
      make('span', {}, key.name, make('div', { className: 'small' }, key.note)), make('code', {}, key.masked.slice(0, 8) + '…' + key.masked.slice(-6)), key.mode,
      make('span', { className: key.status === 'active' ? 'good' : key.expires_at ? '' : 'bad' },
        key.status, make('div', { className: 'small expiry' }, key.expires_at ?? '')),
      keyButtons(key, again)])));
  }
  for (const cell of body.querySelectorAll('.expiry')) {
    cell.dataset.at ??= cell.textContent;
    cell.textContent = cell.dataset.at ? left(cell.dataset.at) : '';
  }
}

function drawInfisical(infisical) {
  const rows = infisical.secrets.filter((secret) => secret.name.startsWith('STRIPE')).flatMap((secret) =>
    secret.versions.slice(-3).toReversed().map((version) => [`${secret.environment}/${secret.name}`, `v${version.version}`,
      make('code', {}, '…' + version.tail), time(version.at), version.comment]));
  document.querySelector('#infisical-body').replaceChildren(table(['Secret', 'Version', 'Ends in', 'At', 'Comment'], rows));
}

function drawHeroku(heroku) {
  const parts = heroku.apps.flatMap((app) => {
    const release = app.releases.reduce((one, other) => (other.version > one.version ? other : one));
    const dynos = app.dynos.flatMap((dyno) => [make('span', { className: dyno.state === 'up' ? 'good' : 'bad' }, dyno.state), ` ${dyno.name} (v${dyno.release})  `]);
    return [make('div', {}, make('strong', {}, app.name), ` v${release.version} ${release.status}: ${release.description} `, make('span', { className: 'small' }, time(release.at))),
      make('div', {}, ...dynos), make('pre', {}, app.log.slice(-8).join('\n'))];
  });
  document.querySelector('#heroku-body').replaceChildren(...parts);
}

function drawBilling(state) {
  const rows = [state.billing, state.billing_staging].map((billing) => [billing.app,
    make('span', { className: billing.last?.healthy ? 'good' : 'bad' }, billing.last ? (billing.last.healthy ? 'healthy' : 'failing') : 'not asked yet'),
    billing.last ? `Stripe answered ${billing.last.stripe_status}` : '']);
  document.querySelector('#billing-body').replaceChildren(table(['App', 'Health', 'Last call'], rows));
}

export function drawVendors(state, again) {
  drawStripe(state.stripe, again);
  drawInfisical(state.infisical);
  drawHeroku(state.heroku);
  drawBilling(state);
}
