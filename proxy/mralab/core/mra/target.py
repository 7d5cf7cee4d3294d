"""Where a request wants to go: ``/TOKEN/path?query`` <-> :class:`Target`.

TOKEN is base64 of ``domain/protocol/host/port`` (Cisco's MRA deployment guides print samples; none has
padding), so ``/c3RldmVuLmxhYi9odHRwcy9jdWNtLnN0ZXZlbi5sYWIvODQ0Mw/cucm-uds/version`` asks
``https://cucm.steven.lab:8443`` for ``/cucm-uds/version``. Nothing is guessed: what is not exactly such a
token is refused with the reason in words.

The request line brings it in origin-form or in absolute-form (RFC 9112 section 3.2); Traffic Server skips one
leading empty segment, drops the fragment and leaves everything after the first segment as it is (observed on
9.2.9).
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from ..hostport import bracketed, host_port

FIELDS = ("domain", "protocol", "host", "port")
LONGEST_TOKEN = 2048
"""Characters. Two names of 253 octets need about 700; the bound keeps the cache of tokens small."""


class BadHost(ValueError):  # noqa: N818 - a host is bad, as a token is
    """Not a host name, an IPv4 address or a bracketed IPv6 address; the text says why."""


class TargetError(ValueError):
    """A request-target that leads nowhere.

    ``reason`` is for people and safe to log. ``absolute`` says whether the request line was in absolute-form
    (or authority-form): Traffic Server answers those ``404 Not Found``, others ``404 Not Found on
    Accelerator``.
    """

    def __init__(self, reason: str, *, absolute: bool = False) -> None:
        """``reason`` is a sentence without a full stop."""
        super().__init__(reason)
        self.reason = reason
        self.absolute = absolute


class BadToken(TargetError):  # noqa: N818 - reads as the finding code does: bad-token
    """The first path segment is not base64 of ``domain/protocol/host/port``."""


class UnknownForm(TargetError):  # noqa: N818
    """Asterisk-form, authority-form, a scheme other than http, or no first segment at all."""


class ForeignAuthority(TargetError):  # noqa: N818
    """An absolute-form target for some other server: this is no open forward proxy."""


class SchemeMismatch(TargetError):  # noqa: N818
    """``https://`` on a plaintext port: Traffic Server answers 400 and warns with ``reason``'s words."""


class IllegalCharacter(TargetError):  # noqa: N818
    """A space or control character in the request-target, which RFC 9112 section 3.2 rules out."""


class Target(NamedTuple):
    """A server behind the Expressway-C, and the MRA domain it is asked for.

    ``host`` is a lower-case name (a trailing dot is kept: names are compared exactly), IPv4 text, or IPv6 in
    its compressed form (RFC 5952) without brackets. ``domain`` is lower-case. ``scheme`` is ``http`` or
    ``https``.
    """

    domain: str
    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        return host_port(self.host, self.port)

    @property
    def is_ip(self) -> bool:
        """Whether ``host`` is an address: it then gets no SNI."""
        return ":" in self.host or _IPV4.fullmatch(self.host) is not None

    def url_for(self, path: str) -> str:
        """Absolute URL with the port always shown, as ``Request=`` of Expressway's allow-list line has it."""
        return f"{self.scheme}://{self.authority}{path}"


class RequestTarget(NamedTuple):
    """What a request line asks for: ``path`` in origin-form, with its query; ``token`` as received."""

    target: Target
    path: str
    token: str


