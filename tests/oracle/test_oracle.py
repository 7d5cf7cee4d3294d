"""Comparison of mralab with a real Traffic Server 9.2.9 in front of the same servers.

It covers everything that can be observed of a request: the status, every WARNING line, and at the server the number of
attempts, the SNI names and the TLS alerts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from tests.net.running_proxy import RunningProxy, running_proxy

from .cases import DEVIATIONS, Case, build
from .pki import Minted
from .servers import SERVERS, Seen, TrafficServer, Upstreams, find_traffic_server, traffic_server
from .strategies import HOSTS, Authorities, Drawn, drawn

POLICIES = {"on": "ENFORCED", "audit": "PERMISSIVE", "off": "DISABLED"}
ATTEMPTS = 2
GENERATED = 160
_WARNING = re.compile(r"WARNING: ((?:Core server|SNI \().*)")


class Outcome(NamedTuple):
    """Observations of a request."""

    status: str
    warnings: tuple[str, ...]
    upstream: Seen


@pytest.fixture(scope="module")
def program() -> str:
    found, version = find_traffic_server()
    if not found:
        pytest.skip("no traffic_server here: install Traffic Server 9.2 (Debian: trafficserver) to compare with it")
    if "Traffic Server 9.2" not in version:
        pytest.skip(f"{found} is {version!r}: compared is Traffic Server 9.2")
    return found


class Both:
    """Traffic Server and mralab, which get each request one after the other."""

    def __init__(self, upstreams: Upstreams, theirs: TrafficServer, ours: RunningProxy) -> None:
        self.upstreams = upstreams
        self._theirs, self._ours = theirs, ours
        self._compared = 0  # discards events of earlier requests
        self._writer = LineWriter("vcsc", 1, debug=False)

    async def ask(self, case: Case) -> tuple[Outcome, Outcome]:
        """Send a request to both; return the outcomes of mralab and of Traffic Server."""
        status = await _get(self._theirs.port, f"/{case.name}/")
        theirs = _outcome(status, self._theirs.lines(), await asyncio.to_thread(self.upstreams.seen))
        token = encode(Target("steven.lab", "https", case.host, self.upstreams.ports[case.name]))
        status = await _get(self._ours.port, f"/{token}/")
        seen = await asyncio.to_thread(self.upstreams.seen)
        events = await self._ours.events()
        latest, self._compared = events[self._compared :], len(events)
        return _outcome(status, [self._writer.format(event) for event in latest], seen), theirs


@asynccontextmanager
async def both(
    program: str, folder: Path, mode: str, cases: Sequence[Case], trust: Sequence[Minted]
) -> AsyncIterator[Both]:
    """Run both proxies in front of the servers of these cases."""
    tables: dict[str, Any] = {
        "proxy": {"listen": "127.0.0.1:0"},
        "verify": {"origin": mode, "ip_san": "ignore", "openssl": "3"},
        "upstream": {"attempts": ATTEMPTS, "tls": ["1.2", "1.3"], "connect_timeout": 20.0, "response_timeout": 20.0},
        "hosts": {c.host: {"ip": SERVERS, "dial": SERVERS} for c in cases if "127." not in c.host},
        "allow": {"rules": "rules.csv", "automatic": False},
        "log": {"file": "traffic_server.log"},
    }
    (folder / "ts").mkdir()
    trusted = b"".join(one.pem for one in trust)
    with (
        Upstreams(cases, folder) as upstreams,
        traffic_server(program, folder / "ts", POLICIES[mode], cases, upstreams.ports, trust) as theirs,
    ):
        (folder / "rules.csv").write_text(
            "Url,Deployment,HttpMethods,MatchType,Description\n"
            + "".join(f"https://{case.host}:{upstreams.ports[case.name]}/,,GET,prefix,\n" for case in cases)
        )
        async with running_proxy(folder, tables, trusted) as ours:
            yield Both(upstreams, theirs, ours)


@pytest.mark.parametrize("mode", POLICIES)
async def test_as_traffic_server(mode: str, program: str, tmp_path: Path) -> None:
    """Every case except DEVIATIONS has the outcome of Traffic Server."""
    cases, trust = build()
    wrong: list[str] = []
    async with both(program, tmp_path, mode, cases, trust) as proxies:
        for case in cases:
            got, expected = await proxies.ask(case)
            if case.name in DEVIATIONS and mode != "off":
                if got == expected:
                    wrong.append(f"{case.about}\n  no deviation any more: {got}")
            elif got != expected:
                wrong.append(f"{case.about}\n  ours:   {got}\n  theirs: {expected}")
    assert not wrong, f"{len(wrong)} of {len(cases)} cases differ:\n" + "\n".join(wrong)


@pytest.mark.parametrize("mode", POLICIES)
def test_drawn_certificates_as_traffic_server(mode: str, program: str, tmp_path: Path) -> None:
    """The certificates that hypothesis draws are presented by the servers of a few hosts, one after the other."""
    (first, *_), trust = build()
    authorities = Authorities(trust[0])
    stage = {host: Case(f"stage-{number}", host, first.chain) for number, host in enumerate(HOSTS)}
    compared: set[Drawn] = set()

    with asyncio.Runner() as runner:
        setting = both(program, tmp_path, mode, list(stage.values()), trust)
        proxies = runner.run(setting.__aenter__())

        # The same examples in each run, so that a failure in CI can be reproduced. No deadline: two proxies and a
        # server share the machine with other tests, and each request has its own time limit.
        @settings(
            max_examples=GENERATED,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=(HealthCheck.too_slow,),
        )
        @given(drawn())
        def compare(it: Drawn) -> None:
            case = stage[it.host].with_chain(authorities.chain(it), tls12=it.tls12)
            proxies.upstreams.present(case)
            ours, theirs = runner.run(proxies.ask(case))
            compared.add(it)
            assert ours == theirs

        try:
            compare()
        finally:
            runner.run(setting.__aexit__(None, None, None))
    assert len(compared) >= 120


def _outcome(status: str, lines: Sequence[str], seen: Seen) -> Outcome:
    found = (_WARNING.search(line) for text in lines for line in text.splitlines())
    return Outcome(status, tuple(match[1].rstrip() for match in found if match), seen)


async def _get(port: int, path: str) -> str:
    """Return the status of a proxy's response."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
    return answer[9:12].decode("latin-1")
