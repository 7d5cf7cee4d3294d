// The trust store: what is in it, adding files, removing certificates.

import { get, post, remove } from "./api.js";
import { byId, el, fill, setText } from "./dom.js";

const LARGEST = 900_000; // bytes: the control API takes a megabyte

/** The trust store. ``report(error)`` shows an error; ``changed(fingerprints)`` is called with each new state. */
export class TrustPanel {
  constructor({ report, changed }) {
    this._report = report;
    this._changed = changed;
    this._list = byId("trust-list");
    this._note = byId("trust-note");
    const file = byId("trust-file");
    file.addEventListener("change", async () => {
      await this._addFiles([...file.files]);
      file.value = "";
    });
    this._acceptDrops(byId("drop"));
  }

  /** Read the trust store. */
  async load() {
    this._show(await get("/api/trust"));
  }

  /** Trust the certificates of a PEM text. */
  async add(pem, name) {
    try {
      const answer = await post("/api/trust", { pem });
      this._show(answer);
      this._report(null);
      setText(this._note, answer.added ? `${name}: ${count(answer.added)} added.` : `${name}: trusted already.`);
    } catch (error) {
      this._report(error, name);
    }
  }

  async _addFiles(files) {
    for (const file of files) {
      if (file.size > LARGEST) setText(this._note, `${file.name}: too large for a PEM file of certificates.`);
      else await this.add(await file.text(), file.name);
    }
  }

  async _remove(certificate) {
    try {
      this._show(await remove("/api/trust", { fingerprints: [certificate.fingerprint] }));
      this._report(null);
      setText(this._note, `${certificate.subject}: removed.`);
      this._note.focus?.();
    } catch (error) {
      this._report(error);
    }
  }

  _show(answer) {
    fill(
      this._list,
      answer.certificates.map((certificate) =>
        el(
          "li", {},
          el("span", { class: "trust-name" }, certificate.subject),
          el("span", { class: "trust-more" }, `until ${certificate.not_after.slice(0, 10)} · ${certificate.fingerprint.slice(0, 23)}…`),
          el("button", { type: "button", class: "quiet", "aria-label": `Remove ${certificate.subject}`,
            on: { click: () => this._remove(certificate) } }, "Remove"),
        ),
      ),
      answer.certificates.length ? null : el("li", { class: "empty" }, "Empty: no server certificate is accepted."),
    );
    this._changed(new Set(answer.certificates.map((certificate) => certificate.fingerprint)));
  }

  _acceptDrops(place) {
    // A file that is dropped beside the target would otherwise replace the page.
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
    place.addEventListener("dragover", () => place.classList.add("over"));
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      place.classList.remove("over");
      this._addFiles([...event.dataTransfer.files]);
    });
  }
}

const count = (number) => (number === 1 ? "one certificate" : `${number} certificates`);
