// What was measured, as a page with tables and two pictures. Every figure is a median, with the range of its rounds where there
// were several.
import { readFile } from 'node:fs/promises';
import { cpus, totalmem, release } from 'node:os';
import { join } from 'node:path';
import { median, spread } from './support.mjs';
import { outstanding, rates } from './acks.mjs';
import { aims, overPath } from './aims.mjs';
import { microTitle } from './micro.mjs';
import { barChart, timeline } from './pictures.mjs';
import { systems } from './rotation.mjs';

const whole = (number) => Math.round(number).toLocaleString('en');
const short = (number) => (number >= 100 ? whole(number) : number >= 10 ? number.toFixed(1) : number.toFixed(2));
const times = (number) => `${number >= 10 ? number.toFixed(0) : number.toFixed(number >= 1 ? 1 : 2)} x`;
const capital = (word) => word[0].toUpperCase() + word.slice(1);
const range = (values, form = short) => {
  const { median: middle, low, high } = spread(values);
  return values.length > 1 ? `${form(middle)} (${form(low)} to ${form(high)})` : form(middle);
};
const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const sideNames = { keyturn: 'Keyturn', bolt: 'Bolt, sharing transactions', rows: 'Bolt, row by row', echo: 'a bot that only echoes' };

const perSecond = outstanding.map((count) => [`acks/s, ${count} outstanding`, (round) => round.closed[count].acks_per_second, whole]);
const latencies = rates.flatMap((rate) => ['p50', 'p90', 'p99', 'max'].map((rank) =>
  [`ack ${rank} at ${whole(rate)}/s, ms`, (round) => round.open[rate][rank] / 1000]));
const costs = [
  ...[64, 1].map((count) => [`processor for each event, ${count} outstanding, us`, (round) => round.closed[count].processor_microseconds]),
  ...rates.map((rate) => [`processor for each event at ${whole(rate)}/s, us`, (round) => round.open[rate].processor_microseconds]),
  ['memory idle, MB', (round) => round.idle / 1024],
  ['of it its own, not pages of files, MB', (round) => round.own / 1024],
  ['memory after the load, at its highest, MB', (round) => round.loaded / 1024],
  ['start to the first acknowledgement, ms', (round) => round.ready / 1000],
];

// `rows`: [name, what of a round, form].
function sideBySide({ found }, rows) {
  const present = Object.keys(sideNames).filter((side) => found[side]);
  const of = (side, pick) => found[side].map(pick);
  const ratio = (pick) => times(median(of('keyturn', pick)) / median(of('bolt', pick)));
  const lost = present.map((side) => `${sideNames[side]} ${of(side, (round) =>
    [...Object.values(round.closed), ...Object.values(round.open)].reduce((sum, { lost: count }) => sum + count, 0)).reduce((a, b) => a + b)}`);
  const all = table(['', ...present.map((side) => sideNames[side]), 'Keyturn to Bolt sharing'],
    rows.map(([name, pick, form]) => [name, ...present.map((side) => range(of(side, pick), form)), ratio(pick)]));
  return `${all}\n\nEnvelopes lost in all of these rounds: ${lost.join(', ')}.`;
}

function socketTable(sockets, halfOpen) {
  const rows = Object.entries({ ...sockets?.found, ...(halfOpen && { half_open: halfOpen.found }) }).map(([fault, sides]) => [
    { warning: 'refresh (`warning`)', refresh_requested: 'refresh (`refresh_requested`)', half_open: 'a socket that falls silent (half open)' }[fault],
    ...['keyturn', 'bolt'].flatMap((side) => [
      range(sides[side].map(({ lost }) => lost), whole), range(sides[side].map(({ longest_pause: pause }) => pause / 1000))]),
  ]);
  return table(['200 commands a second', 'Keyturn: lost', 'longest pause, ms', 'Bolt: lost', 'longest pause, ms'], rows);
}

const label = (count) => `${count} app${count > 1 ? 's' : ''}`;
const total = (phases, pick) => phases.reduce((sum, phase) => sum + pick(phase), 0);
const length = ({ from, to }) => to - from;

