"""Rewrite the heads of forwarded messages: fields to drop, fields to add, and their order.

The rules are those of Traffic Server 8.1.11 (proxy/hdrs/HdrToken.cc for the hop-by-hop list, HttpTransactHeaders.cc and
HttpTransact.cc for the rest), and RFC 9110 section 7.6.1 where it is safer: fields named in Connection are dropped too.
"""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum, auto
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


class _Rule(Enum):
    """What becomes of a request's field."""

    DROP = auto()
    JOIN = auto()
    """Its values and ours are joined into the first of its fields."""
    KEEP_CLIENTS = auto()
    """The client's own replaces ours."""
    HOST = auto()
    LENGTH = auto()
    """Written anew, like all framing."""
    HOPS = auto()
    """One hop fewer."""
    CODING = auto()
    CACHE = auto()
    """Kept; Pragma may add to Cache-Control."""


_DROP, _JOIN, _KEEP_CLIENTS, _HOST, _LENGTH, _HOPS, _CODING, _CACHE = (
    _Rule  # an enumeration's attributes are slow to read
)
_REQUEST_RULES: Final = {
    **dict.fromkeys(HOP_BY_HOP, _DROP),
    b"x-forwarded-for": _JOIN,
    b"via": _JOIN,
    b"trackingid": _KEEP_CLIENTS,
    b"client-ip": _KEEP_CLIENTS,
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"max-forwards": _HOPS,
    b"accept-encoding": _CODING,
    b"pragma": _CACHE,
}
"""The rule for each field of a request that is not simply kept, by name in lower case."""
_RESPONSE_OURS: Final = HOP_BY_HOP | {b"content-length", b"server", b"age"}
# Framing, routing and credentials must not be in a trailer (RFC 9110 section 6.5.1).
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
# Fields that only the proxy may set. A server that reads fields as HTTP_X_FORWARDED_FOR accepts X_Forwarded_For too.
_NOT_BY_ANOTHER_NAME: Final = HOP_BY_HOP | {b"content-length", b"host", b"via", b"x-forwarded-for", b"trackingid"}
_ITEM = re.compile(rb'(?:"[^"]*"|[^,])+')
_SAYS_NO_CACHE = re.compile(rb"""[ \t]*"?no-cache(?![!#$%&'*+.^_`|~0-9a-z-])""", re.IGNORECASE)
_VIA_PEER = re.compile(rb"\[([0-9a-f-]{36})\]")


class Hop(NamedTuple):
    """This proxy's identity in Via: its name and unique id, ``http/1.1 vcs[UUID] (ATS)``."""

    name: bytes
    uuid: bytes

    def via(self, minor: int) -> bytes:
        """Return this hop's Via entry for a message received as HTTP/1.``minor``."""
        return b"http/1.%d %b[%b] (ATS)" % (minor, self.name, self.uuid)


def keeps_alive(minor: int, fields: Fields) -> bool:
    """Return whether the sender keeps its connection open after this message (RFC 9112 section 9.3)."""
    options = list_items(fields, b"connection") or list_items(fields, b"proxy-connection")
    if b"close" in options:
        return False
    return minor == 1 or b"keep-alive" in options


def wants_continue(head: RequestHead) -> bool:
    """Return whether the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1)."""
    return head.minor == 1 and b"100-continue" in list_items(head.fields, b"expect")


def max_forwards(head: RequestHead) -> int | None:
    """Return how many more hops a TRACE or OPTIONS may take (RFC 9110 section 7.6.2), None if it has no limit.

    Other methods do not count hops (observed).
    """
    if head.method not in (b"TRACE", b"OPTIONS"):
        return None
    hops = values(head.fields, b"max-forwards")
    return int(hops[0]) if hops and hops[0].isdigit() and len(hops[0]) < 10 else None


def lacks_length(head: RequestHead, framing: Framing) -> bool:
    """Return whether the method needs a length but the request has none (HttpTransact.cc, check_request_validity)."""
    return framing.empty and head.method in (b"POST", b"PUT", b"PUSH") and not values(head.fields, b"content-length")


