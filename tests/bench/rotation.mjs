// One rotation's machine time, with a delay put into every outside system: how much more it is than the round trips that
// had to be waited for, and how that grows with the number of apps. Nobody polls the emulators while the bot works: they
// share two cores.
import { readFile } from 'node:fs/promises';
import { adasMessages, Stage } from '../end_to_end/support/stage.mjs';
import { until } from '../end_to_end/support/process.mjs';
import { criticalPath, milliseconds } from './critical_path.mjs';

export const systems = ['slack', 'stripe', 'infisical', 'heroku', 'billing'];

// What the log says next about the rotation's stage, or about an action.
const logged = (stage, words) => until(`the log to say ${words}`, () => stage.bot.errors.includes(words), 120000);

async function play(stage, grace, delay) {
  await stage.startBot();
  for (const system of systems) await stage.act('/fault', { system, kind: 'delay', milliseconds: delay });
  await stage.start();
  await logged(stage, '"stage":"awaiting_operator"');
  await stage.confirm();
  await logged(stage, '"action":"issue_form"');
  const link = await stage.link();
  const key = await stage.rotateInDashboard(grace);
  const received = await stage.submit(link, key, grace);
  if (received.state !== 'received') throw new Error(JSON.stringify(received));
  await logged(stage, '"stage":"closed"');
}

async function processorSeconds(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

// A message to Slack holds up nothing, but for the link, which the operator needs.
const isMessage = ({ system, path }) => system === 'slack' && path.startsWith('/api/chat.');
const isNoMessage = (request) => !isMessage(request);

// Once an app is updated, its requests only look whether it runs by now.
function updatesAnApp(entries) {
  const updated = new Map(entries.filter(({ action }) => action === 'secret.rotate.consumer.updated')
    .map(({ at, context }) => [context.app, Date.parse(at)]));
  return ({ system, path, from }) => system === 'heroku' && from < (updated.get(/^\/apps\/([^/?]+)/.exec(path)?.[1]) ?? 0);
}

// The stretches between two facts in the journal in which only the machine works, and which requests may be waited for there.
function phasesOf(entries) {
  const all = (action, fits = () => true) =>
    entries.filter((entry) => entry.action === `secret.rotate.${action}` && fits(entry.context)).map(({ at }) => Date.parse(at));
  const first = (...what) => Math.min(...all(...what));
  const last = (...what) => Math.max(...all(...what));
  const began = (action) => ['action.started', ({ action: started }) => started.kind === action || started === action];
  const confirmed = first('operator.confirmed');
  const checks = ['operator.checked', 'current_key.read', 'consumer.inspected', 'billing.checked', 'key.probed']
    .flatMap((action) => all(action)).filter((at) => at <= confirmed);
  const phases = [
    ['check', first('started'), Math.max(...checks)],
    ['send the link', confirmed, first('form.sent'), isMessage],
    ['validate and store', first('new_key.received'), first('new_key.stored')],
    ['update the first app', first('new_key.stored'), first('consumer.updated')],
  ];
  if (all('consumer.updated').length > 1) {
    phases.push(['update the other apps', first('consumer.running'), last('consumer.updated'), updatesAnApp(entries)]);
  }
  const proofs = all('old_key.proof_taken');
  const starts = all(...began('take_proof'));
  proofs.forEach((at, i) => phases.push([`proof ${i + 1}`, starts[i], at]));
  return phases.map(([name, from, to, waitedFor = isNoMessage]) => ({ name, from, to, waitedFor }));
}

// Five times as often as in production, so that a rotation is no minute of waiting.
const pollEvery = '1s';

export async function rotate(consumers, delay) {
  const grace = 12 + Math.ceil(consumers / 10); // so long that the new key runs everywhere before the old one dies
  const stage = await Stage.open({ consumers, settings: { watch: '1s', grace: `${grace}s`,
    reminder_before: '1s', release_limit: '5m', poll_every: pollEvery } });
  try {
    await play(stage, grace, delay);
    const processor = await processorSeconds(stage.bot.pid);
    const state = await stage.state();
    const journal = await stage.journal();
    const outcome = journal.find(({ action }) => action === 'secret.rotate.closed').context.outcome;
    if (outcome !== 'rotated') throw new Error(`closed as ${outcome}`);
    const requests = systems.flatMap((system) => (state[system].requests ?? []).filter(({ answered }) => answered)
      .map(({ method, path, at, answered }) => ({ system, method, path, from: Date.parse(at), to: Date.parse(answered) })))
      .sort((one, other) => one.from - other.from);
    const phases = phasesOf(journal).map(({ name, from, to, waitedFor }) => {
      const path = criticalPath(requests.filter(waitedFor), from, to);
      return { name, from, to, trips: path.length, waited: milliseconds(path, from) };
    });
    const milestones = journal.filter(({ action }) => !/\.message\.|action\.started|watch\.progressed/.test(action))
      .map(({ action, at, context }) => ({ action: action.replace('secret.rotate.', ''), at: Date.parse(at), app: context.app }));
    const counts = Object.fromEntries(systems.map((system) => [system, requests.filter((request) => request.system === system).length]));
    return { phases, counts, processor, milestones, requests, journal };
  } finally {
    await stage.close();
  }
}

// Every request and the journal of one round are kept, of one app: for the picture, and for the journals of growth.mjs.
export async function measureRotations(delay, { sizes = [1, 10, 100], rounds: count = 3 } = {}) {
  const found = [];
  for (const consumers of sizes) {
    const rounds = [];
    for (let i = 0; i < count; ++i) {
      const { requests, journal, ...round } = await rotate(consumers, delay);
      rounds.push(consumers === 1 && i === 0 ? { ...round, requests, journal } : round);
    }
    found.push({ consumers, delay, rounds });
  }
  return found;
}
