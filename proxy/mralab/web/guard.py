"""Who may use the control API: programs of this machine, and pages that it served itself.

A web page from elsewhere can make a browser send requests to loopback, and can give its own name the address
127.0.0.1 (DNS rebinding). The first is seen by ``Origin`` and ``Sec-Fetch-Site``, the second by ``Host``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..errors import MralabError


class ForbiddenError(MralabError):
    """A request that is refused for where it comes from. ``code`` says which rule it broke."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


def check_sender(headers: Mapping[str, str]) -> None:
    """Raise ``ForbiddenError`` unless the request is for loopback by name and from no foreign page."""
    host = headers.get("Host", "")
    if not is_loopback(host):
        raise ForbiddenError(
            "host-not-loopback",
            f"Host {host!r} is not this machine's loopback",
            "ask for 127.0.0.1, [::1] or localhost",
        )
    origin = headers.get("Origin")
    if origin is not None and not _same(origin, host):
        raise ForbiddenError("foreign-origin", f"pages of {origin!r} may not use this API", "use it from a program")
    site = headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none"):
        raise ForbiddenError(
            "foreign-origin",
            f"a browser asks for another page's sake (Sec-Fetch-Site: {site})",
            "use it from a program",
        )


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
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    return scheme == "http" and bool(separator) and authority.lower() == host.lower()
