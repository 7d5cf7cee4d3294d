"""The proxy never connects to itself or to its control API, for any spelling of their addresses."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mralab
from mralab.config import from_mapping
from mralab.control.local import LocalControl
from mralab.core.log.events import Event, RequestDenied, RequestSent, ResponseSent
from mralab.core.mra.target import Target, encode
from mralab.diagnose.event_buffer import Recent
from mralab.net import endpoints
from mralab.net.acceptor import listening_socket
from mralab.net.endpoints import CONTROL, Endpoints
from mralab.net.traffic_server import TrafficServer
from mralab.tls.trust_store import TrustStore
from mralab.web.api import serve_admin
from tests.serving import control, running, toml


@pytest.fixture
def bound() -> Iterator[Callable[[str], tuple[Endpoints, int]]]:
    """Return ``bound(host)``, which listens on a host and returns the set of endpoints and the port."""
    with contextlib.ExitStack() as stack:

        def listen(host: str) -> tuple[Endpoints, int]:
            try:
                sock = listening_socket(f"{host}:0")
            except Exception as error:
                if ":" in host:
                    pytest.skip(f"no IPv6 here: {error}")
                raise
            stack.callback(sock.close)
            own = Endpoints()
            own.add(sock)
            return own, sock.getsockname()[1]

        yield listen


@pytest.mark.parametrize(
    ("host", "address", "reached"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "::ffff:7f00:1", True),
        ("127.0.0.1", "0:0:0:0:0:ffff:127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::ffff:0.0.0.0", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", "::", False),
        ("127.0.0.1", "10.48.36.215", False),
        ("127.0.0.1", "localhost", True),  # a name that somebody dials would be looked up once more
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.2", True),
        ("0.0.0.0", "127.255.255.254", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("0.0.0.0", "::ffff:127.0.0.3", True),
        ("0.0.0.0", "192.0.2.77", False),
        ("0.0.0.0", "::1", False),
        ("[::1]", "::1", True),
        ("[::1]", "0:0:0:0:0:0:0:1", True),
        ("[::1]", "::1%lo", True),
        ("[::1]", "::", True),
        ("[::1]", "127.0.0.1", False),
        ("[::]", "::1", True),
        ("[::]", "::", True),
        ("[::]", "2001:db8::77", False),
    ],
)
def test_the_address_that_is_dialled_decides(
    bound: Callable[[str], tuple[Endpoints, int]], host: str, address: str, reached: bool
) -> None:
    own, port = bound(host)
    assert own.reached_by(address, port) == reached
    assert not own.reached_by(address, port + 1 if port < 65535 else port - 1)


def test_a_dual_stack_socket_is_reached_by_both_ip_versions(bound: Callable[[str], tuple[Endpoints, int]]) -> None:
    own, port = bound("[::]")
    both = socket.socket(socket.AF_INET6)
    with both:
        only_six = both.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert own.reached_by("127.0.0.1", port) == (not only_six)


def interface_address() -> str:
    """Return an address of this machine that is not loopback; empty without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@pytest.mark.skipif(not interface_address(), reason="this machine has no address but loopback")
def test_an_interface_address_reaches_a_wildcard(bound: Callable[[str], tuple[Endpoints, int]]) -> None:
    own, port = bound("0.0.0.0")
    assert own.reached_by(interface_address(), port)
    own, port = bound("127.0.0.1")
    assert not own.reached_by(interface_address(), port)


