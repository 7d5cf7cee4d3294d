// The page: events of the proxy drive it, and the ladder is read again when something happened.

import { get, post } from "./api.js";
import { connectAppearance } from "./appearance.js";
import { CompareView } from "./compare.js";
import { DetailsView } from "./details.js";
import { byId, setText } from "./dom.js";
import { exchangesOf, MOST_SHOWN, notShown, participantsOf, snapshot } from "./exchanges.js";
import { LabPanel } from "./lab.js";
import { LadderView } from "./ladder.js";
import { LogView, MOST_LINES } from "./log.js";
import { connectRecording } from "./recording.js";
import { ReplayView } from "./replay.js";
import { follow } from "./stream.js";
import { Switches } from "./switches.js";
import { TrustPanel } from "./trust.js";
import { drawVerdict } from "./verdict.js";

const SOONEST = 120; // milliseconds between two readings of the ladder, longer if a reading takes long
const QUIET = 1500; // milliseconds without an event after which a login that was not begun here counts as over

const page = {
  config: null,
  release: "", // under which the drawn requests were made
  note: "", // the same with the mode of verification
  refusing: false,
  login: null, // the latest login's report, if it was begun here
  running: null, // the user whose login is in progress
  lab: null, // the lab's state; null: a proxy without a lab
  ladder: null,
  participants: participantsOf(null, null),
  findings: [],
  exchanges: [],
  selected: null, // key of the selected exchange
  isChosen: false, // by a person; else the page selects what failed
  shown: [null, null, []], // what the details show: exchange, finding and participants
  trusted: new Set(),
  view: "live",
};

const live = new LadderView(byId("view-live"), { select: (exchange) => choose(exchange.key), point: highlight });
const details = new DetailsView(byId("details-body"), {
  trust: (certificate) => trust.add(certificate.pem, certificate.subject),
  pointLine: (text) => log.show(text),
});
const log = new LogView(byId("log"), { select: (key) => choose(key), point: highlight });
const compare = new CompareView(byId("view-compare"), showOf);
const replay = new ReplayView(byId("view-replay"), (exchange, run) => page.view === "replay" && showOf(exchange, run));
const trust = new TrustPanel({ report, changed: trustChanged });
const switches = new Switches({ report, changed: configChanged });
const lab = new LabPanel({ report, login: runLogin, both: runBoth });

// -- selection

function choose(key) {
  page.isChosen = true;
  select(key, true);
}

function select(key, scroll = false) {
  page.selected = key;
  live.mark(key);
  log.mark(key, scroll);
  drawDetails();
}

function highlight(key) {
  live.highlight(key);
  log.highlight(key);
}

function findingOf(exchange, findings) {
  const step = exchange?.cause;
  if (!step) return null;
  return findings.find((finding) => finding.code === step.code && finding.port === step.port
    && finding.server.toLowerCase() === step.server.toLowerCase()) ?? null;
}

/** Show the selected exchange of the live ladder; the other views show theirs themselves. */
function drawDetails() {
  if (page.view !== "live") return;
  showOf(page.exchanges.find((each) => each.key === page.selected) ?? null, page);
}

/** Show an exchange of the page or of a kept run, which may no longer be in the journal. */
function showOf(exchange, run) {
  page.shown = [exchange, findingOf(exchange, run.findings), run.participants];
  details.draw(...page.shown, page.trusted);
}

// -- the ladder

let timer = 0;
let quiet = 0;
let reading = null; // a reading in progress
let next = null; // the reading after it, if one is wanted
let pause = SOONEST;
let isComplete = false; // else findings are read again, and not only for causes that are new

function changed() {
  timer ||= setTimeout(() => {
    timer = 0;
    refresh();
  }, pause);
  clearTimeout(quiet);
  quiet = setTimeout(becomeQuiet, QUIET);
}

async function becomeQuiet() {
  await refreshAll();
  if (page.running === null) settle();
}

/** Read everything again about the requests. */
function refreshAll() {
  isComplete = false;
  return refresh();
}

/** Read the ladder again, and the findings that it needs. Resolves after a reading that began after this call. */
function refresh() {
  const begin = () => {
    next = null;
    reading = read();
    return reading;
  };
  next ??= Promise.resolve(reading).then(begin, begin);
  return next;
}

async function read() {
  const began = performance.now();
  try {
    page.ladder = await get(`/api/ladder?most=${MOST_SHOWN}`);
    page.participants = participantsOf(page.ladder, page.lab);
    page.exchanges = exchangesOf(page.ladder, page.participants);
    const isExplained = (exchange) => !exchange.cause || findingOf(exchange, page.findings) !== null;
    if (!isComplete || !page.exchanges.every(isExplained)) {
      isComplete = true;
      page.findings = (await get("/api/findings")).findings;
    }
  } catch (error) {
    if (error.status !== 0) report(error); // the stream says that the connection is lost
    return;
  }
  drawLadder();
  pause = Math.max(SOONEST, 3 * (performance.now() - began));
}

