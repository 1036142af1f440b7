// Block Kit as DOM, well enough to work with. Text goes in as text nodes only: nothing of a message becomes markup.

export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const decode = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

// <!date^1700000000^{date_short_pretty} {time}|fallback>, in the reader's zone.
function date(stamp, format, fallback) {
  const time = new Date(Number(stamp) * 1000);
  if (Number.isNaN(time.getTime())) return fallback;
  const day = time.toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
  return format
    .replaceAll('{time_secs}', time.toLocaleTimeString())
    .replaceAll('{time}', time.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' }))
    .replace(/\{date[a-z_]*\}/g, day);
}

// What stands between < and >.
function tag(content, people) {
  const [target, label] = content.split(/\|(.*)/s);
  if (target.startsWith('!date^')) return date(...target.split('^').slice(1, 3), label ?? '');
  if (target.startsWith('!')) return make('strong', {}, '@' + (label ?? target.slice(1)));
  if (target.startsWith('@')) return make('strong', {}, '@' + (people[target.slice(1)] ?? target.slice(1)));
  if (target.startsWith('#')) return make('strong', {}, '#' + (label ?? target.slice(1)));
  if (!/^https?:/.test(target)) return decode(label ?? target);
  return make('a', { href: decode(target), target: '_blank', rel: 'noopener noreferrer' }, decode(label ?? target));
}

const kMarks = /(`[^`\n]+`)|(<[^>]+>)|(^|(?<=[\s(]))\*([^*\n]+)\*|(^|(?<=[\s(]))_([^_\n]+)_|~([^~\n]+)~/gm;

export function mrkdwn(text, people) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(kMarks)) {
    nodes.push(decode(text.slice(at, match.index)));
    if (match[1]) nodes.push(make('code', {}, decode(match[1].slice(1, -1))));
    else if (match[2]) nodes.push(tag(match[2].slice(1, -1), people));
    else if (match[4]) nodes.push(make('strong', {}, ...mrkdwn(match[4], people)));
    else if (match[6]) nodes.push(make('em', {}, ...mrkdwn(match[6], people)));
    else if (match[7]) nodes.push(make('s', {}, decode(match[7])));
    at = match.index + match[0].length;
  }
  nodes.push(decode(text.slice(at)));
  return nodes;
}

function words(object, people) {
  return object?.type === 'mrkdwn' ? mrkdwn(object.text, people) : [object?.text ?? ''];
}

// What people ticked and typed: {block_id: {action_id: values or text}}, kept while the page is open.
function remember(state, block, action, value) {
  (state[block] ??= {})[action] = value;
}

function button(element, block, context) {
  const node = make('button', { type: 'button', className: element.style ?? '' }, element.text.text);
  node.addEventListener('click', () => {
    const ask = element.confirm;
    if (ask && !confirm(`${ask.title.text}\n\n${ask.text.text}`)) return;
    if (element.url) open(element.url, '_blank', 'noopener');
    context.click(element.action_id, block.block_id, undefined);
  });
  return node;
}

function checkboxes(element, block, context) {
  const kept = context.state[block.block_id]?.[element.action_id];
  const chosen = new Set(kept ?? (element.initial_options ?? []).map((option) => option.value));
  const change = (value, on) => {
    if (on) chosen.add(value); else chosen.delete(value);
    remember(context.state, block.block_id, element.action_id, [...chosen]);
    if (block.type !== 'input' || block.dispatch_action) context.click(element.action_id, block.block_id, [...chosen]);
  };
  return element.options.map((option) => {
    const box = make('input', { type: 'checkbox', checked: chosen.has(option.value) });
    box.addEventListener('change', () => change(option.value, box.checked));
    return make('label', { className: 'choice' }, box, make('span', {}, ...words(option.text, context.people)));
  });
}

function textInput(element, block, context) {
  const node = make(element.multiline ? 'textarea' : 'input', { placeholder: element.placeholder?.text ?? '' });
  node.value = context.state[block.block_id]?.[element.action_id] ?? element.initial_value ?? '';
  node.addEventListener('input', () => remember(context.state, block.block_id, element.action_id, node.value));
  return node;
}

function select(element, block, context) {
  const node = make('select', {}, ...element.options.map((option) => new Option(option.text.text, option.value)));
  node.value = context.state[block.block_id]?.[element.action_id] ?? element.initial_option?.value ?? '';
  node.addEventListener('change', () => {
    remember(context.state, block.block_id, element.action_id, node.value);
    if (block.type !== 'input') context.click(element.action_id, block.block_id, node.value);
  });
  return node;
}

function element(item, block, context) {
  switch (item.type) {
    case 'button': return [button(item, block, context)];
    case 'checkboxes': return checkboxes(item, block, context);
    case 'plain_text_input': return [textInput(item, block, context)];
    case 'static_select': case 'radio_buttons': return [select(item, block, context)];
    case 'image': return [make('span', {}, `[${item.alt_text}]`)];
    default: return [make('span', { className: 'small' }, `(${item.type})`)];
  }
}

function render(block, context) {
  const { people } = context;
  switch (block.type) {
    case 'header': return make('div', { className: 'block-header' }, block.text.text);
    case 'divider': return make('hr');
    case 'context':
      return make('div', { className: 'block-context' },
        ...block.elements.flatMap((item) => item.type === 'image' ? [`[${item.alt_text}] `] : words(item, people)));
    case 'actions':
      return make('div', { className: 'block-actions' }, ...block.elements.flatMap((item) => element(item, block, context)));
    case 'input':
      return make('fieldset', {}, make('legend', {}, block.label.text), ...element(block.element, block, context));
    case 'section': {
      const node = make('div', { className: 'block-text' }, ...(block.text ? words(block.text, people) : []));
      for (const field of block.fields ?? []) node.append(make('div', {}, ...words(field, people)));
      if (block.accessory) node.append(...element(block.accessory, block, context));
      return node;
    }
    default: return make('div', { className: 'small' }, `(${block.type})`);
  }
}

// `context`: {people: {id: name}, state, click(action_id, block_id, value)}.
export function renderBlocks(blocks, context) {
  return blocks.map((block) => render(block, context));
}
