"""Our proxy against a real Traffic Server 9.2.9, before the same servers: status, warnings and TLS alerts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from mralab.config import from_mapping
from mralab.core.allowlist import parse_rules_csv
from mralab.core.events import Event
from mralab.core.logline import LineWriter
from mralab.core.target import Target, encode
from mralab.net.proxy import Proxy
from mralab.net.trust import TrustStore

from .cases import DEVIATIONS, build
from .servers import Upstreams, find_traffic_server, traffic_server

POLICIES = {"on": "ENFORCED", "audit": "PERMISSIVE", "off": "DISABLED"}
_WARNING = re.compile(r"WARNING: ((?:Core server|SNI \().*)")


class Seen(NamedTuple):
    """What a case came to."""

    status: str
    warnings: tuple[str, ...]
    alerts: tuple[str, ...]


@pytest.fixture(scope="module")
def program() -> str:
    found, version = find_traffic_server()
    if not found:
        pytest.skip("no traffic_server here: install Traffic Server 9.2 (Debian: trafficserver) to compare with it")
    if "Traffic Server 9.2" not in version:
        pytest.skip(f"{found} is {version!r}: compared is Traffic Server 9.2")
    return found


@pytest.mark.parametrize("mode", POLICIES)
async def test_as_traffic_server(mode: str, program: str, tmp_path: Path) -> None:
    """Every case has the status, the WARNING lines and the TLS alert of Traffic Server, but for DEVIATIONS."""
    cases, trust = build()
    assert len(cases) >= 120
    hosts = {case.host: {"ip": "127.0.0.1", "dial": "127.0.0.1"} for case in cases if "127." not in case.host}
    config = from_mapping(
        {
            "proxy": {"listen": "127.0.0.1:0"},
            "verify": {"origin": mode, "ip_san": "ignore", "openssl": "3"},
            "upstream": {"attempts": 2, "tls": ["1.2", "1.3"], "connect_timeout": 5.0, "response_timeout": 5.0},
            "hosts": hosts,
            "allow": {"automatic": False},
        },
        tmp_path,
    )
    folder = tmp_path / "ts"
    folder.mkdir()
    store = TrustStore([one.certificate for one in trust])
    events: list[Event] = []
    writer = LineWriter("vcsc", 1, debug=False)
    wrong: list[str] = []
    with (
        Upstreams(cases, tmp_path) as upstreams,
        traffic_server(program, folder, POLICIES[mode], cases, upstreams.ports, trust) as theirs,
    ):
        rules = parse_rules_csv(
            "Url,Deployment,HttpMethods,MatchType,Description\n"
            + "".join(f"https://{case.host}:{upstreams.ports[case.name]}/,,GET,prefix,\n" for case in cases),
            "rules",
        )
        async with Proxy(config, store=store, rules=rules, listener=events.append) as ours:
            for case in cases:
                token = encode(Target("steven.lab", "https", case.host, upstreams.ports[case.name]))
                status = await _get(theirs.port, f"/{case.name}/")
                alerts = await asyncio.to_thread(upstreams.alerts)
                expected = _seen(status, theirs.lines(), alerts)
                events.clear()
                status = await _get(ours.port, f"/{token}/")
                alerts = await asyncio.to_thread(upstreams.alerts)
                got = _seen(status, (writer.format(event) for event in events), alerts)
                if case.name in DEVIATIONS and mode != "off":
                    if got == expected:
                        wrong.append(f"{case.about}\n  no deviation any more: {got}")
                elif got != expected:
                    wrong.append(f"{case.about}\n  ours:   {got}\n  theirs: {expected}")
    assert not wrong, f"{len(wrong)} of {len(cases)} cases differ:\n" + "\n".join(wrong)


def _seen(status: str, lines: Iterable[str | bytes], alerts: Iterable[str]) -> Seen:
    texts = (line.decode("latin-1") if isinstance(line, bytes) else line for line in lines)
    warnings = (match[1].rstrip() for text in texts for line in text.splitlines() if (match := _WARNING.search(line)))
    return Seen(status, tuple(dict.fromkeys(warnings)), tuple(dict.fromkeys(alerts)))


async def _get(port: int, path: str) -> str:
    """The status that a proxy answers."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
    return answer[9:12].decode("latin-1")
