// What Keyturn is measured against: the same `/rotate`, up to the refusal of an unknown target, written on Slack's own
// framework as well as we can. Like Keyturn it answers only once a row is on disk, writes what waits together as one
// transaction (so that a crowd shares an fsync), and handles each command once. It keeps no hash chain.
//   node rotate.mjs API DATABASE [row-by-row]      API is the base of Slack's methods; row-by-row: a transaction for each
//   command, as most people would write it
import bolt from '@slack/bolt';
import Database from 'better-sqlite3';

const [slackApiUrl, file, how] = process.argv.slice(2);
const superadmins = new Set(['U0ADMIN', 'U0GRACE']);
const targets = ['stripe prod', 'stripe staging'];

const database = new Database(file);
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec(`
  CREATE TABLE IF NOT EXISTS entries (sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL,
    actor TEXT NOT NULL, data TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`);
const remember = database.prepare('INSERT OR IGNORE INTO seen (key, at) VALUES (?, ?)');
const append = database.prepare('INSERT INTO entries (at, type, actor, data) VALUES (?, ?, ?, ?)');
const commit = database.transaction((rows) => {
  for (const { once, at, type, actor, data } of rows) {
    if (remember.run(once, at).changes > 0) append.run(at, type, actor, data);
  }
});

// Rows that wait for the end of this turn of the event loop; a turn reads everything that has arrived.
let waiting = [];
function onDisk(row) {
  if (how === 'row-by-row') return commit([row]);
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push({ row, resolve, reject });
  });
}
function flush() {
  const group = waiting;
  waiting = [];
  try {
    commit(group.map(({ row }) => row));
    for (const { resolve } of group) resolve();
  } catch (error) {
    for (const { reject } of group) reject(error);
  }
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

async function refuse(command, code) {
  await onDisk({ once: `slash:${command.trigger_id}`, at: Date.now(), type: 'command.refused', actor: command.user_id,
    data: JSON.stringify({ code, command: `/rotate ${command.text}` }) });
}

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN, appToken: process.env.SLACK_APP_TOKEN, socketMode: true,
  logLevel: bolt.LogLevel.ERROR, clientOptions: { slackApiUrl },
});

app.command('/rotate', async ({ command, ack }) => {
  const words = command.text.trim().toLowerCase().split(/\s+/);
  const typed = words.slice(0, 2).join(' ');
  if (!superadmins.has(command.user_id)) {
    await refuse(command, 'not_superadmin');
    await ack({ response_type: 'ephemeral', text: 'Only a superadmin can rotate a key. Nothing was started.' });
  } else if (!targets.includes(typed)) {
    await refuse(command, 'unknown_target');
    const known = targets.map((target) => `\`${target}\``).join(', ');
    await ack({ response_type: 'ephemeral', text: `There is no target "${escaped(typed)}". Known: ${known}. Nothing was started.` });
  } else {
    await ack({ response_type: 'ephemeral', text: 'Starting a rotation is not measured.' });
  }
});

await app.start();
process.on('SIGTERM', async () => {
  await app.stop();
  database.close();
  process.exit(0);
});
