// The sandbox that tests/oracles/run started: where things are, what people do in it, what can be seen of it.
// All test files share it and run side by side, so each keeps to one vendor.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const places = JSON.parse(process.env.KEYTURN_PLACES);

// A file that the sandbox wrote for a bot.
export function written(name) {
  return readFileSync(join(process.env.KEYTURN_FOLDER, name), 'utf8');
}

export async function act(path, wish) {
  const answer = await fetch(places.control + path, { method: 'POST', body: JSON.stringify(wish) });
  const body = await answer.json();
  assert.equal(answer.status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
}

export function fault(system, knob) {
  return act('/fault', { system, ...knob });
}

export async function look(path) {
  return (await fetch(places.control + path)).json();
}

export async function state(system) {
  return (await look('/state?requests=all'))[system];
}

// Asks again until `ask` gives something true; fails in words when `milliseconds` are over.
export async function until(what, ask, milliseconds = 20000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

// What `promise` was rejected with.
export async function refusal(promise) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    return error;
  }
  return assert.fail(`expected a refusal, got ${JSON.stringify(answer)}`);
}
