// What a pasted text is, so that a mistake is named before anything is sent. The same verdicts as the server's, which
// count (integrations/stripe/key_format.h): prefixes and advice come from the server (`rules`), the order of the
// questions is repeated here, and tests hold the two together.

// Zero-width space, joiners, direction marks, word joiner, byte order mark.
const ZERO_WIDTH = /[\u200b-\u200f\u2060\ufeff]/g;
// The server's white space, which is not quite String.trim()'s.
const OUTER_SPACE = /^[\t-\r \u00a0\u2000-\u200a\u2028\u2029\u202f\u3000]+|[\t-\r \u00a0\u2000-\u200a\u2028\u2029\u202f\u3000]+$/g;
const INNER_SPACE = /[\t-\r ]/;
const QUOTES = ['""', "''", '``', '“”', '‘’', '«»'];
const MASK = /[*…•●·]|\.{3}/;

const withoutOuterSpace = (text) => text.replace(OUTER_SPACE, '');

function withoutOuterQuotes(text) {
  const found = QUOTES.some(([open, close]) => text.length > 1 && text.startsWith(open) && text.endsWith(close));
  return found ? text.slice(1, -1) : text;
}

// Removes what comes along when a key is copied out of something: white space, quotes, characters without a width.
export function tidy(text) {
  let tidied = withoutOuterSpace(text.replace(ZERO_WIDTH, ''));
  for (let before = null; before !== tidied;) {
    before = tidied;
    tidied = withoutOuterSpace(withoutOuterQuotes(tidied));
  }
  return tidied;
}

// ---- the account's secret key, anywhere in the text (integrations/credentials.cpp) ----

const SECRET_KEY = /sk_(?:live|test|prod)_/gi;
const SHORTEST_BODY = 10;
const SHORTEST_INSIDE_WORD = 20;  // "task_test_..." ends in a prefix by chance: there the body has to look random
const LONGEST_LOOK = 64;

function isSecretKey(text, begin, end) {
  const body = /^[A-Za-z0-9]*/.exec(text.slice(end, end + LONGEST_LOOK))[0];
  const insideWord = begin > 0 && /[A-Za-z0-9]/.test(text[begin - 1]);
  return insideWord ? body.length >= SHORTEST_INSIDE_WORD && /[0-9]/.test(body) : body.length >= SHORTEST_BODY;
}

const prefixesOf = (rules, kind) => rules.prefixes.filter((each) => each.kind === kind).map((each) => each.prefix);

// Which of the rules' prefixes the master key in that text has, or null. A masked one gives nothing away and is none.
export function masterPrefixIn(text, rules) {
  const known = prefixesOf(rules, 'master_key');
  const begun = known.find((prefix) => text.startsWith(prefix) && /^[A-Za-z0-9]+$/.test(text.slice(prefix.length)));
  if (begun) return begun;
  for (const match of text.matchAll(SECRET_KEY)) {
    if (!isSecretKey(text, match.index, match.index + match[0].length)) continue;
    return known.find((prefix) => prefix === match[0].toLowerCase()) ?? known[0];
  }
  return null;
}

// ---- everything else ----

// NAME=value, also with "export" before it or spaces around the sign, but one line and one value.
function isAssignment(text) {
  const sign = text.indexOf('=');
  if (sign < 0) return false;
  const name = withoutOuterSpace(withoutOuterSpace(text.slice(0, sign)).replace(/^export /, ''));
  const value = withoutOuterSpace(text.slice(sign + 1));
  return /^\w+$/.test(name) && value !== '' && !INNER_SPACE.test(value);
}

// What follows the prefix of a restricted key, of the right mode (`kind` restricted_key) or the other one (wrong_mode).
function kindOfBody(body, kind, rules) {
  if ([...prefixesOf(rules, 'restricted_key'), ...prefixesOf(rules, 'wrong_mode')].some((prefix) => body.includes(prefix))) {
    return 'several';  // pasted twice, without anything between
  }
  if (MASK.test(body) || body.includes('.')) return 'masked';
  if (!/^[A-Za-z0-9]*$/.test(body) || body.length > rules.longest_body) return 'not_a_key';
  return kind === 'restricted_key' && body.length < rules.shortest_body ? 'truncated' : kind;
}

function kindOfWord(word, rules) {
  const families = rules.prefixes.filter(({ kind }) => kind !== 'master_key');
  const restricted = families.filter(({ kind }) => kind === 'restricted_key' || kind === 'wrong_mode');
  const own = restricted.find(({ prefix }) => word.startsWith(prefix));
  if (own) return kindOfBody(word.slice(own.prefix.length), own.kind, rules);
  if (word.length >= 3 && restricted.some(({ prefix }) => prefix.startsWith(word))) return 'truncated';
  const family = families.find(({ prefix }) => word.startsWith(prefix));
  if (family) return family.kind;
  return MASK.test(word) ? 'masked' : 'not_a_key';
}

// `text` as tidied. A master key anywhere in it beats every other verdict.
export function classify(text, rules) {
  if (masterPrefixIn(text, rules)) return 'master_key';
  if (isAssignment(text)) return 'assignment';
  if (INNER_SPACE.test(text)) return 'several';
  return kindOfWord(text, rules);
}
