// The README's pictures, made anew from a rotation that is really played: docs/screenshots/. Run it by hand after a
// change to the pages:   KEYTURN_BUILD=build/dev node tests/browser/readme_screenshots.mjs
import { mkdir } from 'node:fs/promises';
import { Stage, adasMessages } from '../end_to_end/support/stage.mjs';
import { launch } from './support/visitor.mjs';

const folder = 'docs/screenshots';
const view = { viewport: { width: 1280, height: 800 }, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' };

await mkdir(folder, { recursive: true });
const stage = await Stage.open({ settings: { watch: '4s', grace: '40s' } });
await stage.startBot();
const browser = await launch();
const context = await browser.newContext(view);
const workspace = await context.newPage();
const picture = (page, name) => page.screenshot({ path: `${folder}/${name}.png` });
const place = (name) => workspace.locator('#places').getByRole('button', { name }).first().click();
const tab = (name) => workspace.getByRole('tab', { name }).click();

await workspace.goto(stage.places.control);
await stage.start();
await stage.confirm();
const link = await stage.link();
await place('keyturn');
await workspace.getByText('open the one-time form').waitFor();
await workspace.locator('#pane-stripe summary').first().click();
await picture(workspace, 'direct-message');

const key = await stage.rotateInDashboard(40);
const form = await context.newPage();
await form.goto(`${link.address}#${link.token}`);
await form.getByRole('heading', { name: /New key for/ }).waitFor();
await form.locator('#key').fill(key);
await form.getByLabel('The code in your direct message').pressSequentially(link.code);
await form.getByRole('radio', { name: /as instructed/ }).check();
await picture(form, 'form');
await form.getByRole('button', { name: 'Hand over the key' }).click();

await stage.message('C0OPS', /is rotated\./, 30000);
await place('billing-ops');
await tab(/Heroku/);
await workspace.waitForTimeout(500);
await picture(workspace, 'rotated');
await stage.message(adasMessages, /Rotation of stripe prod/);
await browser.close();
await stage.close();
