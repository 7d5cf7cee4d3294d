// Server-sent events. The browser reconnects after a lost connection; a refused one is opened again here.

const KINDS = ["log", "config", "trust", "reset", "cleared", "missed", "run", "lab", "hosts", "faults"];
const AGAIN = 2000; // milliseconds

/** Follow /api/events. Calls ``on(kind, data)`` for each event and ``state(name)`` with live, lost or back. */
export function follow(on, state) {
  let source = null;
  let wasLost = false;

  function open() {
    source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      state(wasLost ? "back" : "live");
      wasLost = false;
    });
    source.addEventListener("error", () => {
      wasLost = true;
      state("lost");
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => on(kind, JSON.parse(event.data)));
    }
  }

  open();
  window.addEventListener("pagehide", () => source.close());
}
