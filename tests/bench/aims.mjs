// What was aimed for, and what came. The aims that name a Bolt were set against the one that most people would write; the
// better one stands beside it.
import { median } from './support.mjs';

const bolts = { rows: 'row by row', bolt: 'sharing' };
const closed = (count, what) => (round) => round.closed[count][what];
const open = (rate, what) => (round) => round.open[rate][what];

// Keyturn as a multiple of Bolt, under each of the circumstances that count.
const against = {
  acks64: { atLeast: 15, picks: { '': closed(64, 'acks_per_second') } },
  acks1: { atLeast: 1.25, picks: { '': closed(1, 'acks_per_second') } },
  processor: { atMost: 1 / 10, picks: { '64 outstanding': closed(64, 'processor_microseconds'), '1,000/s': open(1000, 'processor_microseconds') } },
  memory: { atMost: 1 / 8, picks: { idle: (round) => round.idle, 'of it its own': (round) => round.own, 'at its highest': (round) => round.loaded } },
  ready: { atMost: 1 / 10, picks: { '': (round) => round.ready } },
  p99: { atMost: 1 / 3, picks: { '': open(1000, 'p99') } },
};

const verdict = (measured, met) => `${measured}: ${met ? 'met' : '**missed**'}`;

function besideBolt({ found }, { atLeast = 0, atMost = Infinity, picks }, times) {
  const cells = Object.entries(bolts).filter(([side]) => found[side]).map(([side, name]) => {
    const ratios = Object.entries(picks).map(([where, pick]) => [where, median(found.keyturn.map(pick)) / median(found[side].map(pick))]);
    const words = ratios.map(([where, ratio]) => `${times(ratio)}${where && ` (${where})`}`).join(', ');
    const met = ratios.every(([, ratio]) => ratio >= atLeast && ratio <= atMost);
    return { measured: verdict(`${name} ${words}`, met), met };
  });
  return { measured: cells.map(({ measured }) => measured).join('; '), met: cells.every(({ met }) => met) };
}

// The worst of all rounds.
function refresh({ found }) {
  const rounds = Object.values(found).flatMap(({ keyturn }) => keyturn);
  const gap = Math.max(...rounds.map(({ longest_pause: pause }) => pause)) / 1000;
  const lost = rounds.reduce((sum, round) => sum + round.lost, 0);
  const met = gap < 10 && lost === 0;
  return { measured: verdict(`${gap.toFixed(1)} ms at most, ${lost} lost`, met), met };
}

// What a rotation's machine time is over its critical path, in percent.
export const overPath = (phases) => {
  const [wall, waited] = phases.reduce(([time, path], phase) => [time + phase.to - phase.from, path + phase.waited], [0, 0]);
  return 100 * (wall - waited) / waited;
};

function rotation(parts) {
  const cells = parts.flatMap(({ found }) => found).filter(({ consumers }) => consumers !== 10).map(({ consumers, delay, rounds }) => {
    const over = median(rounds.map(({ phases }) => overPath(phases)));
    return { over, words: `${over.toFixed(1)} % (${consumers} app${consumers > 1 ? 's' : ''}, ${delay} ms)` };
  });
  const met = cells.every(({ over }) => over <= 5);
  return { measured: verdict(cells.map(({ words }) => words).join(', '), met), met };
}

function restart({ found }) {
  const { starts } = found.find(({ rotations }) => rotations === 10000);
  const milliseconds = median(starts) / 1000;
  const met = milliseconds < 200;
  return { measured: verdict(`${Math.round(milliseconds).toLocaleString('en')} ms`, met), met };
}

// {aim: {measured, met}}, of the parts that there are.
export function aims({ acks, sockets, rotations, growth }, times) {
  return {
    ...(acks && Object.fromEntries(Object.entries(against).map(([aim, what]) => [aim, besideBolt(acks, what, times)]))),
    ...(sockets && { refresh: refresh(sockets) }),
    ...(rotations.length > 0 && { rotation: rotation(rotations) }),
    ...(growth && { restart: restart(growth) }),
  };
}
