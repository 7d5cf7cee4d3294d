"""Every scenario of the table in modes on, audit and off, with two attempts and with four.

Compared with 8.1.11 and OpenSSL 1.1.1: the status line, WARNING and ERROR lines in their order, the alert and the name
that the server received, and the number of its connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from mralab.core.log.events import RequestSent
from mralab.core.log.writer import LineWriter

from .conftest import RunningProxy, Server
from .scenarios import (
    FAILED,
    MISNAMED,
    NAME,
    OK,
    SCENARIOS,
    VERIFY_FAILED,
    Certificates,
    Scenario,
    answer_ok,
    context_of,
    mint_all,
)

_LINE = re.compile(r"(?:WARNING|ERROR): .*")
BODY = b"ping"
DNS: Final = {"unknown": socket.EAI_NONAME, "servfail": socket.EAI_AGAIN}
ALERTS: Final = {it.alert for it in SCENARIOS.values() if it.alert}


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return mint_all()


def _expected(it: Scenario, host: str, mode: str, attempts: int) -> tuple[str, list[str], list[str], int]:
    """Return status line, log lines, alerts and connections."""
    ip = host if host[0].isdigit() else "127.0.0.1"
    logged = it.faults if mode == "audit" else it.faults[:1] if mode == "on" else ()
    action = "Terminate" if mode == "on" else "Continue"
    lines = [
        f"WARNING: SNI ({host}) not in certificate. Action={action} server={host}({ip})"
        if fault == NAME
        else f"WARNING: Core server certificate verification failed for ({host}). Action={action} Error={fault[0]} "
        f"server={host}({ip}) depth={fault[1]}"
        for fault in logged
    ]
    refused = mode == "on" and bool(logged)
    error = VERIFY_FAILED if refused else it.error
    if error:
        lines.append(f"ERROR: SSL connection failed for '{host}': {error}")
    status = FAILED if refused else it.status
    tries = attempts if refused or (not it.once and it.status not in (OK, "")) else 1
    alerted = it.alert and (refused or not it.faults)
    return status, lines * tries, [it.alert] * tries if alerted else [], tries


async def _as_expected(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    certificates: Certificates,
    folder: Path,
    name: str,
    mode: str,
    attempts: int,
    ip_san: str,
    it: Scenario,
) -> None:
    host = it.host or f"{name}.ats.test"
    with contextlib.ExitStack() as stack:
        if it.server == "tls":
            context = context_of(certificates.chains[name], it.setup)
            server = serving(context, before_tls=it.before_tls, handle=it.handle or answer_ok)
        else:
            bound = stack.enter_context(socket.socket())  # bound, so that no other program can listen on it
            bound.bind(("127.0.0.1", 0))
            server = Server(None, port=bound.getsockname()[1])
        rules = f'Url,Deployment,HttpMethods,MatchType,Description\nhttps://{host}:{server.port},,"GET,POST",prefix,\n'
        (folder / "scenario.csv").write_text(rules)
        place = {"dial": "127.0.0.1"} if host[0].isdigit() else {"ip": "127.0.0.1", "dial": "127.0.0.1"}
        proxy: RunningProxy = await proxying(
            server,
            trust=certificates.trust_pem,
            verify={"origin": mode, "ip_san": ip_san},
            upstream={"attempts": attempts, "tls": ["1.0", "1.1", "1.2", "1.3"], **it.upstream},
            hosts={} if it.server in DNS else {host: place},
            allow={"rules": "scenario.csv"},
        )
        post = it.method == "POST"
        answer = await proxy.get(
            server.port,
            host=host,
            method=it.method,
            headers=f"Content-Length: {len(BODY)}\r\n" if post else "",
            body=BODY if post else b"",
        )
        status, logged, alerts, tries = _expected(it, host, mode, attempts)
        assert answer.partition(b"\r\n")[0].decode() == (status or "RESET")
        events = await proxy.events()
        writer = LineWriter("vcsc", 1, debug=False)
        written = "".join(writer.format(event) for event in events)
        assert _LINE.findall(written) == logged
        assert sum(isinstance(event, RequestSent) for event in events) == (0 if it.server in DNS else tries)
        if it.server != "tls":
            return
        for _ in range(tries):
            assert await asyncio.to_thread(server.ended.acquire, timeout=5)
        assert server.connections == tries
        assert [alert for alert in server.alerts if alert in ALERTS] == alerts
        assert server.snis == ([None if host[0].isdigit() else host] * tries if it.before_tls is None else [])
        sent = 0 if status == FAILED else tries if it.before_tls is None else 0
        assert len(server.requests) == sent
        assert all(request.endswith(b"\r\n\r\n" + BODY * post) for request in server.requests)


MODES = ("on", "audit", "off")
CASES = [(name, mode, 2) for name in SCENARIOS for mode in MODES]
CASES += [  # the number of attempts matters only if something fails
    (name, mode, 4)
    for name, it in SCENARIOS.items()
    for mode in MODES
    if it.status != OK or (it.faults and mode == "on")
]


@pytest.mark.parametrize(("name", "mode", "attempts"), [case for case in CASES if SCENARIOS[case[0]].server not in DNS])
async def test_a_scenario_ends_as_it_does_with_traffic_server(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    certificates: Certificates,
    tmp_path: Path,
    name: str,
    mode: str,
    attempts: int,
) -> None:
    it = SCENARIOS[name]
    await _as_expected(serving, proxying, certificates, tmp_path, name, mode, attempts, "ignore", it)


@pytest.mark.parametrize(("name", "mode", "attempts"), [case for case in CASES if SCENARIOS[case[0]].server in DNS])
async def test_a_name_that_dns_does_not_know_ends_as_with_traffic_server(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mode: str,
    attempts: int,
) -> None:
    it = SCENARIOS[name]
    real = socket.getaddrinfo

    def lookup(host: str, *more: Any, **options: Any) -> Any:
        if host == it.host:
            raise socket.gaierror(DNS[it.server], "no address")
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    await _as_expected(serving, proxying, certificates, tmp_path, name, mode, attempts, "ignore", it)


@pytest.mark.parametrize("mode", ["on", "audit"])
@pytest.mark.parametrize(
    ("name", "faults"),
    [("ip-literal-ipaddress-san", ()), ("ip-literal-no-ip-san", (NAME,)), ("ip-literal-as-dnsname-san", ())],
)
async def test_an_address_in_an_ip_san_counts_where_cisco_says_so(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    certificates: Certificates,
    tmp_path: Path,
    name: str,
    faults: tuple[tuple[str, int], ...],
    mode: str,
) -> None:
    it = SCENARIOS[name]._replace(faults=faults, alert=MISNAMED if faults else "")
    await _as_expected(serving, proxying, certificates, tmp_path, name, mode, 2, "accept", it)
