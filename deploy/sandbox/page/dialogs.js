// The page's own dialogs, on the browser's <dialog>: modal, closed by Escape, focus comes back where it was.
import { button, make } from './dom.js';

// Shows `content` (an array, or a function of close) until it is closed; resolves with what close() was given.
export function dialog(title, content, { className = '' } = {}) {
  return new Promise((resolve) => {
    const close = (value) => {
      box.close();
      box.remove();
      resolve(value);
    };
    const box = make('dialog', { className, 'aria-label': title }, make('h2', {}, title));
    box.append(...[typeof content === 'function' ? content(close) : content].flat());
    box.addEventListener('cancel', (event) => {
      event.preventDefault();
      close(undefined);
    });
    document.body.append(box);
    box.showModal();
  });
}

// True when the person says yes.
export async function ask(title, text, yes = 'Yes', no = 'Cancel', danger = false) {
  return await dialog(title, (close) => [make('p', {}, text), make('div', { className: 'row end' },
    button(no, () => close(false)), button(yes, () => close(true), { className: danger ? 'danger solid' : 'primary' }))]) === true;
}

// What the person typed; undefined when it was closed instead.
export function askText(title, label, { value = '', yes = 'Save' } = {}) {
  return dialog(title, (close) => {
    const input = make('input', { value, 'aria-label': label, autocomplete: 'off', spellcheck: false });
    input.addEventListener('keydown', ({ key }) => { if (key === 'Enter') close(input.value.trim()); });
    return [make('label', {}, label, input), make('div', { className: 'row end' }, button('Cancel', () => close(undefined)),
      button(yes, () => close(input.value.trim()), { className: 'primary' }))];
  });
}
