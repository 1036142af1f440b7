// Block Kit as DOM, with working elements. Reference: docs.slack.dev/reference/block-kit/blocks.
// `context`: {people: {id: name}, state: {block_id: {action_id: values or text}}, click(action_id, block_id, value)}.
// What people tick and type is kept in `state`, which outlives the nodes: a message may be edited while it is filled in.
import { ask } from './dialogs.js';
import { button as plainButton, make } from './dom.js';
import { words } from './mrkdwn.js';

const kept = (context, block, item) => context.state[block.block_id]?.[item.action_id];
function keep(context, block, item, value) {
  (context.state[block.block_id] ??= {})[item.action_id] = value;
}
const keyOf = (block, item, value = '') => `${block.block_id}/${item.action_id}/${value}`;
const acts = (block) => block.type !== 'input' || block.dispatch_action;

function button(item, block, context) {
  return plainButton(item.text.text, async () => {
    const { confirm } = item;
    if (confirm && !await ask(confirm.title.text, words(confirm.text, context.people), confirm.confirm.text, confirm.deny.text, item.style === 'danger')) return;
    if (item.url) open(item.url, '_blank', 'noopener');
    context.click(item.action_id, block.block_id, undefined);
  }, { className: item.style ?? '', 'aria-label': item.accessibility_label, data: { key: keyOf(block, item) } });
}

function choices(type) {
  return (item, block, context) => {
    const start = item.initial_options ?? (item.initial_option ? [item.initial_option] : []);
    let chosen = kept(context, block, item) ?? start.map(({ value }) => value);
    if (!Array.isArray(chosen)) chosen = [chosen];
    const change = (value, on) => {
      if (type === 'radio') chosen = [value];
      else chosen = on ? [...chosen, value] : chosen.filter((one) => one !== value);
      const given = type === 'radio' ? value : chosen;
      keep(context, block, item, given);
      if (acts(block)) context.click(item.action_id, block.block_id, given);
    };
    return make('div', { className: 'choices' }, item.options.map((option) => {
      const box = make('input', { type, name: `${block.block_id}/${item.action_id}`, checked: chosen.includes(option.value), data: { key: keyOf(block, item, option.value) } });
      box.addEventListener('change', () => change(option.value, box.checked));
      return make('label', { className: 'choice' }, box, make('span', {}, words(option.text, context.people),
        option.description ? make('span', { className: 'soft' }, words(option.description, context.people)) : ''));
    }));
  };
}

function textInput(item, block, context) {
  const field = make(item.multiline ? 'textarea' : 'input', { placeholder: item.placeholder?.text ?? '', maxLength: item.max_length,
    value: kept(context, block, item) ?? item.initial_value ?? '', 'aria-label': block.label?.text, data: { key: keyOf(block, item) } });
  field.addEventListener('input', () => keep(context, block, item, field.value));
  return field;
}

function select(item, block, context) {
  const field = make('select', { 'aria-label': item.placeholder?.text ?? block.label?.text ?? 'Choose', data: { key: keyOf(block, item) } },
    new Option(item.placeholder?.text ?? 'Choose…', ''), item.options.map((option) => new Option(option.text.text, option.value)));
  field.value = kept(context, block, item) ?? item.initial_option?.value ?? '';
  field.addEventListener('change', () => {
    keep(context, block, item, field.value);
    if (acts(block)) context.click(item.action_id, block.block_id, field.value);
  });
  return field;
}

// A menu: what was chosen is done and not kept.
function overflow(item, block, context) {
  const field = make('select', { className: 'overflow', 'aria-label': 'More', data: { key: keyOf(block, item) } },
    new Option('⋯', ''), item.options.map((option) => new Option(option.text.text, option.value)));
  field.addEventListener('change', () => {
    const { value } = field;
    field.value = '';
    if (value) context.click(item.action_id, block.block_id, value);
  });
  return field;
}

// Pictures are never fetched here: their text stands for them.
const image = (item) => make('span', { className: 'picture', role: 'img', 'aria-label': item.alt_text }, item.alt_text);
const unknown = (item) => make('span', { className: 'soft' }, `[${item.type}: this page can’t show it]`);

const ELEMENTS = { button, checkboxes: choices('checkbox'), radio_buttons: choices('radio'), plain_text_input: textInput,
  static_select: select, overflow, image };
const element = (item, block, context) => (ELEMENTS[item.type] ?? unknown)(item, block, context);

const BLOCKS = {
  header: (block) => make('h3', { className: 'block-header' }, block.text.text),
  divider: () => make('hr'),
  context: (block, context) => make('p', { className: 'block-context' },
    block.elements.flatMap((item) => item.type === 'image' ? image(item) : [...words(item, context.people), ' '])),
  actions: (block, context) => make('div', { className: 'block-actions' }, block.elements.map((item) => element(item, block, context))),
  input: (block, context) => make('fieldset', { className: 'block-input' }, make('legend', {}, block.label.text),
    element(block.element, block, context), block.hint ? make('p', { className: 'soft' }, block.hint.text) : ''),
  image: (block) => image(block),
  section: (block, context) => make('div', { className: 'block-section' },
    make('div', { className: 'block-text' }, block.text ? words(block.text, context.people) : '',
      block.fields ? make('div', { className: 'fields' }, block.fields.map((field) => make('div', {}, words(field, context.people)))) : ''),
    block.accessory ? element(block.accessory, block, context) : ''),
};

export const renderBlocks = (blocks, context) => blocks.map((block) => (BLOCKS[block.type] ?? unknown)(block, context));
