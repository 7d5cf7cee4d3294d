// Before and after: the last login under one release beside the last one under another.

import { el, fill } from "./dom.js";
import { LadderView } from "./ladder.js";

const MOST_KEPT = 6;

/** Last logins by release, and two of them side by side. ``select(exchange, run)`` when a row is chosen. */
export class CompareView {
  constructor(place, select) {
    this._place = place;
    this._select = select;
    this._runs = new Map();
    this._chosen = [null, null];
    this._isChosen = false; // by a person; else the oldest and the newest release
  }

  /** Keep the last login under a release; the oldest release is dropped when there are too many. */
  keep(run) {
    this._runs.delete(run.release);
    this._runs.set(run.release, run);
    if (this._runs.size > MOST_KEPT) this._runs.delete(this._runs.keys().next().value);
    const names = [...this._runs.keys()].sort(byRelease);
    if (!this._isChosen || this._chosen.some((name) => !this._runs.has(name))) {
      if (names.length > 1) this._chosen = [names[0], names.at(-1)];
      else this._chosen = run.refusing ? [null, names[0]] : [names[0], null]; // "after" is a release that verifies
    }
    if (!this._place.hidden) this.draw();
  }

  /** Draw both sides, when the view is shown. */
  draw() {
    fill(this._place, this._side(0, "Before"), this._side(1, "After"));
  }

  _side(place, word) {
    const run = this._runs.get(this._chosen[place]);
    const names = [...this._runs.keys()].sort(byRelease);
    const choose = el(
      "select", { on: { change: (event) => this._choose(place, event.target.value) } },
      names.map((name) => el("option", { value: name, selected: name === this._chosen[place] }, name)),
    );
    const side = el("section", { class: "side", "aria-label": word });
    fill(side, el("div", { class: "side-head" }, el("label", {}, `${word} `, run ? choose : null), run ? outcome(run) : null));
    if (!run) {
      fill(side, el("h3", {}, word), el("p", { class: "empty" }, "Run a login under another release, or press Before and after."));
      return side;
    }
    const view = new LadderView(side, {
      label: `Requests of the login with ${run.release}`,
      select: (exchange) => {
        view.mark(exchange.key);
        this._select(exchange, run);
      },
    });
    view.draw(run.participants, run.exchanges, run);
    return side;
  }

  _choose(place, name) {
    this._chosen[place] = name;
    this._isChosen = true;
    this.draw();
    this._place.querySelectorAll("select")[place]?.focus();
  }
}

function outcome(run) {
  const failed = run.exchanges.filter((exchange) => exchange.state === "bad" || exchange.state === "error").length;
  const isGood = run.login ? run.login.ok : failed === 0;
  const word = run.login ? run.login.seen : isGood ? "all answered" : `${failed} failed`;
  return el("p", { class: "outcome", data: { state: isGood ? "good" : "bad" } }, isGood ? "✓ " : "✕ ", word);
}

/** Order X14.0.7 before X14.0.10. */
const byRelease = (one, other) => one.localeCompare(other, "en", { numeric: true });
