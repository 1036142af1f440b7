// Offers to put something harmless over the key in the clipboard. Only a click may do that, and a browser may refuse.
import { make } from './page.js';

const HARMLESS = 'Keyturn has put this over the key that was here.';
const REPLACED = 'Done: the clipboard holds a harmless sentence now. If this device keeps a history of it (Windows key + V, a clipboard app), remove the key there too.';
const REFUSED = 'This browser did not allow it. Copy any other text, so that the key leaves the clipboard.';

export function offerToClear(container, what) {
  const button = make('button', '', 'Clear clipboard');
  button.type = 'button';
  const outcome = make('p', 'hint');
  outcome.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    let replaced = false;
    try {
      await navigator.clipboard.writeText(HARMLESS);
      replaced = true;
    } catch {
      // Said below. (No clipboard at all is a TypeError, and means the same.)
    }
    button.hidden = replaced;
    sentence.hidden = replaced;
    outcome.textContent = replaced ? REPLACED : REFUSED;
  });
  const sentence = make('span', '', what);
  const row = make('div', 'clear', sentence, button);
  container.className = 'box';
  container.replaceChildren(row, outcome);
}
