// An unmodified Bolt app, Slack's own framework, in Socket Mode among the emulators: the emulated Slack must be one that
// Bolt connects to, understands and is refused by as by the real one. One app for all tests, so they run in turn.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import bolt from '@slack/bolt';
import { act, fault, places, refusal, state, until, written } from './support/sandbox.mjs';

const { App, webApi } = bolt;
const { WebClient, WebClientEvent, ErrorCode } = webApi;

const ada = 'U0ADMIN';
const adasMessages = 'D0ADMIN';
const ops = 'C0OPS';
const botToken = written('secrets/slack-bot-token').trim();
const appToken = written('secrets/slack-app-token').trim();
const slackApiUrl = `${places.slack}/api`;

const log = []; // what Bolt said, for when a test fails
const say = (...words) => log.push(words.join(' '));
const logger = { debug() {}, info: say, warn: say, error: say, setLevel() {}, getLevel: () => 'info', setName() {} };

const app = new App({ socketMode: true, token: botToken, appToken, logger, clientOptions: { slackApiUrl } });
const slack = app.client;

before(() => app.start(), { timeout: 15000 });
after(() => app.stop());
afterEach((t) => {
  if (t.error) t.diagnostic(`Bolt said: ${log.slice(-20).join('\n')}`);
  return fault('slack', { kind: 'clear' });
});

// ---- what people do
let commands = 0;
// Types a command of its own, which `handler` gets; the result of what Slack's client shows.
async function type(handler, text = '') {
  const command = `/oracle${++commands}`;
  app.command(command, handler);
  return act('/slack/command', { user: ada, channel: ops, command, text });
}
function click(ts, action_id, more = {}) {
  return act('/slack/click', { user: ada, channel: ops, ts, action_id, ...more });
}
async function channel(id) {
  return (await state('slack')).channels.find((candidate) => candidate.id === id);
}
async function message(ts, where = ops) {
  const { messages, ephemerals } = await channel(where);
  return [...messages, ...ephemerals].find((candidate) => candidate.ts === ts);
}
const sockets = async () => (await state('slack')).socket_mode;

// ---- what is sent
const plain = (text) => ({ type: 'plain_text', text });
const button = (action_id) => ({ type: 'button', action_id, text: plain('Approve'), value: 'rot_1' });
const buttons = (...ids) => ({ type: 'actions', block_id: 'choices', elements: ids.map(button) });
const section = (text) => ({ type: 'section', text: { type: 'mrkdwn', text } });
const modal = {
  type: 'modal', callback_id: 'oracle_form', title: plain('Rotate'), submit: plain('Start'), private_metadata: 'rot_1',
  blocks: [{ type: 'input', block_id: 'why', label: plain('Why'), element: { type: 'plain_text_input', action_id: 'reason' } }],
};
const home = (text) => ({ type: 'home', blocks: [section(text)] });

// ---- connecting
test('Bolt connects, and is ready once it was greeted', async () => {
  const { opened, sockets: open } = await sockets();
  assert.equal(opened, 1);
  assert.equal(open.length, 1);
  assert.equal(open[0].greeted, true);
});

test('Bolt finds out who it is', async () => {
  const who = await slack.auth.test();
  assert.equal(who.ok, true);
  assert.equal(who.team_id, 'T0RAXX');
  assert.match(who.user_id, /^U/);
  assert.match(who.bot_id, /^B/);
});

// ---- commands
test('a slash command reaches its listener, and the acknowledgement is shown to who typed it', async () => {
  let seen;
  const result = await type(async ({ command, ack }) => {
    seen = command;
    await ack({ response_type: 'ephemeral', text: 'Started.' });
  }, 'stripe prod');
  assert.equal(result.error, null);
  assert.equal(result.ack.text, 'Started.');
  assert.equal(seen.text, 'stripe prod');
  assert.equal(seen.user_id, ada);
  assert.equal(seen.channel_id, ops);
  assert.equal(seen.team_id, 'T0RAXX');
  assert.equal(seen.is_enterprise_install, 'false');
  assert.ok(seen.trigger_id && seen.response_url.startsWith(places.slack));
  const shown = (await channel(ops)).ephemerals.at(-1);
  assert.equal(shown.text, 'Started.');
  assert.equal(shown.only_for, ada);
});

