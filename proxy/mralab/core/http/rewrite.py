"""Rewriting of heads on their way: what is dropped, what is added, and in which order.

Follows Traffic Server 8.1.11 (proxy/hdrs/HdrToken.cc for the hop-by-hop list, HttpTransactHeaders.cc and
HttpTransact.cc for the rest), and RFC 9110 section 7.6.1 where that is safer: fields named in Connection go too.
"""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import Final, NamedTuple

from .error_pages import SERVER
from .framing import CHUNKED, Fields, Framing, RequestHead, ResponseHead, list_items, values

HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"x-id",
    )
)
_RESPONSE_OURS: Final = HOP_BY_HOP | {b"content-length", b"server", b"age"}
# Framing, routing and credentials have no place in a trailer (RFC 9110 section 6.5.1).
_NOT_IN_TRAILERS: Final = HOP_BY_HOP | {
    b"authorization",
    b"client-ip",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"host",
    b"set-cookie",
    b"trailer",
    b"via",
    b"www-authenticate",
    b"x-forwarded-for",
}
# What only we and the framing say. A server that knows fields as HTTP_X_FORWARDED_FOR reads X_Forwarded_For as well.
_NOT_BY_ANOTHER_NAME: Final = HOP_BY_HOP | {b"content-length", b"host", b"via", b"x-forwarded-for", b"trackingid"}
_VIA_PEER = re.compile(rb"\[([0-9a-f-]{36})\]")


class Hop(NamedTuple):
    """Who this proxy is to the next hop: its name and its unique id in Via, ``http/1.1 vcs[UUID] (ATS)``."""

    name: bytes
    uuid: bytes

    def via(self, minor: int) -> bytes:
        """This hop's Via entry for a message received as HTTP/1.``minor``."""
        return b"http/1.%d %b[%b] (ATS)" % (minor, self.name, self.uuid)


def keeps_alive(minor: int, fields: Fields) -> bool:
    """Whether the sender keeps its connection open after this message (RFC 9112 section 9.3)."""
    options = list_items(fields, b"connection") or list_items(fields, b"proxy-connection")
    if b"close" in options:
        return False
    return minor == 1 or b"keep-alive" in options


def wants_continue(head: RequestHead) -> bool:
    """Whether the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1)."""
    return head.minor == 1 and b"100-continue" in list_items(head.fields, b"expect")


def max_forwards(head: RequestHead) -> int | None:
    """How many more hops a TRACE or OPTIONS may take (RFC 9110 section 7.6.2), None where it does not say.

    Other methods do not count hops (observed).
    """
    if head.method not in (b"TRACE", b"OPTIONS"):
        return None
    said = values(head.fields, b"max-forwards")
    return int(said[0]) if said and said[0].isdigit() and len(said[0]) < 10 else None


def lacks_length(head: RequestHead, framing: Framing) -> bool:
    """Whether the method needs a body and nothing says how long it is."""
    return framing.empty and head.method in (b"POST", b"PUT", b"PUSH") and not values(head.fields, b"content-length")


def upgrade_answer(head: RequestHead) -> str:
    """The entry of ``answers`` for a request that asks for another protocol; empty: served as if it did not ask.

    A whole WebSocket handshake wants a ws:// map, which there is none of; another one is no request. Only h2c, other
    methods than GET and HTTP/1.0 are let through (HttpTransact.cc, handle_upgrade_request; observed).
    """
    if head.method != b"GET" or not head.minor or b"upgrade" not in list_items(head.fields, b"connection"):
        return ""
    wanted = [value.lower() for value in values(head.fields, b"upgrade")]
    if not wanted or wanted[0] == b"h2c":
        return ""
    whole = values(head.fields, b"sec-websocket-key") and values(head.fields, b"sec-websocket-version") == [b"13"]
    return "not-found" if wanted[0] == b"websocket" and whole else "bad-upgrade"


def loops(head: RequestHead, hop: Hop) -> bool:
    """Whether the request has passed this proxy before: its id stands in Via."""
    return any(name.lower() == b"via" and hop.uuid in _VIA_PEER.findall(value) for name, value in head.fields)


def _named_in_connection(fields: Fields) -> frozenset[bytes]:
    """The fields that Connection says are for this hop alone. Framing and routing are never up to it."""
    named = list_items(fields, b"connection")
    if not named or named in ([b"close"], [b"keep-alive"]):
        return frozenset()
    return frozenset(named) - {b"host", b"content-length", b"transfer-encoding", b"via", b"x-forwarded-for"}


def _accept_encoding(value: bytes) -> bytes:
    """``gzip`` or nothing, as Traffic Server's normalize_ae = 1 has it."""
    for item in value.lower().split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip") and not re.fullmatch(rb"q=0(\.0*)?", weight.strip()):
            return b"gzip"
    return b""


