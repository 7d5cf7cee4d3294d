// The tail of the log. Each line belongs to a request of the ladder, once the ladder has it.

import { byId, el, roving, tabStop } from "./dom.js";

/** Lines that are kept, in memory and on the page. */
export const MOST_LINES = 500;

const FIELD = /([A-Za-z][\w-]*)=("(?:[^"\\]|\\.)*"|\S+)/g;
const TXN = /Txn-id="(\d+)"/;

/** The log in ``list``. ``select(key)`` is called when a line is chosen, ``point(key)`` on hover. */
export class LogView {
  constructor(list, { select, point }) {
    this._list = list;
    this._select = select;
    this._point = point;
    this._waiting = [];
    this._frame = 0;
    this._keys = new Map();
    this._only = byId("log-selected");
    this._follow = byId("log-follow");
    this._selected = null;
    this._only.addEventListener("change", () => this._filter());
    this._list.addEventListener("scroll", () => this._stopFollowing());
    this._list.addEventListener("pointerover", (event) => this._point(keyOf(event.target)));
    this._list.addEventListener("pointerleave", () => this._point(null));
    this._list.addEventListener("click", (event) => {
      const key = keyOf(event.target);
      if (key && !String(window.getSelection())) this._select(key);
    });
    roving(list, "button");
  }

  /** Add a line; it is drawn with the next frame. */
  add(line) {
    this._waiting.push(line);
    if (this._waiting.length > MOST_LINES) this._waiting.shift();
    this._frame ||= requestAnimationFrame(() => this._flush());
  }

  /** Replace all lines. */
  replace(lines) {
    this.clear();
    for (const line of lines.slice(-MOST_LINES)) this.add(line);
  }

  /** Remove all lines. */
  clear() {
    this._waiting = [];
    this._keys = new Map();
    this._list.replaceChildren();
  }

  /** Tie lines to the exchanges of the ladder, by their text. */
  tie(exchanges) {
    this._keys = new Map();
    for (const exchange of exchanges) {
      for (const step of exchange.steps) for (const line of step.lines) this._keys.set(line.text, exchange.key);
    }
    for (const item of this._list.children) this._tieItem(item);
    this._filter();
  }

  /** Mark the lines of the selected exchange; ``scroll`` to the first of them. */
  mark(key, scroll) {
    this._selected = key;
    for (const item of this._list.children) item.classList.toggle("selected", item.dataset.key === key && key !== null);
    this._filter();
    if (scroll) this.showSelected();
  }

  /** Scroll to the lines of the selected exchange, to those about a fault if there are any. */
  showSelected() {
    this._flush();
    const item = this._list.querySelector(".selected:not([data-level=INFO])") ?? this._list.querySelector(".selected");
    this._scrollTo(item);
  }

  /** Highlight the lines of the exchange under the pointer. */
  highlight(key) {
    for (const item of this._list.children) item.classList.toggle("pointed", key !== null && item.dataset.key === key);
  }

  /** Scroll to a line, by its text. */
  show(text) {
    this._flush();
    const item = [...this._list.children].find((each) => each.line === text);
    this._scrollTo(item);
    if (!item) return;
    item.hidden = false;
    item.querySelector("button")?.focus();
  }

  _scrollTo(item) {
    if (!item) return;
    this._list.scrollTop = item.offsetTop - this._list.clientHeight / 3;
  }

  _flush() {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    if (this._waiting.length === 0) return;
    const items = this._waiting.map((line) => this._item(line));
    this._waiting = [];
    this._list.append(...items);
    while (this._list.children.length > MOST_LINES) this._list.firstChild.remove();
    tabStop(this._list, "button");
    if (this._follow.checked) this._list.scrollTop = this._list.scrollHeight;
  }

  _item(line) {
    const txn = TXN.exec(line);
    const item = el(
      "li", { data: { level: / (ERROR|WARNING): /.exec(line)?.[1] ?? "INFO" } },
      el("button", { type: "button", tabindex: -1, disabled: true, title: "Show this request in the ladder" },
        txn ? `#${txn[1]}` : "#"),
      el("span", { class: "line" }, fields(line)),
    );
    item.line = line;
    this._tieItem(item);
    return item;
  }

  _tieItem(item) {
    const key = this._keys.get(item.line);
    if (key === undefined || item.dataset.key === key) return;
    item.dataset.key = key;
    item.firstChild.disabled = false;
    item.classList.toggle("selected", key === this._selected);
  }

  _filter() {
    const only = this._only.checked && this._selected !== null;
    for (const item of this._list.children) item.hidden = only && item.dataset.key !== this._selected;
  }

  _stopFollowing() {
    const atEnd = this._list.scrollTop + this._list.clientHeight >= this._list.scrollHeight - 8;
    if (!atEnd && this._list.matches(":hover, :focus-within")) this._follow.checked = false;
  }
}

const keyOf = (target) => target.closest?.("li")?.dataset.key ?? null;

/** Return a line as parts: names of fields, their values, and the text between them. */
function fields(line) {
  const parts = [];
  let end = 0;
  for (const match of line.matchAll(FIELD)) {
    parts.push(line.slice(end, match.index), el("span", { class: "field" }, match[1]), "=",
      el("span", { class: "value", data: { field: match[1] } }, match[2]));
    end = match.index + match[0].length;
  }
  parts.push(line.slice(end));
  return parts;
}
