"""Parse the request line that a log shows: the server, port and URL that the client requested."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final, NamedTuple

from ..core.mra.target import BadToken, decode

_EDGE_PATHS: Final = ("get_edge_config", "get_edge_sso", "authorize", "oauthcb")
"""Requests that Expressway-E answers itself: their token is the base64 of the domain alone (Cisco 211304, 221845)."""
_SERVICES: Final = (
    ("/cucm-uds/", "UDS"),
    ("/EPASSoap/", "IM and Presence"),
    ("/vmrest/", "Unity Connection"),
)
_CONFIGURATION_FILE = re.compile(r"\A/[^/?]{1,200}\.(?:cnf\.xml|xml)(?:\.sgn)?(?:\?|\Z)")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+", re.ASCII)
_AUTHORITY = re.compile(r"(https?)://(?:\[([^\]/]*)\]|([^:/?#\s]*))(?::([0-9]{1,5})(?![0-9]))?")
_ABSOLUTE = re.compile(r"\S+ (https?)://([^/\s]*)", re.IGNORECASE)


class RequestLine(NamedTuple):
    """A parsed request line.

    ``server`` and ``port`` come from the token. They are empty and None if it cannot be decoded; ``token_error`` then
    gives the reason. ``url`` is the URL at the server, or ``requested_url`` if there is no server. ``is_for_edge``
    marks requests that Expressway-E answers itself.
    """

    method: str = ""
    url: str = ""
    requested_url: str = ""
    server: str = ""
    port: int | None = None
    token_error: str = ""
    is_for_edge: bool = False
    over_https: bool = False
    """The log is an Expressway-E's: Expressway-C's traffic_server accepts plain HTTP only."""


def parse_request_line(start_line: str) -> RequestLine:
    """Parse a request line. Fields that cannot be determined are empty; never raises."""
    method, _, rest = start_line.partition(" ")
    requested_url = rest.rpartition(" ")[0] or rest
    absolute = _ABSOLUTE.match(start_line)
    over_https = absolute is not None and absolute[1].lower() == "https"
    path = re.sub(r"^https?://[^/]*", "", requested_url, flags=re.IGNORECASE).lstrip("/")
    token, slash, path_after_token = path.partition("/")
    if not slash and " " not in rest and "?" not in token:
        return RequestLine(method, requested_url, requested_url, over_https=over_https)  # cut, perhaps inside the token
    token = re.split("[? ]", token, maxsplit=1)[0]
    try:
        target = decode(token)
    except BadToken as error:
        first_segment = re.split("[/?]", path_after_token, maxsplit=1)[0]
        return RequestLine(
            method,
            requested_url,
            requested_url,
            token_error=error.reason,
            is_for_edge=_is_domain(token) and first_segment in _EDGE_PATHS,
            over_https=over_https,
        )
    url = target.url_for(f"/{path_after_token}")
    return RequestLine(method, url, requested_url, target.host, target.port, over_https=over_https)


def is_absolute_form(start_line: str) -> bool:
    """Return whether a request is in absolute form, which is sent to a proxy: Expressway-E sends it to Expressway-C."""
    return _ABSOLUTE.match(start_line) is not None


def service_of(url: str) -> str:
    """Return the service that a URL's path belongs to, so that nodes of one kind can be compared; empty if unknown."""
    path = re.sub(r"^https?://[^/]*", "", url)
    known = next((name for prefix, name in _SERVICES if path.startswith(prefix)), "")
    return known or ("TFTP" if _CONFIGURATION_FILE.search(path) else "")


def is_loopback(address: str) -> bool:
    """Return whether an address in the log is a loopback address; False for text that is not an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def authority(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL; empty and None if it has none."""
    match = _AUTHORITY.match(url)
    if match is None:
        return "", None
    port = int(match[4]) if match[4] else {"http": 80, "https": 443}[match[1]]
    return match[2] or match[3] or "", port


def _is_domain(token: str) -> bool:
    """Return whether a token is the base64 of a domain name."""
    try:
        text = base64.b64decode(
            token + "=" * (-len(token) % 4), altchars=b"-_" if "-" in token or "_" in token else None
        )
        return _DOMAIN.fullmatch(text.decode("ascii")) is not None
    except (binascii.Error, ValueError):
        return False
