// When the old key dies: what was chosen in the dashboard, and when "Rotate API key" was clicked.
import { byId, make, verdict } from './page.js';
import { DAY, dayAndTime, duration, HOUR, MINUTE, timeOfDay } from './words.js';

const LONGEST_HOURS = 168;
const graces = byId('graces');
const when = byId('rotated');
const earlier = byId('rotated-earlier');
let asked = true;  // not of a key that takes a dead one's place: nothing was rotated, and there is no grace
let recommended = 0;
let now = Date.now;
let since = 0;  // "2 minutes ago" is counted from here: when it was chosen, or, for "Just now", when the key was pasted

// ---- the choices ----

function radio(value) {
  const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'grace', value: String(value) });
  input.required = true;
  return input;
}

function choice(seconds, words, aside) {
  const label = make('label', 'choice', radio(seconds), make('span', '', words));
  if (aside) label.append(make('span', 'aside', aside));
  return label;
}

function otherChoice() {
  const hours = Object.assign(document.createElement('input'),
    { type: 'number', id: 'other-hours', min: '1', max: String(LONGEST_HOURS), step: '1', inputMode: 'numeric' });
  hours.setAttribute('aria-label', 'Hours until the old key expires');
  const input = radio('other');
  hours.addEventListener('focus', () => { input.checked = true; judge(); });
  hours.addEventListener('input', judge);
  // Not inside of the radio's label: its name would change with the number.
  return make('div', 'choice', make('label', '', input, 'Another:'), hours, 'hours');
}

// The one that the instructions name comes first, the one that they warn of last. None is chosen: that is an answer.
export function offerGraces(look, clock) {
  asked = !look.recovery;
  recommended = look.recommended_grace_seconds;
  now = clock;
  since = now();
  const others = [HOUR, DAY, 3 * DAY, 7 * DAY].filter((seconds) => seconds !== recommended);
  const first = recommended ? [choice(recommended, duration(recommended), 'as instructed')] : [];
  graces.replaceChildren(...first, ...others.map((seconds) => choice(seconds, duration(seconds))), otherChoice(),
    choice(0, 'Now', recommended ? 'the old key is dead already' : 'as instructed'));
  judge();
}

const checked = () => graces.querySelector('input[name="grace"]:checked');

// In seconds; null while nothing valid is chosen.
export function graceChosen() {
  if (!asked) return 0;
  if (!checked()) return null;
  if (checked().value !== 'other') return Number(checked().value);
  const hours = Number(byId('other-hours').value);
  return Number.isInteger(hours) && hours >= 1 && hours <= LONGEST_HOURS ? hours * HOUR : null;
}

// ---- the click ----

// A Date; null while none, or one in the future, is said.
export function rotatedAt() {
  if (!asked) return new Date(since);
  if (when.value !== 'earlier') return new Date(since - Number(when.value) * MINUTE * 1000);
  const at = new Date(earlier.value);  // without a zone: the reader's
  return at.getTime() <= now() ? at : null;
}

// A new key means a new click: "Just now" is now.
export function keyWasPasted() {
  if (when.value === '0') since = now();
  judge();
}

// ---- what it means ----

export function judge() {
  const grace = graceChosen();
  if (grace === 0 && recommended !== 0) {
    verdict('grace-verdict', 'bad', 'With “Now”, apps that still run on the old key fail from that click on. Hand over the new key at once; there is no way back.');
  } else if (grace !== null && grace !== recommended) {
    verdict('grace-verdict', 'wary', `The instructions say ${duration(recommended)}. Keyturn goes by what you really chose.`);
  } else {
    verdict('grace-verdict', '', '');
  }
  showDeadline();
}

// Called every second, too: "in 59 minutes" moves on.
export function showDeadline() {
  const grace = graceChosen(), click = rotatedAt();
  if (!click) return verdict('rotated-verdict', '', '');
  const clicked = `Clicked at ${when.value === 'earlier' ? dayAndTime(click) : timeOfDay(click)}.`;
  const death = click.getTime() + (grace ?? 0) * 1000;
  if (grace === null || grace === 0) return verdict('rotated-verdict', '', clicked);
  if (death <= now()) return verdict('rotated-verdict', 'bad', `${clicked} By that, the old key has expired already.`);
  return verdict('rotated-verdict', '', `${clicked} The old key expires ${dayAndTime(death)}, in ${duration((death - now()) / 1000)}.`);
}

// For a press on "Hand over": the field that wants an answer still, or null.
export function missingIn() {
  if (graceChosen() === null) {
    verdict('grace-verdict', 'bad', checked() ? `Say how many hours: 1 to ${LONGEST_HOURS}.` : 'Choose what you chose in the dashboard.');
    return checked() ? byId('other-hours') : graces.querySelector('input');
  }
  if (rotatedAt() === null) {
    verdict('rotated-verdict', 'bad', earlier.value ? 'That lies in the future.' : 'Say when it was.');
    return earlier;
  }
  return null;
}

graces.addEventListener('change', judge);
earlier.addEventListener('input', judge);
when.addEventListener('change', () => {
  since = now();
  earlier.hidden = when.value !== 'earlier';
  judge();
});