_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_PERCENT = re.compile(r"%(2b|2f|3d)", re.IGNORECASE)
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_UNPRINTABLE = re.compile(rb"[^\x21-\x7e]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USERINFO = re.compile(r"\A((?:[^/?#]*//)?)[^/?#]*@")
_BEFORE_AT = re.compile(r"(?<![^/?#])[^/?#]*@")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_ILLEGAL = re.compile(r"[\x00-\x20\x7f]")


def canonical_host(text: str) -> str:
    """Host as :class:`Target` holds it, from a name, IPv4 text or ``[IPv6]``; raises :class:`BadHost`.

    Names are letters, digits, hyphens and underscores in labels of at most 63 characters, 253 in all (RFC
    1123 section 2.1, RFC 2181 section 11). What ``inet_aton`` would read as a number (``10.1``, ``0x7f.1``,
    ``010.1.1.1``) is refused unless it is a plain dotted quad: two readers must not dial two machines.
    """
    if not text:
        raise BadHost("the host is empty")
    if text[0] == "[":
        return _ipv6(text)
    if text.count(":") > 1:
        raise BadHost(f"IPv6 address {_shown(text)} needs brackets")
    if (wrong := _NOT_IN_NAMES.search(text)) is not None:
        raise BadHost(f"host {_shown(text)} has an illegal character {wrong.group()!a}")
    name = text.lower()
    labels = name.removesuffix(".").split(".")
    if all(_NUMERIC.fullmatch(label) for label in labels):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise BadHost(f"{_shown(text)} is not an IPv4 address") from None
    if len(name.removesuffix(".")) > 253:
        raise BadHost(f"host {_shown(text)} is longer than 253 characters")
    for label in labels:
        if not label:
            raise BadHost(f"host {_shown(text)} has an empty label")
        if len(label) > 63:
            raise BadHost(f"label {_shown(label)} is longer than 63 characters")
        if not _LABEL.fullmatch(label):
            raise BadHost(f"label {_shown(label)} starts or ends with a hyphen")
    return name


def canonical_port(text: str) -> int:
    """Port 1 to 65535 from decimal digits without leading zeros; raises ValueError with the reason."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"port {_shown(text)} is not a number" if text else "the port is empty")
    if len(text) > 5 or text[0] == "0" or int(text) > 65535:
        raise ValueError(f"port {_shown(text)} is not one of 1 to 65535")
    return int(text)


def encode(target: Target) -> str:
    """TOKEN of a target: standard alphabet, no padding, as every published sample."""
    text = f"{target.domain}/{target.scheme}/{bracketed(target.host)}/{target.port}"
    return base64.b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def decode(token: bytes | str) -> Target:
    """Target of a TOKEN; raises :class:`BadToken` that says what exactly is wrong.

    Standard and URL alphabet are taken, padding may be there or not but not half, and ``+``, ``/``, ``=`` may
    be percent-encoded (nothing else may). Left-over bits in the last character must be zero (RFC 4648 section
    3.5): where they are not, the token was cut. Scheme and host may be in upper case and come out in lower
    case.
    """
    return _decode(token.decode("latin-1") if isinstance(token, bytes) else token)


def split(raw: str, control_host: str) -> RequestTarget:
    """What the request-target ``raw`` asks for; ``control_host`` is this proxy's own ``name[:port]``.

    ``/TOKEN`` without a slash behind it is mapped to nothing (observed). An absolute-form authority must be ours: a
    name that starts with ``vcs_control.``, the control host, ``localhost`` or a loopback address, on any port.
    Raises a :class:`TargetError`: :class:`BadToken`, :class:`UnknownForm`, :class:`ForeignAuthority` (404),
    :class:`SchemeMismatch`, :class:`IllegalCharacter` (400).
    """
    absolute = raw[:1] != "/"
    if " " in raw or not (raw.isascii() and raw.isprintable()):  # cheap; the expression is exact
        illegal = _ILLEGAL.search(raw)
        if illegal is not None:
            raise IllegalCharacter(f"{illegal.group()!a} in the request-target", absolute=absolute)
    rest = _without_authority(raw, control_host) if absolute else raw
    if "#" in rest:
        rest = rest[: rest.index("#")]
    start = 2 if rest[:2] == "//" else 1
    end = rest.find("/", start)
    token = rest[start:end] if end >= 0 else rest[start:]
    if "?" in token:
        token = token[: token.index("?")]
    if not token:
        raise UnknownForm(f"no token in {_shown(raw)}", absolute=absolute)
    try:
        target = _decode(token)
    except BadToken as error:
        error.absolute = absolute
        raise
    path = rest[start + len(token) :]
    if path[:1] != "/":
        raise UnknownForm("no slash behind the token", absolute=absolute)
    # Traffic Server lets go of one of two slashes behind the token, and of an empty query (observed).
    if path[1:2] == "/":
        path = path[1:]
    if path[-1] == "?" and path.count("?") == 1:
        path = path[:-1]
    return RequestTarget(target, path, token)


def absolute_url(raw: str, control_host: str) -> str:
    """``raw`` as the log shows it: completed with ``control_host`` in origin-form, else without user and password."""
    return f"http://{control_host}{raw}" if raw[:1] == "/" else _USERINFO.sub(r"\1<CONCEALED>@", raw)


@lru_cache(maxsize=4096)
def _decode(token: str) -> Target:
    text = _text_of(token)
    fields = text.split("/")
    if len(fields) > 4:
        raise BadToken(f"token decodes to {_shown(text)}: {len(fields)} fields, not domain/protocol/host/port")
    if missing := _missing(fields):
        raise BadToken(f"token decodes to {_shown(text)}{missing}")
    domain, protocol, host, port = fields
    if protocol.lower() not in ("http", "https"):
        raise BadToken(f"token names protocol {_shown(protocol)}, not http or https")
    try:
        where = canonical_host(host)
        number = canonical_port(port)
    except ValueError as error:
        raise BadToken(f"token decodes to {_shown(text)}: {error}") from None
    try:
        asked_for = canonical_host(domain)
        if ":" in asked_for:
            raise BadHost("an address is no domain")
    except BadHost as error:
        raise BadToken(f"token names domain {_shown(domain)}: {error}") from None
    return Target(asked_for, protocol.lower(), where, number)


def _text_of(token: str) -> str:
    """Printable ASCII that a token stands for."""
    if len(token) > LONGEST_TOKEN:
        raise BadToken(f"token of {len(token)} characters; {LONGEST_TOKEN} are more than any target needs")
    if "%" in token:
        token = _PERCENT.sub(lambda match: chr(int(match.group(1), 16)), token)
    digits = token.translate(_STANDARD_ALPHABET).rstrip("=")
    padding = len(token) - len(digits)
    if (alien := _NOT_BASE64.search(digits)) is not None:
        at = alien.start()
        raise BadToken(f"token is not base64: character {token[at]!a} at position {at + 1}")
    if not digits:
        raise BadToken("token is empty")
    if padding and padding != -len(digits) % 4:
        raise BadToken(f"token has {padding} padding characters where {-len(digits) % 4} belong")
    whole = digits if len(digits) % 4 != 1 else digits[:-1]
    data = base64.b64decode(whole + "=" * (-len(whole) % 4))
    damage = ""
    if whole is not digits:
        damage = f"token of {len(digits)} characters is cut short (no base64 has that length)"
    elif base64.b64encode(data).decode("ascii").rstrip("=") != digits:
        damage = f"token is damaged or cut short (its last character {digits[-1]!r} has bits left over)"
    odd = _UNPRINTABLE.search(data)
    if damage and odd is not None:
        raise BadToken(damage)
    if odd is not None:
        raise BadToken(
            f"token decodes to {_shown(data.decode('latin-1'))}: byte 0x{odd.group()[0]:02x} is not printable ASCII"
        )
    text = data.decode("ascii")
    if damage:
        raise BadToken(f"{damage}: as far as it goes it says {_shown(text)}{_missing(text.split('/'))}")
    return text


def _missing(fields: list[str]) -> str:
    """End of a sentence that names the fields a token lacks; empty if it has all four."""
    present = fields[:4]
    if len(present) == 1 and present[0]:
        return ", just a domain as get_edge_config takes, not domain/protocol/host/port"
    absent = [name for name, value in zip(FIELDS, present + [""] * 4, strict=False) if not value]
    return f": {', '.join(absent)} missing" if absent else ""


def _ipv6(text: str) -> str:
    if text[-1] != "]":
        raise BadHost(f"host {_shown(text)} has no closing bracket")
    if "%" in text:
        raise BadHost(f"host {_shown(text)}: a zone means nothing to another machine")
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        raise BadHost(f"{_shown(text)} is not an IPv6 address") from None
    mapped = address.ipv4_mapped  # spelt out: str() of it differs between Python 3.12 and 3.13
    return f"::ffff:{mapped}" if mapped is not None else str(address)


def _without_authority(raw: str, control_host: str) -> str:
    """Path, query and fragment of an absolute-form target that is meant for this proxy."""
    if raw[:7] == "http://":
        end = raw.find("/", 7, 300)
        if end > 0 and _is_ours(raw[7:end], control_host):
            return raw[end:]
    scheme = _SCHEME.match(raw)
    if scheme is None:
        if raw in ("*", ""):
            raise UnknownForm("the request-target names no server")
        raise UnknownForm(f"{_shown(raw)} is neither /TOKEN/PATH nor http://HOST/TOKEN/PATH", absolute=True)
    if scheme.group(1).lower() == "https":
        raise SchemeMismatch("scheme [https] vs. protocol [plaintext] mismatch", absolute=True)
    if scheme.group(1).lower() != "http":
        raise UnknownForm(f"scheme {_shown(scheme.group(1))} is not http", absolute=True)
    start = scheme.end()
    end = min((at for at in (raw.find(mark, start) for mark in "/?#") if at >= 0), default=len(raw))
    authority = raw[start:end]
    if len(authority) > 300 or not _is_ours(authority, control_host):
        raise ForeignAuthority(f"{_shown(authority)} is not this proxy's control name", absolute=True)
    return raw[end:] if raw[end : end + 1] == "/" else "/" + raw[end:]


@lru_cache(maxsize=1024)
def _is_ours(authority: str, control_host: str) -> bool:
    match, own = _AUTHORITY.fullmatch(authority), _AUTHORITY.fullmatch(control_host)
    if match is None or (match.group(2) and int(match.group(2)) > 65535):
        return False
    try:
        host = canonical_host(match.group(1))
        if own is not None and host == canonical_host(own.group(1)):
            return True
    except BadHost:
        return False
    loopback = _IPV4.fullmatch(host) is not None and IPv4Address(host).is_loopback
    return loopback or host in ("localhost", "::1") or host.startswith("vcs_control.")


def _shown(text: str) -> str:
    """Quoted, escaped and short enough for a sentence in a log; without what stands before an ``@``."""
    text = _BEFORE_AT.sub("<CONCEALED>@", text)
    return ascii(text if len(text) <= 80 else text[:77] + "...")
