"""Ask a CUCM's AXL, for one for the nodes of its cluster, over HTTPS.

The password goes only to a server whose certificate is verified: by the trust store, as X14.2 would, or by a
fingerprint that the user gives. Until then nothing but the handshake is sent. A caller can turn that off, as
Expressway's "TLS verify mode: Off" does in a lab.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ..config import Config
from ..core.connection_reason import connection_reason
from ..core.http.framing import Malformed, body_reader, parse_response, response_framing
from ..core.log.escape import escape
from ..core.release import cipher_string
from ..core.tls.fingerprint import fingerprint
from ..core.tls.verdict import CertificateFault, error_text
from ..tcp import connected
from ..tls.certificate import summarize
from ..tls.openssl import TlsError
from ..tls.trust_store import TrustStore
from ..tls.verification import TlsClient, TlsContext, TlsSettings
from .axl import (
    LARGEST_RESPONSE,
    VERSIONS,
    AxlError,
    Operation,
    WrongVersionError,
    list_nodes_operation,
    node_names,
    request,
    result,
)
from .handshake import Address

_LARGEST_HEAD = 1 << 16
_END_OF_HEAD = b"\r\n\r\n"


class Login(NamedTuple):
    """The AXL user. ``fingerprint`` (SHA-256, printed form) replaces the trust store; empty if none was given.

    ``verify`` False accepts any certificate.
    """

    user: str
    password: str
    fingerprint: str = ""
    verify: bool = True

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


class Peer(NamedTuple):
    """The AXL server as users name it, and the address and port to connect to."""

    address: Address
    dial: str
    port: int


async def list_nodes(peer: Peer, login: Login, config: Config, store: TrustStore, *, seconds: float) -> tuple[str, ...]:
    """Return the hosts of the cluster's call-processing nodes. Raises ``AxlError``. ``seconds`` is as in ``call``."""
    response = await call(peer, login, list_nodes_operation(), config, store, seconds=seconds)
    return node_names(response, str(peer.address))


async def call(
    peer: Peer, login: Login, operation: Operation, config: Config, store: TrustStore, *, seconds: float
) -> Element:
    """Return the response to an operation. Raises ``AxlError``.

    ``seconds`` is the time limit of one request. Each AXL version that is tried takes a connection of its own.
    """
    place = str(peer.address)
    untried, tried = list(VERSIONS), list[str]()
    while True:
        tried.append(untried.pop(0))
        try:
            message = request(place, login.user, login.password, tried[-1], operation)
            status, body = await exchange(peer, login, message, config, store, seconds=seconds)
            return result(body, status, place, login.user)
        except WrongVersionError as error:
            if error.supported:
                untried = [version for version in reversed(error.supported) if version not in tried]
            if not untried or len(tried) == len(VERSIONS):
                raise


async def exchange(
    peer: Peer, login: Login, message: bytes, config: Config, store: TrustStore, *, seconds: float
) -> tuple[int, bytes]:
    """Send one HTTP request on a connection of its own. Return status and body of the response.

    Raises ``AxlError``, before ``message`` is sent if the server's certificate is not verified.
    """
    place = str(peer.address)
    tls = _context(config, store).connect(peer.address.host)
    try:
        async with asyncio.timeout(seconds), connected(peer.dial, peer.port) as (reader, writer):
            early = await _handshake(reader, writer, tls, place)
            if login.verify:
                _check_certificate(tls, login, place, config)
            writer.write(tls.send(message))
            return await _response(reader, tls, early, place, message)
    except TimeoutError:
        raise AxlError(f"AXL at {place}: no answer within {seconds:g} s", "see --timeout") from None
    except TlsError as error:
        raise AxlError(f"AXL at {place}: TLS fails: {escape(error.reason)}") from None
    except OSError as error:
        raise AxlError(f"AXL at {place}: {connection_reason(error)}") from None
    finally:
        tls.free()


def _context(config: Config, store: TrustStore) -> TlsContext:
    """Return a context in audit mode: the handshake ends well, and the verdict has every fault for the message."""
    ciphers = config.cipher_string if config.upstream.ciphers else cipher_string("", "rsa")
    return TlsContext(
        TlsSettings("audit", config.verify.ip_san == "accept", ciphers, config.tls_versions, "rsa"), store
    )


