// Diagnostic logging: start a new log, stop it, and download its archive.

import { attachment, post } from "./api.js";
import { byId, el, setText } from "./dom.js";

/** Connect the buttons. ``report(error)`` shows an error. */
export function connectRecording(report) {
  const [start, stop, note] = ["recording-start", "recording-stop", "recording-note"].map(byId);
  stop.disabled = false; // a recording may have been started elsewhere

  start.addEventListener("click", async () => {
    try {
      const { started } = await post("/api/diagnostic-logging/start");
      setText(note, `Running since ${started.slice(11, 19)} UTC.`);
      report(null);
    } catch (error) {
      report(error);
    }
  });

  stop.addEventListener("click", async () => {
    try {
      const { name, data } = await attachment("/api/diagnostic-logging/stop");
      save(name, data);
      setText(note, `Stopped. Downloaded ${name}.`);
      report(null);
    } catch (error) {
      report(error);
    }
  });
}

function save(name, data) {
  const url = URL.createObjectURL(data);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
