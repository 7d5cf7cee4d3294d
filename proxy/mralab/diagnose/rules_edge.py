"""Rules for the log of an Expressway-E, whose traffic_server verifies no server and forwards to Expressway-C.

Expressway-E uses Expressway-C as its parent proxy, so it forwards requests in absolute form. "Next Hop" in a reason
phrase is Traffic Server's term for that parent (observed in Traffic Server 9.2.9; Cisco's own text is not public).
"""

from __future__ import annotations

from typing import Final

from .occurrence import MRA_GUIDE, FindingRule

_EDGE_LOG: Final = "This is the log of an Expressway-E"


def _edge(code: str, pattern: str, cause: str, remedies: str) -> FindingRule:
    """Return a rule. ``remedies`` are keys of ``REMEDIES``, separated by spaces."""
    return FindingRule(code, "edge", pattern, cause, tuple(remedies.split()), MRA_GUIDE)


EDGE_RULES: Final[tuple[FindingRule, ...]] = (
    _edge(
        "next-hop-failed",
        "^50[24] Next Hop",
        _EDGE_LOG
        + ", and {error} is about the way from Expressway-E to Expressway-C: the request for {place} did not reach "
        "Expressway-C. It says nothing about the server or its certificate.",
        "check-traversal read-expressway-c",
    ),
    _edge(
        "answered-by-expressway-c",
        "^received ",
        _EDGE_LOG + ". The {reason} for {place} came from Expressway-C, whose own log says why.",
        "read-expressway-c",
    ),
    _edge(
        "rate-limited",
        "^sent 429",
        "An Expressway {error} to a client by itself: more logins than it allows in a period (3 in 300 seconds by "
        "default). The line does not show for which request.",
        "rate-limit",
    ),
    _edge(
        "refused-by-edge",
        "^sent 4",
        "An Expressway {error} to a client by itself; the line does not show for which request.",
        "check-domain check-clocks",
    ),
    _edge(
        "next-hop-failed",
        "^sent ",
        "An Expressway {error} to a client by itself; the line does not show for which request.",
        "check-traversal read-expressway-c",
    ),
    _edge(
        "refused-by-edge",
        "^4",
        _EDGE_LOG + ", which answered {method} {url} with {error} itself.",
        "check-domain check-clocks rate-limit",
    ),
    _edge(
        "next-hop-failed",
        "",
        _EDGE_LOG + ", which answered {method} {url} with {error} and got nothing from Expressway-C.",
        "check-traversal read-expressway-c",
    ),
)
