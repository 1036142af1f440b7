// Starting and stopping: quick, clean, and with words when something is wrong.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { adasMessages, Stage } from './support/stage.mjs';

test('SIGTERM in the middle of a rotation ends with 0, and Slack gets its close frame', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  assert.deepEqual(await stage.bot.stop(), { code: 0, signal: null });
  assert.match(stage.bot.errors, /"event":"stopped"/);
  assert.doesNotMatch(stage.bot.errors, /did not end in time/);
});

test('a second bot on the same journal is refused', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  const settings = await readFile(stage.settings, 'utf8');
  const other = `${stage.folder}/other.toml`;
  await writeFile(other, settings.replace(/^port = .*$/gm, 'port = 0'));
  const second = await stage.refusedBot({ settings: other });
  assert.equal(second.ended.code, 1);
  assert.match(second.errors, /another keyturn/i);
});

test('wrong settings are refused with file, line and what was expected', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const settings = await readFile(stage.settings, 'utf8');
  await writeFile(stage.settings, settings.replace(/^watch = .*$/m, 'watch = "5 potatoes"'));
  const refused = await stage.refusedBot();
  assert.equal(refused.ended.code, 78);
  assert.match(refused.errors, /keyturn\.toml:\d+:\d+: .*expected.*for example/s);
});

test('a sealing key that is not the one of the journal is refused at the start', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.message(adasMessages, /What only you can check/);
  await stage.bot.stop();
  await writeFile(`${stage.folder}/secrets/sealing-key`, '0f'.repeat(32));
  const refused = await stage.refusedBot();
  assert.equal(refused.ended.code, 1);
  assert.match(refused.errors, /is this the sealing key/);
});
