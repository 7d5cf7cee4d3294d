"""The certificates of one node, picked by purpose from the lab's certificates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .pki import Certified, Pki


class NodeCertificates(Mapping[str, Certified]):
    """The certificates of one node: ``tomcat`` is the recipe ``NODE-tomcat`` if there is one, else ``tomcat``.

    A recipe that several nodes use is a multi-server certificate.
    """

    def __init__(self, pki: Pki, node: str) -> None:
        self._pki = pki
        self._node = node

    def __getitem__(self, name: str) -> Certified:
        own = f"{self._node}-{name}"
        return self._pki[own if own in self._pki else name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pki)

    def __len__(self) -> int:
        return len(self._pki)

    @property
    def authorities(self) -> tuple[str, ...]:
        """Names of the recipes that issue others."""
        return self._pki.authorities


Certificates = Pki | NodeCertificates
"""Certificates by purpose, with the names of the CAs among them."""
