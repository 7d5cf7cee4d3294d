"""Mock IM and Presence node: EPASSoap and AXL on 8443 and 443. XMPP (5222, 7400) is not HTTP, and not emulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from . import axl, epas
from .tokens import Tokens
from .tomcat import RSA_ONLY, TomcatNode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.mra.allowlist import Kind
    from .cluster import Cluster
    from .node_certificates import Certificates


class Imp(TomcatNode):
    """One IM and Presence node of ``cluster``; use it in an ``async with`` statement. Certificates as on CUCM's 8443.

    Raises:
        InputError: ``https_ciphers`` is not a value of that parameter.
    """

    kind: ClassVar[Kind] = "imp"

    def __init__(
        self,
        pki: Certificates,
        cluster: Cluster,
        *,
        fqdn: str = "imp.steven.lab",
        ip: str = "10.48.36.217",
        host: str = "127.0.0.1",
        https_ciphers: str = RSA_ONLY,
        tls: Sequence[str] = ("1.2",),
    ) -> None:
        self.cluster = cluster
        self.sessions = Tokens()
        self.one_time_passwords = Tokens()
        routes = (epas.routes, axl.routes)
        super().__init__(pki, routes, fqdn=fqdn, ip=ip, host=host, https_ciphers=https_ciphers, tls=tls)
        cluster.join(self, "CUCM IM and Presence")
