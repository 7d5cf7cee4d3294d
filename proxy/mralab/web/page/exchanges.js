// From the steps of a ladder to its rows: one exchange for each request, with all its steps.

/** Requests that are drawn; older ones are only counted. */
export const MOST_SHOWN = 40;

const URL_PARTS = /^(\S+) https?:\/\/[^/]*(\/.*)?$/;

const ORDER = ["Client", "Expressway-E", "Expressway-C", "CUCM", "TFTP", "IM and Presence", "Unity Connection", "Server"];
const KINDS = { cucm: "CUCM", imp: "IM and Presence", unity: "Unity Connection" };
const BEFORE_ANY_REQUEST = [
  { id: "client", role: "Client", name: "", addresses: [] },
  { id: "expressway", role: "Expressway-C", name: "", addresses: [] },
];

/** Return the participants of a ladder (null: none yet), and a server of each kind that the lab has (null: no lab). */
export function participantsOf(ladder, lab) {
  const known = ladder === null || ladder.steps.length === 0 ? BEFORE_ANY_REQUEST : ladder.participants;
  const found = [...known];
  for (const node of lab?.nodes ?? []) {
    const role = KINDS[node.kind];
    if (role && found.every((each) => each.role !== role)) {
      found.push({ id: `lab-${node.name}`, role, name: node.fqdn, addresses: [node.ip] });
    }
  }
  return found.sort((one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role));
}

/** Return the exchanges of a ladder, oldest first, the latest ``MOST_SHOWN`` of them. */
export function exchangesOf(ladder, participants) {
  const exchanges = new Map();
  for (const step of ladder.steps) {
    const key = step.transaction ? `${step.process}-${step.transaction}` : `step-${step.number}`;
    if (!exchanges.has(key)) exchanges.set(key, { key, steps: [] });
    exchanges.get(key).steps.push(step);
  }
  return [...exchanges.values()].slice(-MOST_SHOWN).map((each) => summarized(each.key, each.steps, participants));
}

/** Return how many requests of a ladder are not drawn. */
export function notShown(ladder, exchanges) {
  return Math.max(0, ladder.transactions - exchanges.length);
}

function summarized(key, steps, participants) {
  const first = steps[0];
  const request = steps.find((step) => step.kind === "request");
  const places = new Map(participants.map((participant, place) => [participant.id, place]));
  const server = steps.flatMap((step) => [step.from, step.to]).find((id) => id.startsWith("server-"));
  const stopped = steps.findLast((step) => step.kind === "refused" || (step.kind === "failed" && step.ok === false));
  const warning = steps.find((step) => step.kind === "handshake");
  const answer = steps.findLast((step) => step.kind === "answer" && step.to === "client");
  const match = URL_PARTS.exec(request?.label ?? "");
  return {
    key,
    steps,
    at: first.at,
    transaction: first.transaction,
    method: match ? match[1] : "",
    path: match ? (match[2] ?? "/") : (request ?? first).label,
    server: first.server,
    port: first.port,
    place: server === undefined ? 1 : places.get(server),
    outcome: first.outcome,
    state: stateOf(first.outcome, answer),
    stopped,
    warning,
    answer,
    cause: steps.find((step) => step.finding !== null && step.finding !== undefined) ?? null,
  };
}

function stateOf(outcome, answer) {
  if (outcome === "pending") return "pending";
  if (outcome === "tolerated") return "warned";
  if (outcome === "passed") return answer && answer.status >= 400 ? "error" : "good";
  return "bad";
}

/** Words for each state, so that colour is not the only sign. */
export const WORDS = {
  pending: "waiting",
  good: "answered",
  warned: "let through with a fault",
  error: "answered with an error",
  bad: "failed",
};

const OUTCOME_WORDS = {
  refused: "certificate refused",
  denied: "denied",
  failed: "failed",
  malformed: "malformed",
  abandoned: "the client left",
};

/** Return in a few words what became of an exchange. */
export const became = (exchange) => OUTCOME_WORDS[exchange.outcome] ?? WORDS[exchange.state];

/** Return what the page shows, as it is kept for Compare and Replay. */
export function snapshot(page) {
  const { release, note, refusing, login, findings, exchanges, participants } = page;
  return { release, note, refusing, login, findings, exchanges, participants };
}
