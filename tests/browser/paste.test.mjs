// The page says what a paste is before anything is sent; the server's verdict counts. The two must never differ: on the
// cases of tests/vectors/pastes.json, and on thousands of texts made from their pieces.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { classify, tidy } from '../../bot/intake/paste.js';

const cases = JSON.parse(readFileSync(new URL('../vectors/pastes.json', import.meta.url)))
  .map(({ text, parts, ...rest }) => ({ text: text ?? parts.join(''), ...rest }));

// The server's rules for each mode, and its verdicts: [{tidied, kind}].
function serverOn(texts) {
  const program = `${process.env.KEYTURN_BUILD}/tests/paste_verdicts`;
  const { status, stdout, stderr } = spawnSync(program, { input: texts.map((one) => JSON.stringify(one)).join('\n'), encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr);
  const [rules, ...verdicts] = stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(verdicts.length, texts.length);
  return { rules, verdicts };
}

function assertAgree(texts, about) {
  const { rules, verdicts } = serverOn(texts);
  texts.forEach(({ text, mode }, i) => {
    const tidied = tidy(text);
    const what = `${about}, ${mode} mode: ${JSON.stringify(text)}`;
    assert.equal(tidied, verdicts[i].tidied, what);
    assert.equal(classify(tidied, rules[mode]), verdicts[i].kind, what);
  });
  return { rules, verdicts };
}

test('the page and the server answer every case of the table as it says', () => {
  assert.ok(cases.length >= 60);
  const { rules } = assertAgree(cases, 'a case');
  for (const { text, mode, kind } of cases) assert.equal(classify(tidy(text), rules[mode]), kind, JSON.stringify(text));
  const kinds = Object.keys(rules.live.advice);
  for (const kind of kinds) assert.ok(cases.some((one) => one.kind === kind), `no case is of the kind ${kind}`);
});

// mulberry32: a seed makes the same texts for ever.
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

test('the page and the server agree on ten thousand texts made of pieces of keys, marks and blanks', () => {
  const seed = Number(process.env.KEYTURN_SEED ?? Date.now() % 1e9);
  const roll = dice(seed);
  const pick = (list) => list[Math.floor(roll() * list.length)];
  const pieces = ['rk_', 'sk_', 'pk_', 'live_', 'test_', 'whsec_', 'sk_org', 'mk_', 'ek_', 'pss_', 'xoxb-', 'Example0', 'A', '9', 'Zz0', '_', '-', '=',
    'export ', 'NAME', ' ', '\t', '\n', '\u00a0', '\u200b', '\ufeff', '\u3000', '"', "'", '`', '“', '”', '«', '»', '*', '…', '•', '.', '...', '·', 'é', '🔑', '<', '&'];
  const made = () => Array.from({ length: Math.floor(roll() * 12) }, () => pick(pieces)).join('');
  const mutated = () => {
    const { text } = pick(cases);
    const at = Math.floor(roll() * (text.length + 1));
    return text.slice(0, at) + pick(pieces) + text.slice(at + (roll() < 0.5 ? 1 : 0));
  };
  const texts = Array.from({ length: 10000 }, () => ({ text: roll() < 0.5 ? made() : mutated(), mode: roll() < 0.5 ? 'live' : 'test' }))
    .filter(({ text }) => text.isWellFormed?.() ?? true);
  assertAgree(texts, `KEYTURN_SEED=${seed}`);
});
