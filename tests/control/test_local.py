"""Every query has a handler, a name that is no query is refused, and no change is lost to another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mralab import Lab
from mralab.config import Config, from_mapping
from mralab.control.local import LocalControl
from mralab.control.queries import Query
from mralab.core.tls.fingerprint import fingerprint
from mralab.diagnose.event_buffer import Recent
from mralab.errors import MralabError
from mralab.mocks.pki import Pki
from mralab.net.traffic_server import TrafficServer


async def test_every_query_has_a_handler() -> None:
    params = {Query.TRANSACTIONS: 1, Query.LOG: 1, Query.LADDER: {"most": 1, "since": None}, Query.WATCH: False}
    async with TrafficServer(Config()) as proxy:
        control = LocalControl(lambda: proxy, lambda: Recent("vcsc", 1))
        for query in Query:
            if query is not Query.PUT:  # its parameter is a whole configuration; tests/control/test_workers.py sends it
                await control.answer(query, params.get(query))


async def test_a_name_that_is_no_query_is_refused() -> None:
    async with TrafficServer(Config()) as proxy:
        with pytest.raises(MralabError, match="explode: unknown query"):
            await LocalControl(lambda: proxy, lambda: Recent("vcsc", 1)).answer("explode", None)


class Interrupted(LocalControl):
    """A control that other code interrupts: while a policy is made in a thread, it calls ``meanwhile``."""

    def __init__(self, proxy: Callable[[], TrafficServer], meanwhile: Callable[[], object], times: int = 1) -> None:
        super().__init__(proxy, lambda: Recent("vcsc", 1))
        self._meanwhile = meanwhile
        self._left = times

    async def aside(self, function: Callable[[Any], Any], argument: Any) -> Any:
        result = await super().aside(function, argument)
        if self._left:
            self._left -= 1
            pending = self._meanwhile()
            if isinstance(pending, Awaitable):
                await pending
        return result


def certificate() -> x509.Certificate:
    return x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())


OLD, NEW, OTHER = certificate(), certificate(), certificate()
CHANGES: dict[str, tuple[Callable[[LocalControl], Awaitable[object]], Callable[[TrafficServer], object]]] = {
    "change": (
        lambda control: control.change({"upstream": {"attempts": 3}}),
        lambda proxy: proxy.config.upstream.attempts == 3,
    ),
    "put_host": (
        lambda control: control.put_host("new.lab", {"dial": "127.0.0.1"}),
        lambda proxy: "new.lab" in proxy.config.hosts,
    ),
    "remove_host": (lambda control: control.remove_host("old.lab"), lambda proxy: "old.lab" not in proxy.config.hosts),
    "trust": (lambda control: control.trust(iter([NEW])), lambda proxy: NEW in proxy.store.certificates),
    "distrust": (
        lambda control: control.distrust(iter([fingerprint(OLD.public_bytes(Encoding.DER))])),
        lambda proxy: OLD not in proxy.store.certificates,
    ),
}


@pytest.mark.parametrize("times", [1, 100], ids=["once", "always"])
@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_while_another_is_made_is_kept(name: str, times: int) -> None:
    make, is_made = CHANGES[name]
    config = from_mapping({"proxy": {"listen": "127.0.0.1:0"}, "log": {"file": "/dev/null"}, "trust": {"store": ""}})
    async with TrafficServer(config.changed(hosts={"old.lab": {"dial": "127.0.0.1"}})) as proxy:
        proxy.trust([OLD])
        changes = 0

        def meanwhile() -> None:
            nonlocal changes
            changes += 1
            proxy.apply(proxy.config.changed(hosts={f"host{changes}.lab": {"dial": "127.0.0.1"}}), proxy.store)
            proxy.trust([OTHER])

        assert not is_made(proxy)
        await make(Interrupted(lambda: proxy, meanwhile, times))
        assert is_made(proxy)
        assert changes >= 1
        assert {f"host{number}.lab" for number in range(1, changes + 1)} <= proxy.config.hosts.keys()
        assert OTHER in proxy.store.certificates


async def test_what_was_trusted_meanwhile_is_not_counted_as_new() -> None:
    config = from_mapping({"proxy": {"listen": "127.0.0.1:0"}, "log": {"file": "/dev/null"}, "trust": {"store": ""}})
    async with TrafficServer(config) as proxy:
        assert await Interrupted(lambda: proxy, lambda: proxy.trust([NEW])).trust([NEW]) == 0
        assert proxy.store.certificates == (NEW,)


async def test_a_discovery_during_a_change_is_kept(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        control = Interrupted(lambda: lab.proxy.server, lambda: lab.discover(tls_verify="Off"))
        await control.change({"upstream": {"attempts": 3}})
        (discovered,) = lab.discovered
        assert discovered.ok
        hosts = lab.proxy.config.hosts
        assert lab.proxy.config.upstream.attempts == 3
        known = {node.address for node in discovered.nodes}
        assert {host for host, entry in hosts.items() if entry.node == "cucm"} == known & hosts.keys()


async def test_a_change_during_an_upgrade_is_made_to_the_new_release(pki: Pki) -> None:
    async with Lab("X14.0.7", pki=pki) as lab:
        control = Interrupted(lambda: lab.proxy.server, lambda: lab.upgrade("X14.2"))
        await control.change({"upstream": {"attempts": 3}})
        assert (lab.proxy.release, lab.proxy.config.upstream.attempts) == ("X14.2", 3)
