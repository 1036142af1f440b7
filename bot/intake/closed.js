// Doors that are closed: why, what it means, and what to do next.
import { byId, say, show } from './page.js';

const ASK_AGAIN = 'Ask for a new one in your direct message with Keyturn: press “Send a new link” there.';
const OPEN_AGAIN = 'Open the link again from your direct message with Keyturn.';
const ROTATED_ALREADY = 'If you have the new key already, keep the dashboard open: it is shown only once.';

const DOORS = {
  missing: ['This page needs its link', 'The address has no token in it: it was shortened, or the page was loaded again.',
    `${OPEN_AGAIN} A link that was only looked at is still good.`],
  unknown: ['This link is not known', 'It was replaced by a newer one, copied in part, or its rotation is over. Nothing was stored.',
    'Use the newest link in your direct message with Keyturn, or press “Send a new link” there.'],
  expired: ['This link has expired', `Links live for minutes only. Nothing was stored. ${ROTATED_ALREADY}`, ASK_AGAIN],
  used: ['This link was used', 'A link takes one key only, and its time is over.',
    'If it was you who used it, all is well: go on in Slack. If not, tell your team now: somebody else has had this link.'],
  locked: ['This link is locked', 'Too many wrong values were handed over. None of them was stored, and nothing has changed by them.',
    ASK_AGAIN],
  cancelled: ['This rotation was cancelled', 'Nothing was stored. If “Rotate API key” was clicked before, the old key expires all the same.',
    'If it was, start a rotation again now with /rotate, and have the new key at hand. What billing runs on now stands in Slack.'],
  unreachable: ['Keyturn can’t be reached', 'Your link was not spent, and nothing was stored.',
    'Check your connection and try again.'],
  cannot_seal: ['This browser can’t seal a key', 'It is too old, or the address doesn’t begin with https. Nothing was sent.',
    `${OPEN_AGAIN} Use a current browser, and check that the address begins with https.`],
  not_signed_in: ['Slack did not sign you in', 'Your link was not spent, and nothing was stored.',
    'Try again, or open the link in the browser where you are signed in to Slack.'],
  forgets: ['This browser forgets the sign-in', 'Slack signed you in, but the browser keeps no cookie of this page, so Keyturn can’t know it.',
    'Allow cookies for this page, or open the link from your direct message in another browser.'],
};

export const isClosed = (answer) => Object.hasOwn(DOORS, answer?.state ?? '');

// `sentence` replaces what is usual there. With `again`, there is a button for it.
export function close(state, { sentence, again } = {}) {
  const [title, what, next] = DOORS[state] ?? DOORS.unknown;
  say('closed-title', title);
  say('closed-what', sentence || what);
  say('closed-next', next);
  byId('closed-again').hidden = !again;
  byId('closed-again').onclick = again ?? null;
  show('closed', title);
}
