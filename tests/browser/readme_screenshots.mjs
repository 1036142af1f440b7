// The README's pictures, made anew from a rotation that is really played: docs/screenshots/. Run it by hand after a
// change to the pages:   KEYTURN_BUILD=build/dev node tests/browser/readme_screenshots.mjs
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { Stage, adasMessages } from '../end_to_end/support/stage.mjs';
import { smallPng } from './small_png.mjs';
import { launch } from './support/visitor.mjs';

const folder = 'docs/screenshots';
const view = { viewport: { width: 1280, height: 800 }, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' };

await mkdir(folder, { recursive: true });
const stage = await Stage.open({ settings: { watch: '4s', grace: '40s' } });
await stage.startBot();
const browser = await launch();
const context = await browser.newContext(view);
const workspace = await context.newPage();
async function picture(page, name) {
  const bytes = await smallPng(page);
  assert.ok(bytes.length <= 150_000, `${name}: ${bytes.length} bytes are too many for the repository`);
  await writeFile(`${folder}/${name}.png`, bytes);
}
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
await workspace.locator('#messages article').filter({ hasText: /is rotated/ }).last().evaluate((node) => { node.parentElement.scrollTop = node.offsetTop; });
await picture(workspace, 'rotated');
await stage.message(adasMessages, /Rotation of stripe prod/);

await stage.closed(90000);
await tab(/Break things/);
await workspace.getByRole('button', { name: 'Play it: Somebody changed it by hand' }).click();
await workspace.getByRole('heading', { name: 'Somebody changed it by hand passed' }).waitFor({ timeout: 60000 });
await place('keyturn');
await workspace.waitForTimeout(500);
await workspace.locator('#messages').evaluate((node) => { node.scrollTop = node.scrollHeight; });
await picture(workspace, 'drill');
await browser.close();
await stage.close();
