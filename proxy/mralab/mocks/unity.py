"""Mock Unity Connection: vmrest on 8443 and 443, and the ports of message waiting (``unpublished``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from . import unpublished, vmrest
from .tomcat import PORTS, RSA_ONLY, TomcatNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.mra.allowlist import Kind
    from .node_certificates import Certificates
    from .vmrest import VoiceMessage


class Unity(TomcatNode):
    """One Unity Connection node; use it in an ``async with`` statement. Certificates as on CUCM's 8443.

    ``users`` (name -> password) and ``inboxes`` (name -> messages) can be set at any time.

    Raises:
        InputError: ``https_ciphers`` is not a value of that parameter.
    """

    kind: ClassVar[Kind] = "unity"
    tomcat_ports: ClassVar[tuple[int, ...]] = (*PORTS, unpublished.MESSAGE_WAITING_PORT)

    def __init__(
        self,
        pki: Certificates,
        users: Mapping[str, str],
        *,
        inboxes: Mapping[str, Sequence[VoiceMessage]] | None = None,
        fqdn: str = "unity.steven.lab",
        ip: str = "10.48.36.218",
        host: str = "127.0.0.1",
        https_ciphers: str = RSA_ONLY,
        tls: Sequence[str] = ("1.2",),
    ) -> None:
        self.users = users
        self.inboxes = inboxes or {}
        services = unpublished.UNITY_SERVICES
        super().__init__(pki, (vmrest.routes,), services, fqdn=fqdn, ip=ip, host=host, tls=tls)
        self.https_ciphers = https_ciphers  # of 7443 too
