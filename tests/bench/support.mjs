// The load driver (load/main.cpp) as an object, and the small things that every part of the bench needs.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';

export class Driver {
  // `emulated`: the sandbox's Slack instead of the lean one.
  static async open(build, { emulated = false } = {}) {
    const driver = new Driver();
    driver.child = spawn(`${build}/tests/bench/bench_load`, emulated ? ['emulator'] : [], { stdio: ['pipe', 'pipe', 'inherit'] });
    driver.lines = createInterface({ input: driver.child.stdout })[Symbol.asyncIterator]();
    const { port, app_token: appToken = 'xapp-bench', bot_token: botToken = 'xoxb-bench' } = await driver.next();
    driver.slack = { api: `http://127.0.0.1:${port}/api`, appToken, botToken };
    return driver;
  }
  async next() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the load driver has ended');
    return JSON.parse(value);
  }
  ask(wish) {
    this.child.stdin.write(`${JSON.stringify(wish)}\n`);
    return this.next();
  }
  async close() {
    this.child.stdin.end();
    await once(this.child, 'exit');
  }
}

export const median = (values) => {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
// {median, low, high}
export const spread = (values) => ({ median: median(values), low: Math.min(...values), high: Math.max(...values) });
