// The last login again, step by step, for the projector.

import { el, fill, setText } from "./dom.js";
import { LadderView } from "./ladder.js";

const PACE = 900; // milliseconds for each step

/** Replay in ``place``. ``select(exchange, run)`` is called with the exchange of each step. */
export class ReplayView {
  constructor(place, select) {
    this._place = place;
    this._select = select;
    this._run = null;
    this._at = 0;
    this._timer = 0;
    const button = (text, name, call) => el("button", { type: "button", "aria-label": name, on: { click: call } }, text);
    this._play = button("▶ Play", "Play", () => this._toggle());
    this._position = el("input", { type: "range", min: 0, value: 0, "aria-label": "Step" });
    this._position.addEventListener("input", () => this.go(Number(this._position.value)));
    this._caption = el("p", { class: "caption", role: "status" });
    fill(
      place,
      el(
        "div", { class: "replay-bar" },
        button("⏮", "First step", () => this.go(0)), button("◀", "Previous step", () => this.go(this._at - 1)),
        this._play, button("▶▶", "Next step", () => this.go(this._at + 1)),
        button("⏭", "Last step", () => this.go(Infinity)), this._position,
        el("span", { class: "hint" }, "← → step, Shift: request, Space: play"),
      ),
      this._caption,
    );
    this._view = new LadderView(place, {
      label: "Requests up to this step",
      select: (exchange) => this.go(this._steps.findIndex((step) => step.key === exchange.key)),
    });
    this._steps = [];
    this.load(null);
  }

  /** Show a run from its beginning; null: there is none. */
  load(run) {
    this._stop();
    this._run = run;
    this._steps = (run?.exchanges ?? []).flatMap((exchange) =>
      exchange.steps.map((step) => ({ key: exchange.key, step, exchange })));
    this._position.max = Math.max(0, this._steps.length - 1);
    this._at = 0;
    if (!this._place.hidden) this.go(0);
  }

  /** Go to a step, counted from 0. */
  go(at) {
    this._at = Math.max(0, Math.min(at, this._steps.length - 1));
    this._position.value = this._at;
    const current = this._steps[this._at];
    if (!current) {
      setText(this._caption, "Run a login first; it is replayed here.");
      this._view.draw([], []);
      return;
    }
    const participants = this._run.participants;
    const names = new Map(participants.map((each) => [each.id, each.role]));
    const shown = new Set(this._steps.slice(0, this._at + 1).map((each) => each.step));
    const exchanges = this._run.exchanges
      .map((exchange) => upTo(exchange, shown))
      .filter((exchange) => exchange.steps.length > 0);
    this._view.draw(participants, exchanges, this._run);
    this._view.mark(current.key);
    this._view.show(current.key);
    const { step } = current;
    setText(this._caption,
      `Step ${this._at + 1} of ${this._steps.length}: ${names.get(step.from)} → ${names.get(step.to)}: ${step.label}`);
    this._caption.dataset.ok = step.ok === null ? "unknown" : step.ok;
    this._select(exchanges.find((exchange) => exchange.key === current.key), this._run);
  }

  /** Handle a key; return whether it was one of the replay's. */
  key(event) {
    const step = event.shiftKey ? this._nextRequest(event.key === "ArrowRight" ? 1 : -1) : null;
    const next = {
      ArrowRight: step ?? this._at + 1,
      ArrowLeft: step ?? this._at - 1,
      Home: 0,
      End: Infinity,
    }[event.key];
    if (next !== undefined) this.go(next);
    else if (event.key === " ") this._toggle();
    else return false;
    return true;
  }

  /** Return the first step of the next or previous request. */
  _nextRequest(direction) {
    const key = this._steps[this._at]?.key;
    const keys = [...new Set(this._steps.map((each) => each.key))];
    const wanted = keys[Math.max(0, Math.min(keys.indexOf(key) + direction, keys.length - 1))];
    return this._steps.findIndex((each) => each.key === wanted);
  }

  _toggle() {
    if (this._timer) {
      this._stop();
      return;
    }
    if (this._at >= this._steps.length - 1) this.go(0);
    this._play.textContent = "❚❚ Pause";
    this._play.setAttribute("aria-label", "Pause");
    this._timer = setInterval(() => {
      if (this._at >= this._steps.length - 1) this._stop();
      else this.go(this._at + 1);
    }, PACE);
  }

  _stop() {
    clearInterval(this._timer);
    this._timer = 0;
    this._play.textContent = "▶ Play";
    this._play.setAttribute("aria-label", "Play");
  }
}

/** Return an exchange as it was after the steps in ``shown``. */
function upTo(exchange, shown) {
  const steps = exchange.steps.filter((step) => shown.has(step));
  const isDone = steps.length === exchange.steps.length;
  const has = (step) => (steps.includes(step) ? step : undefined);
  return {
    ...exchange,
    steps,
    state: isDone ? exchange.state : has(exchange.stopped) ? "bad" : "pending",
    outcome: isDone ? exchange.outcome : "pending",
    stopped: has(exchange.stopped),
    warning: has(exchange.warning),
    answer: has(exchange.answer),
    cause: steps.some((step) => step.ok === false) ? exchange.cause : null,
  };
}
