"""Mock of the OAuth entry points: CUCM's ``/ssosp/oauth/authorize``, and the implicit grant that the edge gives, too.

The URIs and their parameters are those that clients request. Emulated, not observed: the responses, which follow RFC
6749 section 4.2 (implicit grant) with ``oauthcb`` as the redirection; login by Basic authorization; errors as text.
There is no identity provider, so nothing else of ``/ssosp/`` is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlencode

from aiohttp import web

from .application import challenge, empty
from .authorization import CUCM_REALM, authenticated
from .cluster import Cluster

if TYPE_CHECKING:
    from .tokens import Tokens

LIFETIME: Final = 3600
"""Seconds that a token is said to be valid; the mocks do not end tokens by time."""


class OauthNode(Protocol):
    """What OAuth needs from its node."""

    cluster: Cluster


def routes(node: OauthNode) -> list[web.RouteDef]:
    """Return the route of CUCM's entry point."""

    async def authorize(request: web.Request) -> web.Response:
        user = authenticated(request, node.cluster.users)
        return challenge(CUCM_REALM) if user is None else implicit_grant(request, user, node.cluster.tokens)

    return [web.get("/ssosp/oauth/authorize", authorize)]


def implicit_grant(request: web.Request, user: str, tokens: Tokens) -> web.Response:
    """Return the redirection with a new access token of ``user``, or 400 with the error code of RFC 6749."""
    if not request.query.get("client_id"):
        return _error("invalid_request")
    if request.query.get("response_type") != "token":
        return _error("unsupported_response_type")
    grant = {"access_token": tokens.issue(user), "token_type": "Bearer", "expires_in": str(LIFETIME)}
    grant |= {name: request.query[name] for name in ("scope", "state") if name in request.query}
    return empty(302, {"Location": f"oauthcb#{urlencode(grant)}", "Cache-Control": "no-store"})


def _error(code: str) -> web.Response:
    return web.Response(status=400, reason="", text=f"{code}\n")
