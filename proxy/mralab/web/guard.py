"""Access to the control API: for programs on this machine, for pages that the API served, and with the token.

A client of the API has full control of the proxy, so no decision depends on one field that a client can choose.

- A web page from another origin can make a browser send requests to loopback: ``Origin`` and ``Sec-Fetch-Site`` show
  that, and a page cannot send JSON without permission (CORS).
- A page can also resolve its own host name to 127.0.0.1 (DNS rebinding): ``Host`` shows that.
- A proxy on this machine can be made to send requests here with a ``Host`` of its own (a confused deputy): the fields
  that proxies add show that.

A request that two parsers could read differently is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from ..errors import MralabError

if TYPE_CHECKING:
    from .schemas import ErrorCode

JSON: Final = "application/json"
PEM: Final = "application/x-pem-file"
"""Certificates in PEM, for the routes that take it. As with JSON, a page needs permission (CORS) to send it."""
_BODILESS_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_SINGLE_FIELDS: Final = (
    "Host",
    "Origin",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Sec-Fetch-Site",
    "Referer",
    "Last-Event-ID",
)
_PROXY_FIELDS: Final = frozenset(
    (
        "via",
        "forwarded",
        "client-ip",
        "x-client-ip",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-cluster-client-ip",
        "x-rewrite-url",
        "x-host",
        "forwarded-for",
        "proxy-connection",
        "proxy-authorization",
    )
)
_PROXY_FIELD_PREFIXES: Final = ("x-forwarded", "x-original-", "x-envoy-", "x-proxyuser-")
"""Fields that proxies, ours included, add or receive. Some servers treat ``_`` in a name as ``-``."""
_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""Content types that any page may send without permission (Fetch Standard, CORS-safelisted request headers)."""
_OVERRIDE_FIELDS: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


class Fields(Protocol):
    """A request's header fields with case-insensitive names, such as aiohttp's multidict."""

    def __iter__(self) -> Iterator[str]: ...
    def get(self, key: str, /) -> str | None: ...  # noqa: D102
    def getall(self, key: str, default: list[str], /) -> list[str]: ...  # noqa: D102


class Received(NamedTuple):
    """A received request: ``target`` as in the request line, ``peer`` the sender's address."""

    method: str
    target: str
    headers: Fields
    peer: str


