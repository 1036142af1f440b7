// The page's parts by name. All text from the server is written as text, never as markup.

export const byId = (id) => document.getElementById(id);

// Writes only what is new: screen readers read a changed text again, and a selection in it would be lost.
export function say(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

export function verdict(id, kind, text) {
  byId(id).className = `verdict ${kind}`;
  say(id, text);
}

export function note(id, kind, text = '') {
  byId(id).className = `note ${kind}`;
  byId(id).hidden = !text;
  say(id, text);
}

export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// One section at a time; its heading gets the focus, so that a screen reader begins there.
export function show(section, title) {
  for (const each of document.querySelectorAll('main > section')) each.hidden = each.id !== section;
  document.body.className = section;
  document.title = title ? `${title} – Keyturn` : 'Keyturn';
  byId(section).querySelector('h1[tabindex]')?.focus({ preventScroll: true });
  scrollTo(0, 0);
}