test('an empty acknowledgement shows nothing', async () => {
  const before = (await channel(ops)).ephemerals.length;
  assert.equal((await type(({ ack }) => ack())).error, null);
  assert.equal((await channel(ops)).ephemerals.length, before);
});

test('a command that nobody acknowledges within three seconds is an error to who typed it', async () => {
  const { error, ack, milliseconds } = await type(async () => {});
  assert.equal(error, 'operation_timeout');
  assert.equal(ack, null);
  assert.ok(milliseconds >= 2900, `${milliseconds} ms`);
});

test('a response URL works five times', async () => {
  let respond;
  await type(async (args) => {
    await args.ack();
    respond = args.respond;
  });
  for (let use = 1; use <= 5; ++use) await respond({ text: `answer ${use}` });
  const error = await refusal(respond({ text: 'answer 6' }));
  assert.equal(error.code, 'slack_bolt_respond_error');
  assert.equal(error.statusCode, 404);
  const answers = (await channel(ops)).ephemerals.map(({ text }) => text).filter((text) => /^answer/.test(text));
  assert.deepEqual(answers, [1, 2, 3, 4, 5].map((use) => `answer ${use}`));
});

// ---- messages and clicks
test('a click on a message of the app reaches its listener, which updates the message', async () => {
  const { ts } = await slack.chat.postMessage({ channel: ops, text: 'Approve?', blocks: [buttons('approve')],
    metadata: { event_type: 'rotation_status', event_payload: { rotation_id: 'r1' } } });
  let seen;
  app.action('approve', async ({ ack, action, body, client }) => {
    await ack();
    seen = { action, body };
    await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: 'Approved.', blocks: [section('Approved.')] });
  });
  assert.equal((await click(ts, 'approve')).error, null);
  const updated = await until('the update', async () => {
    const found = await message(ts);
    return found.edits > 0 && found;
  });
  assert.equal(updated.text, 'Approved.');
  assert.equal(updated.metadata.event_payload.rotation_id, 'r1'); // an update without metadata keeps it
  assert.equal(seen.action.type, 'button');
  assert.equal(seen.action.value, 'rot_1');
  assert.equal(seen.action.block_id, 'choices');
  assert.equal(seen.body.user.id, ada);
  assert.deepEqual(seen.body.container, { type: 'message', message_ts: ts, channel_id: ops, is_ephemeral: false });
  assert.equal(seen.body.message.bot_id, 'B0KEYTURN');
});

test('a click brings along what was ticked, and its response URL replaces the message', async () => {
  const options = ['0', '1', '2'].map((value) => ({ text: plain(`box ${value}`), value }));
  const boxes = { type: 'input', block_id: 'boxes', label: plain('Boxes'), element: { type: 'checkboxes', action_id: 'ticked', options } };
  const { ts } = await slack.chat.postMessage({ channel: ops, text: 'Ready?', blocks: [boxes, buttons('ready')] });
  let seen;
  app.action('ready', async ({ ack, body, respond }) => {
    await ack();
    await respond({ replace_original: true, text: 'Thanks.', blocks: [section('Thanks.')] });
    seen = body;
  });
  await click(ts, 'ready', { state: { boxes: { ticked: ['0', '2'] } } });
  await until('the listener', () => seen);
  const ticked = seen.state.values.boxes.ticked.selected_options.map(({ value }) => value);
  assert.deepEqual(ticked, ['0', '2']);
  assert.equal((await message(ts)).text, 'Thanks.');
});

test('an ephemeral message is for one person, and can be clicked', async () => {
  const { message_ts: ts } = await slack.chat.postEphemeral({ channel: ops, user: ada, text: 'For you', blocks: [buttons('whisper')] });
  assert.equal((await message(ts)).only_for, ada);
  let seen;
  app.action('whisper', async ({ ack, body }) => {
    seen = body;
    await ack();
  });
  await click(ts, 'whisper');
  assert.equal(seen.container.is_ephemeral, true);
  const error = await refusal(slack.chat.update({ channel: ops, ts, text: 'changed' }));
  assert.equal(error.data.error, 'message_not_found');
});

