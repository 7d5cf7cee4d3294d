"""The trust store, replaced while requests run."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from mralab.config import from_mapping
from mralab.core.log.events import VerifyFailed
from mralab.errors import ConfigError, TrustStoreError
from mralab.net.traffic_server import TrafficServer
from mralab.tls.trust_store import TrustStore, load_store, parse_pem

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context


def _many(stream: Any, server: Server) -> None:
    while request := read_request(stream):
        server.requests.append(request)
        stream.sendall(OK)


SWAPS = 200
TICK = 0.01  # seconds from swap to swap, at least: 100 swaps a second, and behind each at once two requests


@pytest.mark.parametrize("connections", ["per-request", "keep-alive"])
async def test_every_request_is_verified_with_the_store_at_its_time(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA, connections: str
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    proxy: RunningProxy = await proxying(server, upstream={"connections": connections, "attempts": 1})
    pem = ca.cert_pem.bytes()
    loop = asyncio.get_running_loop()
    timeline: list[bool] = [True]  # for each swap, from its begin: whether the store trusts the server
    in_force = 0  # number of the latest complete swap
    outcomes: list[tuple[bytes, set[bool]]] = []

    async def ask() -> None:
        first = in_force
        status = (await proxy.get(server.port)).split()[1]
        outcomes.append((status, set(timeline[first:])))

    begin = loop.time()
    async with asyncio.TaskGroup() as asking:
        for number in range(SWAPS):
            timeline.append(bool(number % 2))
            await (proxy.trust(pem) if number % 2 else proxy.distrust(pem))
            in_force = len(timeline) - 1
            await ask()  # no swap falls into this one, swaps may fall into the next
            asking.create_task(ask())
            await asyncio.sleep(begin + (number + 1) * TICK - loop.time())  # the rate of the requests
    assert [(status, seen) for status, seen in outcomes if (status == b"200") not in seen] == []
    passed = sum(status == b"200" for status, _ in outcomes)
    refused = sum(status == b"502" for status, _ in outcomes)
    assert passed + refused == len(outcomes) == 2 * SWAPS
    # no request was lost, and none was sent to a server that the store at that time refuses
    assert len(server.requests) == passed
    assert sum(isinstance(event, VerifyFailed) for event in await proxy.events()) == refused
    for trusted in (True, False):
        assert sum(seen == {trusted} for _, seen in outcomes) >= SWAPS // 2


async def test_a_removed_ca_is_refused_although_a_connection_was_pooled(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive", "attempts": 1})
    for _ in range(2):
        assert (await proxy.get(server.port)).split()[1] == b"200"
    assert server.connections == 1
    await proxy.distrust(ca.cert_pem.bytes())
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)  # the pooled connection is closed at once
    assert (await proxy.get(server.port)).split()[1] == b"502"
    await proxy.trust(ca.cert_pem.bytes())
    assert (await proxy.get(server.port)).split()[1] == b"200"
    assert server.connections == 3


async def test_a_connection_that_is_busy_during_the_swap_is_not_pooled_after_it(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA
) -> None:
    arrived, swapped = threading.Event(), threading.Event()

    def slow(stream: Any, server: Server) -> None:
        while request := read_request(stream):
            server.requests.append(request)
            arrived.set()
            assert swapped.wait(5)
            stream.sendall(OK)

    server = serving(server_context(ca.issue_cert(HOST)), handle=slow)
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive", "attempts": 1})
    busy = asyncio.create_task(proxy.get(server.port))
    assert await asyncio.to_thread(arrived.wait, 5)
    await proxy.distrust(ca.cert_pem.bytes())
    swapped.set()
    assert (await busy).split()[1] == b"200"
    for number in range(2):
        assert (await proxy.get(server.port)).split()[1] == b"502"
        assert server.connections == 2 + number


async def test_a_connection_that_was_pooled_before_the_swap_is_never_used_again(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive"})
    for _ in range(2):
        assert (await proxy.get(server.port)).split()[1] == b"200"
    assert server.connections == 1
    await proxy.change(verify={"origin": "audit"})
    assert (await proxy.get(server.port)).split()[1] == b"200"
    assert server.connections == 2


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_a_store_on_disk_is_read_again_while_running(
    serving: Callable[..., Server], ca: trustme.CA, tmp_path: Path, kind: str
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    store = tmp_path / "trust"
    place = store
    if kind == "folder":
        store.mkdir()
        place = store / "ca.pem"
    other, good = trustme.CA().cert_pem.bytes(), ca.cert_pem.bytes()
    place.write_bytes(other)
    (tmp_path / "rules.csv").write_text(
        f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:{server.port},,GET,prefix,\n"
    )
    config = from_mapping(
        {
            "proxy": {"listen": "127.0.0.1:0"},
            "trust": {"store": str(store)},
            "upstream": {"connections": "keep-alive", "attempts": 1},
            "hosts": {HOST: {"dial": "127.0.0.1"}},
            "allow": {"rules": "rules.csv", "automatic": False},
            "log": {"file": "traffic_server.log"},
        },
        tmp_path,
    )
    async with TrafficServer(config) as proxy:

        async def status() -> bytes:
            return (await RunningProxy(proxy, []).get(server.port)).split()[1]

        assert await status() == b"502"
        place.write_bytes(other + good)
        assert await status() == b"502"  # the file is not watched
        proxy.apply(config)
        assert await status() == b"200"
        for garbage in (b"", b"rubbish", good + b"-----BEGIN CERTIFICATE-----\nAAAA\n", good[:-30], other[:300] + good):
            place.write_bytes(garbage)
            with pytest.raises(ConfigError) as raised:
                proxy.apply(config)
            assert str(place) in raised.value.problems[0]
            assert await status() == b"200"  # the old store stays complete
            assert len(proxy.store) == 2
        place.write_bytes(other)
        proxy.apply(config)
        assert await status() == b"502"
        if kind == "folder":
            (store / "more.crt").write_bytes(good)
            proxy.apply(config)
            assert await status() == b"200"
            (store / "more.crt").unlink()
            place.unlink()
            proxy.apply(config)
            assert await status() == b"502"  # an empty folder trusts nothing


def test_a_folder_is_loaded_completely_or_not_at_all(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "a.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "b.crt"))
    (tmp_path / "notes.txt").write_text("not a certificate, and not looked at")
    assert len(load_store(tmp_path)) == 2
    more = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
    (tmp_path / "FROM-WINDOWS.CER").write_bytes(more.public_bytes(Encoding.DER))
    (tmp_path / "chain.p7b").write_bytes(pkcs7.serialize_certificates([more], Encoding.DER))
    assert len(load_store(tmp_path)) == 3
    (tmp_path / "c.pem").write_text("rubbish")
    (tmp_path / "d.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(TrustStoreError) as raised:
        load_store(tmp_path)
    assert len(raised.value.problems) == 2


def test_a_file_too_large_for_certificates_is_not_read_completely(tmp_path: Path) -> None:
    with (tmp_path / "image.pem").open("wb") as file:
        file.truncate((16 << 20) + 1)
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(TrustStoreError, match="too large for a file of certificates"):
            load_store(path)


def test_a_certificate_counts_once_and_can_be_removed() -> None:
    certificates = parse_pem(trustme.CA().cert_pem.bytes() * 2, "test")
    store = TrustStore(certificates)
    assert (len(certificates), len(store), len(store.add(certificates)), len(store.remove(certificates))) == (
        2,
        1,
        1,
        0,
    )


@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_certificate_of_no_known_version_is_refused_with_its_reason(form: str, ca: trustme.CA) -> None:
    (good,) = parse_pem(ca.cert_pem.bytes(), "good")
    der = good.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x31", 1)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    with pytest.raises(TrustStoreError, match="49 is not a valid X509 version"):
        parse_pem(der if form == "der" else pem, "odd.pem")
