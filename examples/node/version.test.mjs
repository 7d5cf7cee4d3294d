// Your CUCM mock behind an Expressway-C, with Node.js alone: `node --test`. Needs mralab and openssl on the PATH.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

const CUCM = "cucm.example.com";
const folder = mkdtempSync(join(tmpdir(), "mralab-"));
const inFolder = (name) => join(folder, name);
let mock;

before(async () => {
  // The mock; replace it with yours. Its certificate is self-signed.
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-days", "2", "-subj", `/CN=${CUCM}`, "-addext", `subjectAltName=DNS:${CUCM}`,
    "-keyout", inFolder("mock.key"), "-out", inFolder("mock.pem")], { stdio: "ignore" });
  const tls = { key: readFileSync(inFolder("mock.key")), cert: readFileSync(inFolder("mock.pem")) };
  mock = https.createServer(tls, (_request, response) => response.end("<versionInformation/>"));
  mock.listen(0, "127.0.0.1");
  await once(mock, "listening");
});

after(() => {
  mock.close();
  rmSync(folder, { recursive: true });
});

/** Run `use` with the address of a proxy of that release that trusts the PEM file `trust`. */
async function through(release, trust, use) {
  writeFileSync(inFolder("mralab.toml"), `
    release = "${release}"
    proxy = { listen = "127.0.0.1:0", admin = "" }
    trust = { store = "${trust}" }
    allow = { everything = true }
    hosts."${CUCM}" = { dial = "127.0.0.1", port = ${mock.address().port} }
  `);
  const proxy = spawn("mralab", ["serve", "-c", inFolder("mralab.toml")], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(proxy, "exit");
  try {
    const [line] = await once(createInterface({ input: proxy.stdout }), "line");
    return await use(`http://${JSON.parse(line).listening}`);
  } finally {
    proxy.kill("SIGTERM");
    await ended;
  }
}

/** Return the status of `url`, requested as a remote client does: the first segment has domain, protocol, host and port. */
async function status(proxy, url) {
  const { protocol, hostname, port, pathname } = new URL(url);
  const token = Buffer.from(`example.com/${protocol.slice(0, -1)}/${hostname}/${port}`).toString("base64url");
  const [response] = await once(http.get(`${proxy}/${token}${pathname}`, { agent: false }), "response");
  response.resume();
  return response.statusCode;
}

const version = `https://${CUCM}:8443/cucm-uds/version`;

test("X14.0.7 lets a self-signed certificate through", async () => {
  assert.equal(await through("X14.0.7", "", (proxy) => status(proxy, version)), 200);
});

test("X14.2 refuses it, and the log says why", async () => {
  assert.equal(await through("X14.2", "", (proxy) => status(proxy, version)), 502);
  assert.match(readFileSync(inFolder("traffic_server.log"), "utf8"), /Error=self signed certificate server=cucm/);
});

test("X14.2 takes it once it is trusted", async () => {
  assert.equal(await through("X14.2", "mock.pem", (proxy) => status(proxy, version)), 200);
});
