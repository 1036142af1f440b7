// The whole memory of another process, searched as root could: through /proc/PID/mem, every page that is there.
import { open, readFile } from 'node:fs/promises';
import { disguises } from './stage.mjs';

const chunk = 1 << 20;

// [{from, to, name}] of what can be read; without the kernel's own pages.
async function regions(pid) {
  const lines = (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n');
  return lines.map((line) => /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line)).filter(Boolean)
    .map(([, from, to, name]) => ({ from: parseInt(from, 16), to: parseInt(to, 16), name: name || 'no name' }))
    .filter(({ name }) => !/^\[(vvar|vsyscall|vdso)/.test(name));
}

// A page that is gone since the list was read holds nothing; one that is there and can't be read is not known to be clean.
async function unread(pid, at, name, error) {
  const still = (await regions(pid)).some(({ from, to }) => from <= at && at < to);
  if (still) throw new Error(`${name || 'memory'} at ${at.toString(16)} can't be read, so nothing is known about it: ${error.message}`);
}

// A key in each of its disguises, and pieces of it: what half a copy, or a vector register that was spilled, leaves. Not
// its prefix and its tail, which everybody may see.
export function traces(key) {
  const pieces = [];
  for (let at = 12; at + 16 <= key.length - 6; at += 8) pieces.push(key.slice(at, at + 16));
  return [...disguises(key), ...pieces];
}

// Every place where one of `needles` stands: {hits: [{needle, at, region, around}], bytes: how many were searched}.
// The bot is not dumpable, so only root may look.
export async function searchMemory(pid, needles) {
  const longest = Math.max(...needles.map(({ length }) => length));
  const memory = await open(`/proc/${pid}/mem`, 'r').catch((error) => {
    throw new Error(`the memory of ${pid} can't be searched (that needs root, and a kernel that lets root look): ${error.message}`);
  });
  const hits = [];
  let bytes = 0;
  try {
    const block = Buffer.alloc(chunk + longest);
    for (const { from, to, name } of await regions(pid)) {
      for (let at = from; at < to; at += chunk) {
        const size = Math.min(chunk + longest, to - at); // overlapping: a key may lie across two blocks
        const read = await memory.read(block, 0, size, at).catch((error) => unread(pid, at, name, error));
        if (!read) continue;
        if (read.bytesRead < size) await unread(pid, at + read.bytesRead, name, { message: 'it ends early' });
        bytes += Math.min(read.bytesRead, chunk);
        const seen = block.subarray(0, read.bytesRead);
        for (const needle of needles) {
          for (let i = seen.indexOf(needle); i >= 0 && i < chunk; i = seen.indexOf(needle, i + 1)) {
            hits.push({ needle, at: at + i, region: name, around: printable(seen.subarray(Math.max(0, i - 64), i + 96), needle) });
          }
        }
      }
    }
  } finally {
    await memory.close();
  }
  return { hits, bytes };
}

// The neighbourhood of a find, without the key itself.
function printable(bytes, needle) {
  return bytes.toString('latin1').replaceAll(needle, '<KEY>').replace(/[^\x20-\x7e]+/g, '.');
}
