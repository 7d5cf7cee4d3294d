// The selected request: what happened step by step, the certificate that was presented, cause and remedies.

import { chainCards } from "./certificate.js";
import { clock, el, fill } from "./dom.js";
import { became } from "./exchanges.js";

/** Details in ``place``. ``trust(certificate)`` adds one to the trust store; ``pointLine(text)`` shows a log line. */
export class DetailsView {
  constructor(place, { trust, pointLine }) {
    this._place = place;
    this._trust = trust;
    this._pointLine = pointLine;
    this._drawn = "";
  }

  /** Draw an exchange with its finding (null: none) and the fingerprints that are trusted now. */
  draw(exchange, finding, participants, trusted) {
    const signature = JSON.stringify([exchange, finding, [...trusted]]);
    if (signature === this._drawn) return;
    this._drawn = signature;
    if (exchange === null) {
      fill(this._place, el("p", { class: "empty" }, "Select a request in the ladder."));
      return;
    }
    const focused = this._place.contains(document.activeElement);
    fill(
      this._place,
      this._headline(exchange, finding),
      finding ? this._cause(finding, trusted) : null,
      this._steps(exchange, participants),
    );
    if (focused) this._place.querySelector("button, summary, [tabindex]")?.focus();
  }

  _headline(exchange, finding) {
    return [
      el(
        "p", { class: "detail-state", data: { state: exchange.state } },
        el("b", {}, finding && exchange.state !== "good" ? finding.code : became(exchange)),
        exchange.server ? ` · ${exchange.server}${exchange.port ? `:${exchange.port}` : ""}` : "",
      ),
      el("p", { class: "detail-title" }, `${exchange.method} ${exchange.path}`),
    ];
  }

  _cause(finding, trusted) {
    const { presented } = finding;
    return el(
      "div", { class: "cause" },
      el("p", { class: "cause-text" }, finding.cause),
      presented.length
        ? [el("h3", {}, presented.length === 1 ? "Certificate presented" : `Chain presented (${presented.length})`),
          chainCards(finding, trusted, this._trust)]
        : null,
      el("h3", {}, "Remedies"),
      el(
        "ol", { class: "remedies" },
        finding.remedies.map((remedy) => el("li", {}, remedy.text, el("small", {}, remedy.where))),
      ),
    );
  }

  _steps(exchange, participants) {
    const names = new Map(participants.map((each) => [each.id, each.role]));
    return el(
      "div", {},
      el("h3", {}, "Step by step"),
      el(
        "ol", { class: "steps" },
        exchange.steps.map((step) =>
          el(
            "li", { data: { ok: step.ok === null ? "unknown" : step.ok } },
            el("span", { class: "step-who" }, `${names.get(step.from)} → ${names.get(step.to)}`),
            el("span", { class: "step-time" }, clock(step.at)),
            el("span", { class: "step-text" }, step.label, step.times > 1 ? ` (${step.times} attempts)` : ""),
            step.certain ? null : el("em", {}, "The log allows another request for this line."),
            step.lines.length
              ? el("button", { type: "button", class: "quiet", on: { click: () => this._pointLine(step.lines[0].text) } },
                step.lines.length === 1 ? "log line" : `${step.lines.length} log lines`)
              : null,
          ),
        ),
      ),
    );
  }
}
