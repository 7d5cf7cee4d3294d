"""The trust store: swapped whole, while requests run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.errors import TrustStoreError
from mralab.net.trust import TrustStore, load_store, parse_pem

from .conftest import HOST, OK, Lines, Server, read_request, server_context


def _many(stream: Any, server: Server) -> None:
    while request := read_request(stream):
        server.requests.append(request)
        stream.sendall(OK)


@pytest.mark.parametrize("connections", ["per-request", "keep-alive"])
async def test_every_request_is_judged_by_the_store_of_its_moment(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA, connections: str
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    it: Lines = await proxying(server, upstream={"connections": connections, "attempts": 1})
    certificates = parse_pem(ca.cert_pem.bytes(), "test")
    timeline: list[bool] = [True]  # whether the store trusts the server, swap by swap
    done, answered = asyncio.Event(), asyncio.Event()
    outcomes: list[tuple[bytes, set[bool]]] = []

    async def ask() -> None:
        while not done.is_set():
            first = len(timeline) - 1
            status = (await it.get(server.port)).split()[1]
            outcomes.append((status, set(timeline[first:])))
            answered.set()

    async def swap() -> None:
        for number in range(200):
            if number % 2:
                it.proxy.trust(certificates)
            else:
                it.proxy.distrust(certificates)
            timeline.append(bool(number % 2))
            for _ in range(2):  # let requests come between, however fast the machine is
                answered.clear()
                await answered.wait()
        done.set()

    await asyncio.gather(swap(), *(ask() for _ in range(3)))
    wrong = [(status, seen) for status, seen in outcomes if (status == b"200") not in seen]
    assert wrong == []
    assert {status for status, _ in outcomes} == {b"200", b"502"}
    assert len(outcomes) >= 400


async def test_a_connection_that_was_pooled_before_the_swap_is_never_used_again(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=_many)
    it: Lines = await proxying(server, upstream={"connections": "keep-alive"})
    assert (await it.get(server.port)).split()[1] == b"200"
    it.proxy.apply(it.proxy.config.changed(verify={"origin": "audit"}))
    assert (await it.get(server.port)).split()[1] == b"200"
    assert server.connections == 2


def test_a_folder_is_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "a.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "b.crt"))
    (tmp_path / "notes.txt").write_text("not a certificate, and not looked at")
    assert len(load_store(tmp_path)) == 2
    (tmp_path / "c.pem").write_text("rubbish")
    (tmp_path / "d.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(TrustStoreError) as raised:
        load_store(tmp_path)
    assert len(raised.value.problems) == 2


def test_a_certificate_counts_once_and_can_be_taken_out() -> None:
    certificates = parse_pem(trustme.CA().cert_pem.bytes() * 2, "test")
    store = TrustStore(certificates)
    assert (len(certificates), len(store), len(store.add(certificates)), len(store.remove(certificates))) == (
        2,
        1,
        1,
        0,
    )
