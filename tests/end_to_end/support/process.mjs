// A child process whose output is kept, for tests that read what it said.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export class Process {
  constructor(file, args, env = {}) {
    this.output = '';
    this.errors = '';
    this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.child.stdout.on('data', (bytes) => (this.output += bytes));
    this.child.stderr.on('data', (bytes) => (this.errors += bytes));
    // Not 'exit': what it said last may come after that.
    this.exited = once(this.child, 'close').then(([code, signal]) => {
      this.ended = { code, signal };
      return this.ended;
    });
  }

  get pid() {
    return this.child.pid;
  }

  async stop(signal = 'SIGTERM') {
    if (!this.ended) {
      this.asked = signal;
      this.child.kill(signal);
    }
    return this.exited;
  }
}

// Runs to the end: {code, output, errors}.
export async function run(file, args) {
  const process = new Process(file, args);
  const { code } = await process.exited;
  return { code, output: process.output, errors: process.errors };
}

// Asks again until `ask` gives something true; fails in words when `milliseconds` are over.
export async function until(what, ask, milliseconds = 15000) {
  const deadline = Date.now() + milliseconds * (process.env.KEYTURN_PATIENCE ?? 1);
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}
