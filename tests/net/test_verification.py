"""Verification as a table: the chain that a server presents, log lines and alert, in modes on, audit and off.

Expectations are those of a client with OpenSSL 1.1.1 and Traffic Server 8.1's rules.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from OpenSSL import SSL

from mralab.core.log.events import Event, NameMismatch, VerifyFailed
from mralab.mocks.pki import Pki, mint

from .conftest import HOST, RunningProxy, Server, server_context

DNS = f"dns:{HOST}"
RECIPES: dict[str, dict[str, Any]] = {
    "root": {"subject": ["CN=Root"], "ca": True},
    "other-root": {"subject": ["CN=Other root"], "ca": True},
    "twin-root": {"subject": ["CN=Root"], "ca": True},
    "inter": {"subject": ["CN=Intermediate"], "ca": True, "issuer": "root"},
    "other-inter": {"subject": ["CN=Other intermediate"], "ca": True, "issuer": "other-root"},
    "old-inter": {"subject": ["CN=Old intermediate"], "ca": True, "issuer": "root", "days": [-400, -2]},
    "no-ca": {"subject": ["CN=No CA"], "issuer": "root"},
    "narrow": {"subject": ["CN=Narrow"], "ca": True, "path_length": 0, "issuer": "root"},
    "too-deep": {"subject": ["CN=Too deep"], "ca": True, "issuer": "narrow"},
    "good": {"subject": ["CN=x"], "issuer": "root", "sans": [DNS]},
    "cn-only": {"subject": [f"CN={HOST}"], "issuer": "root"},
    "cn-beside-san": {"subject": [f"CN={HOST}"], "issuer": "root", "sans": ["dns:other.steven.lab"]},
    "second-cn": {"subject": ["CN=other.steven.lab", f"CN={HOST}"], "issuer": "root"},
    "wildcard": {"subject": ["CN=x"], "issuer": "root", "sans": ["dns:*.steven.lab"]},
    "upper": {"subject": ["CN=x"], "issuer": "root", "sans": [f"dns:{HOST.upper()}"]},
    "dot": {"subject": ["CN=x"], "issuer": "root", "sans": [f"dns:{HOST}."]},
    "wrong-name": {"subject": ["CN=nobody"], "issuer": "root", "sans": ["dns:else.steven.lab"]},
    "self": {"subject": [f"CN={HOST}"], "sans": [DNS]},
    "self-wrong-name": {"subject": ["CN=nobody"]},
    "unknown": {"subject": ["CN=x"], "issuer": "other-root", "sans": [DNS]},
    "unknown-wrong-name": {"subject": ["CN=nobody"], "issuer": "other-root"},
    "by-inter": {"subject": ["CN=x"], "issuer": "inter", "sans": [DNS]},
    "by-other-inter": {"subject": ["CN=x"], "issuer": "other-inter", "sans": [DNS]},
    "by-old-inter": {"subject": ["CN=x"], "issuer": "old-inter", "sans": [DNS]},
    "by-no-ca": {"subject": ["CN=x"], "issuer": "no-ca", "sans": [DNS]},
    "by-too-deep": {"subject": ["CN=x"], "issuer": "too-deep", "sans": [DNS]},
    "expired": {"subject": ["CN=x"], "issuer": "root", "sans": [DNS], "days": [-10, -2]},
    "expired-wrong-name": {"subject": ["CN=nobody"], "issuer": "root", "days": [-10, -2]},
    "early": {"subject": ["CN=x"], "issuer": "root", "sans": [DNS], "days": [2, 20]},
    "client-only": {"subject": ["CN=x"], "issuer": "root", "sans": [DNS], "eku": ["clientAuth"]},
    "server-auth": {"subject": ["CN=x"], "issuer": "root", "sans": [DNS], "eku": ["serverAuth"]},
}
for recipe in RECIPES.values():
    recipe.setdefault("key", "ec-p256")

LOCAL_ISSUER = "unable to get local issuer certificate"
FIRST = "unable to verify the first certificate"
CHAIN = "self signed certificate in certificate chain"
NAME = "name"


class Case(NamedTuple):
    """``sent``: leaf first; ``faults``: (text, depth) as logged in mode ``audit``; mode ``on`` logs the first only."""

    sent: str
    faults: tuple[tuple[str, int], ...] = ()
    alert: str = ""
    trust: str = "root"


CASES = {
    "good": Case("good"),
    "CN alone": Case("cn-only"),
    "first CN beside SANs": Case("cn-beside-san"),
    "only the first CN": Case("second-cn", ((NAME, 0),), "TLSV1_ALERT_INTERNAL_ERROR"),
    "wildcard": Case("wildcard"),
    "case": Case("upper"),
    "trailing dot": Case("dot", ((NAME, 0),), "TLSV1_ALERT_INTERNAL_ERROR"),
    "wrong name": Case("wrong-name", ((NAME, 0),), "TLSV1_ALERT_INTERNAL_ERROR"),
    "self-signed": Case("self", (("self signed certificate", 0),), "TLSV1_ALERT_UNKNOWN_CA"),
    "self-signed and wrong name": Case(
        "self-wrong-name", (("self signed certificate", 0), (NAME, 0)), "TLSV1_ALERT_UNKNOWN_CA"
    ),
    "self-signed in the store": Case("self", trust="self"),
    "unknown CA, leaf alone": Case("unknown", ((LOCAL_ISSUER, 0), (FIRST, 0)), "TLSV1_ALERT_UNKNOWN_CA"),
    "unknown CA, root sent": Case("unknown other-root", ((CHAIN, 1),), "TLSV1_ALERT_UNKNOWN_CA"),
    "unknown CA and wrong name": Case(
        "unknown-wrong-name", ((LOCAL_ISSUER, 0), (FIRST, 0), (NAME, 0)), "TLSV1_ALERT_UNKNOWN_CA"
    ),
    "intermediate sent": Case("by-inter inter"),
    "intermediate and root sent": Case("by-inter inter root"),
    "intermediate in the store": Case("by-inter", trust="root inter"),
    "intermediate missing": Case("by-inter", ((LOCAL_ISSUER, 0), (FIRST, 0)), "TLSV1_ALERT_UNKNOWN_CA"),
    "unknown root, intermediate sent": Case(
        "by-other-inter other-inter", ((LOCAL_ISSUER, 1),), "TLSV1_ALERT_UNKNOWN_CA"
    ),
    "partial chain": Case(
        "by-other-inter", (("unable to get issuer certificate", 1),), "TLSV1_ALERT_UNKNOWN_CA", "root other-inter"
    ),
    "a CA-signed leaf is no anchor": Case(
        "unknown", ((LOCAL_ISSUER, 0), (FIRST, 0)), "TLSV1_ALERT_UNKNOWN_CA", "root unknown"
    ),
    "two CAs of one name": Case("good", trust="twin-root root"),
    "the other CA of that name": Case("good", ((LOCAL_ISSUER, 0), (FIRST, 0)), "TLSV1_ALERT_UNKNOWN_CA", "twin-root"),
    "expired": Case("expired", (("certificate has expired", 0),), "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    "expired and wrong name": Case(
        "expired-wrong-name", (("certificate has expired", 0), (NAME, 0)), "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    ),
    "not yet valid": Case("early", (("certificate is not yet valid", 0),), "SSLV3_ALERT_BAD_CERTIFICATE"),
    "expired intermediate": Case(
        "by-old-inter old-inter", (("certificate has expired", 1),), "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    ),
    "issuer is no CA": Case(
        "by-no-ca no-ca",
        (("invalid CA certificate", 1), ("unsupported certificate purpose", 1)),
        "TLSV1_ALERT_UNKNOWN_CA",
    ),
    "path length": Case(
        "by-too-deep too-deep narrow", (("path length constraint exceeded", 2),), "TLSV1_ALERT_UNKNOWN_CA"
    ),
    "for clients only": Case(
        "client-only", (("unsupported certificate purpose", 0),), "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"
    ),
    "for servers": Case("server-auth"),
    "nothing trusted": Case("good", ((LOCAL_ISSUER, 0), (FIRST, 0)), "TLSV1_ALERT_UNKNOWN_CA", ""),
}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint(RECIPES)


def _context(pki: Pki, sent: str) -> ssl.SSLContext:
    names = sent.split()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write("".join(pki[name].pem for name in names) + pki[names[0]].key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _logged(events: list[Event]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for event in events:
        if isinstance(event, VerifyFailed):
            found.append((event.error, event.depth))
        elif isinstance(event, NameMismatch):
            found.append((NAME, 0))
    return found


@pytest.mark.parametrize("mode", ["on", "audit", "off"])
@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_traffic_server(
    serving: Callable[..., Server], proxying: Callable[..., Any], pki: Pki, name: str, mode: str, tmp_path: Path
) -> None:
    case = CASES[name]
    server = serving(_context(pki, case.sent))
    trust = "".join(pki[each].pem for each in case.trust.split()).encode()
    proxy: RunningProxy = await proxying(server, trust=trust, verify={"origin": mode}, upstream={"attempts": 1})
    answer = await proxy.get(server.port)
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    found = _logged(await proxy.events())
    if mode == "off":
        assert found == []
    elif mode == "audit":
        assert found == list(case.faults)
    else:
        assert found == list(case.faults[:1])
    refused = mode == "on" and bool(case.faults)
    assert answer.split(b"\r\n")[0] == (b"HTTP/1.1 502 connect failed" if refused else b"HTTP/1.1 200 ")
    assert server.alerts == ([case.alert] if refused else [])
    assert len(server.requests) == (0 if refused else 1)


async def test_ended_connections_are_freed_without_the_garbage_collector(
    ca: trustme.CA, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    good = serving(server_context(ca.issue_cert(HOST)))
    bad = serving(server_context(trustme.CA().issue_cert(HOST)))
    proxy = await proxying(good, bad)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            assert (await proxy.get(good.port)).startswith(b"HTTP/1.1 200")
            assert (await proxy.get(bad.port)).startswith(b"HTTP/1.1 502")
        left = [one for one in gc.get_objects() if isinstance(one, SSL.Connection)]
    finally:
        gc.enable()
    assert len(left) <= 1  # the end of the last one may not have been reported yet
