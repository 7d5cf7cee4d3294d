"""Basic authorization (RFC 7617) of the requests to a mock."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web


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
    expected = users.get(name)
    if not colon or expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
        return None
    return name
