// Building elements. Text from servers and logs goes through textContent only, so it stays text.

const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const SHORT = { "\r": "\\r", "\n": "\\n", "\t": "\\t" };

/** Return text with escapes in place of characters that are invisible or change the direction of writing. */
export function visible(text) {
  return String(text ?? "").replace(HIDDEN, (character) => {
    const hex = character.codePointAt(0).toString(16).toUpperCase();
    return SHORT[character] ?? (hex.length < 3 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`);
  });
}

/** Return a new element. Properties: class, data (dataset), vars (CSS variables), on (listeners), else attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "vars") for (const [key, item] of Object.entries(value)) element.style.setProperty(`--${key}`, item);
    else if (name === "on") for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, visible(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(child));
  }
}

export const byId = (id) => document.getElementById(id);

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** Set the text of an element, unless it has it already: a live region would announce it again. */
export function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** Text for screen readers only. */
export const unseen = (text) => el("span", { class: "unseen" }, text);

/** Make the buttons in a list one tab stop; arrow keys, Home and End move between them. */
export function roving(list, selector) {
  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll(selector)];
    const at = items.indexOf(event.target.closest(selector));
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (next === undefined || !items[next]) return;
    event.preventDefault();
    items[next].focus();
  });
  list.addEventListener("focusin", (event) => {
    const item = event.target.closest(selector);
    if (item) tabStop(list, selector, item);
  });
}

/** Give one of the buttons in a list the tab stop: ``item``, else the one that has it, else the last. */
export function tabStop(list, selector, item = null) {
  const items = [...list.querySelectorAll(selector)];
  const chosen = item ?? items.find((each) => each.tabIndex === 0) ?? items.at(-1);
  for (const each of items) each.tabIndex = each === chosen ? 0 : -1;
}

/** The time of day with milliseconds, of seconds since the epoch. */
export function clock(at) {
  return at ? new Date(at * 1000).toISOString().slice(11, 23) : "";
}
