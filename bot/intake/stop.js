// The red stop: the account's secret key was pasted. It is gone from the page already; the server is told the bare fact
// (`raise` sends it, and gives the server's answer or null), because the team has to know.
import { offerToClear } from './clipboard.js';
import { byId, note, say, show } from './page.js';

const TRIES = 4;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answerTo(raise) {
  for (let tries = 1; ; ++tries) {
    const answer = await raise();
    if (answer?.alarm || [401, 410].includes(answer?.status) || tries === TRIES) return answer;
    await pause(1000 * 2 ** tries);
  }
}

// `advice` is the server's sentence about such a key. `goOn` shows the form again, as long as the link has tries left.
export async function stop({ advice, raise, goOn }) {
  say('stop-what', advice);
  byId('stop-go-on').hidden = false;
  byId('stop-go-on').onclick = goOn;
  offerToClear(byId('stop-clipboard'), 'Your clipboard still holds the secret key.');
  note('stop-alarm', 'alarm', 'Raising the alarm…');
  show('stop', 'Stop');
  const answer = await answerTo(raise);
  if (answer?.alarm) {
    const locked = answer.attempts_left === 0;
    byId('stop-go-on').hidden = locked;
    note('stop-alarm', 'alarm', 'The alarm is raised: your team’s channel knows that the secret key was pasted.'
      + (locked ? ' This link is locked now; ask for a new one in your direct message.' : ''));
  } else {
    byId('stop-go-on').hidden = answer?.status === 410;
    note('stop-alarm', 'alarm', 'Keyturn could not be told. Tell your team yourself, now: the secret key was copied out of the dashboard.');
  }
}