def upgrade_answer(head: RequestHead) -> str:
    """Return the key in ``ANSWERS`` for an Upgrade request; empty if the request is served without the upgrade.

    A complete WebSocket handshake gets "not-found", as there is no ws:// map; an incomplete one, or another protocol,
    is invalid. h2c, methods other than GET, and HTTP/1.0 are served (HttpTransact.cc, handle_upgrade_request;
    observed).
    """
    if head.method != b"GET" or not head.minor or b"upgrade" not in list_items(head.fields, b"connection"):
        return ""
    wanted = [value.lower() for value in values(head.fields, b"upgrade")]
    if not wanted or wanted[0] == b"h2c":
        return ""
    whole = values(head.fields, b"sec-websocket-key") and values(head.fields, b"sec-websocket-version") == [b"13"]
    return "not-found" if wanted[0] == b"websocket" and whole else "bad-upgrade"


def loops(head: RequestHead, hop: Hop) -> bool:
    """Return whether the request has passed this proxy before: Via then contains its id."""
    return any(name.lower() == b"via" and hop.uuid in _VIA_PEER.findall(value) for name, value in head.fields)


def _named_in_connection(fields: Fields) -> frozenset[bytes]:
    """Return the fields that Connection marks as hop-by-hop, except those of framing and routing."""
    named = list_items(fields, b"connection")
    if not named or named in ([b"close"], [b"keep-alive"]):
        return frozenset()
    return frozenset(named) - {b"host", b"content-length", b"transfer-encoding", b"via", b"x-forwarded-for"}


def _accept_encoding(value: bytes) -> bytes:
    """Return ``gzip`` or nothing, as Traffic Server does with normalize_ae = 1."""
    for item in value.lower().split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip") and not re.fullmatch(rb"q=0(\.0*)?", weight.strip()):
            return b"gzip"
    return b""


def _says_no_cache(fields: Fields, name: bytes) -> bool:
    """Return whether an item of the fields ``name`` begins with the word ``no-cache``, which may be in quotes."""
    return any(_SAYS_NO_CACHE.match(item) for value in values(fields, name) for item in _ITEM.findall(value))


def _add_no_cache(fields: Fields) -> bool:
    """Add ``no-cache`` to the last Cache-Control, if there is one; return whether there is one."""
    for at in range(len(fields) - 1, -1, -1):
        name, value = fields[at]
        if name.lower() == b"cache-control":
            fields[at] = (name, value + b", no-cache" if value else b"no-cache")
            return True
    return False


def request_head(
    head: RequestHead, *, host: bytes, client_ip: bytes, hop: Hop, framing: Framing, keep_alive: bool
) -> tuple[Fields, int]:
    """Return the request's fields for the server, and the index of a TrackingID that the proxy must fill in.

    That TrackingID is still empty; the index is -1 if the client sent one. ``host`` is the server's ``host:port``. The
    client's fields keep their order; Host, X-Forwarded-For and Via are rewritten in place. Fields that the client did
    not send are appended: TrackingID, Client-ip, X-Forwarded-For, Connection, Via, Cache-Control (if Pragma says
    no-cache, which it must say too: HttpTransactHeaders.cc, convert_to_1_1_request_header) and Transfer-Encoding, in
    this order.
    """
    ours = _request_fields_of_ours(head, client_ip, hop)
    if keep_alive:
        del ours[b"connection"]
    if not framing.chunked:
        del ours[b"transfer-encoding"]
    hops = max_forwards(head)
    dropped = _named_in_connection(head.fields)
    fields: Fields = []
    has_host = has_pragma = False
    for name, value in head.fields:
        key = name.lower()
        rule = _REQUEST_RULES.get(key)
        if rule is _DROP or (dropped and key in dropped):
            continue
        if rule is None:
            if b"_" not in key or key.replace(b"_", b"-") not in _NOT_BY_ANOTHER_NAME:
                fields.append((name, value))
        elif rule is _JOIN:
            if key in ours:
                fields.append((name, ours.pop(key)[1]))
        elif rule is _KEEP_CLIENTS:
            ours.pop(key, None)
            fields.append((name, value))
        elif rule is _HOST:
            has_host = True
            fields.append((name, host))
        elif rule is _LENGTH:
            fields.append((name, b"%d" % (framing.length or 0)))
        elif rule is _CACHE:
            has_pragma = True
            fields.append((name, value))
        elif rule is _HOPS:
            fields.append((name, b"%d" % (hops - 1) if hops else value))
        elif coding := _accept_encoding(value):
            fields.append((name, coding))
    if not has_host:
        fields.insert(0, (b"Host", host))
    revalidates = has_pragma and _says_no_cache(fields, b"pragma") and not _says_no_cache(fields, b"cache-control")
    if not revalidates or _add_no_cache(fields):
        del ours[b"cache-control"]
    fields += ours.values()
    unset = (at for at, (name, value) in enumerate(fields) if not value and name.lower() == b"trackingid")
    return fields, next(unset, -1)


