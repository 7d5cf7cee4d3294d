"""The events of a transaction.

The data plane emits these to its listeners, in the order in which they happen. ``writer`` turns them into the lines of
a traffic_server log and ``reader`` reads them back; findings, metrics and displays are made from them. Text is Latin-1
as on the wire, never escaped here; ``at`` is seconds since the epoch.

Some fields are not in the line of their event: the transaction's number ``txn`` of events whose lines have no Txn-id,
and what only the data plane knows (``nearest``, ``unlisted``, ``dial``, ``presented``, ``outcome``, ``because``). An
event that was read from a log has their defaults.
"""

from __future__ import annotations

from typing import NamedTuple

from ..outcome import Outcome

Headers = tuple[tuple[str, str], ...]
"""Field name and value, in order; empty unless the log level is DEBUG."""


class RequestReceived(NamedTuple):
    """A client's request was read (``Detail="Receive Request"``). ``start_line`` has the absolute URL."""

    at: float
    txn: int
    tracking_id: str
    src_ip: str
    src_port: int
    start_line: str
    headers: Headers = ()
    last_via_addr: str = ""


class RequestAllowed(NamedTuple):
    """The allow list permits the request (``Event="Request Allowed"``)."""

    at: float
    username: str
    deployment: str
    method: str
    url: str
    rule: str
    match: str
    type: str
    txn: int = 0


class RequestDenied(NamedTuple):
    """Refused before anything was dialled (``Event="Request Denied"``): not in the allow list, or no valid token.

    No public document shows Expressway's own line; this one is emulated.
    """

    at: float
    username: str
    deployment: str
    method: str
    url: str
    detail: str = "Access denied"
    reason: str = "Not in allow list"
    txn: int = 0
    nearest: str = ""
    """The allow list's closest rule, in one sentence."""
    unlisted: bool = False
    """Whether the requested host is missing from the proxy's ``[hosts]``."""


class RequestRejected(NamedTuple):
    """Bytes that are not an acceptable request (``Event="Request Rejected"``), answered with 400. Emulated."""

    at: float
    src_ip: str
    src_port: int
    reason: str
    txn: int = 0


class RequestSent(NamedTuple):
    """One attempt to send the request to a server (``Detail="Sending Request"``)."""

    at: float
    txn: int
    tracking_id: str
    dst_ip: str
    dst_port: int
    start_line: str
    headers: Headers = ()
    dial: str = ""
    """The ``address:port`` that is connected to; ``[hosts]`` may redirect the connection away from ``dst_ip``."""


class VerifyFailed(NamedTuple):
    """OpenSSL found a fault in the server's chain (``Core server certificate verification failed``).

    Source: Traffic Server 8.1.11, iocore/net/SSLClientUtils.cc:70. ``action`` is ``Terminate`` or ``Continue``.
    """

    at: float
    thread: int
    name: str
    action: str
    error: str
    server: str
    ip: str
    depth: int
    txn: int = 0
    presented: tuple[bytes, ...] = ()
    """The certificates that the server sent, in DER, its own first; empty if they are not kept."""


class NameMismatch(NamedTuple):
    """The chain is good, the certificate is not for this name (``SNI (..) not in certificate``).

    Source: Traffic Server 8.1.11, iocore/net/SSLClientUtils.cc:102.
    """

    at: float
    thread: int
    name: str
    action: str
    server: str
    ip: str
    txn: int = 0
    presented: tuple[bytes, ...] = ()
    """As in ``VerifyFailed``."""


class HandshakeFailed(NamedTuple):
    """OpenSSL ended the handshake with an error (``SSL connection failed for``).

    Source: Traffic Server 8.1.11, iocore/net/SSLNetVConnection.cc:1460. ``error`` is OpenSSL's ``error:...`` text.
    """

    at: float
    thread: int
    name: str
    error: str
    txn: int = 0


class ResponseReceived(NamedTuple):
    """A server's final response head was read (``Detail="Receive Response"``)."""

    at: float
    txn: int
    src_ip: str
    src_port: int
    start_line: str
    headers: Headers = ()


class ResponseSent(NamedTuple):
    """A response head was sent to the client (``Detail="Sending Response"``): the server's or our own."""

    at: float
    txn: int
    dst_ip: str
    dst_port: int
    start_line: str
    headers: Headers = ()
    outcome: Outcome | None = None
    because: str = ""
    """Why the proxy itself answered: ``Connection refused``."""


class ClientGone(NamedTuple):
    """The client's connection ended before the response began. Neither Traffic Server nor mralab logs it."""

    at: float
    txn: int


Event = (
    RequestReceived
    | RequestAllowed
    | RequestDenied
    | RequestRejected
    | RequestSent
    | VerifyFailed
    | NameMismatch
    | HandshakeFailed
    | ResponseReceived
    | ResponseSent
    | ClientGone
)
"""Events of the data plane, also read from traffic_server's lines."""


class ProvisioningAnswered(NamedTuple):
    """Expressway-C's login service got a failure from a UC server (module edgeconfigprovisioning, DEBUG).

    Source: Cisco 211304. ``url`` is what was requested, ``start_line`` the response's (``HTTP/1.1 401 Unauthorized``);
    only failures, 400 and above, become events.
    """

    at: float
    url: str
    start_line: str


class ProvisioningFailed(NamedTuple):
    """Expressway-C's login service: ``Failed to authenticate user against server`` (module edgeconfigprovisioning).

    Source: Cisco 211304. ``port`` is None and ``server`` the field's text where that is not ``('https', HOST, PORT)``.
    """

    at: float
    username: str
    server: str
    port: int | None
    reason: str


class UserNotAuthenticated(NamedTuple):
    """A login was refused: ``Authenticating user failed``.

    Source: the keys that a public log scraper reads. ``client`` is the client's address, ``code`` may be empty.
    """

    at: float
    username: str
    client: str
    code: str


class HttpErrorSent(NamedTuple):
    """An Expressway answered a client with an error of its own: ``Sending HTTP error response`` (Expressway-E).

    Source: Cisco 117811. ``status`` is 0 and ``dst_port`` 0 where the line has none.
    """

    at: float
    status: int
    reason: str
    dst_ip: str
    dst_port: int


NeighbourEvent = ProvisioningAnswered | ProvisioningFailed | UserNotAuthenticated | HttpErrorSent
"""Events of a login in other modules; read from logs, never written."""

LogEvent = Event | NeighbourEvent
"""Any event that is read from a log."""
