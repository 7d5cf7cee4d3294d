"""Authorization of the requests to a mock: Basic (RFC 7617) and Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from .tokens import Tokens

CUCM_REALM: Final = "Cisco Web Services Realm"
"""Realm of CUCM's web services (Cisco's UDS documentation)."""


def authenticated(request: web.Request, users: Mapping[str, str]) -> str | None:
    """Return the user of the request's Basic authorization if the password is right (RFC 7617), else None.

    ``users`` maps names to passwords.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if colon and is_password(users, name, password) else None


def is_password(users: Mapping[str, str], name: str, password: str) -> bool:
    """Return whether ``users`` has this name with this password."""
    expected = users.get(name)
    return expected is not None and hmac.compare_digest(expected.encode(), password.encode())


def bearer(request: web.Request, tokens: Tokens) -> str | None:
    """Return the user of the request's Bearer token (RFC 6750) if it is one of ``tokens``, else None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return tokens.user(token.strip()) if scheme.lower() == "bearer" else None