function rotationTable(parts) {
  const rows = parts.flatMap(({ found }) => found).map(({ consumers, delay, rounds }) => [consumers, delay, rounds.length,
    range(rounds.map(({ phases }) => total(phases, length)), whole), range(rounds.map(({ phases }) => total(phases, ({ waited }) => waited)), whole),
    range(rounds.map(({ phases }) => overPath(phases)), (percent) => `${percent.toFixed(1)} %`),
    range(rounds.map(({ phases }) => total(phases, ({ trips }) => trips)), whole), range(rounds.map(({ processor }) => processor))]);
  return table(['apps', 'delay, ms', 'rounds', 'machine time, ms', 'its critical path, ms', 'machine time over it', 'round trips on it',
    'processor, s'], rows);
}

function requestTable(parts) {
  return table(['apps', 'delay, ms', ...systems.map((system) => `to ${{ billing: 'the billing endpoint' }[system] ?? capital(system)}`)],
    parts.flatMap(({ found }) => found).map(({ consumers, delay, rounds }) =>
      [consumers, delay, ...systems.map((system) => whole(median(rounds.map(({ counts }) => counts[system]))))]));
}

function phaseTable({ found }) {
  const names = [...new Set(found.toReversed().flatMap(({ rounds }) => rounds).flatMap(({ phases }) => phases.map(({ name }) => name)))];
  const cell = (name, { rounds }) => {
    const phases = rounds.flatMap((round) => round.phases.filter((phase) => phase.name === name));
    return phases.length ? `${whole(median(phases.map(length)))} (${whole(median(phases.map(({ waited }) => waited)))})` : '';
  };
  return table(['', ...found.map(({ consumers }) => label(consumers))], names.map((name) => [name, ...found.map((one) => cell(name, one))]));
}

function growthTable({ found }) {
  return table(['rotations', 'entries', 'start to first ack, ms', 'memory at its highest, MB', 'memory after the start, MB', '`/rotate status` p50, ms',
    'bytes on disk a rotation', '`audit verify`, MB/s'],
  found.map(({ rotations, entries, starts, peak, resident, status, bytes, verifySeconds }) => [whole(rotations), whole(entries),
    range(starts.map((start) => start / 1000)), range(peak.map((kilobytes) => kilobytes / 1024)), range(resident.map((kilobytes) => kilobytes / 1024)),
    range(status.map((p50) => p50 / 1000)), whole(bytes / rotations), range(verifySeconds.map((seconds) => bytes / 1e6 / seconds), whole)]));
}

function microTable({ found: { benchmarks, before } }) {
  const rows = benchmarks.filter(({ aggregate_name: kind }) => kind === 'median')
    .map(({ run_name: name, cpu_time: time, time_unit: unit, bytes_per_second: bytes }) =>
      [name, `${short(time)} ${unit}`, before[name] ?? '', bytes ? `${whole(bytes / 1e6)} MB/s` : '']);
  return table(['', 'processor time', 'as published before', ''], rows);
}

function limitLine({ found }) {
  return `Of the machine itself, in the same run: 4 KiB appended and synced in ${range(found.map(({ sync }) => sync), whole)} us, one byte ` +
    `there and back over loopback in ${range(found.map(({ loopback }) => loopback), whole)} us.`;
}

// The figures that the reasons name are of the same run.
function aimTable(parts, words) {
  const middle = (side, pick) => median(parts.acks.found[side].map(pick));
  const microseconds = (what) => median(parts.limits.found.map((found) => found[what]));
  const why = (text) => text.replace('{echo}', () => times(middle('echo', (round) => round.closed[64].acks_per_second) /
    middle('rows', (round) => round.closed[64].acks_per_second)))
    .replace('{own}', () => short(middle('keyturn', (round) => round.own) / 1024))
    .replace('{alone}', () => whole(1e6 / (microseconds('sync') + microseconds('loopback'))))
    .replace('{alone ms}', () => ((microseconds('sync') + microseconds('loopback')) / 1000).toFixed(2));
  const rows = Object.entries(aims(parts, times)).map(([name, { measured, met }]) =>
    [words[name].aim, measured, met ? '' : why(words[name].missed)]);
  return table(['aim', 'measured', 'why, where it was missed'], rows);
}

