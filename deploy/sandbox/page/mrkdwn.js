// Slack's mrkdwn as DOM nodes. Reference: docs.slack.dev/messaging/formatting-message-text.
import { make } from './dom.js';

const decode = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

// <!date^1700000000^{date_short_pretty} {time}|fallback>, in the reader's zone.
function date(stamp, format, fallback) {
  const time = new Date(Number(stamp) * 1000);
  if (Number.isNaN(time.getTime())) return fallback;
  const day = time.toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
  const words = format
    .replaceAll('{time_secs}', time.toLocaleTimeString())
    .replaceAll('{time}', time.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' }))
    .replace(/\{date[a-z_]*\}/g, day);
  return make('time', { dateTime: time.toISOString(), title: fallback }, words);
}

const mention = (text) => make('span', { className: 'mention' }, text);

// What stands between < and >.
function tag(content, people) {
  const [target, label] = content.split(/\|(.*)/s);
  if (target.startsWith('!date^')) return date(...target.split('^').slice(1, 3), label ?? '');
  if (target.startsWith('!')) return mention('@' + (label ?? target.slice(1)));
  if (target.startsWith('@')) return mention('@' + (people[target.slice(1)] ?? target.slice(1)));
  if (target.startsWith('#')) return mention('#' + (label ?? target.slice(1)));
  if (!/^https?:/.test(target)) return decode(label ?? target);
  return make('a', { href: decode(target), target: '_blank', rel: 'noopener noreferrer' }, decode(label ?? target));
}

const MARKS = /(`[^`\n]+`)|(<[^>]+>)|(?:^|(?<=[\s(]))\*([^*\n]+)\*|(?:^|(?<=[\s(]))_([^_\n]+)_|~([^~\n]+)~/gm;

export function mrkdwn(text, people) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(MARKS)) {
    const [whole, code, reference, bold, italic, struck] = match;
    nodes.push(decode(text.slice(at, match.index)));
    if (code) nodes.push(make('code', {}, decode(code.slice(1, -1))));
    else if (reference) nodes.push(tag(reference.slice(1, -1), people));
    else if (bold) nodes.push(make('strong', {}, mrkdwn(bold, people)));
    else if (italic) nodes.push(make('em', {}, mrkdwn(italic, people)));
    else nodes.push(make('s', {}, decode(struck)));
    at = match.index + whole.length;
  }
  nodes.push(decode(text.slice(at)));
  return nodes.filter((node) => node !== '');
}

// A text object: plain_text or mrkdwn.
export const words = (object, people) => object?.type === 'mrkdwn' ? mrkdwn(object.text, people) : [object?.text ?? ''];
