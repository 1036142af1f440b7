// What was measured, as a page with tables and two pictures. Every figure is a median, with the range of its rounds.
import { readFile } from 'node:fs/promises';
import { cpus, totalmem, release } from 'node:os';
import { join } from 'node:path';
import { median, spread } from './support.mjs';
import { outstanding, rates } from './acks.mjs';
import { barChart, timeline } from './pictures.mjs';

const whole = (number) => Math.round(number).toLocaleString('en');
const short = (number) => (number >= 100 ? whole(number) : number >= 10 ? number.toFixed(1) : number.toFixed(2));
const times = (number) => `${number >= 10 ? number.toFixed(0) : number.toFixed(number >= 1 ? 1 : 2)} x`;
const ms = (microseconds) => short(microseconds / 1000);
const range = (values, form = short) => {
  const { median: middle, low, high } = spread(values);
  return `${form(middle)} (${form(low)} to ${form(high)})`;
};
const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const names = { keyturn: 'Keyturn', bolt: 'Bolt, sharing transactions', rows: 'Bolt, row by row', echo: 'a bot that only echoes' };

function ackTables({ found }) {
  const present = Object.keys(names).filter((side) => found[side]);
  const of = (side, pick) => found[side].map(pick);
  const ratio = (pick) => times(median(of('keyturn', pick)) / median(of('bolt', pick)));
  const row = (name, pick, form) => [name, ...present.map((side) => range(of(side, pick), form)), ratio(pick)];
  const perSecond = outstanding.map((count) =>
    row(`acks/s, ${count} outstanding`, (round) => round.closed[count].acks_per_second, whole));
  const latencies = rates.flatMap((rate) => ['p50', 'p90', 'p99', 'max'].map((rank) =>
    row(`ack ${rank} at ${whole(rate)}/s, ms`, (round) => round.open[rate][rank] / 1000)));
  const costs = [
    ...[64, 1].map((count) => row(`processor for each event, ${count} outstanding, us`, (round) => round.closed[count].processor_microseconds, short)),
    row(`processor for each event at ${whole(rates[1])}/s, us`, (round) => round.open[rates[1]].processor_microseconds, short),
    row('memory idle, MB', (round) => round.idle / 1024),
    row('memory after the load, at its highest, MB', (round) => round.loaded / 1024),
    row('start to the first acknowledgement, ms', (round) => round.ready / 1000),
  ];
  const lost = present.map((side) => `${names[side]} ${of(side, (round) =>
    [...Object.values(round.closed), ...Object.values(round.open)].reduce((sum, { lost: count }) => sum + count, 0)).reduce((a, b) => a + b)}`);
  const head = ['', ...present.map((side) => names[side]), 'Keyturn to Bolt sharing'];
  return `${table(head, [...perSecond, ...latencies, ...costs])}\n\nEnvelopes lost in all of these rounds: ${lost.join(', ')}.`;
}

function socketTable(sockets, halfOpen) {
  const rows = Object.entries({ ...sockets?.found, ...(halfOpen && { half_open: halfOpen.found }) }).map(([fault, sides]) => [
    { warning: 'refresh (`warning`)', refresh_requested: 'refresh (`refresh_requested`)', half_open: 'a socket that falls silent (half open)' }[fault],
    ...['keyturn', 'bolt'].flatMap((side) => [
      range(sides[side].map(({ lost }) => lost), whole), range(sides[side].map(({ longest_pause: pause }) => pause / 1000))]),
  ]);
  return table(['200 commands a second', 'Keyturn: lost', 'longest pause, ms', 'Bolt: lost', 'longest pause, ms'], rows);
}

function rotationTable(parts) {
  const rows = parts.filter(Boolean).flatMap(({ found }) => found).map(({ consumers, delay, phases, counts, processor }) => {
    const sum = (pick) => phases.reduce((total, phase) => total + pick(phase), 0);
    const [wall, waited] = [sum(({ from, to }) => to - from), sum((phase) => phase.waited)];
    return [consumers, delay, whole(wall), whole(waited), `${(100 * (wall - waited) / waited).toFixed(1)} %`, (waited / delay).toFixed(0),
      Object.values(counts).reduce((a, b) => a + b), counts.heroku, short(processor)];
  });
  return table(['apps', 'delay, ms', 'machine time, ms', 'of it somebody was waited for, ms', 'the rest', 'delays one after another',
    'requests', 'of them to Heroku', 'processor, s'], rows);
}