function drawLadder() {
  live.draw(page.participants, page.exchanges, {
    note: page.note,
    refusing: page.refusing,
    omitted: page.ladder ? notShown(page.ladder, page.exchanges) : 0,
  });
  log.tie(page.exchanges);
  if (!page.isChosen || !page.exchanges.some((exchange) => exchange.key === page.selected)) {
    const first = (state) => page.exchanges.find((exchange) => exchange.state === state);
    select((first("bad") ?? first("warned") ?? page.exchanges.at(-1))?.key ?? null);
  } else {
    drawDetails();
  }
  drawVerdict(page);
}

/** Keep the requests so far as the last login under the release in force. */
function settle() {
  if (page.exchanges.length === 0 || page.release === "") return;
  const run = snapshot(page);
  compare.keep(run);
  if (run.exchanges.some((exchange) => exchange.state === "bad")) log.showSelected();
  if (page.view !== "replay") replay.load(run);
}

// -- logins

async function runLogin(user) {
  if (page.running !== null) return false;
  Object.assign(page, { running: user, login: null, isChosen: false });
  lab.busy(true);
  drawVerdict(page);
  try {
    page.login = await post("/api/login", { user });
    report(null);
  } catch (error) {
    report(error);
  }
  await refreshAll();
  page.running = null;
  lab.busy(false);
  drawVerdict(page);
  settle();
  return page.login !== null;
}

async function runBoth(user) {
  if (page.running !== null) return;
  for (const release of ["X14.0.7", "X14.2"]) {
    if (!(await switches.setRelease(release)) || !(await runLogin(user))) return;
  }
  show("compare");
}

// -- what changes

function configChanged(config) {
  page.config = config;
  if (page.exchanges.length === 0) noteRelease();
  drawVerdict(page);
}

function noteRelease() {
  const mode = { on: "verifies", off: "does not verify", audit: "logs faults only" }[page.config.verify.origin];
  page.release = page.config.release;
  page.note = `${page.release}: ${mode}`;
  page.refusing = page.config.verify.origin === "on";
  live.draw(page.participants, page.exchanges, page);
}

function trustChanged(fingerprints) {
  page.trusted = fingerprints;
  details.draw(...page.shown, page.trusted);
}

/** Show an error, ``about`` a file for example; null: there is none any more. */
function report(error, about = "") {
  const place = byId("problem");
  place.hidden = error === null;
  if (error !== null) setText(place, (about ? `${about}: ` : "") + (error.text ?? String(error)));
}

const handlers = {
  log({ line }) {
    log.add(line);
    if (page.config) noteReleaseOnce();
    changed();
  },
  missed({ count }) {
    log.add(`… ${count} ${count === 1 ? "event" : "events"} left out: this page could not read them fast enough …`);
    changed();
  },
  config: () => switches.load(),
  trust: () => trust.load(),
  cleared: () => emptied(),
  reset: () => Promise.all([emptied(), switches.load(), trust.load()]),
  lab: () => page.config && loadLab(), // load() reads the lab after the first configuration
  run: (run) => lab.runChanged(run),
};

let notedFor = "";

/** The requests that follow are made under the settings in force now. */
function noteReleaseOnce() {
  const { release, verify } = page.config;
  if (notedFor === `${release} ${verify.origin}`) return;
  notedFor = `${release} ${verify.origin}`;
  noteRelease();
}

function emptied() {
  log.clear();
  Object.assign(page, { isChosen: false, selected: null, login: page.running === null ? null : page.login });
  notedFor = "";
  return refreshAll();
}

async function loadLab() {
  page.lab = await lab.load(!page.config.lab);
  switches.showLab(page.lab);
}

async function load() {
  await Promise.all([
    switches.load().then(loadLab),
    trust.load(),
    get(`/api/log?most=${MOST_LINES}`).then(({ lines }) => log.replace(lines)),
  ]);
  await refreshAll();
  settle();
}

// -- the frame

const STATES = { connecting: "connecting", live: "live", lost: "connection lost, reconnecting", back: "connection back" };

function streamState(name) {
  const place = byId("stream-state");
  place.dataset.state = name;
  setText(place, STATES[name]);
  if (name === "live" || name === "back") load().catch((error) => error.status !== 0 && report(error));
  if (name === "lost") lab.busy(false);
}

function show(view) {
  page.view = view;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  for (const name of ["live", "compare", "replay"]) byId(`view-${name}`).hidden = name !== view;
  document.body.dataset.view = view;
  if (view === "live") drawDetails();
  if (view === "compare") compare.draw();
  if (view === "replay") {
    replay.go(0);
    byId("ladder-section").scrollIntoView({ block: "start" });
  }
}

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => show(button.dataset.view));
}
byId("clear").addEventListener("click", () => post("/api/journal/clear").then(() => report(null), report));
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented) return;
  const isTyping = event.target.closest("input, select, textarea, summary, .log");
  const isPressed = event.key === " " && event.target.closest("button");
  if (page.view === "replay" && !isTyping && !isPressed && replay.key(event)) event.preventDefault();
});

connectAppearance();
connectRecording(report);
drawLadder();
follow((kind, data) => handlers[kind]?.(data), streamState);
