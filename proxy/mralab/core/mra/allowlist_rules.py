"""A rule of the HTTP allow list, and the rules that Expressway makes for discovered nodes.

Sources: Expressway administrator guide X12.6, X14.0.2 and X15.0, "HTTP allow list", and the only public log line, which
shows the prefix rule ``https://HOST:8443/cucm-uds/user/`` and its type.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from mralab.core.hostport import bracketed
from mralab.core.mra.target import Target, canonical_host

METHODS: Final = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE")
"""Methods that a rule can have (administrator guide X15.0)."""
DEFAULT_METHODS: Final = frozenset(("GET", "POST", "PUT"))
"""Methods of a rule without its own ("Use defaults")."""

AUTOMATIC_CUCM: Final = "Automatically generated rule for CUCM server"
"""The only ``Type=`` in a public log line."""
AUTOMATIC_IMP: Final = "Automatically generated rule for IM and Presence Service node"
AUTOMATIC_UNITY: Final = "Automatically generated rule for Unity Connection server"
ADMINISTRATOR: Final = "Administrator defined rule"
"""``Type=`` of a rule from the CSV file. Emulated, not observed, like the two above."""

Kind = Literal["cucm", "imp", "unity"]

_READ: Final = frozenset(("GET", "HEAD"))
_ASK: Final = _READ | {"POST"}
_CHANGE: Final = _ASK | {"PUT", "DELETE"}

_AUTOMATIC: Final[dict[Kind, tuple[str, tuple[tuple[str, int, str, frozenset[str]], ...]]]] = {
    "cucm": (
        AUTOMATIC_CUCM,
        (
            ("https", 8443, "/cucm-uds/user/", _CHANGE),  # observed: the article's log
            ("https", 8443, "/cucm-uds/", _ASK),
            ("https", 443, "/cucm-uds/user/", _CHANGE),  # "UDS/AXL 443 or 8443"
            ("https", 443, "/cucm-uds/", _ASK),
            ("https", 6971, "/", _READ),  # headset configuration
            ("https", 6972, "/", _READ),  # configuration files
            ("http", 6970, "/", _READ),  # configuration files
            ("https", 9444, "/", DEFAULT_METHODS),  # headset metrics
        ),
    ),
    "imp": (
        AUTOMATIC_IMP,
        (
            ("https", 8443, "/EPASSoap/", _ASK),
            ("https", 7336, "/", DEFAULT_METHODS),  # file transfer
        ),
    ),
    "unity": (
        AUTOMATIC_UNITY,
        (
            ("https", 443, "/vmrest/", _CHANGE),
            ("https", 8443, "/vmrest/", _CHANGE),
            ("http", 7080, "/", _ASK),  # message waiting
            ("https", 7443, "/", _ASK),  # message waiting
        ),
    ),
}
"""Type, then scheme, port, path and methods of each rule, by kind of node.

Ports: Expressway IP Port Usage X14.3 and X15.0. Paths of UDS, EPASSoap and vmrest: the documents on the login sequence
(Preferred Architecture, 221845). Only the first rule is known from a log. Methods, and "/" where no path is public, are
emulated, not observed: Cisco does not publish the table.

The table does not have ``/axl/``: it shares UDS's port in the list of ports, but only Expressway-C itself requests it,
to discover nodes. Nor does it have E911 (8080), directory photos, problem reports and Extension Mobility, for which the
guides tell administrators to add a rule. XMPP (7400) is not HTTP.
"""


class Rule(NamedTuple):
    """One rule. ``path`` starts with a slash, may end within a segment, and has a query only if exact.

    ``host`` is as in :class:`~mralab.core.mra.target.Target`; ``methods`` None means the defaults; ``match`` is
    ``exact`` or ``prefix``; ``url`` is ``Rule=`` in the log, always with the port.
    """

    scheme: str
    host: str
    port: int
    path: str
    methods: frozenset[str] | None
    match: str
    deployment: str
    type: str
    description: str
    url: str

    @property
    def allowed_methods(self) -> frozenset[str]:
        """``methods``, or the defaults."""
        return DEFAULT_METHODS if self.methods is None else self.methods


def make_rule(
    scheme: str,
    host: str,
    port: int,
    path: str,
    methods: frozenset[str] | None,
    *,
    type: str,  # noqa: A002 - the field's name
    match: str = "prefix",
    deployment: str = "",
    description: str = "",
) -> Rule:
    """Return a rule. Its ``url`` is made from the other fields."""
    url = Target("", scheme, host, port).url_for(path)
    return Rule(scheme, host, port, path, methods, match, deployment, type, description, url)


def automatic_rules(host: str, kind: Kind = "cucm") -> tuple[Rule, ...]:
    """Return the automatic rules for a discovered node of Unified CM, IM and Presence, or Unity Connection.

    ``host`` is a name, IPv4 text or IPv6 text (in brackets or not), as the node advertises itself. Raises
    :class:`~mralab.core.mra.target.BadHost`.
    """
    node = canonical_host(bracketed(host))
    type_, table = _AUTOMATIC[kind]
    return tuple(make_rule(scheme, node, port, path, methods, type=type_) for scheme, port, path, methods in table)
