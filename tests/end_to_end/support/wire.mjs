// A wire between the bot and one of the emulators, that can be made slow, cut, dead, or false; with TLS of its own, so
// that the bot speaks to an emulator as it speaks to a vendor.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

// A certificate that is its own authority, for these names: {certificate, privateKey}, as files.
export function makeCertificate(folder, name, names = 'IP:127.0.0.1') {
  const [certificate, privateKey] = [`${folder}/${name}.pem`, `${folder}/${name}.key`];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-keyout', privateKey, '-out', certificate],
  { stdio: 'ignore' });
  return { certificate, privateKey };
}

async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

export class Wire {
  // To `url`, of plain HTTP. `tls`: of makeCertificate().
  static async open(url, { tls } = {}) {
    const wire = new Wire();
    const { hostname, port } = new URL(url);
    Object.assign(wire, { host: hostname, port: Number(port), open: new Set(), connections: 0, hurt: 0, givenUp: 0,
      mode: { kind: 'good' } });
    const serve = (socket) => wire.carry(socket);
    wire.servers = [createServer(serve)];
    if (tls) {
      const secure = createTlsServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.privateKey) }, serve);
      secure.on('tlsClientError', () => (wire.hurt += 1)); // a client that doesn't trust us
      wire.servers.push(secure);
    }
    const ports = [];
    for (const server of wire.servers) ports.push(await listening(server));
    // TLS and plain HTTP on one port: the emulator makes the address of a log stream, a plain one, from the Host header.
    if (tls) {
      const front = createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => {
          const inner = connect(ports[bytes[0] === 22 ? 1 : 0], '127.0.0.1');
          inner.on('error', () => {}).on('close', () => socket.destroy());
          socket.on('close', () => inner.destroy());
          inner.write(bytes);
          inner.pipe(socket).pipe(inner);
        });
      });
      wire.servers.push(front);
      ports.push(await listening(front));
    }
    wire.url = `${tls ? 'https' : 'http'}://127.0.0.1:${ports.at(-1)}`;
    return wire;
  }

  // {kind: 'good'}; {kind: 'slow', milliseconds}: each piece of an answer takes so long; {kind: 'cut', bytes}: a
  // connection ends after so many bytes of answers; {kind: 'dead'}: taken, and never answered (half open), until the
  // client gives it up; {kind: 'refused'}: nobody listens. Holds for open connections too.
  become(mode) {
    this.mode = mode;
    if (mode.kind === 'refused') this.open.forEach((socket) => socket.destroy());
  }

  carry(client) {
    this.connections += 1;
    if (this.mode.kind === 'refused') {
      this.hurt += 1;
      client.destroy();
      return;
    }
    const server = connect(this.port, this.host);
    let answered = 0;
    let swallowed = 0;
    client.on('close', () => (this.givenUp += swallowed > 0 ? 1 : 0));
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.open.delete(socket);
        if (this.mode.kind !== 'dead') other.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (this.mode.kind === 'dead') {
        swallowed += bytes.length;
        return (this.hurt += 1);
      }
      answered = 0;
      return server.write(bytes);
    });
    server.on('data', (bytes) => {
      const { kind, milliseconds, bytes: limit } = this.mode;
      if (kind === 'dead') return (this.hurt += 1);
      if (kind === 'slow') {
        this.hurt += 1;
        return setTimeout(() => client.destroyed || client.write(bytes), milliseconds);
      }
      if (kind === 'cut' && answered + bytes.length > limit) {
        this.hurt += 1;
        return client.write(bytes.subarray(0, Math.max(0, limit - answered)), () => client.destroy());
      }
      answered += bytes.length;
      return client.write(bytes);
    });
  }

  async close() {
    this.open.forEach((socket) => socket.destroy());
    this.servers.forEach((server) => server.close());
  }
}

// Puts a wire in front of each of these systems of a stage, before its bot starts: {stripe: Wire, ...}.
export async function wireUp(stage, systems, options = {}) {
  const wires = {};
  for (const system of systems) {
    wires[system] = await Wire.open(stage.places[system], options);
    await stage.rewrite((text) => text.replaceAll(`"${stage.places[system]}`, `"${wires[system].url}`));
  }
  if (options.tls) {
    await stage.rewrite((text) => text.replace('[network]', `[network]\ncertificate_authorities = "${options.tls.certificate}"`));
  }
  stage.wires = wires;
  return wires;
}
