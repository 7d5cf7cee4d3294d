"""A request has the same outcome and reason in /metrics, /api/transactions and the journal."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mralab.core.mra.target import Target, encode
from mralab.core.outcome import Outcome
from mralab.harness.proxy import Proxy
from tests.net.conftest import HOST, Server, read_request

from .conftest import Administered


async def send(admin: Administered, data: str) -> bytes:
    """Return what a client receives for these bytes."""
    host, port = admin.listening.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data.encode())
        return await asyncio.wait_for(reader.read(65536), 10)
    finally:
        writer.close()
        await writer.wait_closed()


async def counted(admin: Administered) -> Counter[tuple[int, str]]:
    async with admin.session.get(f"http://{admin.address}/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    samples = [sample for family in families for sample in family.samples if sample.name == "mralab_requests_total"]
    return Counter({(int(s.labels["status"]), s.labels["verdict"]): int(s.value) for s in samples})


async def transactions(admin: Administered) -> list[dict[str, Any]]:
    _, answer = await admin.ask("GET", "/api/transactions")
    found: list[dict[str, Any]] = answer["transactions"]
    return found


def token(admin: Administered, host: str = HOST, port: int | None = None) -> str:
    return encode(Target("steven.lab", "https", host, port or admin.server.port))


REQUESTS = {
    "OPTIONS {token}/x HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n": (403, Outcome.DENIED),  # GET alone is allowed
    "POST {token}/x HTTP/1.1\r\nHost: x\r\n\r\n": (403, Outcome.DENIED),
    "GET {token}/x HTTP/1.1\r\nHost: x\r\n\r\n": (502, Outcome.REFUSED),
    "GET /notatoken/x HTTP/1.1\r\nHost: x\r\n\r\n": (404, Outcome.DENIED),
    "GET /\r\n\r\n": (400, Outcome.MALFORMED),
}


@pytest.mark.parametrize("request_text", REQUESTS)
async def test_metrics_and_transactions_have_the_same_outcome(admin: Administered, request_text: str) -> None:
    status, outcome = REQUESTS[request_text]
    answer = await send(admin, request_text.format(token=f"/{token(admin)}"))
    assert int(answer.split()[1]) == status
    assert await counted(admin) == {(status, outcome): 1}
    (served,) = await transactions(admin)
    assert (served["status"], served["verdict"]) == (status, outcome)


@pytest.mark.parametrize(
    ("request_text", "status", "outcome"),
    [
        ("OPTIONS /{}/x HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n", 200, "passed"),
        ("POST /{}/x HTTP/1.1\r\nHost: x\r\n\r\n", 411, "malformed"),
        ("POST /{}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400, "malformed"),
    ],
)
async def test_the_journal_and_the_counters_have_the_same_outcome(request_text: str, status: int, outcome: str) -> None:
    proxy = Proxy(hosts={HOST: ("127.0.0.1", 1)})
    async with proxy:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(request_text.format(encode(Target("steven.lab", "https", HOST, 8443))).encode())
        assert int((await reader.read(100)).split()[1]) == status
        writer.close()
        (served,) = proxy.transactions
        assert (served.status, served.outcome) == (status, outcome)
        assert dict(proxy.server.stats.requests) == {(status, outcome): 1}


async def test_a_client_that_disconnected_is_counted_once_as_abandoned(admin: Administered) -> None:
    asked = threading.Event()

    def hang(stream: Any, _: Server) -> None:
        read_request(stream)
        asked.set()
        stream.recv(1)

    admin.server.handle = hang
    await admin.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
    host, port = admin.listening.rsplit(":", 1)
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /{token(admin)}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert await asyncio.to_thread(asked.wait, 10)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    async with asyncio.timeout(10):
        while not (found := await counted(admin)):
            pass  # each look is a request of its own
    assert found == {(0, Outcome.ABANDONED): 1}
    (served,) = await transactions(admin)
    assert (served["status"], served["verdict"]) == (0, Outcome.ABANDONED)


async def test_the_nearest_miss_reaches_transaction_and_finding(admin: Administered) -> None:
    await send(admin, f"PUT /{token(admin)}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    (served,) = await transactions(admin)
    (finding,) = (await admin.ask("GET", "/api/findings"))[1]["findings"]
    assert "allows GET, not PUT" in served["nearest"] == finding["nearest"]
    assert finding["nearest"] in finding["cause"]
    assert [remedy["code"] for remedy in finding["remedies"]] == ["allow-rule"]
    assert finding["remedies"][0]["where"].endswith("HTTP allow list; mralab: configuration, [allow], then a reload")


async def test_a_host_outside_of_hosts_is_reported_as_such(admin: Administered) -> None:
    await send(admin, f"GET /{token(admin, 'cuc.steven.lab')}/x HTTP/1.1\r\nHost: x\r\n\r\n")
    (finding,) = (await admin.ask("GET", "/api/findings"))[1]["findings"]
    assert "cuc.steven.lab is not in [hosts]" in finding["cause"]
    assert finding["remedies"][0]["code"] == "add-host"
    assert all("refresh the servers" not in remedy["text"] for remedy in finding["remedies"])


async def test_the_dialled_address_and_the_reason_reach_transaction_finding_and_assertion() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refused, and nobody else's meanwhile
        dial = f"127.0.0.1:{closed.getsockname()[1]}"
        async with Proxy(hosts={HOST: closed.getsockname()}) as proxy, aiohttp.ClientSession() as session:
            async with session.get(proxy.url(for_=f"https://{HOST}:8443/x")) as response:
                assert response.status == 502
            (served,), (finding,) = proxy.transactions, proxy.findings
            assert (served.dial, served.because) == (dial, "Connection refused")
            assert (finding.code, finding.dial, finding.port) == ("unreachable", dial, 8443)
            assert f"{dial} was dialled, and the result was: Connection refused" in finding.cause
            assert f"(Connection refused at {dial})" in repr(proxy.allowed(HOST))
