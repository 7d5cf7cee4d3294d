"""``HOST:PORT`` as text: IPv6 addresses have brackets (RFC 3986 section 3.2.2)."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """Return a host as URLs write it: a bare IPv6 address in brackets, anything else unchanged."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host


def host_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``."""
    return f"{bracketed(host)}:{port}"
