// Pictures of every state of the form, at the size of a phone and of a desk, light and dark: build/screenshots/.
// To look at, not to compare: run it after a change and look.   tests/browser/run BUILD --screenshots [NAME]
import { mkdir } from 'node:fs/promises';
import { House } from './support/house.mjs';
import { states } from './support/states.mjs';
import { desk, launch, phone, Visitor } from './support/visitor.mjs';

const folder = 'build/screenshots';
const wanted = process.argv[2] ?? '';
await mkdir(folder, { recursive: true });
const house = await House.open();
const browser = await launch();
let made = 0;
try {
  const { link, look } = await house.realLook();
  const looks = [['phone', phone], ['desk', desk]].flatMap(([size, options]) =>
    ['light', 'dark'].map((colorScheme) => [`${size} ${colorScheme}`, { ...options, colorScheme, reducedMotion: 'reduce' }]));
  for (const [name, bring] of Object.entries({ ...states, 'no script': (visitor) => visitor.page.goto(link.address) })) {
    if (!name.includes(wanted)) continue;
    for (const [kind, options] of looks) {
      const visitor = await Visitor.arrive(browser, { ...options, javaScriptEnabled: name !== 'no script' });
      await bring(visitor, link, look);
      const file = `${folder}/${name} - ${kind}.png`.replace(/[, ]+/g, '_');
      await visitor.page.screenshot({ path: file, fullPage: true });
      await visitor.leave();
      made++;
    }
  }
} finally {
  await browser.close();
  await house.close();
}
console.log(`${made} pictures in ${folder}`);