// When, and of which commit; where the parts are of several, which is of which.
function measured(parts) {
  const days = parts.map(([, { at }]) => at.slice(0, 10)).sort();
  const day = [...new Set([days[0], days.at(-1)])].join(' to ');
  const commits = [...new Set(parts.map(([, { commit }]) => commit))];
  if (commits.length === 1) return `measured ${day}, commit \`${commits[0]}\``;
  const its = (commit) => parts.filter((part) => part[1].commit === commit).map(([name]) => name).join(', ');
  return `measured ${day}, of different commits: ${commits.map((commit) => `\`${commit}\` (${its(commit)})`).join(', ')}`;
}

// {name: text} of every file that the report consists of.
export async function report(results) {
  const read = (part) => readFile(join(results, `${part}.json`), 'utf8').then(JSON.parse, () => null);
  const names = ['limits', 'acks', 'sandbox', 'starts', 'sockets', 'halfopen', 'rotation20', 'rotation100', 'growth', 'micro'];
  const all = await Promise.all(names.map(read));
  const [limits, acks, sandbox, starts, sockets, halfOpen, rotation20, rotation100, growth, micro] = all;
  const rotations = [rotation20, rotation100].filter(Boolean);
  const files = {};
  const machine = `${cpus().length} x ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, ` +
    measured(names.map((name, i) => [name, all[i]]).filter(([, part]) => part));
  if (acks) files['acks.svg'] = barChart(acks.found, sideNames, outstanding);
  const rotation = rotation100 ?? rotation20;
  if (rotation) files['rotation.svg'] = timeline({ ...rotation.found[0].rounds[0], delay: rotation.found[0].delay });
  const section = (title, text) => (text ? `## ${title}\n\n${text}\n` : '');
  const words = JSON.parse(await readFile(new URL('words.json', import.meta.url)));
  const body = [
    section('What was aimed for, and what came', limits && (acks || sockets || growth || rotation) &&
      `${words.aimed}\n\n${aimTable({ limits, acks, sockets, rotations, growth }, words.aims)}\n\n${words.honest}`),
    section('Acknowledgements', acks && `${words.acks}\n\n![Acknowledgements a second](performance/acks.svg)\n\n${sideBySide(acks, [...perSecond, ...latencies, ...costs])}` +
      `${limits ? `\n\n${limitLine(limits)}` : ''}${starts ? `\n\nSeven starts alone: Keyturn ${range(starts.found.keyturn.map((t) => t / 1000))} ms, ` +
      `Bolt ${range(starts.found.bolt.map((t) => t / 1000))} ms to the first acknowledgement.` : ''}` +
      `${sandbox ? `\n\n${words.sandbox}\n\n${sideBySide(sandbox, [...perSecond, ...latencies])}` : ''}`),
    section('A socket that Slack replaces, and one that falls silent', (sockets || halfOpen) && `${words.sockets}\n\n${socketTable(sockets, halfOpen)}`),
    section('One rotation', rotation && `${words.rotation}\n\n${rotationTable(rotations)}\n\n` +
      `Each stretch with ${rotation.found[0].delay} ms, in ms, and in brackets the round trips on its critical path:\n\n${phaseTable(rotation)}\n\n` +
      `${words.requests}\n\n${requestTable(rotations)}\n\n` +
      `${words.timeline}\n\n![One rotation as a timeline](performance/rotation.svg)`),
    section('Growth', growth && `${words.growth}\n\n${growthTable(growth)}`),
    section(microTitle, micro && `${words.micro}\n\n${microTable(micro)}`),
    words.paid ? section('What was tried', words.paid.join('\n')) : '',
  ];
  files['performance.md'] = `# Performance\n\n${words.intro}\n\nMachine: ${machine}.\n\n${body.filter(Boolean).join('\n')}`;
  return files;
}
