// What the tests of drift share: a rotation behind them, and somebody who changes things outside of one.
import assert from 'node:assert/strict';
import { ops, Stage } from './stage.mjs';

// A look every moment.
const often = { drift_every: '300ms' };

// A rotation that is complete, and closed if `closed`; its keys are stage.before and stage.newKey.
export async function rotated(t, { grace = 7, settings = {}, closed = true } = {}) {
  const stage = await Stage.open({ settings: { ...often, ...settings } });
  t.after(() => stage.close());
  stage.before = await stage.currentKey();
  await stage.startBot();
  stage.newKey = await stage.handOver(grace);
  await stage.message(ops, /is rotated\./, 30000);
  if (closed) assert.equal((await stage.closed()).context.outcome, 'rotated');
  return stage;
}

async function heroku(stage, method, path, body) {
  const { heroku: { token } } = await (await fetch(`${stage.places.control}/places`)).json();
  const answer = await fetch(`${stage.places.heroku}/apps/raxx-api-prod${path}`, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.heroku+json; version=3', 'content-type': 'application/json' } });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

// `heroku rollback`: code and configuration of the release before the newest one.
export async function rollBackTheCode(stage) {
  const releases = (await heroku(stage, 'GET', '/releases')).sort((a, b) => b.version - a.version);
  return heroku(stage, 'POST', '/releases', { release: releases[1].id });
}

export const told = (stage, pattern, time = 30000) => stage.message(ops, pattern, time);
export const count = async (stage, pattern) => (await stage.messages(ops)).filter(({ all }) => pattern.test(all)).length;
