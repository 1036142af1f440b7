// Draws the sandbox's state whenever the server says that something changed.
import { drawSlack } from './slack.js';
import { drawVendors } from './vendors.js';

const linkState = document.querySelector('#link-state');
let state = null;
let loading = false, stale = false;

function draw() {
  if (!state) return;
  drawSlack(state, draw);
  drawVendors(state, load);
  const sockets = state.slack.socket_mode.sockets.length;
  linkState.textContent = sockets ? `The bot is connected (${sockets} socket${sockets > 1 ? 's' : ''}).` : 'No bot is connected.';
}

async function load() {
  if (loading) { stale = true; return; }
  loading = true;
  do {
    stale = false;
    state = await (await fetch('/state')).json();
    draw();
  } while (stale);
  loading = false;
}

const events = new EventSource('/events');
events.addEventListener('message', load);
events.addEventListener('error', () => { loading = false; linkState.textContent = 'The sandbox does not answer.'; });
setInterval(draw, 1000);  // countdowns
load();
