"""Packet captures: what TLS connections in them showed, whoever captured them.

``read_capture`` yields a record for each TCP connection with the certificates that were presented, in both directions,
and the alerts. TLS 1.2 and older show them in plain text. TLS 1.3 does not, and the record says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, NamedTuple

from ..core.capture.handshake import FATAL, Seen
from ..core.capture.packet import Address
from ..core.capture.reading import NotACapture, is_capture, read_packets
from ..core.capture.reassembly import Connection, Connections
from ..core.counting import counted

__all__ = ["CaptureNotes", "CapturedAlert", "CapturedConnection", "End", "NotACapture", "is_capture", "read_capture"]

Outcome = Literal[
    "established",
    "refused-by-client",
    "refused-by-server",
    "closed",
    "reset-by-client",
    "reset-by-server",
    "encrypted",
    "unanswered",
    "port-closed",
    "not-tls",
    "incomplete",
]
"""What became of a connection.

``established``: the TLS handshake was completed. ``refused-by-...``: this end sent a fatal alert. ``closed``,
``reset-by-...``: it ended during the handshake without one. ``encrypted``: TLS 1.3 or a handshake before the capture;
whether it succeeded cannot be seen. ``unanswered``, ``port-closed``: TCP was not connected. ``not-tls``: at least one
end does not speak TLS. ``incomplete``: the capture ends before the handshake does, or lacks packets of it.
"""

_MOST_KINDS: Final = 20


class End(NamedTuple):
    """One end of a connection."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class CapturedAlert(NamedTuple):
    """An alert in plain text: number of its packet, who sent it, whether it is fatal, its number (RFC 5246)."""

    packet: int
    from_client: bool
    fatal: bool
    description: int


@dataclass(frozen=True, slots=True)
class CapturedConnection:
    """One TCP connection and what could be read of its TLS handshake.

    ``first`` and ``last`` are seconds since the epoch, ``packet`` is the number of the first packet (from 1).
    ``version`` is the TLS version that was agreed on, or the newest offered if there was no answer; empty if unknown.
    ``sni`` is the name that the client sent. ``offered`` has the client's cipher suites by IANA number, ``cipher`` the
    one selected. ``presented`` has the server's certificates in DER, leaf first, ``client_presented`` the client's:
    None if that was not seen, empty if it sent none. ``certificate_requested``: the server asked for the client's
    certificate; None if that cannot be seen. ``notes`` say what is missing, as text.
    """

    client: End
    server: End
    first: float
    last: float
    packet: int
    outcome: Outcome
    version: str
    sni: str
    offered: tuple[int, ...]
    cipher: int | None
    presented: tuple[bytes, ...]
    presented_packet: int
    client_presented: tuple[bytes, ...] | None
    certificate_requested: bool | None
    alerts: tuple[CapturedAlert, ...]
    server_speaks_tls: bool | None
    notes: tuple[str, ...]

    @property
    def is_tls(self) -> bool:
        """Whether the client speaks TLS."""
        return self.outcome not in ("unanswered", "port-closed") and (bool(self.offered) or self.outcome != "not-tls")


class CaptureNotes:
    """What was read of a capture, and what could not be: ``packets``, and ``problems`` as text."""

    def __init__(self) -> None:
        self.packets = 0
        self.segments = 0
        self.problems: list[str] = []
        self._link_types: dict[int, int] = {}

    def add(self, problem: str) -> None:
        """Add a problem, up to a number of them."""
        if len(self.problems) < _MOST_KINDS:
            self.problems.append(problem)

    def unknown_link(self, link_type: int) -> None:
        """Count a packet of a link type that is not read."""
        if link_type in self._link_types or len(self._link_types) < _MOST_KINDS:
            self._link_types[link_type] = self._link_types.get(link_type, 0) + 1

    def finish(self) -> None:
        """Add what is known only at the end."""
        for link_type, count in self._link_types.items():
            self.add(f"{counted(count, 'packet')} of link type {link_type}, which is not read")
        if self.packets and not self.segments and not self.problems:
            which = "the one packet has no" if self.packets == 1 else f"none of the {self.packets} packets has a"
            self.add(f"{which} TCP segment that can be read")


