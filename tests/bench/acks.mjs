// Acknowledgements, side by side: how many, how soon, for how much processor and memory, and how soon after the start.
import { setTimeout as sleep } from 'node:timers/promises';
import { Driver } from './support.mjs';

export const outstanding = [1, 16, 64, 256];
export const rates = [200, 1000];

// One round of one side: {ready, idle, own, loaded, closed: {64: {...}}, open: {200: {...}}}.
async function round(world, side, build, { seconds, openSeconds, emulated }) {
  const driver = await Driver.open(build, { emulated });
  const { command, log } = await world.command(side, driver.slack);
  const { ready } = await driver.ask({ do: 'start', command, log });
  await sleep(500);
  const { resident: idle, own } = await driver.ask({ do: 'memory' });
  const measured = { ready, idle, own, closed: {}, open: {} };
  for (const count of outstanding) measured.closed[count] = await driver.ask({ do: 'closed', outstanding: count, seconds });
  for (const rate of rates) measured.open[rate] = await driver.ask({ do: 'open', rate, seconds: openSeconds });
  measured.loaded = (await driver.ask({ do: 'memory' })).peak;
  await driver.ask({ do: 'stop' });
  await driver.close();
  return measured;
}

// The sides take turns within a round, so that whatever else the machine does meets all of them. `options.emulated`: against
// the sandbox's Slack instead of the lean one.
export async function measureAcks(world, build, sides, options) {
  const rounds = Object.fromEntries(sides.map((side) => [side, []]));
  for (let i = 0; i < options.rounds; ++i) {
    for (const side of i % 2 ? sides.toReversed() : sides) rounds[side].push(await round(world, side, build, options));
  }
  return rounds;
}

// Starts alone: {side: [microseconds, ...]}.
export async function measureStarts(world, build, sides, times) {
  const taken = Object.fromEntries(sides.map((side) => [side, []]));
  for (let i = 0; i < times; ++i) {
    for (const side of sides) {
      const driver = await Driver.open(build);
      const { command, log } = await world.command(side, driver.slack);
      taken[side].push((await driver.ask({ do: 'start', command, log })).ready);
      await driver.ask({ do: 'stop' });
      await driver.close();
    }
  }
  return taken;
}
