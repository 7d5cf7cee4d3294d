"""The server that a request names: ``/TOKEN/path?query`` <-> :class:`Target`.

TOKEN is base64 of ``domain/protocol/host/port`` (Cisco's MRA deployment guides print samples; none has padding). So
``/c3RldmVuLmxhYi9odHRwcy9jdWNtLnN0ZXZlbi5sYWIvODQ0Mw/cucm-uds/version`` requests ``/cucm-uds/version`` from
``https://cucm.steven.lab:8443``. Nothing is guessed: anything that is not exactly such a token is refused with the
reason in words.

The request line has the target in origin-form or in absolute-form (RFC 9112 section 3.2). Traffic Server skips one
leading empty segment, drops the fragment and leaves everything after the first segment unchanged (observed on 9.2.9).
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from ..counting import counted
from ..hostport import bracketed, host_port

FIELDS = ("domain", "protocol", "host", "port")
LONGEST_TOKEN = 2048
"""Characters. Two names of 253 octets need about 700. The limit bounds the memory of the token cache."""
_LONGEST_AUTHORITY = 300
"""Characters. The longest name has 253; the limit bounds the memory of the authority cache."""


class BadHost(ValueError):  # noqa: N818 - named as BadToken
    """Not a host name, an IPv4 address or a bracketed IPv6 address. The text has the reason."""


class TargetError(ValueError):
    """A request-target that names no server.

    ``reason`` is for people and safe to log. ``absolute``: the request line was in absolute-form (or authority-form).
    Traffic Server answers those ``404 Not Found``, others ``404 Not Found on Accelerator``.
    """

    def __init__(self, reason: str, *, absolute: bool = False) -> None:
        """``reason`` is a sentence without a full stop."""
        super().__init__(reason)
        self.reason = reason
        self.absolute = absolute


class BadToken(TargetError):  # noqa: N818 - named as its finding code, bad-token
    """The first path segment is not base64 of ``domain/protocol/host/port``."""


class UnknownForm(TargetError):  # noqa: N818
    """Asterisk-form, authority-form, a scheme other than http, or no first segment at all."""


class ForeignAuthority(TargetError):  # noqa: N818
    """An absolute-form target for another server. This proxy is not an open forward proxy."""


class SchemeMismatch(TargetError):  # noqa: N818
    """``https://`` on a plaintext port. Traffic Server answers 400 and logs a warning with the text of ``reason``."""


class IllegalCharacter(TargetError):  # noqa: N818
    """A space or control character in the request-target, which RFC 9112 section 3.2 forbids."""


class Target(NamedTuple):
    """A server behind the Expressway-C, and the MRA domain of the request.

    ``host`` is a lower-case name (a trailing dot is kept, because names are compared exactly), IPv4 text, or IPv6 in
    its compressed form (RFC 5952) without brackets. ``domain`` is lower-case. ``scheme`` is ``http`` or ``https``.
    """

    domain: str
    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """``host:port``, with brackets around IPv6."""
        return host_port(self.host, self.port)

    def url_for(self, path: str) -> str:
        """Return the absolute URL. It always has the port, as ``Request=`` in Expressway's allow-list line does."""
        return f"{self.scheme}://{self.authority}{path}"


class RequestTarget(NamedTuple):
    """A parsed request-target: ``path`` in origin-form, with its query; ``token`` as received."""

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
_AUTHORITY_END = re.compile(r"[/?#]")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_ILLEGAL = re.compile(r"[\x00-\x20\x7f]")


