"""``HOST:PORT`` as text: IPv6 addresses have brackets (RFC 3986 section 3.2.2)."""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://(?:[^/?#@]*@)?([^/?#@]*)")


def bracketed(host: str) -> str:
    """Return a host as URLs write it: a bare IPv6 address in brackets, anything else unchanged."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host


def host_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``."""
    return f"{bracketed(host)}:{port}"


def authority_of_url(text: str) -> str | None:
    """Return the ``HOST[:PORT]`` of a URL, perhaps empty; None if the text is no URL."""
    url = _URL.match(text)
    return url[1] if url is not None else None
