// Two pictures, as SVG that is readable on a light and on a dark page.
import { median } from './support.mjs';

const colours = { keyturn: '#2563eb', bolt: '#d97706', rows: '#b45309', echo: '#9ca3af' };
const style = `<style>text{font:12px system-ui,sans-serif;fill:#6b7280}.title{font-size:14px;font-weight:600}.small{font-size:10px}
line{stroke:#9ca3af;stroke-width:1}</style>`;
const escaped = (text) => String(text).replace(/[&<>]/g, (mark) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' }[mark]));
const svg = (width, height, title, content) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">\n` +
  `${style}\n<title>${escaped(title)}</title>\n${content.join('\n')}\n</svg>\n`;

// Acknowledgements a second, a group of bars for each number outstanding.
export function barChart(found, names, groups) {
  const sides = Object.keys(names).filter((side) => found[side]);
  const value = (side, group) => median(found[side].map((round) => round.closed[group].acks_per_second));
  const highest = Math.max(...sides.flatMap((side) => groups.map((group) => value(side, group))));
  const [left, top, height, bar] = [20, 60, 220, 30];
  const groupWidth = bar * sides.length + 40;
  const parts = [`<text class="title" x="${left}" y="20">Acknowledgements a second, each with its row on disk first (the echo writes none)</text>`];
  const letter = 7; // about so wide, whatever the font
  let legend = left;
  for (const side of sides) {
    parts.push(`<rect x="${legend}" y="32" width="10" height="10" fill="${colours[side]}"/>`,
      `<text x="${legend + 14}" y="41">${escaped(names[side])}</text>`);
    legend += 14 + names[side].length * letter + 16;
  }
  groups.forEach((group, g) => {
    const x = left + g * groupWidth;
    sides.forEach((side, i) => {
      const tall = height * value(side, group) / highest;
      const at = x + i * bar;
      parts.push(`<rect x="${at}" y="${(top + height - tall).toFixed(1)}" width="${bar - 4}" height="${tall.toFixed(1)}" fill="${colours[side]}"/>`,
        `<text class="small" text-anchor="middle" x="${at + bar / 2 - 2}" y="${(top + height - tall - 4).toFixed(1)}">${(value(side, group) / 1000).toFixed(1)}k</text>`);
    });
    parts.push(`<text text-anchor="middle" x="${x + bar * sides.length / 2}" y="${top + height + 18}">${group} outstanding</text>`);
  });
  return svg(left + groups.length * groupWidth, top + height + 30, 'Acknowledgements a second', parts);
}

const rows = ['slack', 'stripe', 'infisical', 'heroku', 'billing'];
const systemColours = { slack: '#7c3aed', stripe: '#2563eb', infisical: '#059669', heroku: '#db2777', billing: '#d97706' };

// One rotation: a row of requests for each outside system, over the stretches in which only the machine works.
export function timeline({ requests, phases, milestones, delay }) {
  const [begin, end] = [phases[0].from, milestones.at(-1).at];
  const [left, width, top, row] = [80, 1000, 70, 30];
  const x = (at) => (left + width * (at - begin) / (end - begin)).toFixed(1);
  const parts = [`<text class="title" x="10" y="20">One rotation, one app, ${delay} ms put into every system: ${((end - begin) / 1000).toFixed(1)} s, with the old key’s grace</text>`];
  const bottom = top + rows.length * row;
  for (const { name, from, to } of phases) {
    parts.push(`<rect x="${x(from)}" y="${top - 10}" width="${Math.max(1, x(to) - x(from)).toFixed(1)}" height="${bottom - top + 10}" fill="#9ca3af" fill-opacity="0.25"><title>${escaped(name)}: ${to - from} ms</title></rect>`);
  }
  phases.forEach(({ name, from }, i) => parts.push(`<text class="small" x="${x(from)}" y="${34 + (i % 3) * 11}">${escaped(name)}</text>`));
  rows.forEach((system, i) => {
    const y = top + i * row;
    parts.push(`<text x="10" y="${y + 12}">${system}</text>`);
    for (const { system: of, from, to, method, path } of requests) {
      if (of !== system || to < begin || from > end) continue;
      parts.push(`<rect x="${x(from)}" y="${y}" width="${Math.max(1.5, x(to) - x(from)).toFixed(1)}" height="16" fill="${systemColours[system]}" fill-opacity="0.75"><title>${escaped(`${method} ${path}: ${to - from} ms`)}</title></rect>`);
    }
  });
  for (let second = 0; second * 1000 <= end - begin; ++second) {
    const at = x(begin + second * 1000);
    parts.push(`<line x1="${at}" y1="${bottom}" x2="${at}" y2="${bottom + 5}"/>`, `<text class="small" text-anchor="middle" x="${at}" y="${bottom + 17}">${second} s</text>`);
  }
  const told = { 'new_key.received': 'key received', 'consumer.running': 'app runs it', completed: 'completed', 'old_key.proven_dead': 'proven dead' };
  milestones.filter(({ action }) => told[action]).forEach(({ action, at }, i) => parts.push(
    `<line x1="${x(at)}" y1="${top - 10}" x2="${x(at)}" y2="${bottom + 22}"/>`,
    `<text class="small" text-anchor="middle" x="${Math.min(Number(x(at)), left + width - 30)}" y="${bottom + 32 + (i % 2) * 11}">${told[action]}</text>`));
  return svg(left + width + 20, bottom + 50, 'One rotation as a timeline', parts);
}
