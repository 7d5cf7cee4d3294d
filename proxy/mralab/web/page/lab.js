// The lab's part: logins and scenarios. A proxy without a lab has none; the reason stands in its place.

import { get, post } from "./api.js";
import { byId, el, fill, roving, setText, tabStop } from "./dom.js";

const POLL = 1000; // milliseconds

/** Login and scenarios. ``report(error)`` shows an error; ``login(user)`` and ``both(user)`` run logins. */
export class LabPanel {
  constructor({ report, login, both }) {
    this._report = report;
    this._user = byId("login-user");
    this._buttons = [byId("login"), byId("login-both")];
    this._list = byId("scenario-list");
    this._result = byId("scenario-result");
    this._scenarios = [];
    this._running = null;
    this._buttons[0].addEventListener("click", () => login(this._user.value));
    this._buttons[1].addEventListener("click", () => both(this._user.value));
    byId("scenario-search").addEventListener("input", (event) => this._draw(event.target.value));
    roving(this._list, "button");
  }

  /** Read the lab and its scenarios. Return the lab, or null if there ``isNone``: the API would refuse the requests. */
  async load(isNone) {
    const lab = isNone ? null : await get("/api/lab");
    if (lab && this._scenarios.length === 0) this._scenarios = (await get("/api/scenarios")).scenarios;
    byId("no-lab").hidden = byId("scenarios-reason").hidden = !isNone;
    byId("scenarios-body").hidden = isNone;
    document.querySelector(".go").hidden = isNone;
    if (lab) {
      const { users, peers } = lab;
      byId("peers").hidden = peers.length === 1;
      setText(byId("peers"), `${peers.length} Expressway-C peers (${peers.join(", ")}): this page shows and changes ${peers[0]}, `
        + "and each login goes through the next one.");
      if (this._user.options.length !== users.length) {
        fill(this._user, users.map((user) => el("option", { value: user }, user)));
      }
      this._user.disabled = false;
      this.busy(false);
      this._draw(byId("scenario-search").value);
    }
    return lab;
  }

  /** Show whether a login is in progress. */
  busy(isBusy) {
    for (const button of this._buttons) button.setAttribute("aria-disabled", String(isBusy));
    for (const button of this._buttons) button.disabled = false; // a disabled button would lose the focus
    setText(this._buttons[0], isBusy ? "Running …" : "Run login");
  }

  /** Handle an event about a run. */
  runChanged(run) {
    if (this._running === run.id) this._follow(run.id);
  }

  _draw(search) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this._scenarios.filter((scenario) => {
      const text = `${scenario.name} ${scenario.title} ${Object.values(scenario.servers).flat().join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    fill(
      this._list,
      found.map((scenario) =>
        el(
          "li", {},
          el("button", { type: "button", on: { click: () => this._run(scenario) } },
            el("b", {}, scenario.title),
            el("small", {}, scenario.name, " · ", expected(scenario))),
        ),
      ),
      found.length ? null : el("li", { class: "empty" }, "No scenario has these words."),
    );
    tabStop(this._list, "button");
  }

  async _run(scenario) {
    try {
      const run = await post("/api/runs", { scenario: scenario.name });
      this._running = run.id;
      this._report(null);
      fill(this._result, el("p", { class: "note" }, `${scenario.title}: running …`));
      this._follow(run.id);
    } catch (error) {
      this._report(error);
    }
  }

  async _follow(id) {
    clearTimeout(this._timer);
    let run;
    try {
      run = await get(`/api/runs/${id}`);
    } catch (error) {
      this._running = null;
      this._report(error);
      return;
    }
    if (this._running !== id) return;
    const title = this._scenarios.find((scenario) => scenario.name === run.scenario)?.title ?? run.scenario;
    if (run.state === "running") {
      fill(this._result, el("p", { class: "note" }, `${title}: running${run.stage ? `, ${run.stage}` : ""} …`));
      this._timer = setTimeout(() => this._follow(id), POLL);
      return;
    }
    this._running = null;
    if (run.state === "failed") fill(this._result, el("p", { class: "problem" }, `${title}: ${run.error}. ${run.hint}`));
    else fill(this._result, result(title, run.report.scenarios[0]));
  }
}

function expected(scenario) {
  const codes = Object.entries(scenario.servers).map(([server, found]) => `${found.join(", ")} at ${server}`);
  return codes.length ? codes.join("; ") : "nothing refused";
}

/** What a scenario's run showed: a line for each stage. */
function result(title, scenario) {
  const stages = [["before", scenario.before], ["after", scenario.after], ["repaired", scenario.fixed]];
  return [
    el("h3", {}, title),
    el(
      "dl", { class: "stages" },
      stages.filter(([, stage]) => stage).map(([name, stage]) => {
        const found = Object.entries(stage.servers);
        const isGood = found.length === 0 && stage.login.every((seen) => seen === "signed in");
        return [
          el("dt", {}, `${name} (${stage.release})`),
          el(
            "dd", { data: { state: isGood ? "good" : "bad" } },
            isGood ? "✓ " : "✕ ", [...new Set(stage.login)].join(", "),
            found.map(([server, codes]) => el("small", {}, `${codes.join(", ")} at ${server}`)),
          ),
        ];
      }),
    ),
    scenario.ok
      ? el("p", { class: "note" }, "As expected.")
      : el("ul", { class: "problem" }, scenario.differences.map((difference) => el("li", {}, difference))),
    el("p", { class: "note" }, `To show it on this page: mralab lab --scenario ${scenario.name}`),
  ];
}
