"""Check live servers as X14.2 would: a handshake for each type of certificate that they can present, and no request.

X14.2 prefers ECDSA certificates, unless its cipher string begins with the RSA ciphers. Each server is checked with both
preferences. The handshakes use audit mode, so that one handshake reports every fault. Certificate, chain and trust
store are at hand, so ``assessment`` can explain more than a log can. Of ``diagnose``, only this module and
``axl_client`` use the network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final, NamedTuple

from ..config import Config
from ..core.connection_reason import connection_reason
from ..core.hostport import host_port
from ..core.http.error_pages import ERROR_PAGES, ErrorPage, connection_error
from ..core.release import Preference, cipher_string
from ..net.resolver import Resolver, ServerAddress, UnknownHostError, listed
from ..tcp import connected
from ..tls.certificate import summarize
from ..tls.identity import Identity
from ..tls.openssl import TlsError
from ..tls.trust_store import TrustStore
from ..tls.verification import TlsClient, TlsContext, TlsSettings
from .address_sources import parse_address, parse_each
from .assessment import assess
from .axl import AxlError
from .axl_client import Login, Peer, list_nodes
from .handshake import Address, Handshake
from .pace import Pace
from .preflight_summary import summary
from .server_check import ServerCheck

__all__ = ["CUCM_PORTS", "Address", "ServerCheck", "check", "configured_addresses", "parse_addresses", "summary"]

CUCM_PORTS: Final = (8443, 6972, 6971)
"""UDS, and configuration files over HTTPS with the tomcat and with the CallManager certificate."""

_LATE_REFUSAL_SECONDS: Final = 1.0  # wait for a refusal that follows a TLS 1.3 handshake
_MOST_AT_ONCE: Final = 16
_AXL_SECONDS: Final = 20.0  # CUCM reads the nodes from its database before it answers


def configured_addresses(config: Config) -> tuple[Address, ...]:
    """Return the servers in a configuration's ``[hosts]`` with their ports; CUCM's ports for a host without ports."""
    return tuple(
        Address(name, port) for name, entry in config.hosts.items() for port in (sorted(entry.ports) or CUCM_PORTS)
    )


def parse_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Parse ``HOST:PORT`` texts, IPv6 in brackets. Raises ``InputError`` with every text that is invalid."""
    return parse_each(texts, parse_address, "HOST:PORT", "such as cucm.steven.lab:8443 or [2001:db8::1]:8443")


async def check(
    addresses: Iterable[Address],
    config: Config,
    store: TrustStore,
    *,
    seconds: float = 5.0,
    identity: Identity | None = None,
    pace: Pace | None = None,
    on_start: Callable[[Address], object] = lambda _: None,
) -> tuple[ServerCheck, ...]:
    """Check every server. ``seconds`` is the time limit of one handshake.

    ``config`` has the addresses of servers (``[hosts]``), the TLS versions and ciphers to offer, and the wording.
    ``identity`` is presented to servers that request a client certificate. ``pace`` limits new connections; at most 16
    are open at once. ``on_start`` is called with each address
    when its check begins.
    """
    prefers: tuple[Preference, ...] = (config.preference,) if config.upstream.ciphers else ("ecdsa", "rsa")
    contexts = {
        prefer: TlsContext(
            TlsSettings(
                "audit",
                config.verify.ip_san == "accept",
                config.cipher_string if config.upstream.ciphers else cipher_string("", prefer),
                config.tls_versions,
                prefer,
            ),
            store,
            identity,
        )
        for prefer in prefers
    }
    resolver = Resolver(asyncio.get_running_loop())
    pace = pace or Pace()
    slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def handshakes_with(address: Address) -> list[Handshake]:
        async with slots:
            on_start(address)
            resolved = await _resolve(address, config, resolver, seconds)
            handshakes = []
            for prefer, context in contexts.items():
                if resolved is not None:
                    await pace.turn()
                result = await _connect(address, resolved, context, seconds)
                handshakes.append(_handshake(address, resolved, prefer, result, identity))
            return handshakes

    by_server = await asyncio.gather(*(handshakes_with(address) for address in addresses))
    now = datetime.now(UTC)
    all_handshakes = chain.from_iterable(by_server)
    sent = tuple(dict.fromkeys(chain.from_iterable(handshake.certificates for handshake in all_handshakes)))
    return tuple(
        result
        for handshakes in by_server
        for result in _merged([assess(handshake, config, store.certificates, sent, now) for handshake in handshakes])
    )


async def nodes_by_axl(
    address: Address, login: Login, config: Config, store: TrustStore, *, seconds: float
) -> tuple[Address, ...]:
    """Return CUCM's ports on each node of the cluster whose AXL is at ``address``. Raises ``AxlError``."""
    resolved = await _resolve(address, config, Resolver(asyncio.get_running_loop()), seconds)
    if resolved is None:
        raise AxlError(f"AXL at {address}: the name could not be resolved")
    peer = Peer(address, resolved.dial, resolved.port)
    hosts = await list_nodes(peer, login, config, store, seconds=max(seconds, _AXL_SECONDS))
    return tuple(Address(host, port) for host in hosts for port in CUCM_PORTS)


