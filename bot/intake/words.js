// Times in words, in the reader's zone.

export const MINUTE = 60, HOUR = 3600, DAY = 86400;  // in seconds

export const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

function twoParts(seconds, unit, word, smaller, smallerWord) {
  const whole = Math.floor(seconds / unit), rest = Math.floor(seconds % unit / smaller);
  return rest ? `${count(whole, word)} ${count(rest, smallerWord)}` : count(whole, word);
}

// Rounded down from two minutes on: a deadline must not look later than it is.
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 2 * MINUTE && whole % MINUTE) return count(whole, 'second');
  if (whole < HOUR) return count(Math.floor(whole / MINUTE), 'minute');
  if (whole < 2 * DAY) return twoParts(whole, HOUR, 'hour', MINUTE, 'minute');
  return twoParts(whole, DAY, 'day', HOUR, 'hour');
}

// "4:05", for a clock that counts down.
export function minutesAndSeconds(seconds) {
  return `${Math.floor(seconds / MINUTE)}:${String(Math.floor(seconds % MINUTE)).padStart(2, '0')}`;
}

const format = (options) => {
  const formatter = new Intl.DateTimeFormat(undefined, options);
  return (ms) => formatter.format(ms);
};
const HOURS = { hour: '2-digit', minute: '2-digit' };
const thisWeek = format({ weekday: 'short', ...HOURS, timeZoneName: 'short' });
const anyDay = format({ day: 'numeric', month: 'short', year: 'numeric', ...HOURS, timeZoneName: 'short' });
// "Fri, 02:14 CET"; with the date where the weekday alone could be another one.
export const dayAndTime = (ms) => Math.abs(ms - Date.now()) < 6 * DAY * 1000 ? thisWeek(ms) : anyDay(ms);
// "02:14", "02:14:33"
export const timeOfDay = format(HOURS);
export const timeWithSeconds = format({ ...HOURS, second: '2-digit' });
