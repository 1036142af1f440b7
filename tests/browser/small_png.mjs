// A screenshot with at most 256 colours: a page is mostly a few flat ones, so it looks the same at a third of the bytes,
// and every clone of the repository carries them. Format: www.w3.org/TR/png-3.
import { crc32, deflateSync } from 'node:zlib';

// In the browser, which can read a PNG: the most frequent colours, and for each pixel the nearest of them.
async function reduce(base64) {
  const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: 'image/png' }));
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext('2d');
  canvas.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer).map((pixel) => pixel & 0xffffff);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = (colour) => [colour & 255, (colour >> 8) & 255, colour >> 16];
  const distance = (one, other) => parts(one).reduce((sum, part, i) => sum + (part - parts(other)[i]) ** 2, 0);
  const palette = [];
  for (const [colour] of [...counts].sort((one, other) => other[1] - one[1])) {
    if (palette.length === 256) break;
    const alone = palette.length < 32 || palette.every((other) => distance(colour, other) > 150); // the greys of letters' edges crowd out a rare red
    if (alone) palette.push(colour);
  }
  const nearest = new Map(palette.map((colour, i) => [colour, i]));
  for (const colour of counts.keys()) {
    if (nearest.has(colour)) continue;
    const distances = palette.map((other) => distance(colour, other));
    nearest.set(colour, distances.indexOf(Math.min(...distances)));
  }
  let indices = '';
  for (const pixel of pixels) indices += String.fromCharCode(nearest.get(pixel));
  return { width, height, palette: palette.flatMap(parts), indices: btoa(indices) };
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

export async function smallPng(page) {
  const whole = await page.screenshot();
  const blank = await page.context().newPage(); // the page's own policy stays out of it
  const { width, height, palette, indices } = await blank.evaluate(reduce, whole.toString('base64'));
  await blank.close();
  const pixels = Buffer.from(indices, 'base64');
  const rows = [];
  for (let y = 0; y < height; y++) rows.push(Buffer.from([0]), pixels.subarray(y * width, (y + 1) * width)); // 0: unfiltered
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // 8 bits, a palette
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', head),
    chunk('PLTE', Buffer.from(palette)), chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
