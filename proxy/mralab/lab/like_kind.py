"""Which product a customer's server is, as far as ports, names of files and the host's name tell.

The certificates of Tomcat on 8443 and 443 are alike on CUCM, IM and Presence and Unity Connection. Other ports belong
to one of them (Cisco, Expressway IP Port Usage X15.0; IM and Presence configuration guide, certificate table). Without
such a port the host's name is a guess, which a note states.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from ..core.mra.allowlist import Kind

PRODUCTS: Final[dict[Kind, str]] = {"cucm": "CUCM", "imp": "IM and Presence", "unity": "Unity Connection"}
TOMCAT_PORT: Final = 8443
_OWN_PORTS: Final[dict[Kind, frozenset[int]]] = {
    "cucm": frozenset((2445, 2749, 3804, 6971, 6972, 7501, 9443, 9444)),
    "imp": frozenset((5222, 5269, 7336, 7400, 8083)),
    "unity": frozenset((7443,)),
}
"""TLS ports that one product alone has. 5061 and 5062 are on CUCM and on IM and Presence."""
_ENOUGH: Final[dict[Kind, frozenset[int]]] = {
    "cucm": frozenset((TOMCAT_PORT, 6971, 6972)),
    "imp": frozenset((TOMCAT_PORT,)),
    "unity": frozenset((TOMCAT_PORT, 7443)),
}
"""Ports of which one is needed to play the product; IM and Presence has other certificates on its own ports."""
_WORDS: Final[dict[Kind, frozenset[str]]] = {
    "cucm": frozenset(("cucm", "ucm", "ccm", "callmanager")),
    "imp": frozenset(("imp", "imps", "cup", "cups", "imandp", "presence")),
    "unity": frozenset(("cuc", "ucxn", "cuxn", "unity", "unityconnection")),
}
"""Words in host names that administrators use for each product; a convention, no rule."""
_WORD: Final = re.compile(r"[a-z]+")


class Product(NamedTuple):
    """The product of a server; ``kind`` None: it has no port that a client of the lab would use."""

    kind: Kind | None
    note: str = ""
    """What was assumed, in a sentence; empty if nothing was."""


def product_of(host: str, ports: Collection[int]) -> Product:
    """Return the product of the server ``host`` with these TLS ports."""
    fitting = [kind for kind, own in _OWN_PORTS.items() if not own.isdisjoint(ports)]
    if len(fitting) == 1:
        (kind,) = fitting
        return Product(kind if not _ENOUGH[kind].isdisjoint(ports) else None)
    if TOMCAT_PORT not in ports:
        return Product("cucm" if not _ENOUGH["cucm"].isdisjoint(ports) else None)
    words = set(_WORD.findall(host.partition(".")[0]))
    named = [kind for kind, known in _WORDS.items() if not known.isdisjoint(words)]
    if named == ["cucm"]:
        return Product("cucm")
    if len(named) == 1:
        return Product(named[0], f"{host} is taken to be {PRODUCTS[named[0]]}, because of its name.")
    return Product(
        "cucm",
        f"{host} may be CUCM, IM and Presence or Unity Connection: their certificates on 8443 are alike. It answers as "
        "CUCM. A file for a port that one of them alone has decides: 6972 for CUCM, 5222 for IM and Presence, 7443 for "
        "Unity Connection.",
    )
