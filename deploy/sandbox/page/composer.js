// The line for messages and commands. What begins with "/" is completed: a list of what the bot understands, walked with
// the arrow keys, taken with Tab or a click. (A combobox: www.w3.org/WAI/ARIA/apg/patterns/combobox.)
import { byId, make } from './dom.js';

// As commands/help.cpp says them.
const COMMANDS = [
  ['/rotate stripe prod', 'routine rotation; the old key lives on for its grace'],
  ['/rotate stripe prod --compromise', 'suspected leak: short grace, the channel is told at once'],
  ['/rotate status', 'what is going on, and when each key is due'],
  ['/rotate cancel stripe prod', 'end a rotation before the new key is there'],
  ['/rotate rollback stripe prod', 'back to the old key, inside the grace'],
  ['/rotate help', 'everything that can be asked for'],
];

const line = byId('line');
const list = byId('suggestions');
let offered = [];
let marked = -1;

function close() {
  list.hidden = true;
  offered = [];
  marked = -1;
  line.setAttribute('aria-expanded', 'false');
  line.removeAttribute('aria-activedescendant');
}

function mark(index) {
  marked = index;
  [...list.children].forEach((option, i) => option.setAttribute('aria-selected', String(i === index)));
  if (index >= 0) line.setAttribute('aria-activedescendant', `suggestion-${index}`);
  else line.removeAttribute('aria-activedescendant');
}

function take(index) {
  line.value = offered[index][0];
  close();
  line.focus();
}

function suggest() {
  const typed = line.value.toLowerCase();
  offered = typed.startsWith('/') ? COMMANDS.filter(([command]) => command.startsWith(typed) && command !== typed) : [];
  if (!offered.length) return close();
  list.replaceChildren(...offered.map(([command, what], i) => {
    const option = make('li', { role: 'option', id: `suggestion-${i}`, 'aria-selected': 'false' }, make('strong', {}, command), make('span', { className: 'soft' }, what));
    option.addEventListener('mousedown', (event) => {
      event.preventDefault();  // the line keeps the focus
      take(i);
    });
    return option;
  }));
  list.hidden = false;
  line.setAttribute('aria-expanded', 'true');
  mark(-1);
}

function key(event) {
  if (list.hidden) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) mark((marked + step + offered.length) % offered.length);
  else if (event.key === 'Tab' && !event.shiftKey) take(Math.max(marked, 0));
  else if (event.key === 'Enter' && marked >= 0) take(marked);
  else if (event.key === 'Escape') close();
  else return;
  event.preventDefault();
}

// `send(text)` gets what was typed.
export function setUpComposer(send) {
  line.addEventListener('input', suggest);
  line.addEventListener('focus', suggest);
  line.addEventListener('blur', close);
  line.addEventListener('keydown', key);
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const typed = line.value.trim();
    close();
    if (!typed) return;
    line.value = '';
    send(typed);
  });
}