function phaseTable({ found }) {
  const phases = new Map();
  for (const { consumers, phases: all } of found) {
    for (const { name, from, to, waited } of all) phases.set(name, { ...phases.get(name), [consumers]: `${whole(to - from)} (${whole(waited)})` });
  }
  const counts = found.map(({ consumers }) => consumers);
  return table(['', ...counts.map((count) => `${count} app${count > 1 ? 's' : ''}`)],
    [...phases].map(([name, cells]) => [name, ...counts.map((count) => cells[count] ?? '')]));
}

function growthTable({ found }) {
  return table(['rotations', 'entries', 'start to first ack, ms', 'memory, MB', '`/rotate status` p50, ms', 'bytes on disk a rotation', '`audit verify`, MB/s'],
    found.map(({ rotations, entries, starts, resident, status, bytes, verifySeconds }) => [whole(rotations), whole(entries),
      range(starts.map((start) => start / 1000)), short(resident / 1024), ms(status.p50), whole(bytes / rotations), whole(bytes / 1e6 / verifySeconds)]));
}

function microTable({ found }) {
  const rows = found.benchmarks.filter(({ aggregate_name: kind }) => kind === 'median')
    .map(({ run_name: name, cpu_time: time, time_unit: unit, bytes_per_second: bytes }) =>
      [name, `${short(time)} ${unit}`, bytes ? `${whole(bytes / 1e6)} MB/s` : '']);
  return table(['', 'processor time', ''], rows);
}

function limitLine({ found }) {
  return `Of the machine itself, in the same run: 4 KiB appended and synced in ${range(found.map(({ sync }) => sync), whole)} us, one byte ` +
    `there and back over loopback in ${range(found.map(({ loopback }) => loopback), whole)} us.`;
}

// {name: text} of every file that the report consists of.
export async function report(results) {
  const read = (part) => readFile(join(results, `${part}.json`), 'utf8').then(JSON.parse, () => null);
  const [limits, acks, starts, sockets, halfOpen, rotation20, rotation100, growth, micro] = await Promise.all(
    ['limits', 'acks', 'starts', 'sockets', 'halfopen', 'rotation20', 'rotation100', 'growth', 'micro'].map(read));
  const files = {};
  const machine = `${cpus().length} x ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, ` +
    `measured ${(acks ?? limits)?.at.slice(0, 10)}`;
  if (acks) files['acks.svg'] = barChart(acks.found, names, outstanding);
  const rotation = rotation100 ?? rotation20;
  if (rotation) files['rotation.svg'] = timeline(rotation.found.find(({ requests }) => requests));
  const section = (title, text) => (text ? `## ${title}\n\n${text}\n` : '');
  const words = JSON.parse(await readFile(new URL('words.json', import.meta.url)));
  const body = [
    section('Acknowledgements', acks && `${words.acks}\n\n![Acknowledgements a second](performance/acks.svg)\n\n${ackTables(acks)}` +
      `${limits ? `\n\n${limitLine(limits)}` : ''}${starts ? `\n\nSeven starts alone: Keyturn ${range(starts.found.keyturn.map((t) => t / 1000))} ms, ` +
      `Bolt ${range(starts.found.bolt.map((t) => t / 1000))} ms to the first acknowledgement.` : ''}`),
    section('A socket that Slack replaces, and one that falls silent', (sockets || halfOpen) && `${words.sockets}\n\n${socketTable(sockets, halfOpen)}`),
    section('One rotation', rotation && `${words.rotation}\n\n${rotationTable([rotation20, rotation100])}\n\n` +
      `Each stretch with ${rotation.found[0].delay} ms, in ms, and in brackets how much of it somebody was waited for:\n\n${phaseTable(rotation)}\n\n` +
      `${words.timeline}\n\n![One rotation as a timeline](performance/rotation.svg)`),
    section('Growth', growth && `${words.growth}\n\n${growthTable(growth)}`),
    section('The pure parts', micro && `${words.micro}\n\n${microTable(micro)}`),
    words.paid ? section('What was tried', words.paid.join('\n')) : '',
  ];
  files['performance.md'] = `# Performance\n\n${words.intro}\n\nMachine: ${machine}.\n\n${body.filter(Boolean).join('\n')}`;
  return files;
}
