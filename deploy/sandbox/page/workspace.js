// Draws the sandbox's state whenever the server says that something changed.
import { byId } from './dom.js';
import { get } from './server.js';
import { drawSlack } from './slack.js';
import { drawWorlds } from './worlds.js';

let loading = false, stale = false;

function tell(text, good) {
  const box = byId('link-state');
  if (box.textContent !== text) box.textContent = text;
  box.className = good ? 'chip good' : 'chip bad';
}

function draw(all) {
  drawSlack(all.slack);
  drawWorlds(all);
  const { sockets } = all.slack.socket_mode;
  tell(sockets.length ? 'bot connected' : 'bot not connected', sockets.length > 0);
}

async function load() {
  if (loading) {
    stale = true;
    return;
  }
  loading = true;
  try {
    do {
      stale = false;
      draw(await get('/state'));
    } while (stale);
  } catch {
    tell('the sandbox does not answer', false);
  } finally {
    loading = false;
  }
}

// On narrow screens one side at a time.
for (const [id, view] of [['show-slack', 'slack'], ['show-worlds', 'worlds']]) {
  const press = () => {
    document.body.dataset.view = view;
    byId('show-slack').setAttribute('aria-pressed', String(view === 'slack'));
    byId('show-worlds').setAttribute('aria-pressed', String(view === 'worlds'));
  };
  byId(id).addEventListener('click', press);
  if (document.body.dataset.view === view) press();
}

const events = new EventSource('/events');
events.addEventListener('message', load);
events.addEventListener('error', () => tell('the sandbox does not answer', false));
load();
