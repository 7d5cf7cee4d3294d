// Server-sent events, and a new connection when one is lost.
//
// The browser's own attempts to reconnect end when an attempt is refused, which is what a restart of the proxy looks
// like. Events of the time between are not needed: after each connection the page reads everything again.

const KINDS = ["log", "config", "trust", "reset", "cleared", "missed", "run", "lab"];
const AGAIN = 1000; // milliseconds

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
      source.close();
      if (!wasLost) state("lost");
      wasLost = true;
      setTimeout(open, AGAIN);
    });
    for (const kind of KINDS) source.addEventListener(kind, (event) => on(kind, JSON.parse(event.data)));
  }

  open();
}
