// How a bot may end: as somebody asked it to, or as the test said that it would. Else it has died, and whatever came after
// that was shown by another one.
import assert from 'node:assert/strict';

export function assertEndedWell(bot) {
  const { ended, asked, endsByItself, mayDie, errors, output } = bot;
  assert.doesNotMatch(errors + output, /Sanitizer|runtime error:/);
  assert.ok(ended, `a bot was left running: ${errors.slice(-600)}`);
  const how = JSON.stringify(ended);
  const words = `a bot ended with ${how}${asked ? `, asked with ${asked}` : ''}; its last words: ${errors.slice(-600)}`;
  if (endsByItself) assert.equal(ended.signal, null, words); // with the status that the test looks at
  else if (mayDie && ended.signal === 'SIGKILL') return; // where the test's own fault struck
  else if (asked && asked !== 'SIGTERM') assert.deepEqual(ended, { code: null, signal: asked }, words);
  else assert.deepEqual([asked, ended], ['SIGTERM', { code: 0, signal: null }], words);
}
