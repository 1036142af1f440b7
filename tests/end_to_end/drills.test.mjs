// The drills of the rehearsal workspace: the real bot must pass each of them, and a drill must be able to fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from 'node:path';
import { Stage } from './support/stage.mjs';
import { run, until } from './support/process.mjs';

const build = process.env.KEYTURN_BUILD ?? 'build/dev';
const limit = 120000;
const skip = process.env.KEYTURN_SANDBOX ? 'the drills come with the emulators, which this build is without' : false;

async function open(t, settings = {}) {
  const stage = await Stage.open({ settings: { grace: '12s', compromise_grace: '9s', ...settings } });
  t.after(() => stage.close());
  await stage.startBot();
  return stage;
}
const drill = async (stage) => (await stage.state()).drill;
const over = (stage) => until('the drill to be over', async () => {
  const now = await drill(stage);
  return now && !now.running && now;
}, limit);
const play = async (stage, name) => {
  await stage.act('/drill/start', { name, play: true });
  return over(stage);
};
const told = ({ transcript }) => transcript.map(({ at, who, what }) => `${at} ${who}: ${what}`).join('\n');

function assertPassed(result) {
  assert.equal(result.score, 'passed', `${JSON.stringify(result.facts.filter(({ holds }) => !holds), null, 1)}\n${told(result)}`);
  assert.ok(result.facts.length >= 4 && result.facts.every(({ holds }) => holds === true));
}

// Side by side, each with a sandbox of its own: most of a drill is waiting.
test('the bot passes every drill', { concurrency: 6, skip }, async (t) => {
  const { output } = await run(join(build, 'keyturn'), ['rehearse']);
  const names = output.trim().split('\n').map((line) => line.split(' ')[0]);
  assert.ok(names.length >= 11, output);
  await Promise.all(names.map((name) => t.test(name, async (each) => {
    const stage = await open(each);
    assertPassed(await play(stage, name));
    assert.equal((await stage.verifyJournal()).code, 0);
  })));
});

test('a drill can be lost: without a bot that answers, nothing is passed', { skip }, async (t) => {
  const stage = await open(t, {});
  await stage.bot.stop();
  await stage.act('/drill/start', { name: 'drift', play: true });
  await until('the scene', async () => (await drill(stage)).transcript.some(({ what }) => what.startsWith('the scene is set')), 60000);
  await stage.act('/drill/stop', {});
  const stopped = await over(stage);
  assert.equal(stopped.score, 'stopped');
  assert.ok(stopped.facts.some(({ holds }) => holds === false));
});

test('one drill follows another in the same workspace, on a world that is mended first', { skip }, async (t) => {
  const stage = await open(t);
  assert.equal(await drill(stage), null);
  assertPassed(await play(stage, 'drift'));
  assertPassed(await play(stage, 'already-dead'));
  assertPassed(await play(stage, 'drift'));
});

test('a drill that a person does is over when everything has been seen', { skip }, async (t) => {
  const stage = await open(t);
  await stage.act('/drill/start', { name: 'drift', play: false });
  await until('the scene', async () => (await drill(stage)).facts.length > 0);
  const before = await drill(stage);
  assert.ok(before.running && before.score === 'running');
  assert.ok(before.facts.every(({ holds }) => holds === null), 'nothing has been seen, and nothing is decided');
  await assert.rejects(stage.act('/drill/start', { name: 'calm', play: true }), /a drill is running/);
  await stage.command('stripe prod');
  assertPassed(await over(stage));
});

test('a drill that is not there is refused in words', { skip }, async (t) => {
  const stage = await open(t);
  await assert.rejects(stage.act('/drill/start', { name: 'flood', play: true }), /there is no drill/);
  const { code, errors } = await run(join(build, 'keyturn'), ['rehearse', 'flood']);
  assert.equal(code, 1);
  assert.match(errors, /no drill "flood"/);
});

test('keyturn rehearse plays a drill with a bot of its own, and its exit status is the score', { skip }, async () => {
  const { code, output, errors } = await run(join(build, 'keyturn'), ['rehearse', 'drift']);
  assert.equal(code, 0, output + errors);
  assert.match(output, /do not hold the same key/);
  assert.match(output, /drift +passed/);
  assert.match(output, /every hash holds/);
  // A program that is no bot can't pass.
  const lost = await run(join(build, 'keyturn-sandbox'), ['rehearse', 'drift', '--bot', '/bin/false']);
  assert.equal(lost.code, 1);
  assert.match(lost.errors, /ended with status 1 before it was connected/);
});
