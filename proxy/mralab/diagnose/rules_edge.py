"""Rules for the log of an Expressway-E: its traffic_server forwards to Expressway-C, it verifies no server.

Expressway-E uses Expressway-C as its parent proxy, so it sends requests on in absolute form, and "Next Hop" in a reason
is Traffic Server's word for that parent (observed in Traffic Server 9.2.9's program; Cisco's own text is not public).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from .occurrence import MRA_GUIDE, FindingRule

_edge = partial(FindingRule, kind="edge", reference=MRA_GUIDE)

EDGE_RULES: Final[tuple[FindingRule, ...]] = (
    _edge(
        "next-hop-failed",
        pattern="^50[24] Next Hop",
        cause="This is the log of an Expressway-E, and {error} is about the way from Expressway-E to Expressway-C: the "
        "request for {place} did not reach Expressway-C. It says nothing about the server or its certificate.",
        remedies=("check-traversal", "read-expressway-c"),
    ),
    _edge(
        "answered-by-expressway-c",
        pattern="^received ",
        cause="This is the log of an Expressway-E. The {reason} for {place} came from Expressway-C, whose own log says "
        "why.",
        remedies=("read-expressway-c",),
    ),
    _edge(
        "refused-by-edge",
        pattern="^4",
        cause="This is the log of an Expressway-E, which answered {method} {url} with {error} itself.",
        remedies=("check-domain", "check-clocks", "rate-limit"),
    ),
    _edge(
        "next-hop-failed",
        pattern="",
        cause="This is the log of an Expressway-E, which answered {method} {url} with {error} and got nothing from "
        "Expressway-C.",
        remedies=("check-traversal", "read-expressway-c"),
    ),
)
