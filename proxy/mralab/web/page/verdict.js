// The result in one line: does the login work, and if not, where it broke and why.

import { byId, setText } from "./dom.js";

/** Draw the verdict about the requests of the page. */
export function drawVerdict(page) {
  const { state, title, text } = verdict(page);
  const place = byId("verdict");
  place.dataset.state = state;
  setText(byId("verdict-title"), title);
  setText(byId("verdict-text"), text);
  document.title = state === "idle" ? "mralab: the login ladder" : `${MARKS[state]} ${title}`;
}

const MARKS = { running: "…", good: "✓", warned: "!", bad: "✕" };

const requests = (number) => (number === 1 ? "1 request" : `${number} requests`);
const answered = (number) => (number === 1 ? "1 request, answered." : `${requests(number)}, all answered.`);
const share = (failed, all) =>
  all === 1 ? "The request failed" : failed === all ? `All ${requests(all)} failed` : `${failed} of ${requests(all)} failed`;

function verdict(page) {
  const { login, exchanges, release } = page;
  if (page.running !== null) {
    return { state: "running", title: `${page.running} is logging in …`, text: `${requests(exchanges.length)} so far.` };
  }
  if (login === null && page.ladder === null) {
    return { state: "idle", title: "Connecting to the proxy …", text: "The ladder shows requests as they arrive." };
  }
  if (login === null && exchanges.length === 0) {
    return { state: "idle", title: "Nothing has happened yet.", text: "Run a login, or send a client through the proxy." };
  }
  const failed = exchanges.filter((exchange) => exchange.state === "bad");
  const isGood = login === null ? failed.length === 0 : login.ok;
  const isWarned = exchanges.some((exchange) => exchange.state === "warned");
  const title = login === null
    ? isGood ? "Every request was answered" : share(failed.length, exchanges.length)
    : `${login.user}: ${login.seen}`;
  if (isGood) {
    const text = isWarned ? "Certificates have faults, which audit mode only logs." : answered(exchanges.length);
    return { state: isWarned ? "warned" : "good", title: `${title} (${release})`, text };
  }
  const causes = [...new Set(page.findings.map((finding) => finding.cause))];
  const more = causes.length > 1 ? ` ${causes.length - 1} more ${causes.length > 2 ? "findings" : "finding"}.` : "";
  const text = causes.length ? causes[0] + more : (login?.steps.find((step) => !step.ok)?.meaning ?? "");
  return { state: "bad", title: `${title} (${release})`, text };
}