// ---- modals
test('a trigger opens a modal, whose submission is refused with words and then taken', async () => {
  let opened;
  await type(async ({ ack, body, client }) => {
    await ack();
    opened = await client.views.open({ trigger_id: body.trigger_id, view: modal });
  });
  await until('the modal', () => opened);
  assert.equal(opened.view.callback_id, 'oracle_form');
  assert.ok(opened.view.hash);

  let seen;
  app.view('oracle_form', async ({ ack, view }) => {
    seen = view;
    const reason = view.state.values.why.reason.value;
    await (reason === 'because' ? ack() : ack({ response_action: 'errors', errors: { why: 'Say why.' } }));
  });
  const submit = (reason) => act('/slack/submit', { user: ada, view_id: opened.view.id, values: { why: { reason } } });
  assert.deepEqual((await submit('')).ack, { response_action: 'errors', errors: { why: 'Say why.' } });
  assert.ok((await state('slack')).views[opened.view.id]);
  assert.equal((await submit('because')).error, null);
  assert.equal(seen.private_metadata, 'rot_1');
  assert.equal((await state('slack')).views[opened.view.id], undefined);
});

test('a trigger works once, and for three seconds', async () => {
  const triggers = [];
  const keep = async ({ ack, body }) => {
    triggers.push(body.trigger_id);
    await ack();
  };
  await type(keep);
  const open = (trigger_id) => slack.views.open({ trigger_id, view: modal });
  await open(triggers[0]);
  assert.equal((await refusal(open(triggers[0]))).data.error, 'exchanged_trigger_id');
  await type(keep);
  await new Promise((resolve) => setTimeout(resolve, 3200));
  assert.equal((await refusal(open(triggers[1]))).data.error, 'expired_trigger_id');
  assert.equal((await refusal(open('1.2.nonsense'))).data.error, 'invalid_trigger_id');
});

// ---- events
test('a direct message reaches its listener, and can be answered', async () => {
  let seen;
  app.message('how are things', async ({ message: received, say: answer }) => {
    await answer('Fine.');
    seen = received;
  });
  const { error } = await act('/slack/say', { user: ada, channel: adasMessages, text: 'how are things' });
  assert.equal(error, null);
  await until('the answer', () => seen);
  assert.equal(seen.channel_type, 'im');
  assert.equal(seen.user, ada);
  assert.equal(seen.channel, adasMessages);
  assert.equal((await channel(adasMessages)).messages.at(-1).text, 'Fine.');
});

test('a mention in a channel reaches its listener', async () => {
  let seen;
  app.event('app_mention', async ({ event }) => {
    seen = event;
  });
  await act('/slack/say', { user: ada, channel: ops, text: '<@U0KEYTURN> hello' });
  await until('the mention', () => seen);
  assert.equal(seen.channel, ops);
});

test('opening the home tab reaches its listener, which publishes it', async () => {
  const seen = [];
  app.event('app_home_opened', async ({ event, client }) => {
    await client.views.publish({ user_id: event.user, view: home(`visit ${seen.length + 1}`), hash: event.view?.hash });
    seen.push(event);
  });
  for (const visits of [1, 2]) {
    await act('/slack/home', { user: ada });
    await until('the home tab', () => seen.length === visits);
  }
  assert.equal(seen[0].tab, 'home');
  assert.equal(seen[0].view, undefined); // nothing was there yet
  assert.equal(seen[1].view.type, 'home');
  const { homes } = await state('slack');
  assert.equal(homes[ada].blocks[0].text.text, 'visit 2');
  const error = await refusal(slack.views.publish({ user_id: ada, view: home('late'), hash: seen[1].view.hash }));
  assert.equal(error.data.error, 'hash_conflict');
});

