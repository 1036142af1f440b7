// An operator and a service manager who don't give up: the bot is started again whenever it died, and each step is
// repeated until it took, as people repeat what got no answer.
import assert from 'node:assert/strict';
import { adasMessages, ops } from './stage.mjs';

const pause = () => new Promise((resolve) => setTimeout(resolve, 60));

export class Stubborn {
  // `env`: of the first bot only; those after it are well.
  constructor(stage, env, { patience = 60000, grace = 6 } = {}) {
    Object.assign(this, { stage, env, grace, deaths: 0, deadline: Date.now() + patience });
  }

  // Whether the bot runs and is ready; starts one when none does.
  async alive() {
    const { stage } = this;
    if (stage.bot?.ended) {
      assert.equal(stage.bot.ended.signal, 'SIGKILL', `the bot ended by itself: ${stage.bot.errors.slice(-600)}`);
      this.deaths += 1;
      this.env = {};
    }
    if (!stage.bot || stage.bot.ended) stage.launch(this.env);
    return stage.ready();
  }

  // Again and again until `step` gives something true; what fails meanwhile is what a dying bot's people see.
  async until(what, step) {
    let last = '';
    for (;;) {
      assert.ok(Date.now() < this.deadline, `in vain: ${what} (${last}); the bot said: ${this.stage.bot?.errors.slice(-600)}`);
      try {
        const ready = await this.alive();
        const done = ready && (await step());
        if (done) return done;
        last = ready ? 'not yet' : 'not ready';
      } catch (error) {
        if (/ended by itself/.test(error.message)) throw error;
        last = error.message;
      }
      await pause();
    }
  }

  // A whole rotation, to its close. The new key.
  async rotate() {
    const { stage } = this;
    await this.until('the command', async () => /started|going on|already/i.test(await stage.command('stripe prod')));
    let link;
    await this.until('the link', async () => {
      link = await newestLink(stage);
      if (!link) await confirm(stage);
      return link;
    });
    const key = await stage.rotateInDashboard(this.grace);
    await this.until('the form', async () => {
      const newest = await newestLink(stage);
      if (newest && newest.token !== link.token) link = newest;
      try {
        const answer = await stage.submit(link, key, this.grace);
        if (answer.state === 'received' || answer.state === 'used') this.received = true;
        link.seen = undefined;
      } catch (error) {
        link.seen = undefined;
        throw error;
      }
      return this.received;
    });
    await this.until('the proof in the channel', async () =>
      (await stage.messages(ops)).some(({ all }) => /closed: rotated/.test(all)));
    await this.until('the end in the DM', async () =>
      (await stage.messages(adasMessages)).some(({ all }) => /closed: rotated/.test(all)));
    return key;
  }

  // Back to the old key, until the channel and the DM say that it is done.
  async rollBack() {
    const { stage } = this;
    const told = async (channel, pattern) => (await stage.messages(channel)).some(({ all }) => pattern.test(all));
    await this.until('the way back', async () => {
      if (await told(ops, /asked for the way back/)) return true;
      await stage.command('rollback stripe prod');
      const { slack } = await stage.state();
      const asked = slack.channels.find(({ id }) => id === ops).ephemerals
        .findLast(({ blocks }) => JSON.stringify(blocks ?? []).includes('rotation_roll_back'));
      if (asked) await stage.click({ ...asked, channel: ops }, 'rotation_roll_back');
      return false;
    });
    await this.until('the summary', () => told(ops, /is rolled back\./));
    for (const channel of [ops, adasMessages])
      await this.until('the live message', () => told(channel, /^Rotation of stripe prod[^\n]*rolled back/));
  }
}

async function confirm(stage) {
  const message = (await stage.messages(adasMessages)).reverse().find(({ all }) => /What only you can check/.test(all));
  if (!message) return;
  await stage.click(message, 'rotation_ready', { prerequisites: { confirmations: ['0', '1', '2'] } });
}

async function newestLink(stage) {
  for (const { ts, all } of (await stage.messages(adasMessages)).reverse()) {
    const found = /<(http[^|>#]*\/form)#([^|>]+)\|/.exec(all);
    if (found) return { address: found[1], token: found[2], code: /this code: \*(\d{3} \d{3})\*/.exec(all)?.[1] ?? '', ts };
  }
  return null;
}