class RefusedError(MralabError):
    """A refused request. ``code`` is the error code and ``status`` the HTTP status of the answer."""

    status = 403

    def __init__(self, code: ErrorCode, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


class ForbiddenError(RefusedError):
    """Refused because of its origin."""


class AmbiguousError(RefusedError):
    """Refused because it is ambiguous or uses an unsupported feature."""

    status = 400


class MediaTypeError(RefusedError):
    """Refused because its body is not JSON."""

    status = 415


class UnauthorizedError(RefusedError):
    """Refused because it comes from another machine without the token."""

    status = 401


def check(request: Received, token: str = "") -> None:
    """Raise ``RefusedError`` unless the request is addressed to loopback, not from another origin, and unambiguous.

    With a ``token`` (``proxy.admin_token``) another machine may send it too, with ``Authorization: Bearer TOKEN``. A
    page of another origin cannot send that field without permission (CORS), so ``Host`` may then be any.

    ``check_body`` is separate: a method that a path does not have is answered 405, whatever its body.
    """
    is_local = _is_loopback_address(request.peer)
    _check_sender(request, is_local=is_local, token=token)
    _check_ambiguity(request)
    host = request.headers.get("Host") or ""
    if is_local and not is_loopback(host):
        raise ForbiddenError(
            "host-not-loopback", f"Host {host!r} is not this machine's loopback", "use 127.0.0.1, [::1] or localhost"
        )
    _check_target(request, host)
    _check_origin(request, host)


def is_loopback(host: str) -> bool:
    """Return whether a Host field names loopback: ``localhost``, 127.0.0.0/8 or ``[::1]``, with or without a port."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.netloc != host or "@" in host or not name:
        return False
    if name == "localhost":
        return True
    return _is_loopback_address(name)


def _is_loopback_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return ((isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address).is_loopback


def _check_sender(request: Received, *, is_local: bool, token: str) -> None:
    """Refuse requests from other machines without the token, and through proxies."""
    if not is_local and token and not _has_token(request, token):
        raise UnauthorizedError(
            "token-missing",
            f"the request comes from {request.peer} without proxy.admin_token",
            "send it as Authorization: Bearer TOKEN; mralab's commands take it from $MRALAB_ADMIN_TOKEN",
        )
    if not is_local and not token:
        raise ForbiddenError(
            "peer-not-loopback",
            f"the request comes from {request.peer}",
            "connect from this machine or through ssh -L, or set proxy.admin_token",
        )
    through = sorted({name for name in request.headers if _is_proxy_field(name.lower())})
    if through:
        raise ForbiddenError(
            "through-a-proxy",
            f"the request came through a proxy or is meant for one ({', '.join(through)})",
            "connect directly; with curl: --noproxy '*'",
        )


def _has_token(request: Received, token: str) -> bool:
    given = request.headers.getall("Authorization", [])
    scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    # In constant time: the time of a comparison must not tell how much of a guess is right.
    is_right = hmac.compare_digest(secret.strip().encode("utf-8", "surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and is_right


def _is_proxy_field(name: str) -> bool:
    name = name.replace("_", "-")
    return name in _PROXY_FIELDS or name.startswith(_PROXY_FIELD_PREFIXES)


def _check_ambiguity(request: Received) -> None:
    """Refuse repeated fields, and fields that override the method of the request line."""
    twice = [name for name in _SINGLE_FIELDS if len(request.headers.getall(name, [])) > 1]
    if twice:
        raise AmbiguousError("ambiguous", f"{', '.join(twice)}: given more than once", "send each field once")
    overrides = [name for name in _OVERRIDE_FIELDS if request.headers.get(name) is not None]
    if overrides:
        raise AmbiguousError(
            "ambiguous",
            f"{', '.join(overrides)}: the method of the request line cannot be overridden",
            "send the method itself",
        )


def _check_target(request: Received, host: str) -> None:
    """Refuse targets other than a path or a URL of the same Host (absolute-form, RFC 9112 section 3.2.2)."""
    target = request.target
    if target == "*" and request.method == "OPTIONS":
        return
    if "#" in target or (not target.startswith("/") and "://" not in target) or target.startswith("//"):
        raise AmbiguousError("ambiguous", f"{target!r} is not a path", "request a path such as /api/health")
    if not target.startswith("/"):
        scheme, _, rest = target.partition("://")
        authority = rest.partition("/")[0].partition("?")[0]
        if scheme.lower() != "http" or authority.lower() != host.lower():
            raise ForbiddenError(
                "foreign-authority", f"{target!r} is not a URL of {host}", "request a path such as /api/health"
            )


def _check_origin(request: Received, host: str) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and not _is_same_origin(origin, host):
        raise ForbiddenError("foreign-origin", f"pages of {origin!r} may not use this API", "send it from a program")
    referer = request.headers.get("Referer")
    if referer and not _is_same_origin("/".join(referer.split("/", 3)[:3]), host):
        raise ForbiddenError("foreign-origin", f"the page {referer!r} links to this API", "send it from a program")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise ForbiddenError(
            "foreign-origin",
            f"a browser sent it for another site's page (Sec-Fetch-Site: {site})",
            "send it from a program",
        )


def _is_same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    return scheme == "http" and bool(separator) and authority.lower() == host.lower()


def check_body(request: Received) -> None:
    """Raise ``RefusedError`` for a body other than JSON or PEM: any page can send a form without permission."""
    size, coding = request.headers.get("Content-Length") or "", request.headers.get("Transfer-Encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        raise AmbiguousError("ambiguous", f"Transfer-Encoding {coding!r} is not chunked", "send Content-Length")
    if (request.headers.get("Content-Encoding") or "identity").strip().lower() != "identity":
        raise MediaTypeError("http", "the body has a Content-Encoding", "send it without one")
    has_body = coding is not None or size.strip("0") != ""
    if request.method in _BODILESS_METHODS:
        if has_body:
            raise AmbiguousError("ambiguous", f"{request.method} takes no body", "send it without a body")
        return
    given = request.headers.get("Content-Type")
    if not has_body and _media_type(given or "") not in _FORM_TYPES:
        return  # some clients send a type without a body, such as aiohttp's application/octet-stream
    if not is_json(given or "") and not is_pem(given or ""):
        raise MediaTypeError(
            "http",
            f"Content-Type {given!r} is not {JSON}" if given is not None else "the body has no Content-Type",
            f"send JSON with Content-Type: {JSON}",
        )


def is_json(content_type: str) -> bool:
    """Return whether a Content-Type is JSON in UTF-8, the only encoding of RFC 8259 section 8.1."""
    parameters = (part.lower().partition("=") for part in content_type.split(";")[1:])
    charsets = [value.strip().strip('"') for name, _, value in parameters if name.strip().startswith("charset")]
    return _media_type(content_type) == JSON and all(charset == "utf-8" for charset in charsets)


def is_pem(content_type: str) -> bool:
    """Return whether a Content-Type is PEM."""
    return _media_type(content_type) == PEM


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