def read_capture(file: BinaryIO, notes: CaptureNotes | None = None) -> Iterator[CapturedConnection]:
    """Yield the TCP connections of a pcap or pcapng file as they end. Memory is bounded, whatever the file holds.

    ``notes`` collects what cannot be read. Raises ``NotACapture`` before the first connection, and ``OSError``.
    """
    from .packets import is_known, segment  # 200 modules of dpkt, which logs do not need

    notes = notes if notes is not None else CaptureNotes()
    connections = Connections()
    for packet in read_packets(file.read, notes.add):
        notes.packets += 1
        if not is_known(packet.link_type):
            notes.unknown_link(packet.link_type)
            continue
        found = segment(packet, notes.packets)
        if found is not None:
            notes.segments += 1
            for connection in connections.take(found):
                yield _record(connection)
    for connection in connections.finish():
        yield _record(connection)
    notes.finish()


def _record(connection: Connection) -> CapturedConnection:
    client = connection.client
    sent, answered = (connection.directions[at].side.seen for at in (client, 1 - client))
    alerts = sorted(
        CapturedAlert(alert.packet, from_client, alert.level == FATAL, alert.description)
        for from_client, seen in ((True, sent), (False, answered))
        for alert in seen.alerts
    )
    encrypted = answered.hello and answered.version == "1.3"
    requested = None if encrypted or not answered.hello else answered.certificate_requested
    return CapturedConnection(
        client=_end(connection.ends[client]),
        server=_end(connection.ends[1 - client]),
        first=connection.first,
        last=connection.last,
        packet=connection.packet,
        outcome=_outcome(connection, client, sent, answered, alerts),
        version=answered.version if answered.hello else sent.version,
        sni=sent.sni,
        offered=sent.ciphers if sent.hello else (),
        cipher=answered.ciphers[0] if answered.hello and answered.ciphers else None,
        presented=answered.certificates or (),
        presented_packet=answered.certificates_packet,
        client_presented=sent.certificates,
        certificate_requested=requested,
        alerts=tuple(alerts),
        server_speaks_tls=answered.tls,
        notes=tuple(_notes(connection, client, sent, answered)),
    )


def _outcome(connection: Connection, client: int, sent: Seen, answered: Seen, alerts: list[CapturedAlert]) -> Outcome:
    if connection.opener is not None and not connection.answered:
        return "unanswered" if sent.tls is None else "incomplete"
    if connection.reset_by == 1 - client and sent.tls is None and answered.tls is None:
        return "port-closed"
    if sent.tls is False or answered.tls is False:
        return "not-tls"
    for alert in alerts:
        if alert.fatal:
            return "refused-by-client" if alert.from_client else "refused-by-server"
    if answered.version == "1.3" or (not sent.hello and not answered.hello and sent.tls):
        return "encrypted"
    if sent.changed_cipher and answered.changed_cipher and not (sent.encrypted_alert and not sent.application_data):
        return "established"
    if sent.lost or answered.lost or not all(one.captured for one in connection.directions):
        return "incomplete"
    if connection.reset_by is not None:
        return "reset-by-client" if connection.reset_by == client else "reset-by-server"
    return "closed" if any(one.finished for one in connection.directions) else "incomplete"


def _notes(connection: Connection, client: int, sent: Seen, answered: Seen) -> Iterator[str]:
    if connection.opener is None:
        yield "the capture begins in the middle of this connection"
    if any(one.cut for one in connection.directions):
        yield "packets were captured in part only (snaplen); capture whole packets (tcpdump -s 0)"
    elif (sent.tls or answered.tls) and not all(one.captured for one in connection.directions):
        which = "server" if connection.directions[client].captured else "client"
        yield f"the capture has no packet of the {which}"
    elif sent.lost or answered.lost:
        lost = " and ".join(name for name, seen in (("the client", sent), ("the server", answered)) if seen.lost)
        yield f"packets of {lost} are missing in the capture"
    if answered.version == "1.3" and answered.hello:
        yield "TLS 1.3 encrypts certificates and alerts: this capture cannot show them"
    elif answered.hello and answered.certificates is None and answered.changed_cipher:
        yield "the session was resumed: the server sends no certificate then"
    if sent.encrypted_alert and not sent.application_data and sent.changed_cipher and answered.version != "1.3":
        yield "the client ended the handshake with an encrypted alert"


def _end(address: Address) -> End:
    parsed = ipaddress.ip_address(address.ip)
    return End(str(parsed), address.port)