test('a redelivered event says that it is one', async () => {
  const seen = [];
  app.event('user_change', async ({ event, context }) => {
    seen.push({ user: event.user.id, retry: context.retryNum ?? 0 });
  });
  await act('/slack/socket', { do: 'duplicate', count: 1 });
  await act('/slack/person', { user: 'U0MEMBER', set: { restricted: false } });
  await until('both deliveries', () => seen.length === 2);
  assert.deepEqual(seen, [{ user: 'U0MEMBER', retry: 0 }, { user: 'U0MEMBER', retry: 1 }]);
});

// ---- the Web API
test('the Web API says who people are, where they are, and what was said', async () => {
  const { channel: direct } = await slack.conversations.open({ users: ada });
  assert.equal(direct.id, adasMessages);
  const { user } = await slack.users.info({ user: ada });
  assert.equal(user.id, ada);
  assert.deepEqual([user.deleted, user.is_bot, user.is_restricted, user.is_stranger], [false, false, false, false]);
  const { users } = await slack.usergroups.users.list({ usergroup: 'S0SUPER' });
  assert.deepEqual(users, [ada, 'U0GRACE']);
  const { channel: info } = await slack.conversations.info({ channel: ops });
  assert.equal(info.is_member, true);
  assert.equal(info.is_archived, false);

  const metadata = { event_type: 'rotation_status', event_payload: { seq: 3 } };
  const { ts } = await slack.chat.postMessage({ channel: adasMessages, text: 'Hello & <goodbye>', metadata });
  const history = await slack.conversations.history({ channel: adasMessages, oldest: ts, inclusive: true, include_all_metadata: true });
  assert.equal(history.messages.length, 1);
  assert.deepEqual(history.messages[0].metadata, metadata);
  await slack.chat.delete({ channel: adasMessages, ts });
  assert.equal(await message(ts, adasMessages), undefined);
});

test('what Slack would refuse is refused, in the word that its reference has for it', async () => {
  const post = (where, more = { text: 'x' }) => () => slack.chat.postMessage({ channel: where, ...more });
  const refusals = [
    ['channel_not_found', post('C0NOWHERE')],
    ['not_in_channel', post('C0RANDOM')],
    ['is_archived', post('C0OLDOPS')],
    ['no_text', post(ops, {})],
    ['message_not_found', () => slack.chat.update({ channel: ops, ts: '1.000001', text: 'x' })],
    ['user_not_in_channel', () => slack.chat.postEphemeral({ channel: ops, user: 'U0STRANGER', text: 'x' })],
    ['user_not_found', () => slack.users.info({ user: 'U0NOBODY' })],
    ['user_not_found', () => slack.conversations.open({ users: 'U0NOBODY' })],
    ['user_disabled', () => slack.conversations.open({ users: 'U0GONE' })],
    ['no_such_subteam', () => slack.usergroups.users.list({ usergroup: 'S0NONE' })],
    ['unknown_method', () => slack.apiCall('chat.shout', { text: 'x' })],
  ];
  for (const [word, call] of refusals) {
    const error = await refusal(call());
    assert.equal(error.code, ErrorCode.PlatformError);
    assert.equal(error.data.error, word);
  }
});

test('blocks that Slack would refuse are refused, with a pointer to what is wrong', async () => {
  const tooLong = await refusal(slack.chat.postMessage({ channel: ops, text: 'x', blocks: [section('a'.repeat(3001))] }));
  assert.equal(tooLong.data.error, 'invalid_blocks');
  assert.match(tooLong.data.response_metadata.messages.join('\n'), /\/blocks\/0\/text/);
  const tooMany = await refusal(slack.chat.postMessage({ channel: ops, text: 'x', blocks: Array(51).fill(section('a')) }));
  assert.equal(tooMany.data.error, 'invalid_blocks');
  const notJson = await refusal(slack.chat.postMessage({ channel: ops, text: 'x', blocks: '[{' }));
  assert.equal(notJson.data.error, 'invalid_blocks_format');
});

