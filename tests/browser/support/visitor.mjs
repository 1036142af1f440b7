// A person with a browser in front of the form: Debian's Chromium, with everything that it sends and complains of kept,
// so that a test can search it at the end.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { disguises } from '../../end_to_end/support/stage.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Each with a profile of its own, thrown away afterwards.
export function launch() {
  return chromium.launch({
    executablePath: process.env.KEYTURN_CHROMIUM ?? '/usr/bin/chromium-headless-shell',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// What a phone and a desk look like.
export const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
export const desk = { viewport: { width: 1100, height: 800 } };

export class Visitor {
  static async arrive(browser, options = {}) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/Berlin', ...desk, ...options });
    visitor.page = await visitor.context.newPage();
    visitor.requests = []; // {method, url, headers, body}
    visitor.complaints = []; // errors and warnings of console, scripts and policy
    visitor.page.on('request', (request) => visitor.requests.push({ method: request.method(), url: request.url(),
      headers: JSON.stringify(request.headers()), body: request.postDataBuffer() ?? Buffer.alloc(0) }));
    visitor.page.on('websocket', (socket) => visitor.complaints.push(`a WebSocket to ${socket.url()}`));
    visitor.page.on('pageerror', (error) => visitor.complaints.push(error.stack ?? String(error)));
    visitor.page.on('console', (message) => {
      if (['error', 'warning', 'assert'].includes(message.type())) visitor.complaints.push(message.text());
    });
    // Also of the kinds that Chromium doesn't write to its console.
    await visitor.page.addInitScript(() => addEventListener('securitypolicyviolation',
      (event) => console.error(`policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`)));
    return visitor;
  }

  leave() {
    return this.context.close();
  }

  // ---- what people do
  open(link) {
    return this.page.goto(`${link.address}#${link.token}`);
  }
  // As Ctrl+V does it: the text is in the clipboard, and the page gets a paste event.
  async paste(text, into = '#key') {
    await this.page.focus(into);
    await this.page.evaluate(({ text, into }) => {
      const data = new DataTransfer();
      data.setData('text/plain', text);
      const event = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
      // The browser's own doing, for fields that leave a paste alone.
      if (document.querySelector(into).dispatchEvent(event)) document.execCommand('insertText', false, text);
    }, { text, into });
  }
  choose(label) {
    return this.page.getByRole('radio', { name: label }).check();
  }
  handOver() {
    return this.page.getByRole('button', { name: 'Hand over the key' }).click();
  }
  // The whole form, by mouse and keyboard.
  async fillIn({ key, code, grace = /as instructed/ }) {
    await this.paste(key);
    if (code) await this.page.getByLabel('The code in your direct message').pressSequentially(code);
    await this.choose(grace);
  }

  // ---- what they see
  see(text) {
    return this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }
  // The one heading that is shown.
  heading(text) {
    return this.page.getByRole('heading', { name: text }).waitFor();
  }
  words() {
    return this.page.locator('main').innerText();
  }
  sent(path) {
    return this.requests.filter(({ method, url }) => method === 'POST' && url.endsWith(path));
  }

  // ---- what must hold
  assertCalm() {
    assert.deepEqual(this.complaints, []);
  }
  assertSentNothingOf(key) {
    for (const { method, url, headers, body } of this.requests) {
      for (const form of disguises(key)) {
        for (const bytes of [Buffer.from(url), Buffer.from(decodeURIComponent(url)), Buffer.from(headers), body]) {
          assert.ok(!bytes.includes(form), `${method} ${url} carries a key`);
          assert.ok(!bytes.includes(Buffer.from(form, 'utf16le')), `${method} ${url} carries a key in UTF-16`);
        }
      }
    }
  }
  async assertAccessible(state) {
    await this.page.evaluate(`if (!globalThis.axe) { ${axe} }`);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    assert.deepEqual(violations.map(({ id, nodes }) => [id, ...nodes.map(({ html, any }) => `${html} ${any.map(({ message }) => message)}`)]), [], state);
  }
  async assertNoSidewaysScroll(state) {
    const width = await this.page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(width[0] <= width[1], `${state}: ${width[0]} px wide in ${width[1]}`);
  }
}
