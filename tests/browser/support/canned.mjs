// Answers in the server's place, for states that the real one can't be brought to at will. The page itself, with its
// headers, still comes from the real bot.

// An answer is an object ({status, ...body}; 200 unless said), 'lost' (the connection breaks), 'never', or a function of
// the request's body that gives one of these. Of several, each serves once, and the last one for ever.
export async function answerWith(visitor, path, ...answers) {
  let served = 0;
  await visitor.page.route(`**/form/${path}`, async (route) => {
    let answer = answers[Math.min(served++, answers.length - 1)];
    if (typeof answer === 'function') answer = answer(route.request().postDataJSON());
    if (answer === 'never') return undefined;
    if (answer === 'lost') return route.abort('connectionreset');
    const { status = 200, ...body } = answer;
    return route.fulfill({ status, contentType: 'application/json', body: JSON.stringify(body) });
  });
}

export const fromNow = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

// `look` is a real answer; its clock is set to now.
export const opened = (look, changes = {}) => () => ({ ...look, now: fromNow(0), expires_at: fromNow(14 * 60 + 9), ...changes });

export const receivedKey = { state: 'received', fingerprint: '2116-a1f0-fa26-db10', old_key_expires_at: fromNow(24 * 3600) };

const before = [
  { mark: 'done', text: 'Current key c9ae-bebf-8cbb-0e7b is version 3 of STRIPE_RESTRICTED_KEY in Infisical' },
  { mark: 'done', text: 'Stripe: the current key is alive; GET /v1/customers granted (req_4n3yOqehiaiM8V), GET /v1/balance denied (req_6lbMYVdEmuMBiS)' },
  { mark: 'done', text: 'raxx-api-prod holds the same key, release v41, 3 of 3 dynos up' },
  { mark: 'done', text: 'Billing endpoint healthy (HTTP 200)' },
  { mark: 'done', text: 'Operator ready at 02:12:40' },
  { mark: 'done', text: 'New key 2116-a1f0-fa26-db10 received and sealed at 02:14:33' },
];
const steps = (done, doing, pending) => [...before,
  ...done.map((text) => ({ mark: 'done', text })), ...doing.map((text) => ({ mark: 'doing', text })),
  ...pending.map((text) => ({ mark: 'pending', text }))];
const validated = 'Stripe: new key alive, same account, same permissions, old key still alive';
const stored = 'Infisical: version 4 stored and read back';
const running = 'raxx-api-prod: all 3 dynos run release v42 since 02:14:51';
const watched = 'raxx-api-prod log watched for 5 minutes: 1,204 lines, no authentication failure, no gaps';
const healthy = 'Billing endpoint healthy 11 of 11 times';
const progress = (changes) => ({ state: 'progress', old_key_expires_at: receivedKey.old_key_expires_at, sentence: '',
  needs_person: false, done: false, outcome: '', now: fromNow(0), next_seconds: 2, ...changes });

export const propagating = progress({ stage: 'propagating', headline: 'propagating the new key',
  billing: 'Some consumers may run on the new key and some on the old one; both work until the old one expires.',
  lines: steps([validated, stored], ['raxx-api-prod: release v42 made, waiting for its dynos'],
    ['Watch the log of raxx-api-prod for 5 minutes', 'Billing endpoint with the new key', 'Wait for the old key to expire, and prove it']) });
export const inGrace = progress({ stage: 'grace', headline: 'complete; the old key lives until its deadline', billing: 'Billing runs on the new key.',
  lines: steps([validated, stored, running, watched, healthy], ['Grace of the old key 35 % until 02:14 tomorrow'], []) });
export const halted = progress({ stage: 'halted', headline: 'stopped; it waits for a person', billing: 'Billing runs on the new key.', needs_person: true,
  sentence: 'A dyno of raxx-api-prod has crashed after the release.',
  lines: [...steps([validated, stored], [], []), { mark: 'problem', text: 'raxx-api-prod: web.2 has crashed' },
    { mark: 'pending', text: 'Wait for the old key to expire, and prove it' }] });
export const rejected = progress({ stage: 'awaiting_key', headline: 'waiting for the new key; billing runs on the old one', needs_person: true,
  billing: 'Billing runs on the old key. If "Rotate API key" was clicked already, that key is expiring now.',
  sentence: 'Stripe says that this key belongs to another account. A new link is in your direct message; the sealed copy of this key is destroyed.',
  lines: [...before.slice(0, 5), { mark: 'waiting', text: 'Ada rotates the key in the dashboard and pastes the new one into the form' }] });
export const closedWell = progress({ stage: 'closed', headline: 'closed: rotated, the old key is proven dead', billing: 'Billing runs on the new key.',
  done: true, outcome: 'rotated', old_key_expires_at: fromNow(-5),
  lines: steps([validated, stored, running, watched, healthy, 'Old key proven dead: 3 refusals as expired, while the new key answers'], [], []) });
export const givenUp = progress({ stage: 'closed', headline: 'given up; the old key is not proven dead', billing: 'Billing runs on the new key.',
  done: true, outcome: 'given_up', sentence: '', lines: steps([validated, stored, running], [], []) });
