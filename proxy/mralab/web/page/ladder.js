// Drawing a ladder: a head with the participants, and one row for each exchange.
//
// A row has two lines: the request on its way out, and the answer on its way back. A refused handshake ends the first
// line with a cross in front of the server, so that one glance shows where a login broke.

import { el, fill, roving, tabStop, unseen } from "./dom.js";
import { became } from "./exchanges.js";

const ROLE_SHORT = {
  "IM and Presence": "IM&P",
  "Unity Connection": "Unity",
  "Expressway-C": "Exp-C",
  "Expressway-E": "Exp-E",
};
const STAGGER = 90; // milliseconds
const LONGEST_DELAY = 1500;
const MANY = 8; // participants that need a ladder wider than its panel
const GLYPHS = { pending: "…", good: "✓", warned: "!", error: "!", bad: "✕" };

/** One drawn ladder in ``place``. ``select(exchange)`` is called when a row is chosen, ``point(key)`` on hover. */
export class LadderView {
  constructor(place, { select = () => {}, point = () => {}, label = "Requests, oldest first" } = {}) {
    this._select = select;
    this._point = point;
    this._drawn = new Map();
    this._head = el("div", { class: "ladder-head" });
    this._omitted = el("p", { class: "omitted", hidden: true });
    this._rows = el("ol", { class: "rows", "aria-label": label });
    this._lines = el("div", { class: "lifelines", "aria-hidden": "true" });
    this._empty = el("p", { class: "empty" }, "No request yet.");
    this.element = el(
      "div", { class: "ladder" }, this._head, this._omitted,
      el("div", { class: "rows-box" }, this._lines, this._rows, this._empty),
    );
    place.append(this.element);
    roving(this._rows, "button");
  }

  /** Draw ``exchanges`` between ``participants``. ``note`` is the text below Expressway-C. */
  draw(participants, exchanges, { note = "", omitted = 0, refusing = false } = {}) {
    this._drawHead(participants, note, refusing);
    this._omitted.hidden = omitted === 0;
    fill(this._omitted, `${omitted} earlier ${omitted === 1 ? "request is" : "requests are"} not shown.`);
    this._empty.hidden = exchanges.length > 0;
    const wanted = new Set(exchanges.map((exchange) => exchange.key));
    for (const [key, { row }] of this._drawn) {
      if (!wanted.has(key)) {
        row.remove();
        this._drawn.delete(key);
      }
    }
    let before = null;
    this._fresh = 0;
    for (const exchange of exchanges) before = this._drawRow(exchange, participants, before);
    tabStop(this._rows, "button");
  }

  _drawHead(participants, note, refusing) {
    const signature = JSON.stringify([participants, note, refusing]);
    if (signature === this._headDrawn) return;
    this._headDrawn = signature;
    this.element.style.setProperty("--n", participants.length);
    this.element.classList.toggle("wide", participants.length > MANY);
    const cards = participants.map((participant) => {
      const isExpressway = participant.id === "expressway";
      const short = ROLE_SHORT[participant.role] ?? participant.role;
      return el(
        "div", { class: "who", data: { role: participant.role } },
        el("b", {}, el("span", { class: "long" }, participant.role), el("span", { class: "short" }, short)),
        el("span", { class: "who-name" }, participant.name),
        isExpressway && note ? el("span", { class: "who-note", data: { on: refusing } }, note) : null,
      );
    });
    fill(this._head, el("div", { class: "track" }, cards));
    fill(this._lines, el("div", { class: "track" }, participants.map((_, place) => el("i", { vars: { i: place } }))));
  }