async def _resolve(address: Address, config: Config, resolver: Resolver, seconds: float) -> ServerAddress | None:
    """Return the server's address from ``[hosts]``, its name or DNS; None if the name cannot be resolved."""
    resolved = listed(config.hosts, address.host, address.port)
    with contextlib.suppress(UnknownHostError):
        resolved = resolved or await resolver.look_up(address.host, address.port, seconds)
    return resolved


def _handshake(
    address: Address,
    resolved: ServerAddress | None,
    prefer: Preference,
    result: _HandshakeResult,
    identity: Identity | None,
) -> Handshake:
    tls, error, error_page, failure, requested = result
    sent = tuple(tls.presented()) if tls is not None else ()
    return Handshake(
        address,
        prefer,
        ip=resolved.ip if resolved is not None else "",
        dial=host_port(resolved.dial, resolved.port) if resolved is not None else "",
        sent=sent,
        certificate=summarize(sent[0]) if sent else None,
        faults=tuple(tls.verdict.faults) if tls is not None else (),
        error_reason=error.reason if error is not None else "",
        error_text=error.printed if error is not None else "",
        error_page=error_page,
        failure=failure,
        certificate_requested=requested,
        certificate_presented=bool(requested) and identity is not None,
    )


def _merged(checks: list[ServerCheck]) -> list[ServerCheck]:
    """Return one check if both preferences got the same certificate and codes, or the same failure."""
    first, *others = checks
    for other in others:
        same_codes = [finding.code for finding in first.findings] == [finding.code for finding in other.findings]
        if first.certificate == other.certificate and same_codes and first.state == other.state:
            return [replace(first, prefer=(*first.prefer, *other.prefer))]
    return checks


class _HandshakeResult(NamedTuple):
    """The end of a handshake: success (``tls`` only), OpenSSL's ``error``, or a ``failure`` without one.

    ``error_page`` is Traffic Server's response to its client after a failed handshake. ``requested`` is whether the
    server requested a client certificate, None if the handshake did not get that far.
    """

    tls: TlsClient | None = None
    error: TlsError | None = None
    error_page: ErrorPage | None = None
    failure: str = ""
    requested: bool | None = None


async def _connect(
    address: Address, resolved: ServerAddress | None, context: TlsContext, seconds: float
) -> _HandshakeResult:
    """Connect, complete the handshake and close. Failures are part of the result."""
    if resolved is None:
        return _HandshakeResult(error_page=ERROR_PAGES["no-name"], failure="the name could not be resolved")
    tls = context.connect(address.host)
    try:
        async with asyncio.timeout(seconds), connected(resolved.dial, resolved.port) as (reader, writer):
            return await _exchange(reader, writer, tls, seconds)
    except TimeoutError:
        failure = f"no answer within {seconds:g} s"
        return _HandshakeResult(tls, None, ERROR_PAGES["connect-timeout"], failure)
    except OSError as error:
        return _HandshakeResult(tls, None, connection_error(error), connection_reason(error))


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: TlsClient, seconds: float
) -> _HandshakeResult:
    """Exchange the bytes of a handshake."""
    try:
        writer.write(tls.start())
        while not tls.established:
            data = await reader.read(65536)
            if not data:
                failure = "the server accepted the connection and closed it during the TLS handshake"
                requested = tls.client_certificate_requested
                return _HandshakeResult(tls, None, ERROR_PAGES["connect-failed"], failure, requested)
            tls.receive(data)
            writer.write(tls.outgoing())
        requested = tls.client_certificate_requested
        may_refuse_late = requested and tls.version == "1.3"  # TLS 1.3: the server verifies the client afterwards
        if may_refuse_late and await _is_closed_within(min(seconds / 2, _LATE_REFUSAL_SECONDS), reader, tls):
            failure = "the server closed the connection after the handshake"
            return _HandshakeResult(tls, None, ERROR_PAGES["hangup"], failure, requested)
        writer.write(tls.close())
    except TlsError as error:
        writer.write(tls.alert())
        requested = tls.client_certificate_requested
        page = ERROR_PAGES["hangup" if tls.established else "connect-failed"]
        if not error.printed:  # the server closed TLS: OpenSSL reports no error, and a log has no line
            return _HandshakeResult(tls, None, page, "the server closed the TLS connection", requested)
        return _HandshakeResult(tls, error, page, requested=requested)
    return _HandshakeResult(tls, requested=requested)


async def _is_closed_within(seconds: float, reader: asyncio.StreamReader, tls: TlsClient) -> bool:
    """Return whether the server closes the connection within ``seconds``. Raises ``TlsError`` for an alert."""
    try:
        async with asyncio.timeout(seconds):
            while data := await reader.read(65536):
                tls.receive(data)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
