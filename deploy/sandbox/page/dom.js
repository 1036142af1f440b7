// Building and keeping DOM. Text from the server goes in as text nodes only: nothing of it becomes markup.

export const byId = (id) => document.getElementById(id);

// make('button', {type: 'button', data: {key: 'x'}}, 'Text')
export function make(tag, { data, ...properties } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith('aria-') || name === 'role' || name === 'for') node.setAttribute(name, value);
    else node[name] = value;
  }
  Object.assign(node.dataset, data);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return node;
}

export function button(text, act, properties = {}) {
  const node = make('button', { type: 'button', ...properties }, text);
  node.addEventListener('click', () => act(node));
  return node;
}

// What has the keyboard's focus may be drawn anew: then its successor of the same data-key gets it.
function keepingFocus(container, change) {
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset.key;
  const [from, to] = [focused?.selectionStart, focused?.selectionEnd];
  change();
  if (!key || container.contains(document.activeElement)) return;
  const heir = container.querySelector(`[data-key="${CSS.escape(key)}"]`);
  heir?.focus({ preventScroll: true });
  if (typeof from === 'number') heir?.setSelectionRange?.(from, to);
}

const looks = new WeakMap();

// Fills `container` anew only if `look` differs from the last time. True when it did.
export function draw(container, look, build) {
  const now = JSON.stringify(look);
  if (looks.get(container) === now) return false;
  const first = !looks.has(container);
  looks.set(container, now);
  keepingFocus(container, () => container.replaceChildren(...[build()].flat()));
  return !first;
}

// The same for a list: each item keeps its node while its look stays. items: [{key, look, build}].
export function drawList(container, items) {
  const kept = new Map([...container.children].map((node) => [node.dataset.item, node]));
  keepingFocus(container, () => {
    let place = null;
    for (const { key, look, build } of items) {
      const now = JSON.stringify(look);
      let node = kept.get(key);
      kept.delete(key);
      if (!node || looks.get(node) !== now) {
        const fresh = build();
        fresh.dataset.item = key;
        looks.set(fresh, now);
        if (node) node.replaceWith(fresh); else if (place) place.after(fresh); else container.prepend(fresh);
        node = fresh;
      }
      place = node;
    }
    for (const node of kept.values()) node.remove();
  });
}

// A change that a person should notice, quietly. `since`: the milliseconds that have passed of it.
export function highlight(node, since = 0) {
  node.classList.add('fresh');
  node.style.animationDelay = `-${since}ms`;
}

export const clock = (at) => at ? new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' }) : '';

// "in 35 s", "in 12 min", "over"; for an element that is brought up to date each second.
export function until(at) {
  const seconds = Math.ceil((Date.parse(at) - Date.now()) / 1000);
  if (seconds <= 0) return 'over';
  if (seconds < 120) return `in ${seconds} s`;
  if (seconds < 7200) return `in ${Math.round(seconds / 60)} min`;
  return `in ${Math.round(seconds / 3600)} h`;
}
export const countdown = (at, before = '') => make('span', { className: 'countdown', data: { until: at, before } }, before + until(at));
setInterval(() => {
  for (const node of document.querySelectorAll('.countdown')) {
    const text = node.dataset.before + until(node.dataset.until);
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);
