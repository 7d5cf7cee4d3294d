"""Who may use the control API: programs of this machine, and pages that it served itself.

Whoever reaches the API owns the proxy, so nothing is left to one field that a client can choose. A web page from
elsewhere can make a browser send requests to loopback, and can give its own name the address 127.0.0.1 (DNS
rebinding); ``Origin`` and ``Sec-Fetch-Site`` show the first, ``Host`` the second, and a page cannot send JSON without
permission. A proxy on this machine can be made to send requests here (a confused deputy), with a Host that it wrote
itself; the fields that proxies add show that. A request that two readers could understand differently is refused
rather than interpreted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from ..errors import MralabError

JSON: Final = "application/json"
_WITHOUT_BODY: Final = ("GET", "HEAD", "OPTIONS")
_ONCE: Final = (
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
_OF_PROXIES: Final = frozenset(
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
_OF_PROXIES_PREFIXES: Final = ("x-forwarded", "x-original-", "x-envoy-", "x-proxyuser-")
"""Fields that proxies, ours among them, add or are addressed with. Some readers take ``_`` in a name for ``-``."""
_OF_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""What any page may send without permission (Fetch Standard, CORS-safelisted request headers)."""
_OVERRIDES: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


class Fields(Protocol):
    """A request's header fields. Names in any case, as aiohttp's multidict has them."""

    def __iter__(self) -> Iterator[str]: ...
    def get(self, key: str, /) -> str | None: ...  # noqa: D102
    def getall(self, key: str, default: list[str], /) -> list[str]: ...  # noqa: D102


class Received(NamedTuple):
    """What is checked of a request: ``target`` as it stands in the request line, ``peer`` the sender's address."""

    method: str
    target: str
    headers: Fields
    peer: str


class RefusedError(MralabError):
    """A request that is not served. ``code`` names the rule that it broke, ``status`` is the answer's."""

    status = 403

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


class ForbiddenError(RefusedError):
    """Refused because of where it comes from."""


class AmbiguousError(RefusedError):
    """Refused because it can be read in two ways, or says something that is not done here."""

    status = 400


class MediaTypeError(RefusedError):
    """Refused because its body is not JSON."""

    status = 415


def check(request: Received) -> None:
    """Raise ``RefusedError`` unless the request is for loopback by name, from no foreign page, and unambiguous."""
    _check_way(request)
    _check_ambiguity(request)
    host = request.headers.get("Host") or ""
    if not is_loopback(host):
        raise ForbiddenError(
            "host-not-loopback", f"Host {host!r} is not this machine's loopback", "use 127.0.0.1, [::1] or localhost"
        )
    _check_target(request, host)
    _check_origin(request, host)
    _check_body(request)


def is_loopback(host: str) -> bool:
    """Whether a Host field names loopback: ``localhost``, 127.0.0.0/8 or ``[::1]``, with or without a port."""
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


def _check_way(request: Received) -> None:
    """How it came here: from this machine, and directly."""
    if not _is_loopback_address(request.peer):
        raise ForbiddenError(
            "peer-not-loopback", f"the request comes from {request.peer}", "use it from this machine, or through ssh -L"
        )
    through = sorted({name for name in request.headers if _is_of_a_proxy(name.lower())})
    if through:
        raise ForbiddenError(
            "through-a-proxy",
            f"the request came through a proxy, or is addressed to one ({', '.join(through)})",
            "connect directly; with curl: --noproxy '*'",
        )


def _is_of_a_proxy(name: str) -> bool:
    name = name.replace("_", "-")
    return name in _OF_PROXIES or name.startswith(_OF_PROXIES_PREFIXES)


def _check_ambiguity(request: Received) -> None:
    """Fields that must stand once, and those that ask for another method than the request line."""
    twice = [name for name in _ONCE if len(request.headers.getall(name, [])) > 1]
    if twice:
        raise AmbiguousError("ambiguous", f"{', '.join(twice)}: given more than once", "send each field once")
    overrides = [name for name in _OVERRIDES if request.headers.get(name) is not None]
    if overrides:
        raise AmbiguousError(
            "ambiguous", f"{', '.join(overrides)}: the method is that of the request line", "send the method itself"
        )


def _check_target(request: Received, host: str) -> None:
    """The request line: a path, or a URL (absolute-form, RFC 9112 section 3.2.2) of the very Host."""
    target = request.target
    if target == "*" and request.method == "OPTIONS":
        return
    if "#" in target or (not target.startswith("/") and "://" not in target) or target.startswith("//"):
        raise AmbiguousError("ambiguous", f"{target!r} is not a path", "ask for a path such as /api/health")
    if not target.startswith("/"):
        scheme, _, rest = target.partition("://")
        authority = rest.partition("/")[0].partition("?")[0]
        if scheme.lower() != "http" or authority.lower() != host.lower():
            raise ForbiddenError(
                "foreign-authority", f"{target!r} is not a URL of {host}", "ask for a path such as /api/health"
            )


def _check_origin(request: Received, host: str) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and not _same(origin, host):
        raise ForbiddenError("foreign-origin", f"pages of {origin!r} may not use this API", "use it from a program")
    referer = request.headers.get("Referer")
    if referer and not _same("/".join(referer.split("/", 3)[:3]), host):
        raise ForbiddenError("foreign-origin", f"a link of the page {referer!r} leads here", "use it from a program")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise ForbiddenError(
            "foreign-origin",
            f"a browser sends it on behalf of another page (Sec-Fetch-Site: {site})",
            "use it from a program",
        )


def _same(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    return scheme == "http" and bool(separator) and authority.lower() == host.lower()


def _check_body(request: Received) -> None:
    """A body is JSON, whether the route uses it or not: a form can be sent from any page without permission."""
    size, coding = request.headers.get("Content-Length") or "", request.headers.get("Transfer-Encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        raise AmbiguousError("ambiguous", f"Transfer-Encoding {coding!r} is not chunked", "send Content-Length")
    if (request.headers.get("Content-Encoding") or "identity").strip().lower() != "identity":
        raise MediaTypeError("http", "the body has a Content-Encoding", "send it as it is")
    has_body = coding is not None or size.strip("0") != ""
    if request.method in _WITHOUT_BODY:
        if has_body:
            raise AmbiguousError("ambiguous", f"{request.method} takes no body", "send none")
        return
    given = request.headers.get("Content-Type")
    if not has_body and _essence(given or "") not in _OF_FORMS:
        return  # some clients name a type for no body: aiohttp's application/octet-stream
    if not is_json(given or ""):
        raise MediaTypeError(
            "http",
            f"Content-Type {given!r} is not {JSON}" if given is not None else "the body has no Content-Type",
            f"send JSON with Content-Type: {JSON}",
        )


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is JSON in UTF-8 (RFC 8259 section 8.1 knows no other)."""
    parameters = (part.lower().partition("=") for part in content_type.split(";")[1:])
    charsets = [value.strip().strip('"') for name, _, value in parameters if name.strip().startswith("charset")]
    return _essence(content_type) == JSON and all(charset == "utf-8" for charset in charsets)


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
