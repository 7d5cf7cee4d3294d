"""The control API from other languages: curl in a shell, and Node.js."""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import Administered


async def run(*command: str) -> str:
    """Return the output of a command while the proxy runs in this event loop."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, error.decode()
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(admin: Administered, tmp_path: Path, pem: str) -> None:
    async def curl(path: str, *options: str) -> Any:
        return json.loads(await run("curl", "-sS", "--noproxy", "*", f"http://{admin.address}{path}", *options))

    json_type = ("-H", "Content-Type: application/json")
    assert (await curl("/api/health"))["status"] == "ok"
    changed = await curl("/api/config", "-X", "PATCH", *json_type, "-d", '{"verify": {"origin": "off"}}')
    assert changed["verify"]["origin"] == "off"
    (tmp_path / "body.json").write_text(json.dumps({"pem": pem}))
    added = await curl("/api/trust", *json_type, "--data-binary", f"@{tmp_path / 'body.json'}")
    assert added["added"] == 1
    await curl("/api/diagnostic-logging/start", "-X", "POST")
    assert await admin.status() == 200
    url = f"http://{admin.address}/api/diagnostic-logging/stop"
    await run("curl", "-sS", "--noproxy", "*", "--fail", "-X", "POST", url, "-o", str(tmp_path / "log.tar.gz"))
    with tarfile.open(tmp_path / "log.tar.gz") as archive:
        assert "/loggingsnapshot_" in archive.getnames()[0]
    assert "mralab_requests_total" in await run("curl", "-sS", "--noproxy", "*", f"http://{admin.address}/metrics")
    assert (await curl("/api/reset", "-X", "POST"))["verify"]["origin"] == "on"
    evil = await curl("/api/config", "-H", "Host: evil.example")
    assert evil["error"]["code"] == "host-not-loopback"


NODE = """
const assert = require('node:assert');
const api = 'http://' + process.argv[2];
const send = (method, path, body) => fetch(api + path, {
  method, body: JSON.stringify(body), headers: {'Content-Type': 'application/json'},
});
(async () => {
  const health = await (await fetch(api + '/api/health')).json();
  assert.strictEqual(health.status, 'ok');

  const events = (await fetch(api + '/api/events')).body.getReader();
  const changed = await send('PATCH', '/api/config', {release: 'X14.0.7'});
  assert.strictEqual((await changed.json()).verify.origin, 'off');
  let text = '';
  while (!text.includes('event: config')) text += new TextDecoder().decode((await events.read()).value);
  await events.cancel();

  const wrong = await send('PATCH', '/api/config', {verify: {orign: 'off'}});
  assert.strictEqual(wrong.status, 400);
  assert.match((await wrong.json()).error.message, /did you mean 'origin'/);

  const foreign = await fetch(api + '/api/config', {headers: {'Sec-Fetch-Site': 'cross-site', Origin: 'http://evil.example'}});
  assert.strictEqual(foreign.status, 403);

  await send('POST', '/api/reset');
  console.log((await (await fetch(api + '/api/config')).json()).release);
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
async def test_node(admin: Administered, tmp_path: Path) -> None:
    (tmp_path / "client.js").write_text(NODE)
    version = (await run("node", "--version")).removeprefix("v")
    if int(version.partition(".")[0]) < 18:
        pytest.skip(f"Node.js {version.strip()} has no fetch; 18 does")
    assert (await run("node", str(tmp_path / "client.js"), admin.address)).strip() == "X14.2"
