// The library of tests/faults, preloaded into a bot: it dies at a chosen point, on a disk that forgets, fills up or breaks.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const build = process.env.KEYTURN_BUILD ?? 'build/dev';

// A file of tests/faults, compiled when it is not there yet, or older than its source.
export function library(name = 'faults') {
  const source = new URL(`../../faults/${name}.c`, import.meta.url).pathname;
  const file = join(build, `${name}.so`);
  if (!existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs) {
    const fresh = `${file}.${process.pid}`;
    execFileSync('clang-19', ['-std=gnu17', '-O1', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', fresh, source, '-ldl']);
    renameSync(fresh, file);
  }
  return file;
}

// A sanitizer's runtime wants to be the first library.
export const skip = /asan|tsan/.test(build) ? 'the faults are not preloaded under a sanitizer' : false;

// The environment of a bot on such a machine. `die`: {number, when: 'before'|'after', lose: ''|'all'|'some', lies}.
export function faulty(stage, { die, log, disk, clock, names } = {}) {
  const env = { LD_PRELOAD: library(), KEYTURN_FAULTS_JOURNAL: join(stage.folder, 'journal.db') };
  if (die) {
    env.KEYTURN_FAULTS_DIE = `${die.number} ${die.when}`;
    if (die.lose) env.KEYTURN_FAULTS_LOSE = die.lose;
    if (die.lies) env.KEYTURN_FAULTS_LIES = '1';
  }
  if (log) env.KEYTURN_FAULTS_LOG = join(stage.folder, 'points');
  if (disk) env.KEYTURN_FAULTS_DISK = join(stage.folder, 'disk');
  if (names) env.KEYTURN_FAULTS_NAMES = join(stage.folder, 'names');
  if (clock) env.KEYTURN_FAULTS_CLOCK = join(stage.folder, 'clock');
  return env;
}

// Whether a bot with `names` can resolve any from now on.
export function setNames(stage, there) {
  writeFileSync(join(stage.folder, 'names'), there ? '' : 'gone');
}

// By how many seconds the clock of a bot with `clock` is wrong from now on.
export function setClock(stage, seconds) {
  if (seconds) stage.count('faults of the disk and the clock');
  writeFileSync(join(stage.folder, 'clock'), String(seconds));
}

// What the disk of a bot with `disk` does from now on: 'full', 'read-only', 'broken', 'slow 500', or '' for well.
export function makeDisk(stage, how) {
  if (how) stage.count('faults of the disk and the clock');
  writeFileSync(join(stage.folder, 'disk'), how);
}

// [{number, what}] in the order in which they came.
export function pointsOf(stage) {
  return readFileSync(join(stage.folder, 'points'), 'utf8').trim().split('\n').map((line) => {
    const [, number, what] = /^(\d+) (.*)$/.exec(line);
    return { number: Number(number), what: what.trim() };
  });
}