async def _handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: TlsClient, place: str) -> bytes:
    """Complete the handshake. Return plaintext that arrived with it."""
    early = b""
    writer.write(tls.start())
    while not tls.established:
        data = await reader.read(65536)
        if not data:
            raise AxlError(f"AXL at {place}: the server closed the connection during the TLS handshake")
        try:
            early += tls.receive(data)
        except TlsError:
            writer.write(tls.alert())
            raise
        writer.write(tls.outgoing())
    return early


def _check_certificate(tls: TlsClient, login: Login, place: str, config: Config) -> None:
    """Raise ``AxlError`` unless the certificate is verified: nothing was sent until now."""
    presented = tls.presented()
    faults = tls.verdict.faults
    if presented and (fingerprint(presented[0]) == login.fingerprint if login.fingerprint else not faults):
        return
    if not presented:
        raise AxlError(f"AXL at {place}: the server presented no certificate, so the password was not sent")
    found = fingerprint(presented[0])
    what = f"{escape(summarize(presented[0]).subject)} with the SHA-256 fingerprint {found}"
    if login.fingerprint:
        raise AxlError(
            f"AXL at {place}: the password was not sent: the server presented {what}, not the certificate of "
            "--axl-fingerprint",
            "compare it with the fingerprint of tomcat in CUCM's OS Administration > Security > Certificate Management",
        )
    reasons = ", then ".join(dict.fromkeys(_fault_text(fault, tls.verdict.name, config) for fault in faults))
    raise AxlError(
        f"AXL at {place}: the password was not sent: the certificate is not verified ({reasons}). "
        f"The server presented {what}",
        f"pass its CA with --trust; or, if CUCM shows that fingerprint too, --axl-fingerprint {found}",
    )


def _fault_text(fault: CertificateFault, name: str, config: Config) -> str:
    if fault.number is None:
        return f"it does not contain the name {name}"
    return error_text(fault.number, config.verify.openssl)


async def _response(
    reader: asyncio.StreamReader, tls: TlsClient, early: bytes, place: str, message: bytes
) -> tuple[int, bytes]:
    """Return status and body of the response, and skip interim ones. Raises ``AxlError`` if it is not HTTP."""
    stream = _Plaintext(reader, tls, early)
    try:
        while True:
            head = parse_response(await stream.head())
            if head.status >= 200:
                break
        body = body_reader(response_framing(head, message.partition(b" ")[0]))
        received = bytearray()
        while not body.done:
            data = await stream.some()
            if not data and not body.feed_eof():
                raise AxlError(f"AXL at {place}: the response is incomplete")
            received += body.feed(data) if data else b""
            if len(received) > LARGEST_RESPONSE:
                raise AxlError(f"AXL at {place}: the response has more than {LARGEST_RESPONSE >> 20} MB")
    except Malformed as error:
        raise AxlError(f"AXL at {place}: the response is not HTTP: {error}") from None
    return head.status, bytes(received)


class _Plaintext:
    """Reads what the server sends after the handshake."""

    def __init__(self, reader: asyncio.StreamReader, tls: TlsClient, early: bytes) -> None:
        self._reader = reader
        self._tls = tls
        self._buffer = early

    async def some(self) -> bytes:
        """Return some bytes; empty at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        while not self._tls.closed:
            encrypted = await self._reader.read(65536)
            if not encrypted:
                break
            if data := self._tls.receive(encrypted):
                return data
        return b""

    async def head(self) -> bytes:
        """Return a response head with its empty line; what follows stays. Raises ``Malformed``."""
        collected = b""
        while _END_OF_HEAD not in collected:
            data = await self.some()
            if not data:
                raise Malformed("it ends before its head is complete", line=False)
            collected += data
            if len(collected) > _LARGEST_HEAD:
                raise Malformed("its head is too large", line=False)
        head, end, self._buffer = collected.partition(_END_OF_HEAD)
        return head + end
