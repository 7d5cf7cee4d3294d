"""What a client asked for, from the request line that the log shows."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final, NamedTuple

from ..core.mra.target import BadToken, decode

_EDGE_PATHS: Final = ("get_edge_config", "get_edge_sso", "authorize", "oauthcb")
"""What clients ask of Expressway-E itself, behind the base64 of their domain alone (Cisco 211304, 221845)."""
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+", re.ASCII)
_AUTHORITY = re.compile(r"(https?)://(?:\[([^\]/]*)\]|([^:/?#\s]*))(?::([0-9]{1,5})(?![0-9]))?")
_ABSOLUTE = re.compile(r"\S+ (https?)://([^/\s]*)", re.IGNORECASE)


class Asked(NamedTuple):
    """A request line, understood.

    ``server`` and ``port`` are the token's, empty and None where it does not decode (``problem`` says why). ``url`` is
    the server's URL, or the one that was asked for. ``of_edge`` is for what Expressway-E answers itself.
    """

    method: str = ""
    url: str = ""
    asked_url: str = ""
    server: str = ""
    port: int | None = None
    problem: str = ""
    of_edge: bool = False
    by_edge_client: bool = False
    """It was asked over HTTPS: Expressway-C's traffic_server takes plain HTTP only."""


def asked_for(start_line: str) -> Asked:
    """Return what a request line asks for, as far as it can be understood."""
    method, _, rest = start_line.partition(" ")
    asked_url = rest.rpartition(" ")[0] or rest
    absolute = _ABSOLUTE.match(start_line)
    over_https = absolute is not None and absolute[1].lower() == "https"
    path = re.sub(r"^https?://[^/]*", "", asked_url, flags=re.IGNORECASE).lstrip("/")
    token, _, behind = path.partition("/")
    token = re.split("[? ]", token, maxsplit=1)[0]
    try:
        target = decode(token)
    except BadToken as error:
        of_edge = _is_domain(token) and re.split("[/?]", behind, maxsplit=1)[0] in _EDGE_PATHS
        return Asked(method, asked_url, asked_url, problem=error.reason, of_edge=of_edge, by_edge_client=over_https)
    url = target.url_for(f"/{behind}")
    return Asked(method, url, asked_url, target.host, target.port, by_edge_client=over_https)


def is_absolute(start_line: str) -> bool:
    """Whether a request was sent on in absolute form: to another proxy, as Expressway-E sends to Expressway-C."""
    return _ABSOLUTE.match(start_line) is not None


def is_loopback(address: str) -> bool:
    """Whether an address in the log is this machine's loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def authority(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL, empty and None where it has none."""
    match = _AUTHORITY.match(url)
    if match is None:
        return "", None
    port = int(match[4]) if match[4] else {"http": 80, "https": 443}[match[1]]
    return match[2] or match[3] or "", port


def _is_domain(token: str) -> bool:
    try:
        text = base64.b64decode(
            token + "=" * (-len(token) % 4), altchars=b"-_" if "-" in token or "_" in token else None
        )
        return _DOMAIN.fullmatch(text.decode("ascii")) is not None
    except (binascii.Error, ValueError):
        return False