test('a token is judged before anything else', async () => {
  const clientWith = (token) => new WebClient(token, { slackApiUrl, logger });
  const refused = async (token) => (await refusal(clientWith(token).chat.postMessage({ channel: 'C0NOWHERE', text: 'x' }))).data.error;
  assert.equal(await refused(`xoxb${'-'}wrong`), 'invalid_auth');
  assert.equal(await refused(undefined), 'not_authed');
  assert.equal(await refused(appToken), 'not_allowed_token_type');
});

test('Bolt gives up on a wrong app token', async () => {
  const stranger = new App({ socketMode: true, token: botToken, appToken: `xapp${'-'}wrong`, logger, clientOptions: { slackApiUrl } });
  const error = await refusal(stranger.start());
  assert.equal(error.data.error, 'invalid_auth');
});

test('a rate limit is waited out for as long as Slack asks, and no other method is limited', async () => {
  await fault('slack', { kind: 'retry_after', seconds: 2 });
  await fault('slack', { kind: 'status', status: 429, path: '/api/users.info', times: 1 });
  const waits = [];
  const patient = new WebClient(botToken, { slackApiUrl, logger });
  patient.on(WebClientEvent.RATE_LIMITED, (seconds) => waits.push(seconds));
  const began = Date.now();
  const limited = patient.users.info({ user: ada });
  assert.equal((await slack.auth.test()).ok, true);
  assert.equal((await limited).user.id, ada);
  assert.ok(Date.now() - began >= 2000, `it waited ${Date.now() - began} ms`);
  assert.deepEqual(waits, [2]);
});

test('a rate limit can be told from other refusals', async () => {
  await fault('slack', { kind: 'status', status: 429, path: '/api/users.info', times: 1 });
  const impatient = new WebClient(botToken, { slackApiUrl, logger, rejectRateLimitedCalls: true });
  const error = await refusal(impatient.users.info({ user: ada }));
  assert.equal(error.code, ErrorCode.RateLimitedError);
  assert.equal(error.retryAfter, 1);
});

test('a server error is an HTTP error', async () => {
  await fault('slack', { kind: 'status', status: 503, path: '/api/users.info', times: 1 });
  const once = new WebClient(botToken, { slackApiUrl, logger, retryConfig: { retries: 0 } });
  const error = await refusal(once.users.info({ user: ada }));
  assert.equal(error.code, ErrorCode.HTTPError);
  assert.equal(error.statusCode, 503);
});

// ---- losing the socket: Bolt pauses for five seconds before it connects again
// Does `what` to the socket; then Bolt must have a new one, and hear on it.
async function reconnectsAfter(what) {
  const { opened } = await sockets();
  await what();
  await until('another socket, alone', async () => {
    const now = await sockets();
    const open = now.sockets.filter(({ half_open: silent }) => !silent);
    return now.opened === opened + 1 && open.length === 1 && open[0].greeted;
  }, 40000);
  await fault('slack', { kind: 'socket', do: 'clear' });
}
async function stillHears() {
  const { error, ack } = await type(({ ack: answer }) => answer('still here'));
  assert.equal(error, null);
  assert.equal(ack.text, 'still here');
}

for (const wish of ['refresh_requested', 'refresh', 'cut']) {
  test(`Bolt takes another socket after: ${wish}`, async () => {
    await reconnectsAfter(() => act('/slack/socket', { do: wish }));
    await stillHears();
  });
}

test('an acknowledgement of 20 KiB costs Bolt its socket', async () => {
  const { refused_frames: refused } = await sockets();
  await reconnectsAfter(() => type(({ ack }) => ack('x'.repeat(20480))));
  assert.equal((await sockets()).refused_frames, refused + 1);
  await stillHears();
});

test('Bolt notices a socket that fell silent, and envelopes meant for it are lost', async () => {
  // The socket falls silent with the next acknowledgement.
  await reconnectsAfter(async () => {
    await act('/slack/socket', { do: 'half_open' });
    await stillHears();
  });
  // The silent one is registered still, and gets every other envelope.
  const results = [await type(({ ack }) => ack('heard')), await type(({ ack }) => ack('heard'))];
  assert.deepEqual(results.map(({ error }) => error).sort(), ['operation_timeout', null].sort());
});
