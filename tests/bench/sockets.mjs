// What a socket that Slack replaces costs, and one that falls silent: envelopes lost, and for how long nobody listened.
import { Driver } from './support.mjs';

const rate = 200;

async function through(world, build, side, fault, seconds) {
  const driver = await Driver.open(build);
  const { command, log } = await world.command(side, driver.slack);
  await driver.ask({ do: 'start', command, log });
  const result = await driver.ask({ do: 'open', rate, seconds, fault, after: 1 });
  await driver.ask({ do: 'stop' });
  await driver.close();
  return result;
}

export async function measureRefresh(world, build, sides, { rounds, seconds }) {
  const found = {};
  for (const fault of ['warning', 'refresh_requested']) {
    found[fault] = Object.fromEntries(sides.map((side) => [side, []]));
    for (let i = 0; i < rounds; ++i) {
      for (const side of sides) found[fault][side].push(await through(world, build, side, fault, seconds));
    }
  }
  return found;
}

// The sides at once: at this rate they don't feel each other, and it takes more than half a minute.
export async function measureHalfOpen(world, build, sides, { rounds, seconds }) {
  const found = Object.fromEntries(sides.map((side) => [side, []]));
  for (let i = 0; i < rounds; ++i) {
    await Promise.all(sides.map(async (side) => found[side].push(await through(world, build, side, 'half_open', seconds))));
  }
  return found;
}