def _request_fields_of_ours(head: RequestHead, client_ip: bytes, hop: Hop) -> dict[bytes, tuple[bytes, bytes]]:
    """Return the fields that the proxy adds unless the client sent them, by name, in their order."""
    forwarded = [value for name, value in head.fields if name.lower() == b"x-forwarded-for"]
    via = [value for name, value in head.fields if name.lower() == b"via"]
    return {
        b"trackingid": (b"TrackingID", b""),
        b"client-ip": (b"Client-ip", client_ip),
        b"x-forwarded-for": (b"X-Forwarded-For", b", ".join((*forwarded, client_ip))),
        b"connection": (b"Connection", b"close"),
        b"via": (b"Via", b", ".join((*via, hop.via(head.minor)))),
        b"cache-control": (b"Cache-Control", b"no-cache"),
        b"transfer-encoding": (b"Transfer-Encoding", b"chunked"),
    }


def client_framing(framing: Framing, minor: int) -> Framing:
    """Return the framing for a client of HTTP/1.``minor``: 1.1 gets chunks if the length is not known."""
    if framing.length is not None:
        return framing
    return CHUNKED if minor else Framing(None, False)


def response_head(
    head: ResponseHead, *, now: float, framing: Framing, keep_alive: bool, minor: int, connection: bytes
) -> tuple[bytes, Fields]:
    """Return the response head for the client: its bytes, and its fields for the log.

    ``framing`` is the client's (``client_framing``), ``connection`` the name of the field for keep-alive or close.
    Server is replaced, Age always set, Date added if it is missing. ``now`` is in seconds since the epoch.
    """
    dropped = _named_in_connection(head.fields)
    fields: Fields = []
    date = b""
    ages: list[bytes] = []
    has_server = False
    age_at = -1
    for name, value in head.fields:
        key = name.lower()
        if key in _RESPONSE_OURS:
            if key == b"server" and not has_server:
                fields.append((b"Server", SERVER.encode()))
                has_server = True
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
    age = b"%d" % response_age(date, ages, now)
    if age_at >= 0:
        fields[age_at] = (b"Age", age)
    else:
        fields.append((b"Age", age))
    if framing.chunked:
        fields.append((b"Transfer-Encoding", b"chunked"))
    if minor or keep_alive:
        fields.append((connection, b"keep-alive" if keep_alive else b"close"))
    if not has_server:
        fields.append((b"Server", SERVER.encode()))
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    return b"HTTP/1.%d %d %b\r\n%b\r\n" % (minor, head.status, head.reason, lines), fields


def response_age(date: bytes, ages: list[bytes], now: float) -> int:
    """Return the response's age in seconds: its Age, or ``now`` minus Date (RFC 9111 section 4.2.3)."""
    age = int(ages[0]) if ages and ages[0].isdigit() and len(ages[0]) < 11 else 0
    if date:
        age = max(age, int(now) - _seconds(date))
    return max(0, age)


_last_date: tuple[bytes, int] = (b"", 0)


def _seconds(date: bytes) -> int:
    """Return an HTTP-date in seconds since the epoch, 2**62 if it is invalid. The latest one is cached."""
    global _last_date  # noqa: PLW0603 - a cache of one entry
    if date == _last_date[0]:
        return _last_date[1]
    try:
        seconds = int(parsedate_to_datetime(date.decode("latin-1")).timestamp())
    except (ValueError, TypeError, OverflowError):
        seconds = 2**62
    _last_date = (date, seconds)
    return seconds


def informational_head(head: ResponseHead, now: float) -> bytes:
    """Return the client's copy of a server's 100 Continue."""
    date = formatdate(now, usegmt=True)
    return f"HTTP/1.1 {head.status} Continue\r\nDate: {date}\r\nServer: {SERVER}\r\n\r\n".encode()


def trailer_fields(trailers: Fields) -> Fields:
    """Return the trailers to forward: those without framing, routing and credentials."""
    return [(name, value) for name, value in trailers if name.lower() not in _NOT_IN_TRAILERS]
