// The switches: each is a key of the configuration, or of the lab, and changes from the next request on.

import { get, patch } from "./api.js";
import { byId, el, fill } from "./dom.js";

const BEFORE = "X14.0.7";
const AFTER = "X14.2";
const RSA_ONLY = "RSA Ciphers Only"; // a value of CUCM's enterprise parameter HTTPS Ciphers

/** The switches. ``report(error)`` shows an error; ``changed(config)`` is called with each configuration in force. */
export class Switches {
  constructor({ report, changed }) {
    this._report = report;
    this._changed = changed;
    this._ofLab = { advertise: byId("switch-advertise"), https_ciphers: byId("switch-https") };
    this._selects = {
      release: byId("switch-release"),
      verify: byId("switch-verify"),
      prefer: byId("switch-prefer"),
      connections: byId("switch-connections"),
    };
    const { release, verify, prefer, connections } = this._selects;
    release.addEventListener("change", () => this.setRelease(release.value));
    verify.addEventListener("change", () => this._send({ verify: { origin: verify.value } }));
    prefer.addEventListener("change", () => this._send({ upstream: { prefer: prefer.value } }));
    connections.addEventListener("change", () => this._send({ upstream: { connections: connections.value } }));
    for (const [key, select] of Object.entries(this._ofLab)) {
      select.addEventListener("change", () => this._sendLab({ [key]: select.value }));
    }
  }

  /** Read the releases that the proxy knows, then the configuration in force. */
  async load() {
    if (!this._hasReleases) {
      const description = await get("/api/openapi.json");
      const known = description.components.schemas.ConfigChange.properties.release.enum ?? [];
      fill(
        this._selects.release,
        el("optgroup", { label: "The change" }, option(BEFORE, `${BEFORE}, before`), option(AFTER, `${AFTER}, after`)),
        el("optgroup", { label: "All" }, known.filter((name) => name !== BEFORE && name !== AFTER).map((name) => option(name))),
      );
      this._hasReleases = true;
    }
    this.show(await get("/api/config"));
  }

  /** Show a configuration. */
  show(config) {
    this._config = config;
    this._selects.release.value = config.release;
    this._selects.verify.value = config.verify.origin;
    this._selects.prefer.value = config.upstream.prefer ?? "";
    this._selects.connections.value = config.upstream.connections;
    for (const select of Object.values(this._selects)) select.disabled = false;
    this._changed(config);
  }

  /** Show the lab's part; null: there is no lab. */
  showLab(lab) {
    for (const select of Object.values(this._ofLab)) select.disabled = lab === null;
    if (lab === null) return;
    this._ofLab.advertise.value = lab.advertise;
    this._ofLab.https_ciphers.value = lab.https_ciphers === RSA_ONLY ? "rsa" : "all";
  }

  /** Change to a release. Verification and cipher preference become those of the release. */
  async setRelease(release) {
    return this._send({ release, verify: { origin: null }, upstream: { prefer: null } });
  }

  async _send(change) {
    try {
      this.show(await patch("/api/config", change));
      this._report(null);
      return true;
    } catch (error) {
      this._report(error);
      if (this._config) this.show(this._config);
      return false;
    }
  }

  async _sendLab(change) {
    try {
      this.showLab(await patch("/api/lab", change));
      this._report(null);
    } catch (error) {
      this._report(error);
      this.showLab(await get("/api/lab").catch(() => null));
    }
  }
}

const option = (value, text = value) => el("option", { value }, text);
