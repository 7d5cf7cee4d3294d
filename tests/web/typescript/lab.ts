// Operate a lab by the types that are generated from its OpenAPI description: node out/lab.js HOST:PORT
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

interface Outcome<T> {
  data?: T;
  error?: Schemas["ErrorAnswer"] | Schemas["HealthAnswer"];
  response: Response;
}

const [, , admin = ""] = process.argv;
const client = createClient<paths>({ baseUrl: `http://${admin}` });

/** Return the answer of a request that must succeed. */
async function done<T>(request: Promise<Outcome<T>>): Promise<T> {
  const { data, error, response } = await request;
  assert(data !== undefined, `${response.url}: ${response.status} ${JSON.stringify(error)}`);
  return data;
}

const health = await done(client.GET("/api/health"));
assert.deepEqual([health.status, health.release], ["ok", "X14.2"]);

const changed = await done(client.PATCH("/api/config", { body: { release: "X14.2.5", verify: { origin: "on" } } }));
assert.deepEqual([changed.release, changed.verify.origin], ["X14.2.5", "on"]);

const name = "cucm.example.com";
const added = await done(
  client.PUT("/api/hosts/{name}", {
    params: { path: { name } },
    body: { dial: "127.0.0.1", ports: { "8443": 9443 } },
  }),
);
assert.deepEqual([added.name, added.host.ports["8443"]], [name, 9443]);

const login = async () => {
  const { ok, seen, findings } = await done(client.POST("/api/login", { body: { user: "emusk" } }));
  return { ok, seen, codes: findings.map(({ code }) => code) };
};

const at = "cucm:8443";
const fault = await done(client.POST("/api/faults", { body: { at, fault: "Expire", parameters: { days: 3 } } }));
assert.deepEqual([fault.at, fault.times, fault.met], [at, null, 0]);
const expired = await login();
assert.deepEqual([expired.ok, expired.codes.includes("expired")], [false, true]);
const { lifted } = await done(client.DELETE("/api/faults", { body: { ids: [fault.id] } }));
assert.equal(lifted, 1);

const point = await client.POST("/api/fault-points", { body: { port: 9443, certificate: "none", key: "none" } });
assert(point.error !== undefined);
assert.deepEqual([point.response.status, point.error.error.problems.length], [409, 2]);
const { fault_points: points } = await done(client.GET("/api/fault-points"));
assert.deepEqual(points.map(({ address, seen }) => [address, seen.length]), []);

const red = await login();
assert.deepEqual(red, { ok: false, seen: "configuration missing", codes: ["self-signed"] });
const { findings } = await done(client.GET("/api/findings"));
const [finding] = findings;
assert(finding !== undefined);
assert.deepEqual([finding.code, finding.server, finding.port], ["self-signed", "cucm.steven.lab", 6972]);
assert.deepEqual(finding.remedies.map(({ code }) => code).slice(0, 1), ["trust-certificate"]);

const pem = await done(
  client.GET("/api/certificates/{name}", { params: { path: { name: "tomcat-ECDSA" } }, parseAs: "text" }),
);
const trusted = await done(client.POST("/api/trust", { body: { pem } }));
assert.equal(trusted.added, 1);

const green = await login();
assert.deepEqual(green, { ok: true, seen: "signed in", codes: [] });

const restored = await done(client.POST("/api/reset"));
assert.deepEqual([restored.release, name in restored.hosts], ["X14.2", false]);

const refused = await client.PATCH("/api/config", { body: { upstream: { ciphers: "NONE-SUCH" } } });
assert(refused.error !== undefined);
assert.deepEqual([refused.response.status, refused.error.error.code], [409, "unusable"]);

// @ts-expect-error: the compiler refuses a release that does not exist, and so does the API
const unknown = await client.PATCH("/api/config", { body: { release: "X9" } });
assert.equal(unknown.response.status, 400);

console.log(`${health.release}: ${red.codes.join()}, then ${green.seen}`);
