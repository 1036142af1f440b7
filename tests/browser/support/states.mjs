// Every state that the page has, and the way into it. Tests judge each; screenshots.mjs makes pictures of each.
// `look` is a real answer of the server about an open link.
import { answerWith, closedWell, fromNow, givenUp, halted, inGrace, opened, propagating, receivedKey, rejected } from './canned.mjs';

const goodKey = () => 'rk_' + 'live_' + 'Example1'.repeat(12);
const masterKey = () => 'sk_' + 'live_' + 'Example1'.repeat(12);
const publishable = () => 'pk_' + 'live_' + 'Example1'.repeat(4);
const masked = () => 'rk_' + 'live_' + '…wxyz';

const refusal = (code, sentence, attempts_left = 4) => ({ status: 422, state: 'refused', code, sentence, attempts_left, alarm: code === 'master_key' });

async function openForm(visitor, link, look, changes) {
  await answerWith(visitor, 'look', opened(look, { asks: 'code', opened_before: [], ...changes }));
  await visitor.open(link);
  await visitor.heading(/New key for/);
}
async function filled(visitor, link, look, changes) {
  await openForm(visitor, link, look, changes);
  await visitor.fillIn({ key: goodKey(), code: '483 920' });
}
async function handedOver(visitor, link, look, answer) {
  await answerWith(visitor, 'submit', answer);
  await filled(visitor, link, look);
  await visitor.handOver();
}
async function following(visitor, link, look, ...answers) {
  await answerWith(visitor, 'progress', ...answers);
  await handedOver(visitor, link, look, receivedKey);
  await visitor.heading(/^(Received|Done|Closed)$/);  // the first answer about the rotation may be its end
}
const door = (state, title) => async (visitor, link) => {
  await answerWith(visitor, 'look', { state });
  await visitor.open(link);
  await visitor.heading(title);
};