def canonical_host(text: str) -> str:
    """Return a name, IPv4 text or ``[IPv6]`` in the form of ``Target.host``. Raises :class:`BadHost`.

    Names consist of letters, digits, hyphens and underscores, in labels of at most 63 characters, 253 in all (RFC 1123
    section 2.1, RFC 2181 section 11). Text that ``inet_aton`` reads as a number (``10.1``, ``0x7f.1``, ``010.1.1.1``)
    is refused unless it is a plain dotted quad: two implementations could connect to two machines.
    """
    if not text:
        raise BadHost("the host is empty")
    if text[0] == "[":
        return _ipv6(text)
    if text.count(":") > 1:
        raise BadHost(f"IPv6 address {_shown(text)} needs brackets")
    if (illegal := _NOT_IN_NAMES.search(text)) is not None:
        raise BadHost(f"host {_shown(text)} has an illegal character {illegal.group()!a}")
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
    """Return a port of 1 to 65535 from decimal digits without leading zeros. Raises ``ValueError`` with the reason."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"port {_shown(text)} is not a number" if text else "the port is empty")
    if len(text) > 5 or text[0] == "0" or int(text) > 65535:
        raise ValueError(f"port {_shown(text)} is not one of 1 to 65535")
    return int(text)


def encode(target: Target) -> str:
    """Return the TOKEN of a target, in the standard alphabet and without padding, as in every published sample."""
    text = f"{target.domain}/{target.scheme}/{bracketed(target.host)}/{target.port}"
    return base64.b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def decode(token: bytes | str) -> Target:
    """Return the target of a TOKEN. Raises :class:`BadToken`, whose text says exactly what is wrong.

    Both the standard and the URL alphabet are accepted. Padding is optional, but must be complete. ``+``, ``/`` and
    ``=`` may be percent-encoded, no other characters. Unused bits in the last character must be zero (RFC 4648 section
    3.5): if they are not, the token was cut. Scheme and host may be in upper case; they are returned in lower case.
    """
    return _decode(token.decode("latin-1") if isinstance(token, bytes) else token)


def split(raw: str, control_host: str) -> RequestTarget:
    """Parse the request-target ``raw``. ``control_host`` is this proxy's own ``name[:port]``.

    ``/TOKEN`` without a slash after it names no server (observed). An absolute-form authority must be this proxy: a
    name that starts with ``vcs_control.``, the control host, ``localhost`` or a loopback address, on any port. Raises a
    :class:`TargetError`: :class:`BadToken`, :class:`UnknownForm`, :class:`ForeignAuthority` (404),
    :class:`SchemeMismatch`, :class:`IllegalCharacter` (400).
    """
    absolute = raw[:1] != "/"
    if " " in raw or not (raw.isascii() and raw.isprintable()):  # cheap, so that few targets need the expression
        illegal = _ILLEGAL.search(raw)
        if illegal is not None:
            raise IllegalCharacter(f"{illegal.group()!a} in the request-target", absolute=absolute)
    origin_form = _without_authority(raw, control_host) if absolute else raw
    token, path = _token_and_path(origin_form)
    if not token:
        raise UnknownForm(f"no token in {_shown(raw)}", absolute=absolute)
    try:
        target = _decode(token)
    except BadToken as error:
        error.absolute = absolute
        raise
    if path[:1] != "/":
        raise UnknownForm("no slash after the token", absolute=absolute)
    return RequestTarget(target, _mapped_path(path), token)


def _token_and_path(origin_form: str) -> tuple[str, str]:
    """Return the first segment and the rest, without a fragment; one empty segment before them is skipped."""
    rest = origin_form.partition("#")[0]
    rest = rest[2:] if rest[:2] == "//" else rest[1:]
    token = rest.partition("/")[0].partition("?")[0]
    return token, rest[len(token) :]


def _mapped_path(path: str) -> str:
    """Return the path that Traffic Server sends: without one of two leading slashes or an empty query (observed)."""
    if path[1:2] == "/":
        path = path[1:]
    if path[-1] == "?" and path.count("?") == 1:
        path = path[:-1]
    return path


def absolute_url(raw: str, control_host: str) -> str:
    """Return ``raw`` as the log shows it: origin-form after ``control_host``, others without user and password."""
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
    scheme = protocol.lower()
    if scheme not in ("http", "https"):
        raise BadToken(f"token names protocol {_shown(protocol)}, not http or https")
    try:
        server, number = canonical_host(host), canonical_port(port)
    except ValueError as error:
        raise BadToken(f"token decodes to {_shown(text)}: {error}") from None
    return Target(_mra_domain(domain), scheme, server, number)


def _mra_domain(text: str) -> str:
    try:
        domain = canonical_host(text)
        if ":" in domain:
            raise BadHost("an IP address is not a domain")
    except BadHost as error:
        raise BadToken(f"token names domain {_shown(text)}: {error}") from None
    return domain


def _text_of(token: str) -> str:
    """Return the printable ASCII that a token encodes."""
    digits = _base64_digits(token)
    # A last character of its own has six bits, too few for a byte: decode the others, for the message.
    decodable = digits if len(digits) % 4 != 1 else digits[:-1]
    data = base64.b64decode(decodable + "=" * (-len(decodable) % 4))
    damage = _damage(digits, data)
    unprintable = _UNPRINTABLE.search(data)
    if unprintable is not None:
        text, byte = _shown(data.decode("latin-1")), unprintable.group()[0]
        raise BadToken(damage or f"token decodes to {text}: byte 0x{byte:02x} is not printable ASCII")
    text = data.decode("ascii")
    if damage:
        raise BadToken(f"{damage}; it decodes to {_shown(text)}{_missing(text.split('/'))}")
    return text


def _base64_digits(token: str) -> str:
    """Return a token in the standard alphabet, without padding."""
    if len(token) > LONGEST_TOKEN:
        raise BadToken(f"token of {len(token)} characters; the limit is {LONGEST_TOKEN}")
    if "%" in token:
        token = _PERCENT.sub(lambda match: chr(int(match.group(1), 16)), token)
    digits = token.translate(_STANDARD_ALPHABET).rstrip("=")
    padding, complete = len(token) - len(digits), -len(digits) % 4
    if (illegal := _NOT_BASE64.search(digits)) is not None:
        at = illegal.start()
        raise BadToken(f"token is not base64: character {token[at]!a} at position {at + 1}")
    if not digits:
        raise BadToken("token is empty")
    if padding and padding != complete:
        raise BadToken(f"token has {padding} padding characters instead of {complete}")
    return digits


def _damage(digits: str, data: bytes) -> str:
    """Return why ``digits`` cannot be the whole encoding of ``data``, or nothing."""
    if len(digits) % 4 == 1:
        return f"token of {counted(len(digits), 'character')} is cut short (no base64 has that length)"
    if base64.b64encode(data).decode("ascii").rstrip("=") != digits:
        return f"token is damaged or cut short (its last character {digits[-1]!r} has bits left over)"
    return ""


def _missing(fields: list[str]) -> str:
    """Return the end of a sentence that names the fields a token lacks; empty if it has all four."""
    present = fields[:4]
    if len(present) == 1 and present[0]:
        return ", only a domain as in a get_edge_config request, not domain/protocol/host/port"
    absent = [name for name, value in zip(FIELDS, present + [""] * 4, strict=False) if not value]
    return f": {', '.join(absent)} missing" if absent else ""


def _ipv6(text: str) -> str:
    if text[-1] != "]":
        raise BadHost(f"host {_shown(text)} has no closing bracket")
    if "%" in text:
        raise BadHost(f"host {_shown(text)}: a zone is local to one machine")
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        raise BadHost(f"{_shown(text)} is not an IPv6 address") from None
    mapped = address.ipv4_mapped  # str() of a mapped address differs between Python 3.12 and 3.13
    return f"::ffff:{mapped}" if mapped is not None else str(address)


def _without_authority(raw: str, control_host: str) -> str:
    """Return path, query and fragment of an absolute-form target for this proxy, starting with a slash."""
    if raw[:7] == "http://":  # the usual spelling, without expressions
        end = raw.find("/", 7, _LONGEST_AUTHORITY)
        if end > 0 and _is_this_proxy(raw[7:end], control_host):
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
    authority = _AUTHORITY_END.split(raw[scheme.end() :], maxsplit=1)[0]
    if len(authority) > _LONGEST_AUTHORITY or not _is_this_proxy(authority, control_host):
        raise ForeignAuthority(f"{_shown(authority)} is not this proxy's control name", absolute=True)
    rest = raw[scheme.end() + len(authority) :]
    return rest if rest[:1] == "/" else f"/{rest}"


@lru_cache(maxsize=1024)
def _is_this_proxy(authority: str, control_host: str) -> bool:
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
    """Return text for a sentence in a log: quoted, escaped, short, and without user and password before an ``@``."""
    text = _BEFORE_AT.sub("<CONCEALED>@", text)
    return ascii(text if len(text) <= 80 else text[:77] + "...")
