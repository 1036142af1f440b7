// Who is measured: Keyturn's binary, the same command on Bolt, and a bot that does nothing (the load driver's own limit).
// Each start gets a folder of its own, with a journal that is empty.
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Process, until } from '../end_to_end/support/process.mjs';

export const sides = ['keyturn', 'bolt', 'rows', 'echo']; // rows: Bolt with a transaction for each command
const bolt = 'tests/bench/bolt';

const withTokens = ({ appToken, botToken }) => ['env', `SLACK_APP_TOKEN=${appToken}`, `SLACK_BOT_TOKEN=${botToken}`];
const onBolt = (slack, journal) => [...withTokens(slack), 'NODE_ENV=production', process.env.KEYTURN_BENCH_NODE,
  `${bolt}/rotate.mjs`, slack.api, journal];

// The sandbox writes the settings; its emulators aren't asked for anything but to exist.
export class World {
  static async open(build, folder) {
    const world = new World();
    Object.assign(world, { build, folder, runs: 0 });
    world.sandbox = new Process(join(build, 'keyturn-sandbox'), ['serve', '--folder', join(folder, 'sandbox'), '--quick']);
    await until('the sandbox', () => world.sandbox.output.includes('\n') || world.sandbox.ended);
    if (world.sandbox.ended) throw new Error(world.sandbox.errors);
    return world;
  }

  // {command, log, journal}: what `side` is started with, against that Slack: {api, appToken, botToken}.
  async command(side, slack) {
    const folder = join(this.folder, `${side}-${++this.runs}`);
    await mkdir(folder);
    const journal = join(folder, 'journal.db');
    const commands = {
      keyturn: async () => [join(this.build, 'keyturn'), 'run', '--config', await this.settings(folder, slack)],
      bolt: async () => onBolt(slack, journal),
      rows: async () => [...onBolt(slack, journal), 'row-by-row'],
      echo: async () => [...withTokens(slack), join(this.build, 'tests/bench/bench_load'), 'echo', slack.api],
    };
    return { command: await commands[side](), log: join(folder, 'log'), journal };
  }

  async settings(folder, { api, appToken, botToken }) {
    const [file, secrets] = [join(folder, 'keyturn.toml'), join(folder, 'secrets')];
    await cp(join(this.folder, 'sandbox/secrets'), secrets, { recursive: true });
    await writeFile(join(secrets, 'slack-app-token'), appToken);
    await writeFile(join(secrets, 'slack-bot-token'), botToken);
    const text = await readFile(join(this.folder, 'sandbox/keyturn.toml'), 'utf8');
    const lines = { api, journal: join(folder, 'journal.db'), secrets_folder: secrets };
    await writeFile(file, Object.entries(lines).reduce((changed, [name, value]) => {
      const line = new RegExp(`^${name} = ".*${name === 'api' ? '/api' : ''}"$`, 'm');
      if (!line.test(changed)) throw new Error(`the sandbox's settings have no ${name}`);
      return changed.replace(line, `${name} = "${value}"`);
    }, text));
    return file;
  }

  async close() {
    await this.sandbox.stop();
    await rm(this.folder, { recursive: true });
  }
}

export async function bytesOf(journal) {
  let bytes = 0;
  for (const ending of ['', '-wal']) bytes += await stat(journal + ending).then(({ size }) => size, () => 0);
  return bytes;
}