  _drawRow(exchange, participants, before) {
    const signature = JSON.stringify([exchange, participants.length]);
    const known = this._drawn.get(exchange.key);
    let row = known?.row;
    if (known === undefined || known.signature !== signature) {
      row?.classList.remove("fresh");
      row ??= this._newRow(exchange.key);
      row.dataset.state = exchange.state;
      const focused = row.contains(document.activeElement);
      const button = this._button(exchange, participants);
      if (exchange.key === this._selected) button.setAttribute("aria-pressed", "true");
      fill(row, button);
      if (focused) button.focus();
      this._drawn.set(exchange.key, { row, signature });
    }
    const next = before === null ? this._rows.firstChild : before.nextSibling;
    if (row !== next) this._rows.insertBefore(row, next);
    return row;
  }

  /** Rows that are new in the same drawing appear one after the other. */
  _newRow(key) {
    const delay = Math.min(STAGGER * this._fresh, LONGEST_DELAY);
    this._fresh += 1;
    return el("li", { class: "row fresh", data: { key }, vars: { delay: `${delay}ms` } });
  }

  _button(exchange, participants) {
    const where = participants[exchange.place];
    const to = exchange.place > 1 ? ` to ${where.role} ${exchange.server}` : "";
    const stop = exchange.stopped ?? exchange.warning;
    const times = stop && stop.times > 1 ? ` (${stop.times} attempts)` : "";
    return el(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        on: {
          click: () => this._select(exchange),
          pointerenter: () => this._point(exchange.key),
          pointerleave: () => this._point(null),
        },
      },
      el("span", { class: "row-number" }, exchange.transaction || "–"),
      el(
        "span", { class: "track" },
        el(
          "span", { class: "row-title", title: exchange.path }, exchange.method, exchange.method ? " " : "",
          exchange.port ? el("span", { class: "row-port" }, `:${exchange.port}`) : null, exchange.path,
          unseen(to),
        ),
        arrows(exchange),
        stop ? el("span", { class: exchange.place > 1 ? "row-stop" : "row-stop own" }, unseen(". "), stop.label + times) : null,
      ),
      el(
        "span", { class: "row-state" },
        el("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[exchange.state]),
        el("span", {}, unseen(". "), exchange.answer ? exchange.answer.label : became(exchange)),
      ),
    );
  }

  /** Mark one row as selected. */
  mark(key) {
    this._selected = key;
    for (const [each, { row }] of this._drawn) {
      row.firstChild.setAttribute("aria-pressed", String(each === key));
    }
    const row = this._drawn.get(key)?.row;
    if (row) tabStop(this._rows, "button", row.firstChild);
  }

  /** Highlight the row that a log line belongs to; null: none. */
  highlight(key) {
    for (const [each, { row }] of this._drawn) row.classList.toggle("pointed", each === key);
  }

  /** Scroll a row into view. */
  show(key) {
    this._drawn.get(key)?.row.scrollIntoView({ block: "nearest" });
  }
}

/** Return the arrows of an exchange, from the steps that it has. */
function arrows(exchange) {
  const place = Math.max(exchange.place, 1);
  const drawn = [];
  const arrow = (from, to, kind, extra = "") =>
    drawn.push(
      el("i", {
        class: `arrow ${kind} ${to < from ? "back" : "out"} ${extra}`,
        vars: { from: Math.min(from, to), span: Math.abs(to - from) },
      }),
    );
  const has = (test) => exchange.steps.some(test);
  if (has((step) => step.kind === "request")) arrow(0, 1, "neutral");
  if (place > 1 && has((step) => step.from === "expressway" && step.to.startsWith("server-"))) {
    const stopped = exchange.stopped !== undefined;
    const failed = stopped || has((step) => step.kind === "connect" && step.ok === false);
    const waiting = !failed && !has((step) => step.kind === "answer");
    const kind = failed ? "bad" : exchange.warning ? "warned" : waiting ? "pending" : "good";
    arrow(1, place, kind, failed ? "stop" : "");
  }
  if (has((step) => step.kind === "answer" && step.from.startsWith("server-"))) arrow(place, 1, "good");
  if (exchange.answer) arrow(1, 0, exchange.answer.status >= 400 ? "bad" : "good");
  return el("span", { class: "arrows", "aria-hidden": "true" }, drawn);
}