export const states = {
  'loading': async (visitor, link) => {
    await answerWith(visitor, 'look', 'never');
    await visitor.open(link);
    await visitor.see('Looking at your link');
  },
  'sign in': async (visitor, link) => {
    await answerWith(visitor, 'look', { state: 'sign_in', operator: 'Ada', authorize: 'https://slack.com/openid/connect/authorize' });
    await visitor.open(link);
    await visitor.heading('Sign in with Slack');
  },
  'signed in as somebody else': async (visitor, link) => {
    await answerWith(visitor, 'look', { state: 'sign_in', operator: 'Ada', authorize: 'https://slack.com/openid/connect/authorize',
      sentence: 'You are signed in to Slack as somebody else. Only Ada can hand over this key.' });
    await visitor.open(link);
    await visitor.see(/as somebody else/);
  },
  'sign-in ran out': async (visitor, link, look) => {
    await handedOver(visitor, link, look, { status: 401, state: 'sign_in', operator: 'Ada', authorize: 'https://slack.com/openid/connect/authorize' });
    await visitor.see(/sign-in has run out/);
  },
  'open': openForm,
  'filled in': filled,
  'recovery': (visitor, link, look) => openForm(visitor, link, look, { recovery: true }),
  'signed in, so no code': (visitor, link, look) => openForm(visitor, link, look, { asks: 'nothing' }),
  'leak suspected, few tries, little time': (visitor, link, look) =>
    openForm(visitor, link, look, { compromise: true, recommended_grace_seconds: 3600, attempts_left: 2, expires_at: fromNow(95) }),
  'opened before, from one address': (visitor, link, look) =>
    openForm(visitor, link, look, { opened_before: [{ at: fromNow(-180), peer: '203.0.113.7' }] }),
  'opened before, from several addresses': (visitor, link, look) => openForm(visitor, link, look, { opened_before:
    [{ at: fromNow(-400), peer: '203.0.113.7' }, { at: fromNow(-180), peer: '2001:db8:85a3:8d3:1319:8a2e:370:7348' }] }),
  'wrong paste': async (visitor, link, look) => {
    await openForm(visitor, link, look);
    await visitor.paste(publishable());
    await visitor.see(/publishable key/);
  },
  'masked paste, shown': async (visitor, link, look) => {
    await openForm(visitor, link, look);
    await visitor.paste(masked());
    await visitor.page.getByRole('button', { name: 'Show' }).click();
    await visitor.see(/masked display/);
  },
  'gaps': async (visitor, link, look) => {
    await openForm(visitor, link, look);
    await visitor.handOver();
    await visitor.see('Paste the new key.');
  },
  'another expiration, earlier click': async (visitor, link, look) => {
    await filled(visitor, link, look);
    await visitor.page.getByLabel('Hours until the old key expires').fill('36');
    await visitor.page.getByLabel(/When you clicked/).selectOption('Earlier…');
    await visitor.page.getByLabel('Date and time of the click').fill('2026-01-02T02:14');
  },
  'Now was chosen': async (visitor, link, look) => {
    await filled(visitor, link, look);
    await visitor.choose(/^Now/);
  },
  'sending': async (visitor, link, look) => {
    await handedOver(visitor, link, look, 'never');
    await visitor.see('Sealing and storing');
  },
  'wrong code': async (visitor, link, look) => {
    await handedOver(visitor, link, look, refusal('wrong_code', 'That is not the code of this link. It stands in the message that the link is in.', 2));
    await visitor.see(/not the code/);
  },
  'refused by the server': async (visitor, link, look) => {
    await handedOver(visitor, link, look, refusal('same_key', 'This is the key that is in use now. Paste the new one, which the dashboard shows once, right after "Rotate API key".'));
    await visitor.see(/in use now/);
  },
  'answer lost': async (visitor, link, look) => {
    await handedOver(visitor, link, look, 'lost');
    await visitor.see(/No answer came/);
  },
  'master key': async (visitor, link, look) => {
    await answerWith(visitor, 'submit', refusal('master_key', look.rules.advice.master_key));
    await openForm(visitor, link, look);
    await visitor.paste(masterKey());
    await visitor.see(/The alarm is raised/);
  },
  'master key, nobody could be told': async (visitor, link, look) => {
    await answerWith(visitor, 'submit', { status: 410, state: 'expired' });
    await openForm(visitor, link, look);
    await visitor.paste(masterKey());
    await visitor.see(/could not be told/);
  },
  'received': async (visitor, link, look) => {
    await following(visitor, link, look, propagating);
    await visitor.heading('Propagating the new key');
  },
  'received, clipboard cleared': async (visitor, link, look) => {
    await visitor.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await following(visitor, link, look, inGrace);
    await visitor.page.getByRole('button', { name: 'Clear clipboard' }).click();
    await visitor.see(/holds a harmless sentence now/);
  },
  'network trouble': async (visitor, link, look) => {
    await following(visitor, link, look, { ...propagating, next_seconds: 1 }, 'lost');
    await visitor.see(/No answer since/);
  },
  'halted': async (visitor, link, look) => {
    await following(visitor, link, look, halted);
    await visitor.heading(/Stopped/);
  },
  'new key rejected': async (visitor, link, look) => {
    await following(visitor, link, look, rejected);
    await visitor.see(/another account/);
  },
  'done': async (visitor, link, look) => {
    await following(visitor, link, look, closedWell);
    await visitor.heading('Done');
  },
  'given up': async (visitor, link, look) => {
    await following(visitor, link, look, givenUp);
    await visitor.heading('Closed');
  },
  'followed after a reload': async (visitor, link) => {
    await answerWith(visitor, 'look', { state: 'used', follow: true });
    await answerWith(visitor, 'progress', propagating);
    await visitor.open(link);
    await visitor.heading('The key was received');
    await visitor.heading('Propagating the new key');
  },
  'no link': async (visitor, link) => {
    await visitor.page.goto(link.address);
    await visitor.heading('This page needs its link');
  },
  'unknown': door('unknown', 'This link is not known'),
  'expired': door('expired', 'This link has expired'),
  'used': door('used', 'This link was used'),
  'locked': door('locked', 'This link is locked'),
  'cancelled': door('cancelled', 'This rotation was cancelled'),
  'unreachable': async (visitor, link) => {
    await answerWith(visitor, 'look', 'lost');
    await visitor.open(link);
    await visitor.heading('Keyturn can’t be reached');
  },
  'cannot seal': async (visitor, link) => {
    await visitor.page.addInitScript(() => Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined }));
    await visitor.open(link);
    await visitor.heading('This browser can’t seal a key');
  },
  'sign-in refused': async (visitor, link) => {
    await visitor.page.addInitScript(() => sessionStorage.setItem('keyturn.signing-in', 'token'));
    await answerWith(visitor, 'sign-in', { state: 'refused', sentence: 'Slack signed in somebody else than Ada, for whom this link was made.' });
    await visitor.page.goto(`${link.address}?code=1&state=2`);
    await visitor.heading('Slack did not sign you in');
  },
};
