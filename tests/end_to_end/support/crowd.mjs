// Many connections to one server, held open: idle ones that have been answered once, and slow ones whose headers or
// bodies never end. One that the server ends is opened again, as an attacker would, until the crowd is let go.
//
// All of 127.0.0.0/8 is this machine on Linux, so each member has a source address of its choice. Node raises its soft
// limit of open files to the hard one when it starts; the hard one has to allow the crowd.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { until } from './process.mjs';

const trickle = 300; // milliseconds between two bytes of a slow one

const say = (text) => (socket) => socket.write(text);
export const kinds = {
  idle: say('HEAD /form HTTP/1.1\r\nHost: form\r\n\r\n'),
  slowHeaders: say('GET /form HTTP/1.1\r\nHost: form\r\nX-Slow: '),
  slowBody: say('POST /form/look HTTP/1.1\r\nHost: form\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{'),
};

class Member {
  constructor(crowd, kind, from) {
    Object.assign(this, { crowd, kind, from, up: false, heard: '', ended: 0 });
    this.open();
  }

  open() {
    const { host, port, ca } = this.crowd.server;
    const where = { host, port, localAddress: this.from };
    const socket = ca ? connectTls({ ...where, ca }) : connect(where);
    this.socket = socket;
    this.heard = '';
    socket.on(ca ? 'secureConnect' : 'connect', () => {
      kinds[this.kind](socket);
      if (this.kind !== 'idle') this.up = true;
    });
    socket.on('data', (bytes) => {
      this.heard += bytes;
      this.crowd.answers.add(this.heard.slice(0, 12));
      if (this.kind === 'idle') this.up = this.heard.startsWith('HTTP/1.1 200');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.up = false;
      this.ended += 1;
      if (this.crowd.holding) setTimeout(() => this.crowd.holding && this.open(), 50);
    });
  }
}

export class Crowd {
  // `server`: {host, port, ca}, TLS with `ca`. `most`: of one source address.
  constructor(server, counts, { most = 50 } = {}) {
    Object.assign(this, { server, holding: true, answers: new Set() });
    const wanted = Object.entries(counts).flatMap(([kind, count]) => Array(count).fill(kind));
    this.members = wanted.map((kind, i) => new Member(this, kind, `127.0.1.${1 + Math.floor(i / most)}`));
    this.drip = setInterval(() => {
      for (const { kind, up, socket } of this.members) if (up && kind !== 'idle') socket.write('x');
    }, trickle);
  }

  get size() {
    return this.members.length;
  }
  count(kind) {
    return this.members.filter((member) => member.up && (!kind || member.kind === kind)).length;
  }

  // Everybody is there at the same time.
  async complete() {
    try {
      await until('the crowd', () => this.count() === this.size, 30000);
    } catch (error) {
      throw new Error(`${error.message} (${this.count()} of ${this.size}; answered: ${[...this.answers].join(', ')})`);
    }
  }

  // Nobody comes again; those of that kind stay until the server ends them.
  async ended(kind) {
    this.holding = false;
    await until(`the server to end the crowd's ${kind}`, () => this.count(kind) === 0, 30000);
  }

  async leave() {
    this.holding = false;
    clearInterval(this.drip);
    for (const { socket } of this.members) socket.destroy();
  }
}

// Of a process on Linux.
export async function openFiles(pid) {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
export async function residentMegabytes(pid) {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'));
  assert.ok(found, 'VmRSS');
  return Math.round(found[1] / 1024);
}