def request_head(
    head: RequestHead, *, host: bytes, client_ip: bytes, hop: Hop, framing: Framing, keep_alive: bool
) -> tuple[Fields, int]:
    """The request's fields as the server gets them, and where in them the TrackingID stands that is ours to choose.

    That one has no value yet; the place is -1 where the client chose. ``host`` is the server's ``host:port``. The
    client's fields keep their places; Host, X-Forwarded-For and Via are rewritten where they stand. What the client
    did not have follows: TrackingID, Client-ip, X-Forwarded-For, Connection, Via and Transfer-Encoding, in this order.
    """
    dropped = _named_in_connection(head.fields)
    hops = max_forwards(head)
    forwarded = [value for name, value in head.fields if name.lower() == b"x-forwarded-for"]
    via = [value for name, value in head.fields if name.lower() == b"via"]
    ours: dict[bytes, tuple[bytes, bytes]] = {
        b"trackingid": (b"TrackingID", b""),
        b"client-ip": (b"Client-ip", client_ip),
        b"x-forwarded-for": (b"X-Forwarded-For", b", ".join((*forwarded, client_ip))),
        b"connection": (b"Connection", b"close"),
        b"via": (b"Via", b", ".join((*via, hop.via(head.minor)))),
        b"transfer-encoding": (b"Transfer-Encoding", b"chunked"),
    }
    if keep_alive:
        del ours[b"connection"]
    if not framing.chunked:
        del ours[b"transfer-encoding"]
    fields: Fields = []
    hosted = False
    for name, value in head.fields:
        key = name.lower()
        if key in HOP_BY_HOP or (dropped and key in dropped):
            continue
        if b"_" in key and key.replace(b"_", b"-") in _NOT_BY_ANOTHER_NAME:
            continue
        if key in (b"x-forwarded-for", b"via"):
            if key in ours:
                fields.append((name, ours.pop(key)[1]))
            continue
        if key == b"host":
            hosted, value = True, host  # noqa: PLW2901 - the server's, wherever the client's stood
        elif key == b"content-length":
            value = b"%d" % (framing.length or 0)  # noqa: PLW2901 - written anew, as all framing is
        elif key == b"accept-encoding":
            value = _accept_encoding(value)  # noqa: PLW2901
            if not value:
                continue
        elif key == b"max-forwards" and hops:
            value = b"%d" % (hops - 1)  # noqa: PLW2901 - one hop fewer
        else:
            ours.pop(key, None)  # the client's own TrackingID, Client-ip
        fields.append((name, value))
    if not hosted:
        fields.insert(0, (b"Host", host))
    fields += ours.values()
    tracked = (at for at, (name, value) in enumerate(fields) if not value and name.lower() == b"trackingid")
    return fields, next(tracked, -1)


def client_framing(framing: Framing, minor: int) -> Framing:
    """How a response body goes on to a client of HTTP/1.``minor``: 1.1 gets chunks where no length is known."""
    if framing.length is not None:
        return framing
    return CHUNKED if minor else Framing(None, False)


def response_head(
    head: ResponseHead, *, now: float, framing: Framing, keep_alive: bool, minor: int, connection: bytes
) -> tuple[bytes, Fields]:
    """The response as the client gets it: its bytes, and its fields for the log.

    ``framing`` is the client's (``client_framing``), ``connection`` the field that tells whether its connection lives
    on. Server is overwritten, Age always said, Date added where it is missing. ``now`` is seconds since the epoch.
    """
    dropped = _named_in_connection(head.fields)
    fields: Fields = []
    date = b""
    ages: list[bytes] = []
    served = False
    age_at = -1
    for name, value in head.fields:
        key = name.lower()
        if key in _RESPONSE_OURS:
            if key == b"server" and not served:
                fields.append((b"Server", SERVER.encode()))
                served = True
            elif key == b"age" and not ages:
                ages.append(value)
                age_at = len(fields)
                fields.append((b"Age", value))
            elif key == b"content-length" and not framing.chunked and (framing.length is not None):
                fields.append((name, value))
            continue
        if dropped and key in dropped:
            continue
        if key == b"date":
            date = value
        fields.append((name, value))
    if not date:
        fields.append((b"Date", formatdate(now, usegmt=True).encode()))
    age = b"%d" % _age(date, ages, now)
    if age_at >= 0:
        fields[age_at] = (b"Age", age)
    else:
        fields.append((b"Age", age))
    if framing.chunked:
        fields.append((b"Transfer-Encoding", b"chunked"))
    if minor or keep_alive:
        fields.append((connection, b"keep-alive" if keep_alive else b"close"))
    if not served:
        fields.append((b"Server", SERVER.encode()))
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    return b"HTTP/1.%d %d %b\r\n%b\r\n" % (minor, head.status, head.reason, lines), fields


def _age(date: bytes, ages: list[bytes], now: float) -> int:
    """Seconds since the server made it: its own Age, or now less Date (RFC 9111 section 4.2.3)."""
    age = int(ages[0]) if ages and ages[0].isdigit() and len(ages[0]) < 11 else 0
    if date:
        age = max(age, int(now) - _seconds(date))
    return max(0, age)


_last_date: tuple[bytes, int] = (b"", 0)


def _seconds(date: bytes) -> int:
    """An HTTP-date in seconds since the epoch, 2**62 where it is none. The last one is remembered."""
    global _last_date  # noqa: PLW0603 - a memo of one entry
    if date == _last_date[0]:
        return _last_date[1]
    try:
        seconds = int(parsedate_to_datetime(date.decode("latin-1")).timestamp())
    except (ValueError, TypeError, OverflowError):
        seconds = 2**62
    _last_date = (date, seconds)
    return seconds


def informational_head(head: ResponseHead, now: float) -> bytes:
    """A server's 100 Continue as the client gets it."""
    date = formatdate(now, usegmt=True)
    return f"HTTP/1.1 {head.status} Continue\r\nDate: {date}\r\nServer: {SERVER}\r\n\r\n".encode()


def trailer_fields(trailers: Fields) -> Fields:
    """The trailers that may go on: without framing, routing and credentials."""
    return [(name, value) for name, value in trailers if name.lower() not in _NOT_IN_TRAILERS]
