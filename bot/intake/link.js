// Where the link's token comes from, and the two places where it may rest outside of this script: the tab's
// sessionStorage while the person is at Slack to sign in, and there again once the link is spent, so that a reload goes
// on following the rotation. A token of a spent link opens nothing.

const SIGNING_IN = 'keyturn.signing-in';
const FOLLOWED = 'keyturn.followed';

// Storage may be switched off: reading it is then an exception.
function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}

function keep(name, token) {
  return attempt(() => {
    sessionStorage.setItem(name, token);
    return true;
  }) ?? false;
}
const stored = (name) => attempt(() => sessionStorage.getItem(name)) ?? '';
const remove = (name) => attempt(() => sessionStorage.removeItem(name));

export const keepForSignIn = (token) => keep(SIGNING_IN, token);
export const keepFollowed = (token) => keep(FOLLOWED, token);
export const forgetFollowed = () => remove(FOLLOWED);

// What the page was opened with; the address bar is clean afterwards.
//   {token}           the link itself
//   {token, slack}    back from Slack, with what it said: {code, state, error}; the token may be lost ('')
//   {followed}        a reload after "received"
//   {}                nothing
export function arrive() {
  const token = location.hash.slice(1);
  const query = new URLSearchParams(location.search);
  const waiting = stored(SIGNING_IN);
  remove(SIGNING_IN);
  history.replaceState(null, '', location.pathname);
  if (token) return { token };
  if (query.has('state')) {
    const slack = Object.fromEntries(['code', 'state', 'error'].map((name) => [name, query.get(name) ?? '']));
    return { token: waiting, slack };
  }
  const followed = stored(FOLLOWED);
  return followed ? { followed } : {};
}