def test_if_any_address_can_be_bound_the_source_of_a_connection_decides(
    bound: Callable[[str], tuple[Endpoints, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, port = bound("0.0.0.0")
    real = endpoints._can
    monkeypatch.setattr(endpoints, "_can", lambda action, address: action == "bind" or real(action, address))
    endpoints._is_of_this_machine.cache_clear()
    try:
        assert not own.reached_by("192.0.2.78", port)
        if address := interface_address():
            assert own.reached_by(address, port)
    finally:
        endpoints._is_of_this_machine.cache_clear()


def test_without_descriptors_nothing_is_dialled_and_nothing_remembered(
    bound: Callable[[str], tuple[Endpoints, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, port = bound("0.0.0.0")

    def fails(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(endpoints, "_can", fails)
        assert own.reached_by("192.0.2.79", port)
    assert not own.reached_by("192.0.2.79", port)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_other_addresses_and_ports_are_allowed(address: Any, port: int) -> None:
    with listening_socket("127.0.0.1:0") as sock:
        own = Endpoints()
        endpoint = own.add(sock)
        plain = getattr(address, "ipv4_mapped", None) or address
        ours = str(plain) in ("127.0.0.1", "0.0.0.0") and port == endpoint.port
        assert own.reached_by(str(address), port) == ours


def test_an_endpoint_that_was_added_twice_must_be_removed_twice() -> None:
    own = Endpoints()
    with listening_socket("127.0.0.1:0") as sock:
        first, second = own.add(sock), own.add(sock)
    for endpoint, left in ((first, True), (second, False), (second, False)):
        own.remove(endpoint)
        assert own.reached_by("127.0.0.1", first.port) == left


# -- a proxy


class OpenProxy:
    """A proxy that allows everything, its events, and its control API."""

    def __init__(self, proxy: TrafficServer, events: list[Event], admin: int) -> None:
        self.proxy, self.events, self.admin = proxy, events, admin

    async def get(self, host: str, port: int, method: str = "GET", path: str = "/api/trust") -> int:
        """Return the status of an http request by token."""
        token = encode(Target("steven.lab", "http", host, port))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        writer.write(
            f"{method} /{token}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        )
        status = int((await reader.read()).split(b" ")[1])
        writer.close()
        return status

    def take(self) -> tuple[list[RequestDenied], list[RequestSent], list[str]]:
        """Return the denials, connections and responses since the last call."""
        events = list(self.events)
        self.events.clear()
        return (
            [event for event in events if isinstance(event, RequestDenied)],
            [event for event in events if isinstance(event, RequestSent)],
            [event.start_line for event in events if isinstance(event, ResponseSent)],
        )


@contextlib.asynccontextmanager
async def open_proxy(folder: Path, hosts: dict[str, Any], listen: str = "127.0.0.1:0") -> Any:
    events: list[Event] = []
    recent = Recent("vcsc", 1)
    config = from_mapping(
        {
            "proxy": {"listen": listen},
            "trust": {"store": ""},
            "allow": {"rules": "", "everything": True},
            "hosts": hosts,
        },
        folder,
    )
    async with TrafficServer(config, store=TrustStore(), listener=events.append) as proxy:
        proxy.subscribe(recent.take)
        async with serve_admin(LocalControl(lambda: proxy, lambda: recent)) as address:
            yield OpenProxy(proxy, events, int(address.rpartition(":")[2]))


LOCAL = {"ip": "127.0.0.1", "dial": "127.0.0.1"}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_a_token_leads_neither_to_the_control_api_nor_back_to_the_proxy(tmp_path: Path, method: str) -> None:
    hosts = {"localhost": LOCAL, "127.0.0.1": LOCAL, "zero.test": {"dial": "0.0.0.0"}}
    hosts["mapped.test"] = {"dial": "::ffff:127.0.0.1"}
    async with open_proxy(tmp_path, hosts) as it:
        for host in hosts:
            for port in (it.admin, it.proxy.port):
                assert await it.get(host, port, method) == 403
                (denied,), sent, answers = it.take()
                assert sent == []
                assert (denied.detail, denied.reason) == ("Invalid request", "the address leads back to this proxy")
                assert answers == ["HTTP/1.1 403 Forbidden"]


async def test_a_mapped_port_does_not_lead_back_either(tmp_path: Path) -> None:
    async with open_proxy(tmp_path, {}) as it:
        for port in (it.admin, it.proxy.port):
            for entry in ({"dial": "127.0.0.1", "ports": {"8443": port}}, {"dial": "127.0.0.1", "port": port}):
                it.proxy.apply(it.proxy.config.changed(hosts={"cucm.test": entry}))
                assert await it.get("cucm.test", 8443) == 403
                (denied,), sent, _ = it.take()
                assert (denied.url, sent) == ("http://cucm.test:8443/api/trust", [])


async def test_a_name_that_dns_leads_back_is_refused_after_it_was_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_proxy(tmp_path, {}) as it:
        rules = [("rebind.test", it.admin), ("rebind.test", it.proxy.port)]
        (tmp_path / "rules.csv").write_text(
            "Url,Deployment,HttpMethods,MatchType,Description\n"
            + "".join(f"http://{host}:{port}/,,GET,prefix,\n" for host, port in rules)
        )
        it.proxy.apply(it.proxy.config.changed(allow={"rules": "rules.csv", "everything": False}))
        answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
        monkeypatch.setattr("mralab.net.resolver.socket.getaddrinfo", lambda *_, **__: answer)
        for host, port in rules:
            assert await it.get(host, port) == 403
            denied, sent, _ = it.take()
            assert (len(denied), sent) == (1, [])


async def test_a_wildcard_listener_is_not_reached_by_another_loopback_address(tmp_path: Path) -> None:
    async with open_proxy(tmp_path, {"cucm.test": {"dial": "127.0.0.2"}}, "0.0.0.0:0") as it:
        assert await it.get("cucm.test", it.proxy.port) == 403
        assert it.take()[1] == []


async def test_a_chain_of_two_proxies_is_no_loop_but_leads_to_no_control_api(tmp_path: Path) -> None:
    async with open_proxy(tmp_path, {"second.test": LOCAL}) as first, open_proxy(tmp_path, {}) as second:
        assert await first.get("second.test", second.proxy.port, path="/nothing") == 404  # the second's own answer
        denied, sent, _ = first.take()
        assert (denied, len(sent)) == ([], 1)
        assert await first.get("second.test", second.admin) == 403
        assert first.take()[1] == []


async def test_the_port_of_a_control_api_that_has_ended_is_free_again(tmp_path: Path) -> None:
    async with open_proxy(tmp_path, {}) as it:
        port = it.admin
        assert CONTROL.reached_by("127.0.0.1", port)
    assert not CONTROL.reached_by("127.0.0.1", port)


async def test_a_proxy_in_a_test_does_not_lead_to_itself() -> None:
    async with mralab.Proxy() as proxy:
        await proxy.add_host("me.test", ("127.0.0.1", proxy.port))
        async with aiohttp.ClientSession() as session, session.get(proxy.url("http://me.test/")) as response:
            assert response.status == 403
        (served,) = proxy.transactions
        assert (served.verdict, served.attempts) == ("denied", 0)
        assert served.denied == "Invalid request: the address leads back to this proxy"


@pytest.mark.parametrize("workers", [1, 2])
async def test_served_from_processes_the_control_api_is_out_of_reach(tmp_path: Path, workers: int) -> None:
    tables = {
        "proxy": {"listen": "127.0.0.1:0", "workers": workers},
        "trust": {"store": ""},
        "allow": {"rules": "", "everything": True},
        "hosts": {"localhost": LOCAL},
    }
    (tmp_path / "mralab.toml").write_text(toml(tables))

    def ask(start: dict[str, Any], port: int) -> int:
        token = encode(Target("steven.lab", "http", "localhost", port))
        connection = http.client.HTTPConnection(start["listening"], timeout=20)
        body = json.dumps({"verify": {"origin": "off"}})
        connection.request("PATCH", f"/{token}/api/config", body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    async with running(tmp_path) as (_, start):
        for address in (start["admin"], start["listening"]):
            for _ in range(4):  # either worker
                assert await asyncio.to_thread(ask, start, int(address.rpartition(":")[2])) == 403
        _, config = await asyncio.to_thread(control, start["admin"], "GET", "/api/config")
        assert config["verify"]["origin"] == "on"
